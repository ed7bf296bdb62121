"""The dense optimisers and the packed float32 weights against the oracle of the published rules, to the last bit.

FLIPCORE_EXAMPLES: how many random runs (100 by default).
"""

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from flipcore.training.fused_flips import FusedFlips
from flipcore.training.momentum_store import FORMATS
from flipcore.training.optimizers import BSO, TBSO, Bop, FlipOptimizer
from flipcore.training.packed_weight import PackedWeight
from tests.training_oracle import FlipOracle

EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "100"))
Floats = npt.NDArray[np.float32]


class Run(NamedTuple):
    """A random run of an optimiser on one vector of weights."""

    rule: str
    weights: Floats  # [n]
    gradients: Floats  # [steps, n]
    time_steps: list[int]  # [steps]
    rate: float
    gamma: float
    square_rate: float
    epsilon: float
    keep: bool


@st.composite
def runs(draw: st.DrawFn) -> Run:
    size = draw(st.integers(1, 19))
    steps = draw(st.integers(1, 6))
    # Magnitudes of one run lie together; the lowest are subnormal, the largest the limit.
    bound = draw(st.sampled_from([2.0**-140, 2.0**-100, 2.0**-13, 1.0, 2.0**63]))
    elements = st.floats(-bound, bound, width=32)
    rule = draw(st.sampled_from(["bso", "tbso", "bop"]))
    return Run(
        rule=rule,
        weights=draw(arrays(np.float32, size, elements=st.sampled_from([-1.0, 1.0]))),
        gradients=draw(arrays(np.float32, (steps, size), elements=elements)),
        time_steps=draw(st.lists(st.integers(0, 3), min_size=steps, max_size=steps)),
        rate=draw(st.one_of(st.sampled_from([1e-3, 1e-4, 1e-8, 0.5, 1.0]), st.floats(0, 1))),
        gamma=draw(st.one_of(st.sampled_from([0.0, 5e-7, 1e-11]), st.floats(0, 1))),
        square_rate=draw(st.one_of(st.sampled_from([1e-5, 1.0]), st.floats(0, 1))),
        epsilon=draw(st.sampled_from([0.0, 1e-20, 1e-8])),
        keep=rule == "bop" or draw(st.booleans()),
    )


def _oracle(run: Run) -> FlipOracle:
    oracle = FlipOracle(run.weights, run.rate, run.gamma, run.keep)
    if run.rule == "tbso":
        oracle.square_rate, oracle.epsilon = run.square_rate, run.epsilon
    return oracle


def _settings(run: Run) -> dict[str, Any]:
    chosen: dict[str, Any] = {"lr": run.rate, "gamma": run.gamma}
    if run.rule != "bop":
        chosen["momentum_at_flip"] = "keep" if run.keep else "reset"
    if run.rule == "tbso":
        chosen |= {"square_rate": run.square_rate, "epsilon": run.epsilon}
    return chosen


def _optimizer(run: Run, params: list[nn.Parameter], foreach: bool) -> FlipOptimizer:
    kind = {"bso": BSO, "tbso": TBSO, "bop": Bop}[run.rule]
    return kind(params, foreach=foreach, **_settings(run))


def _bits(values: Tensor | list[np.float32]) -> list[int]:
    """The bits of float32 values; a zero's sign, which no rule can see, is dropped."""
    floats = values.detach().numpy() if isinstance(values, Tensor) else np.array(values, np.float32)
    return (floats.astype(np.float32) + np.float32(0)).view(np.int32).tolist()


@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_the_optimisers_take_the_published_step_to_the_last_bit(run: Run) -> None:
    each = nn.Parameter(torch.tensor(run.weights))
    together = nn.Parameter(torch.tensor(run.weights))
    optimizers = [_optimizer(run, [each], False), _optimizer(run, [together], True)]
    oracle = _oracle(run)
    for gradient, time_step in zip(run.gradients, run.time_steps, strict=True):
        oracle.step(gradient, time_step)
        for param, optimizer in zip((each, together), optimizers, strict=True):
            param.grad = torch.tensor(gradient)
            optimizer.time_step = time_step
            optimizer.step()
            state = optimizer.state[param]
            assert param.tolist() == [float(w) for w in oracle.weights]
            assert _bits(state["momentum"]) == _bits(oracle.momenta)
            for t, second_moment in oracle.second_moments.items():
                assert _bits(state["second_moment"][t : t + 1]) == _bits([second_moment])
    ones, twos = optimizers[0].state[each]["momentum"], optimizers[1].state[together]["momentum"]
    assert torch.equal(ones.view(torch.int32), twos.view(torch.int32))  # the sign of zeros, too


@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_packed_float32_weights_take_the_published_step_to_the_last_bit(run: Run) -> None:
    weight = PackedWeight(torch.tensor(run.weights), "float32", seed=1)
    learner = FusedFlips([("w", weight)], rule=run.rule, **_settings(run))
    oracle = _oracle(run)
    for gradient, time_step in zip(run.gradients, run.time_steps, strict=True):
        oracle.step(gradient, time_step)
        learner.time_step = time_step
        learner.learn(weight, torch.tensor(gradient))
        assert weight.unpacked().tolist() == [float(w) for w in oracle.weights]
        assert _bits(weight.momentum.values()) == _bits(oracle.momenta)
        for t, second_moment in oracle.second_moments.items():
            assert _bits(weight.second_moment[t : t + 1]) == _bits([second_moment])


@settings(max_examples=EXAMPLES)
@given(run=runs(), momentum_format=st.sampled_from(FORMATS))
def test_any_format_keeps_signs_and_flips_only_on_the_momentum_s_side(
    run: Run, momentum_format: str
) -> None:
    weight = PackedWeight(torch.tensor(run.weights), momentum_format, seed=1)
    learner = FusedFlips([("w", weight)], rule=run.rule, **_settings(run))
    for gradient, time_step in zip(run.gradients, run.time_steps, strict=True):
        before = weight.unpacked()
        learner.time_step = time_step
        learner.learn(weight, torch.tensor(gradient))
        after = weight.unpacked()
        assert set(after.tolist()) <= {-1.0, 1.0}
        flipped = after != before
        momentum = weight.momentum.values()
        assert momentum.isfinite().all()
        if run.keep:
            # Halving, which comes after the flips, may have rounded a level of 1 to 0.
            assert (before * momentum)[flipped].ge(0).all()
        else:
            assert (momentum[flipped] == 0).all()
