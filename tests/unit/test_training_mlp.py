"""The fully connected network: the chip's own spikes, OTTT's formula in NumPy, and what autograd says through a plain copy."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training.mlp import MLP, mlp
from flipcore.training.models import binary_weights, reset_state
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.surrogate import Surrogate
from tests.gradient_recorder import GradientRecorder
from tests.oracle import Oracle

Floats = npt.NDArray[np.float64]

SIZES = (20, 14, 12, 5)
THRESHOLDS = (3, 2)
STEPS, BATCH = 5, 4
LEAK, SLOPE = 0.75, 2.0


def network(**choices: Any) -> MLP:
    """Three layers in double precision, so that a sum's order does not matter."""
    spec = NetworkSpec(leak=LEAK, surrogate=Surrogate(slope=SLOPE), num_steps=STEPS, **choices)
    return mlp(SIZES, thresholds=THRESHOLDS, spec=spec).double()


def inputs(seed: int = 0) -> Tensor:
    """Input spikes [steps, batch, axons]."""
    dice = torch.Generator().manual_seed(seed)
    return torch.bernoulli(
        torch.full((STEPS, BATCH, SIZES[0]), 0.4, dtype=torch.float64), generator=dice
    )


def loss_of(logits: Tensor) -> Tensor:
    """Any loss with an error of many sizes."""
    target = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view(logits.shape)
    return ((logits - target) ** 2).sum()


def online_gradients(model: MLP, x: Tensor) -> list[list[Tensor]]:
    """Gradient of each layer's weight in each step, [step][layer]."""
    reset_state(model)
    gradients = []
    for frame in x:
        model.zero_grad()
        loss_of(model(frame)).backward()
        gradients.append([layer.weight.grad.clone() for layer in model.layers])
    return gradients


def derivative(potential: Floats, threshold: float) -> Floats:
    logistic = 1 / (1 + np.exp(-SLOPE * (potential - threshold) / threshold))
    return SLOPE / threshold * logistic * (1 - logistic)


def hand_derived_gradients(weights: list[Floats], x: Floats) -> list[list[Floats]]:
    """OTTT by its equations: dL[t]/dW = zeta[t] outer a[t], summed over the batch (Xiao et al. 2022)."""
    depth = len(weights)
    rests = [np.zeros((BATCH, size)) for size in SIZES[1:-1]]
    traces = [np.zeros((BATCH, size)) for size in SIZES[:-1]]
    gradients = []
    for frame in x:
        spikes, potentials = [frame], []
        for layer in range(depth - 1):
            potential = LEAK * rests[layer] + spikes[layer] @ weights[layer].T
            spike = (potential >= THRESHOLDS[layer]).astype(np.float64)
            rests[layer] = potential - THRESHOLDS[layer] * spike
            potentials.append(potential)
            spikes.append(spike)
        traces = [LEAK * trace + spike for trace, spike in zip(traces, spikes, strict=True)]
        logits = spikes[-1] @ weights[-1].T
        target = np.linspace(-1, 1, logits.size).reshape(logits.shape)
        zeta = 2 * (logits - target)
        step = [np.einsum("bo,bi->oi", zeta, traces[-1])]
        for layer in range(depth - 2, -1, -1):
            zeta = (zeta @ weights[layer + 1]) * derivative(potentials[layer], THRESHOLDS[layer])
            step.insert(0, np.einsum("bo,bi->oi", zeta, traces[layer]))
        gradients.append(step)
    return gradients


def plain_forward(weights: list[Tensor], x: Tensor, *, cut: bool) -> list[Tensor]:
    """Logits of each step in plain autograd; `cut` ends gradients at the step's beginning."""
    rests = [torch.zeros(BATCH, size, dtype=torch.float64) for size in SIZES[1:-1]]
    outputs = []
    for frame in x:
        spikes = frame
        for layer, threshold in enumerate(THRESHOLDS):
            rest = rests[layer].detach() if cut else rests[layer]
            potential = LEAK * rest + spikes @ weights[layer].t()
            smooth = torch.sigmoid(SLOPE * (potential - threshold) / threshold)
            spikes = smooth + ((potential >= threshold).double() - smooth).detach()
            rests[layer] = potential - threshold * spikes
        outputs.append(spikes @ weights[-1].t())
    return outputs


def copies(model: MLP) -> list[Tensor]:
    return [layer.weight.detach().clone().requires_grad_() for layer in model.layers]


def test_ottt_gradient_is_the_hand_derived_formula() -> None:
    model, x = network(trace="ottt"), inputs()
    wanted = hand_derived_gradients([w.detach().numpy() for w in copies(model)], x.numpy())
    found = online_gradients(model, x)
    for step, step_wanted in zip(found, wanted, strict=True):
        for gradient, gradient_wanted in zip(step, step_wanted, strict=True):
            np.testing.assert_allclose(gradient.numpy(), gradient_wanted, rtol=1e-9, atol=1e-12)
    assert all(np.abs(gradient).max() > 1e-3 for gradient in wanted[-1])


def test_sltt_gradient_is_that_through_time_cut_at_each_step() -> None:
    model, x = network(trace="sltt"), inputs(1)
    weights = copies(model)
    outputs = plain_forward(weights, x, cut=True)
    found = online_gradients(model, x)
    for output, step in zip(outputs, found, strict=True):
        wanted = torch.autograd.grad(loss_of(output), weights, retain_graph=True)
        for gradient, gradient_wanted in zip(step, wanted, strict=True):
            torch.testing.assert_close(gradient, gradient_wanted, rtol=1e-10, atol=1e-12)


def test_online_without_a_trace_is_sltt() -> None:
    x = inputs(2)
    with_trace = online_gradients(network(trace="sltt"), x)
    without = online_gradients(network(trace=None), x)
    for one, other in zip(with_trace, without, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["float", "dense"])
def test_gradient_through_time_is_that_of_plain_autograd(kind: str) -> None:
    model, x = network(kind=kind, trace=None, online=False), inputs(3)
    weights = copies(model)
    wanted_outputs = plain_forward(weights, x, cut=False)
    wanted = torch.autograd.grad(sum(map(loss_of, wanted_outputs)), weights)
    outputs = [model(frame) for frame in x]
    sum(map(loss_of, outputs)).backward()
    for output, output_wanted in zip(outputs, wanted_outputs, strict=True):
        torch.testing.assert_close(output, output_wanted)
    for layer, gradient_wanted in zip(model.layers, wanted, strict=True):
        torch.testing.assert_close(layer.weight.grad, gradient_wanted, rtol=1e-10, atol=1e-12)


def test_online_gradients_differ_from_those_through_time() -> None:
    x = inputs(3)
    online = online_gradients(network(trace="ottt"), x)
    through_time = network(trace=None, online=False)
    sum(loss_of(through_time(frame)) for frame in x).backward()
    summed = sum(step[0] for step in online)
    assert not torch.allclose(summed, through_time.layers[0].weight.grad, rtol=0.01)


@pytest.mark.parametrize("trace", ["ottt", "ndot", "sltt"])
def test_packed_layers_learn_from_the_dense_gradients(trace: str) -> None:
    x = inputs(4).float()
    dense, packed = network(trace=trace).float(), network(trace=trace, kind="packed").float()
    recorder = GradientRecorder(packed)
    for frame in x:
        dense.zero_grad()
        outputs = dense(frame)
        packed_outputs = packed(frame)
        assert torch.equal(packed_outputs, outputs)
        loss_of(outputs).backward()
        loss_of(packed_outputs).backward()
        for name, weight in binary_weights(dense):
            torch.testing.assert_close(
                recorder.gradients[name].t(), weight.grad, rtol=1e-5, atol=1e-6
            )


def test_first_step_after_reset_is_that_of_a_new_network() -> None:
    x = inputs(5)
    model = network()
    first = [model(frame) for frame in x]
    carried_on = model(x[0])
    assert not torch.equal(carried_on, first[0])
    reset_state(model)
    assert all(torch.equal(model(frame), output) for frame, output in zip(x, first, strict=True))


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_network_is_the_chips_own(reset: str) -> None:
    """Without a leak, whose rounding the chip alone has, spikes and sums are the oracle's to the last one."""
    core = {
        "lanes": 4, "memory_ports": "1rw", "neuron": "if", "potential_bits": 12, "threshold": 3,
        "leak_shift": 1, "reset": {"soft": "subtract", "hard": "zero"}[reset], "window": 3,
        "random_source": "shared",
    }  # fmt: skip
    chip = {
        "steps": STEPS,
        "inputs": SIZES[0],
        "cores": [
            {**core, "neurons": size, "threshold": threshold}
            for size, threshold in zip(SIZES[1:], (*THRESHOLDS, 1), strict=True)
        ],
    }
    log: list[dict[str, Any]] = []
    oracle = Oracle(chip, 11, log)
    x = inputs(6)[:, 0]
    oracle.infer([frame.nonzero().flatten().tolist() for frame in x])
    spec = NetworkSpec(leak=1.0, reset=reset, num_steps=STEPS, seed=11)
    model = mlp(SIZES, thresholds=THRESHOLDS, spec=spec).double()
    sums = []
    with torch.no_grad():
        for frame in x:
            sums.append(model(frame[None]).int().flatten().tolist())
    assert sums == [record["out"] for record in log if "out" in record]
    assert any(map(any, sums))


def test_logit_scale_gives_random_readouts_variance_one() -> None:
    model = mlp((3000, 200), thresholds=(), spec=NetworkSpec())
    sums = model(torch.ones(1, 3000))
    assert torch.equal(sums, sums.round())
    assert (sums * model.logit_scale).std().item() == pytest.approx(1.0, abs=0.15)


def test_float_weights_suit_the_thresholds() -> None:
    model = network(kind="float")
    assert model.layers[0].weight.std().item() == pytest.approx(1.0, rel=0.1)
    reset_state(model)
    rates = torch.stack(
        [model.neurons[0](model.layers[0](model.input_trace(f))).spikes for f in inputs()]
    )
    assert 0.05 < rates.mean().item() < 0.6


def test_latent_weights_can_all_learn_at_first() -> None:
    model = network(kind="latent")
    assert max(layer.weight.detach().abs().max().item() for layer in model.layers) <= 1


def test_gates_stand_before_each_layer() -> None:
    model = network(gate=True)
    for frame in inputs():
        loss_of(model(frame)).backward()
    assert [len(gate.alpha) for gate in model.gates] == [STEPS] * 3
    assert all(bool(gate.alpha.grad.any()) for gate in model.gates)


@pytest.mark.parametrize(
    ("sizes", "thresholds", "choices", "message"),
    [
        ([5], [], {}, "sizes=[5]: at least inputs and classes, each at least 1"),
        ([5, 0, 2], [1], {}, "sizes=[5, 0, 2]: at least inputs and classes, each at least 1"),
        ([5, 4, 2], [1, 2], {}, "thresholds=[1, 2]: one for each of 1 hidden layers"),
        (
            [5, 2],
            [],
            {"kind": "latent", "channel_scale": True},
            "channel_scale: an MLP has a chip's weights, which have no scale",
        ),
    ],
)
def test_impossible_networks_are_refused(
    sizes: list[int], thresholds: list[float], choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        mlp(sizes, thresholds=thresholds, spec=NetworkSpec(**choices))
    assert str(caught.value) == message
