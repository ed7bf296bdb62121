"""Neurons and traces against plain NumPy: potentials, resets, the three traces, what is cut and what is not."""

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.neurons import LIF, InputTrace
from flipcore.training.surrogate import Surrogate

Floats = npt.NDArray[np.float64]

STEPS = 6


def currents(seed: int, shape: tuple[int, ...] = (3, 5)) -> Floats:
    dice = np.random.default_rng(seed)
    drawn = dice.normal(0.4, 0.8, (STEPS, *shape))
    drawn[:, 0] = 0.0  # a sample without input: 0 / 0 in NDOT's ratio
    return drawn


def plain_neurons(
    current: Floats, threshold: float, leak: float, reset: str, trace: str
) -> tuple[Floats, Floats, Floats]:
    """Spikes, rests and traces [steps, ...], by the equations and with loops over the steps alone."""
    spikes, rests, traces = (np.zeros_like(current) for _ in range(3))
    rest = np.zeros(current.shape[1:])
    followed = np.zeros(current.shape[1:])
    for t in range(len(current)):
        potential = leak * rest + current[t]
        spike = (potential >= threshold).astype(np.float64)
        after = potential - threshold * spike if reset == "soft" else potential * (1 - spike)
        if trace == "ndot":
            safe = np.where(rest == 0, 1.0, rest)
            factor = np.where(rest == 0, leak, np.clip(after / safe, -leak, leak))
        else:
            factor = np.full_like(after, leak if trace == "ottt" else 0.0)
        followed = factor * followed + spike
        rest = after
        spikes[t], rests[t], traces[t] = spike, rest, followed
    return spikes, rests, traces


@pytest.mark.parametrize(
    ("trace", "reset", "leak"),
    list(product(["ottt", "ndot", "sltt"], ["soft", "hard"], [0.5, 0.875, 1.0])),
)
def test_neurons_follow_their_equations(trace: str, reset: str, leak: float) -> None:
    current = currents(1)
    spikes, rests, traces = plain_neurons(current, 0.75, leak, reset, trace)
    neurons = LIF(threshold=0.75, leak=leak, reset=reset, trace=trace)
    for t in range(STEPS):
        signal = neurons(torch.from_numpy(current[t]))
        np.testing.assert_array_equal(signal.spikes.numpy(), spikes[t])
        np.testing.assert_allclose(signal.trace.numpy(), traces[t], rtol=1e-12, atol=1e-12)
        rest = neurons.state_tensors()["potential"].numpy()
        np.testing.assert_allclose(rest, rests[t], rtol=1e-12, atol=1e-12)
    assert 0 < spikes.mean() < 1


def test_ndot_ratio_stays_within_the_leak() -> None:
    # Rests 0.1, then 0.9: the quotient is 9; then -0.55 / 0.9, below -0.5 as well.
    neurons = LIF(threshold=1.0, leak=0.5, trace="ndot")
    current = [1.1, 0.85, 0.0]  # rests 0.1, 0.9, 0.45
    traces = [neurons(torch.tensor([value])).trace.item() for value in current]
    assert traces == pytest.approx([1.0, 0.5, 0.25])
    neurons.reset_state()
    current = [1.1, 0.85, -1.0]  # the last rest is -0.55
    traces = [neurons(torch.tensor([value])).trace.item() for value in current]
    assert traces == pytest.approx([1.0, 0.5, -0.25])


def test_ndot_without_input_decays_as_ottt() -> None:
    """Silent neurons keep r[t] / r[t-1] = leak; also where the rest is 0 and the quotient has no value."""
    neurons = LIF(threshold=1.0, leak=0.5, trace="ndot")
    values = [[1.5, 1.0], [0.0, 0.0], [0.0, 0.0]]  # rests: 0.5, 0.25, 0.125 and 0, 0, 0
    traces = [neurons(torch.tensor(value)).trace.tolist() for value in values]
    assert traces == [[1.0, 1.0], [0.5, 0.5], [0.25, 0.25]]


@pytest.mark.parametrize("trace", ["ottt", "ndot", "sltt"])
def test_first_step_after_reset_equals_the_very_first(trace: str) -> None:
    current = torch.from_numpy(currents(2))
    neurons = LIF(trace=trace)
    first = [neurons(step) for step in current]
    assert neurons.state_tensors()
    neurons.reset_state()
    assert neurons.state_tensors() == {}
    for step, before in zip(current, first, strict=True):
        again = neurons(step)
        assert torch.equal(again.spikes, before.spikes)
        assert torch.equal(again.trace, before.trace)


def test_without_gradients_there_is_no_trace() -> None:
    neurons = LIF(trace="ottt")
    with torch.no_grad():
        assert neurons(torch.ones(2)).trace is None
    assert set(neurons.state_tensors()) == {"potential"}


def test_online_state_is_no_part_of_the_graph() -> None:
    neurons = LIF(trace="ottt")
    current = torch.full((2,), 0.9, requires_grad=True)
    first = neurons(current)
    second = neurons(current * 1)
    assert first.spikes.requires_grad
    assert not any(tensor.requires_grad for tensor in neurons.state_tensors().values())
    (gradient,) = torch.autograd.grad(second.spikes.sum(), current)
    # u = 0.45 + 0.9: only the way through the second current counts.
    logistic = torch.sigmoid(torch.tensor(4 * 0.35))
    assert gradient.tolist() == pytest.approx([float(4 * logistic * (1 - logistic))] * 2)


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_through_time_gradients_are_those_of_plain_autograd(reset: str) -> None:
    current = torch.from_numpy(currents(3)).requires_grad_()
    weighting = torch.from_numpy(np.random.default_rng(4).normal(size=current.shape))
    surrogate = Surrogate(slope=3.0)
    neurons = LIF(
        threshold=0.75, leak=0.625, reset=reset, surrogate=surrogate, trace=None, online=False
    )
    spikes = torch.stack([neurons(step).spikes for step in current])
    (found,) = torch.autograd.grad((spikes * weighting).sum(), current)

    # The plain reference: a differentiable stand-in whose value is replaced by the step.
    rest = torch.zeros(current.shape[1:], dtype=torch.float64)
    plain = []
    for step in current:
        potential = 0.625 * rest + step
        smooth = torch.sigmoid(3.0 * (potential - 0.75) / 0.75)
        spike = smooth + ((potential >= 0.75).double() - smooth).detach()
        rest = potential - 0.75 * spike if reset == "soft" else potential * (1 - spike)
        plain.append(spike)
    (wanted,) = torch.autograd.grad((torch.stack(plain) * weighting).sum(), current)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    assert bool((found[0] != 0).any())


@pytest.mark.parametrize(("trace", "decay"), [("ottt", 0.75), ("ndot", 0.75), ("sltt", 0.0)])
def test_input_trace(trace: str, decay: float) -> None:
    inputs = torch.rand(STEPS, 2, 3)
    layer = InputTrace(leak=0.75, trace=trace)
    for _ in range(2):
        wanted = torch.zeros(2, 3)
        for step in inputs:
            wanted = decay * wanted + step
            signal = layer(step)
            assert signal.spikes is step
            torch.testing.assert_close(signal.trace, wanted)
        layer.reset_state()
        assert layer.state_tensors() == {}


def test_input_trace_where_none_is_needed() -> None:
    assert InputTrace(trace=None)(torch.ones(2)).trace is None
    with torch.no_grad():
        assert InputTrace()(torch.ones(2)).trace is None


def test_another_batch_without_reset_is_refused() -> None:
    neurons = LIF()
    neurons(torch.ones(4, 3))
    with pytest.raises(InputError) as caught:
        neurons(torch.ones(2, 3))
    assert str(caught.value) == (
        "a step of shape [2, 3] after one of [4, 3]: reset_state between samples"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0.0}, "threshold=0.0: must be a number above 0"),
        ({"threshold": float("nan")}, "threshold=nan: must be a number above 0"),
        ({"leak": 1.25}, "leak=1.25: must be in 0 ... 1"),
        ({"leak": -0.1}, "leak=-0.1: must be in 0 ... 1"),
        ({"reset": "none"}, "reset=none: must be soft or hard"),
        ({"trace": "eprop"}, "trace=eprop: must be one of ottt, ndot, sltt, or none"),
        (
            {"online": False},
            "trace=ottt: back-propagation through time (online=False) has none",
        ),
    ],
)
def test_impossible_neurons_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        LIF(**settings)
    assert str(caught.value) == message


def test_impossible_input_traces_are_refused() -> None:
    with pytest.raises(InputError, match=r"^leak=2: must be in 0 \.\.\. 1$"):
        InputTrace(leak=2)
    with pytest.raises(InputError, match=r"^trace=none: must be one of ottt, ndot, sltt, or none$"):
        InputTrace(trace="none")
