"""AGMM's gate: factor, gradients, trace, steps."""

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.agmm import GradientGate
from flipcore.training.signal import Signal
from flipcore.training.step_state import reset_state


def maps() -> torch.Tensor:
    return torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)).double()


def test_channel_gate_is_alpha_times_the_sigmoid_of_each_channels_mean() -> None:
    gate = GradientGate(2).double()
    with torch.no_grad():
        gate.alpha[1] = -1.5
    x = maps()
    for alpha in (1.0, -1.5):
        gated = gate(Signal(x, None)).spikes
        for sample in range(2):
            for channel in range(3):
                mean = x[sample, channel].mean()
                wanted = alpha * torch.sigmoid(mean) * x[sample, channel]
                torch.testing.assert_close(gated[sample, channel], wanted)


def test_gate_of_the_whole_sample() -> None:
    x = maps()
    gated = GradientGate(1, "all").double()(Signal(x, None)).spikes
    for sample in range(2):
        torch.testing.assert_close(gated[sample], torch.sigmoid(x[sample].mean()) * x[sample])


def test_behind_a_fully_connected_layer_the_mean_is_over_its_neurons() -> None:
    x = torch.rand(3, 5)
    wanted = torch.sigmoid(x.mean(1, keepdim=True)) * x
    for axis in ("channel", "all"):
        torch.testing.assert_close(GradientGate(1, axis)(Signal(x, None)).spikes, wanted)


def test_gradients_flow_through_values_mean_and_alpha() -> None:
    gate = GradientGate(1).double()
    x = maps().requires_grad_()
    (gate(Signal(x, None)).spikes.sum()).backward()

    def total(values: torch.Tensor) -> float:
        means = values.mean((2, 3), keepdim=True)
        return float((torch.sigmoid(means) * values).sum())

    nudge = torch.zeros_like(x)
    nudge[1, 2, 3, 0] = 1e-6
    numeric = (total(x.detach() + nudge) - total(x.detach() - nudge)) / 2e-6
    assert x.grad[1, 2, 3, 0].item() == pytest.approx(numeric, rel=1e-6)
    assert gate.alpha.grad.item() == pytest.approx(total(x.detach()))


def test_gate_scales_the_trace_by_the_same_constant() -> None:
    gate = GradientGate(1)
    with torch.no_grad():
        gate.alpha.fill_(2.0)
    spikes, trace = torch.ones(1, 1, 2, 2, requires_grad=True), torch.full((1, 1, 2, 2), 0.5)
    gated = gate(Signal(spikes, trace))
    torch.testing.assert_close(gated.trace, 2 * torch.sigmoid(torch.tensor(1.0)) * trace)
    assert not gated.trace.requires_grad
    assert gated.spikes.requires_grad


def test_steps_are_counted_until_reset() -> None:
    gate = GradientGate(2)
    for _ in range(2):
        gate(Signal(torch.ones(1, 4), None))
    with pytest.raises(InputError) as caught:
        gate(Signal(torch.ones(1, 4), None))
    assert str(caught.value) == "step 2 of a gate for 2 steps: reset_state between samples"
    reset_state(gate)
    gate(Signal(torch.ones(1, 4), None))


@pytest.mark.parametrize(
    ("num_steps", "axis", "message"),
    [
        (0, "channel", "num_steps=0: must be at least 1"),
        (1, "pixel", "gate axis=pixel: must be channel or all"),
    ],
)
def test_impossible_gates_are_refused(num_steps: int, axis: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        GradientGate(num_steps, axis)
    assert str(caught.value) == message
