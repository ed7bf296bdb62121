"""The integer arithmetic of the chip, each rule of docs/SPEC.md once.

Every function is written with operators alone, so that one body serves Python integers, NumPy arrays, torch tensors and, compiled by Numba, the simulator.
Containers must be signed and wide enough for the intermediate sums (64 bits always are); nothing here checks, as the chip description has checked all widths.
"""

from typing import Any

# Integers, integer arrays and integer tensors alike; no static type names all three.
Integers = Any

UNIT_ERROR = 64  # N7: the error that stands for 1.0
EXPONENTIALS = (
    255, 199, 155, 120, 94, 73, 57, 44, 35, 27, 21, 16, 13, 10, 8, 6,
    5, 4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0,
)  # fmt: skip  # N7: round(255 exp(-k/4))
INPUT_THRESHOLD = 256  # N2
INPUT_START = 128  # N2
SECOND_MOMENT_MAX = (1 << 32) - 1  # N14
WORD_MASK = 0xFFFFFFFF  # R5
LANE_MULTIPLIER = 0x9E3779B9  # R5


def clip(x: Integers, low: Integers, high: Integers) -> Integers:
    """Limit x to low ... high."""
    return x + (low - x) * (x < low) + (high - x) * (x > high)


def clip_potential(x: Integers, potential_bits: Integers) -> Integers:
    """Limit a potential to its signed width (N3)."""
    bound = 1 << (potential_bits - 1)
    return clip(x, -bound, bound - 1)


def in_window(potential: Integers, threshold: Integers, window: Integers) -> Integers:
    """Tell whether a potential lies closer to the threshold than the window (N4), as a bool."""
    distance = potential - threshold
    return (distance < window) & (-distance < window)


def fires(potential: Integers, threshold: Integers) -> Integers:
    """Tell whether a potential has reached the threshold (N4), as a bool."""
    return potential >= threshold


def reset_potential(
    potential: Integers, spike: Integers, threshold: Integers, subtract: Integers
) -> Integers:
    """Take the threshold (subtract = 1) or everything (subtract = 0) off a potential that spiked (N4)."""
    return potential - spike * (threshold * subtract + potential * (1 - subtract))


def leak_potential(potential: Integers, leak_shift: Integers) -> Integers:
    """Let a potential leak by its part 1 / 2**leak_shift, the part rounded down (N4)."""
    return potential - (potential >> leak_shift)


def decay_trace(trace: Integers, decay_shift: Integers) -> Integers:
    """Decay a presynaptic trace, the loss rounded up so that it reaches 0 (N5)."""
    return trace - ((trace + (1 << decay_shift) - 1) >> decay_shift)


def raise_trace(trace: Integers, event: Integers, unit: Integers, trace_bits: Integers) -> Integers:
    """Add this step's event to a decayed trace, limited to its unsigned width (N5)."""
    return clip(trace + unit * event, 0, (1 << trace_bits) - 1)


def softmax_index(maximum: Integers, value: Integers, sharpness: Integers) -> Integers:
    """Index of the exponential table for an output below the maximum (N7), 0 ... 31."""
    return clip(((maximum - value) << 2) >> sharpness, 0, 31)


def divide_unit(part: Integers, whole: Integers) -> Integers:
    """Restoring division 64 * part / whole for 0 <= part <= whole, rounded down (N7), 0 ... 64."""
    remainder = part << 6
    quotient = part - part
    for bit in (6, 5, 4, 3, 2, 1, 0):
        fits = remainder >= (whole << bit)
        remainder = remainder - (whole << bit) * fits
        quotient = quotient + (fits << bit)
    return quotient


def scale_error(total: Integers, error_shift: Integers, error_bits: Integers) -> Integers:
    """Scale a backward sum to the error width of the layer below, rounded to nearest (N8)."""
    limit = (1 << (error_bits - 1)) - 1
    return clip((total + ((1 << error_shift) >> 1)) >> error_shift, -limit, limit)


def noise_mask(shift: Integers) -> Integers:
    """Mask of the low `shift` bits of a random number (N10)."""
    return (1 << shift) - 1


def nearest_noise(shift: Integers) -> Integers:
    """The constant that turns the floor of N10 into rounding to nearest."""
    return (1 << shift) >> 1


def round_gradient(gradient: Integers, noise: Integers, shift: Integers) -> Integers:
    """Shift a gradient right after adding noise of 0 ... 2**shift - 1 (N10)."""
    return (gradient + noise) >> shift


def update_momentum(momentum: Integers, rounded: Integers, limit: Integers) -> Integers:
    """Add a rounded gradient to the momentum, limited to -limit ... limit (N11)."""
    return clip(momentum + rounded, -limit, limit)


def flips(weight: Integers, momentum: Integers, flip_threshold: Integers) -> Integers:
    """Tell whether a weight of -1 or +1 flips (N12), as a bool; ask only where the rounded gradient is not 0."""
    return weight * momentum > flip_threshold


def decay_momentum(momentum: Integers, noise: Integers, decay_shift: Integers) -> Integers:
    """Decay a momentum by its part 1 / 2**decay_shift, the part rounded by the noise (N13)."""
    return momentum - ((momentum + noise) >> decay_shift)


def average_square(
    second_moment: Integers, square: Integers, square_shift: Integers, average_shift: Integers
) -> Integers:
    """Move T-BSO's second moment toward the scaled square (N14), 0 ... 2**32 - 1."""
    moved = second_moment + (((square >> square_shift) - second_moment) >> average_shift)
    return clip(moved, 0, SECOND_MOMENT_MAX)


def square_root(x: Integers) -> Integers:
    """Integer square root of 0 <= x < 2**32, rounded down, bit by bit as the hardware does it (N14)."""
    root = x - x
    for bit in (15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0):
        trial = root + (1 << bit)
        root = root + ((trial * trial <= x) << bit)
    return root


def adaptive_threshold(
    second_moment: Integers, gain: Integers, shift: Integers, limit: Integers
) -> Integers:
    """T-BSO's flip threshold from the second moment (N14), at most limit - 1 so that flips stay possible."""
    return clip((gain * square_root(second_moment)) >> shift, 0, limit - 1)


def xorshift32(state: Integers) -> Integers:
    """Step the on-chip generator once (R5); the state is 1 ... 2**32 - 1 in a container of at least 46 bits."""
    state = state ^ ((state << 13) & WORD_MASK)
    state = state ^ (state >> 17)
    return state ^ ((state << 5) & WORD_MASK)


def lane_key(lane: Integers) -> Integers:
    """Constant that lane `lane` XORs onto a shared random number (R5)."""
    return (lane * LANE_MULTIPLIER) & WORD_MASK
