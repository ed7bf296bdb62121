"""The exact count of live bytes; and with it, what memory training takes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from flipcore.training.fused_flips import FusedFlips
from flipcore.training.live_tensors import LiveTensors
from flipcore.training.mlp import MLP, mlp
from flipcore.training.models import binary_weights, reset_state
from flipcore.training.network_spec import NetworkSpec

KIB = 1024


def zeros(kib: int) -> Tensor:
    return torch.zeros(kib * KIB // 4)


def test_counts_what_is_made_until_it_is_freed() -> None:
    with LiveTensors() as live:
        first = zeros(4)
        assert live.bytes_now == 4 * KIB
        second = zeros(2)
        assert live.bytes_now == 6 * KIB
        del first
        assert live.bytes_now == 2 * KIB
        del second
        assert live.bytes_now == 0
        assert live.peak_bytes() == 6 * KIB


def test_temporaries_count_while_they_live() -> None:
    with LiveTensors() as live:
        kept = zeros(1) + 1 + 1  # two at a time
        assert live.bytes_now == KIB
        assert live.peak_bytes() == 2 * KIB
        del kept


def test_views_and_changes_in_place_add_nothing() -> None:
    with LiveTensors() as live:
        whole = zeros(4)
        views = [whole.view(2, -1), whole[10:], whole.view(torch.uint8), whole.detach()]
        whole.add_(1)
        del whole
        assert live.bytes_now == live.peak_bytes() == 4 * KIB
        del views
        assert live.bytes_now == 0


def test_a_view_counts_its_whole_storage() -> None:
    with LiveTensors() as live:
        part = zeros(4)[:1]
        assert live.bytes_now == 4 * KIB
        del part


def test_existing_tensors_count_from_the_start_or_from_their_first_use() -> None:
    given, used, unused = zeros(1), zeros(2), zeros(4)
    with LiveTensors([given]) as live:
        assert live.bytes_now == KIB
        used.add_(1)
        assert live.bytes_now == 3 * KIB
    assert unused.numel()


def test_a_resized_storage_counts_anew() -> None:
    with LiveTensors() as live:
        tensor = zeros(1)
        tensor.resize_(3 * KIB // 4)
        assert live.bytes_now == 3 * KIB
        del tensor
        assert live.bytes_now == 0


def test_peak_can_begin_again() -> None:
    with LiveTensors() as live:
        zeros(8)
        kept = zeros(1)
        live.reset_peak()
        assert live.peak_bytes() == KIB
        zeros(2)
        assert live.peak_bytes() == 3 * KIB
        del kept


def test_graph_keeps_what_it_saves_for_the_backward_pass() -> None:
    weight = torch.ones(KIB // 4, requires_grad=True)
    with LiveTensors([weight]) as live:
        result = (weight.exp() * 2).sum()
        assert live.bytes_now == 2 * KIB + 4  # weight, its exponential, the sum
        result.backward()
        del result
        assert live.bytes_now == 2 * KIB  # weight and gradient
    assert weight.grad is not None


def test_tensors_of_another_device_do_not_count() -> None:
    with LiveTensors() as live:
        torch.empty(1000, device="meta").add_(1)
        assert live.peak_bytes() == 0


SIZES = (64, 256, 256, 10)
BATCH = 8


def network(**choices: Any) -> MLP:
    return mlp(SIZES, thresholds=(6, 10), spec=NetworkSpec(num_steps=16, **choices))


def frames(steps: int, width: int = SIZES[0]) -> list[Tensor]:
    dice = torch.Generator().manual_seed(0)
    return [torch.bernoulli(torch.full((BATCH, width), 0.3), generator=dice) for _ in range(steps)]


def peak_of_batch(model: MLP, steps: int) -> int:
    """Peak bytes beyond the model's own, of one batch: step by step if online, else through time."""
    online = model.neurons[0].online
    reset_state(model)
    model.zero_grad()
    parameters = list(model.parameters())
    with LiveTensors(parameters) as live:
        before = live.bytes_now
        total = torch.zeros(())
        for frame in frames(steps):
            loss = model(frame).square().mean()
            if online:
                loss.backward()
            else:
                total = total + loss
        if not online:
            total.backward()
        return live.peak_bytes() - before


@pytest.mark.parametrize("trace", ["ottt", "ndot", "sltt"])
def test_memory_of_online_training_does_not_grow_with_the_steps(trace: str) -> None:
    model = network(trace=trace)
    inputs = BATCH * SIZES[0] * 4
    peaks = {steps: peak_of_batch(model, steps) - steps * inputs for steps in (1, 2, 4, 8, 16)}
    assert peaks[16] == peaks[8] == peaks[4]
    # The first step has neither potentials nor traces of an earlier one, nor gradients to add to.
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert peaks[4] <= peaks[1] + 6 * BATCH * sum(SIZES) * 4 + weights


def test_memory_through_time_grows_with_the_steps() -> None:
    model = network(trace=None, online=False)
    peaks = [peak_of_batch(model, steps) for steps in (2, 4, 8, 16)]
    per_step = (peaks[3] - peaks[2]) / 8
    assert per_step == pytest.approx((peaks[2] - peaks[1]) / 4, rel=0.01)
    # At least a potential and the spikes of each hidden neuron.
    assert per_step >= 2 * BATCH * 4 * sum(SIZES[1:-1])
    assert peaks[3] > 2 * peak_of_batch(network(trace="ottt"), 16) - 2 * peaks[0]


WIDTH, DEPTH = 256, 8


def deep(kind: str) -> MLP:
    spec = NetworkSpec(kind=kind, momentum_format="int8", trace="ottt", num_steps=4)
    return mlp([WIDTH] * (DEPTH + 1), thresholds=[10] * (DEPTH - 1), spec=spec)


def peak_of_backward(model: MLP) -> int:
    """Peak bytes of the backward pass of a second step, beyond what is live when it begins."""
    first, second = frames(2, WIDTH)
    model(first).square().mean().backward()
    model.zero_grad(set_to_none=True)
    tensors = [*model.parameters(), *model.buffers()]
    with LiveTensors(tensors) as live:
        loss = model(second).square().mean()
        before = live.bytes_now
        live.reset_peak()
        loss.backward()
        return live.peak_bytes() - before


@pytest.mark.parametrize("rule", ["bso", "tbso", "bop"])
def test_packed_training_never_holds_all_gradients(rule: str) -> None:
    one_gradient = WIDTH * WIDTH * 4
    model = deep("packed")
    flips = FusedFlips(binary_weights(model), rule=rule)
    assert flips.time_step == 0
    packed = peak_of_backward(model)
    dense = peak_of_backward(deep("dense"))
    # All gradients, less the activations that are freed on the way.
    assert dense > (DEPTH - 0.5) * one_gradient
    # One gradient, and what the rule makes of it.
    assert packed < 3.5 * one_gradient
