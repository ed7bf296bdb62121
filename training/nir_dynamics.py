"""What the neurons of a chip (SPEC N3, N4) are in NIR, where time is continuous, potentials are real and firing is strictly above the threshold.

NIR's LIF is tau v' = (v_leak - v) + r I. One forward Euler step of dt, which is what snnTorch and Norse take, is v <- (1 - dt/tau) v + (dt/tau) r I.
With r = 1, weights of -1 and +1, tau = dt * 2**leak_shift and v = V / 2**leak_shift this is V <- (1 - 2**-leak_shift) V + I: the chip's leak and sum
without the rounding of N4. Integrating, firing and resetting come in the chip's order, as its leak at the end of a step is their leak at the start of the next.
docs/NIR.md says what that makes exact.
"""

import math

import numpy as np

from flipcore.chip import Core

STEP_SECONDS = 1e-4  # dt of the NIR paper, which snnTorch has built in
MAX_LEAK_SHIFT = 15  # S4
# An IF neuron told as LIF: so slow that 1 - dt/tau is 1 in single and double precision, and every parameter far from the ends of single precision.
NO_LEAK_SHIFT = 60
_INVISIBLE_LEAK = 2.0**-25  # below it 1 - dt/tau is 1 in single precision
RELATIVE_ERROR = 1e-6  # of ratios of numbers kept in single precision
_TIE_ERROR = 2.0**-12  # narrower than any `threshold_margin`


def time_constant(leak_shift: int, step_seconds: float) -> float:
    """NIR's tau in seconds for a leak of 1 / 2**leak_shift a step."""
    return step_seconds * 2.0**leak_shift


def threshold_margin(core: Core, steps: int) -> float:
    """How far NIR's threshold is to lie below the chip's, in units of an integer potential.

    The chip fires at V >= threshold, NIR at v > v_threshold; of integer potentials the two say the same with any margin above 0 and below 1. After a reset to
    zero potentials stay integers and 1/2 is the safest. A reset by subtraction takes off v_threshold, the margin too little, at most `steps` times a sample:
    (steps + 1) * margin <= 1/2 keeps the sum of all margins from looking like a unit.
    """
    return 0.5 if core.reset == "zero" else 2.0 ** -(1 + steps.bit_length())


def nir_threshold(core: Core, steps: int) -> np.float32:
    """NIR's threshold in units of the integer potential: the margin below the chip's, or the next below it that single precision has."""
    next_below = np.nextafter(np.float32(core.threshold), np.float32(0))
    return min(np.float32(core.threshold - threshold_margin(core, steps)), next_below)


def smallest_firing(ratio: float) -> int:
    """Least integer potential that is strictly above a threshold, itself given in units of the integer potential.

    A ratio that is an integer but for the rounding of single precision counts as that integer.
    """
    nearest = round(ratio)
    if abs(ratio - nearest) <= min(RELATIVE_ERROR * abs(ratio), _TIE_ERROR):
        return nearest + 1
    return math.floor(ratio) + 1


def is_leakless(leak: float) -> bool:
    """Whether a leak, the part dt/tau lost each step, is too small for single precision to see."""
    return leak < _INVISIBLE_LEAK


def nearest_leak_shift(leak: float) -> int:
    """Leak shift of the chip whose leak of 1 / 2**shift a step is the closest by ratio."""
    return round(min(max(-math.log2(leak), 1.0), float(MAX_LEAK_SHIFT)))


def is_power_leak(leak: float, leak_shift: int) -> bool:
    """Whether a leak is 1 / 2**leak_shift but for rounding."""
    return abs(leak * 2.0**leak_shift - 1) <= RELATIVE_ERROR
