"""The chip's integer neurons against NIR's real ones: where thresholds, resets and leaks say the same."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipcore import numerics
from flipcore.chip import Core, parse_chip
from flipcore.training import nir_dynamics as dynamics


def core(threshold: int, reset: str) -> Core:
    layers = [
        {"neurons": 2, "threshold": threshold, "reset": reset, "potential_bits": 24},
        {"neurons": 2},
    ]
    return parse_chip({"name": "one", "inputs": 1, "layers": layers}, "one").layers[0]


@pytest.mark.parametrize("steps", (1, 2, 3, 4, 7, 8, 255, 256))
def test_margins_of_a_whole_sample_stay_below_half_a_unit(steps: int) -> None:
    margin = dynamics.threshold_margin(core(5, "subtract"), steps)
    assert 0 < (steps + 1) * margin <= 0.5
    assert dynamics.threshold_margin(core(5, "zero"), steps) == 0.5


@given(
    currents=st.lists(st.integers(-12, 12), min_size=1, max_size=256),
    threshold=st.integers(1, 20),
    reset=st.sampled_from(("subtract", "zero")),
)
def test_strictly_above_nirs_threshold_is_at_or_above_the_chips(
    currents: list[int], threshold: int, reset: str
) -> None:
    lowered = float(dynamics.nir_threshold(core(threshold, reset), len(currents)))
    ours, theirs = 0, 0.0
    for current in currents:
        ours += current
        theirs += current
        spike = numerics.fires(ours, threshold)
        assert spike == (theirs > lowered)
        ours = numerics.reset_potential(ours, spike, threshold, int(reset == "subtract"))
        if spike:
            theirs = theirs - lowered if reset == "subtract" else 0.0


@given(st.integers(1, (1 << 23) - 1), st.sampled_from(("subtract", "zero")), st.integers(1, 256))
def test_threshold_comes_back_from_single_precision(threshold: int, reset: str, steps: int) -> None:
    lowered = dynamics.nir_threshold(core(threshold, reset), steps)
    assert lowered.dtype == np.float32
    assert threshold - 1 < lowered < threshold
    for shift in (1, 15, dynamics.NO_LEAK_SHIFT):
        unit = 2.0**-shift
        assert dynamics.smallest_firing(float(np.float32(lowered * unit)) / unit) == threshold


@pytest.mark.parametrize(
    ("ratio", "potential"),
    [(0.0, 1), (0.5, 1), (3.9, 4), (4.0, 5), (4.000001, 5), (3.999999, 5), (4.001, 5), (15.99, 16)],
)
def test_least_potential_above_a_threshold(ratio: float, potential: int) -> None:
    assert dynamics.smallest_firing(ratio) == potential


def test_single_precision_of_scaled_weights_does_not_move_a_threshold() -> None:
    for scale, whole in itertools.product((0.3, 0.1, 0.0007, 17.0), (1, 5, 100, 999)):
        ratio = float(np.float32(whole * scale)) / float(np.float32(scale))
        assert dynamics.smallest_firing(ratio) == whole + 1


@pytest.mark.parametrize("shift", range(1, 16))
def test_time_constant_gives_the_leak_back_in_single_precision(shift: int) -> None:
    tau = np.float32(dynamics.time_constant(shift, dynamics.STEP_SECONDS))
    leak = dynamics.STEP_SECONDS / float(tau)
    assert dynamics.nearest_leak_shift(leak) == shift
    assert dynamics.is_power_leak(leak, shift)
    assert not dynamics.is_leakless(leak)
    # As snnTorch and Norse work it out, in single precision: exact.
    assert np.float32(dynamics.STEP_SECONDS) / tau == 2.0**-shift
    assert np.float32(dynamics.STEP_SECONDS) * (np.float32(1) / tau) == 2.0**-shift


def test_leak_of_an_if_told_as_lif_is_lost_in_single_precision() -> None:
    leak = 2.0**-dynamics.NO_LEAK_SHIFT
    assert dynamics.is_leakless(leak)
    assert np.float32(1) - np.float32(leak) == 1
    assert not dynamics.is_leakless(2.0**-24)


@pytest.mark.parametrize(("leak", "shift"), [(0.04, 5), (0.3, 2), (25.0, 1), (1e-5, 15)])
def test_nearest_leak(leak: float, shift: int) -> None:
    assert dynamics.nearest_leak_shift(leak) == shift
    assert not dynamics.is_power_leak(leak, shift)


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=64), st.integers(1, 6))
def test_the_chips_leak_stays_less_than_its_unit_above_the_real_one(
    currents: list[int], shift: int
) -> None:
    """The bound of docs/NIR.md: 0 <= V - v < 2**shift - 1, as long as both fire alike (here: never)."""
    ours, theirs = 0, 0.0
    for current in currents:
        ours = numerics.leak_potential(ours + current, shift)
        theirs = (theirs + current) * (1 - 2.0**-shift)
        assert -1e-9 <= ours - theirs < (1 << shift) - 1 + 1e-9
