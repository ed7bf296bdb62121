"""Random draws off the chip, defined by the SPEC so that they are the same on any machine and NumPy version (R1-R5)."""

import numpy as np
import numpy.typing as npt

UInt64s = npt.NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1

TAG_WEIGHTS = 1  # R3
TAG_ORDER = 2  # R4
TAG_GENERATOR = 3  # R5
TAG_VALIDATION = 4  # R7


def mix(z: int) -> int:
    """Mix one 64-bit number (R1)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def mix_array(z: UInt64s) -> UInt64s:
    """Mix an array of 64-bit numbers (R1); products wrap modulo 2**64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def split_mix64(seed: int, count: int) -> UInt64s:
    """First `count` outputs of SplitMix64 from the state `seed`, uint64 [count] (R1, R2)."""
    steps = np.arange(1, count + 1, dtype=np.uint64)
    return mix_array(np.uint64(seed & MASK64) + steps * np.uint64(GOLDEN))


def stream(seed: int, *tags: int, count: int) -> UInt64s:
    """First `count` outputs of the stream with these tags, uint64 [count] (R2)."""
    state = mix((seed + GOLDEN) & MASK64)
    for tag in tags:
        state = mix(state ^ mix((tag + GOLDEN) & MASK64))
    return split_mix64(state, count)


def initial_weights(
    seed: int, core: int, num_axons: int, num_neurons: int
) -> npt.NDArray[np.bool_]:
    """Initial weight bits of a core, bool [axons, neurons] (R3)."""
    outputs = stream(seed, TAG_WEIGHTS, core, count=num_axons * num_neurons)
    return (outputs >> np.uint64(63)).astype(np.bool_).reshape(num_axons, num_neurons)


def sample_order(seed: int, epoch: int, num_samples: int) -> npt.NDArray[np.int64]:
    """Order in which an epoch visits its samples, int64 [samples] (R4)."""
    keys = stream(seed, TAG_ORDER, epoch, count=num_samples)
    return np.argsort(keys, kind="stable").astype(np.int64)


def generator_seed(seed: int, core: int, lane: int) -> int:
    """Initial state of a core's on-chip generator, 1 ... 2**32 - 1 (R5)."""
    return int(stream(seed, TAG_GENERATOR, core, lane, count=1)[0]) & 0xFFFFFFFF or 1
