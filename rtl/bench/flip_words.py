"""Words for the flip unit's bench and what becomes of them, computed by `flipcore.numerics`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from flipcore import numerics
from flipcore.rtl.flip_unit import FlipUnit

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

THRESHOLD_BLOCKS = 4  # flip thresholds (N14) that words come with, block by block


@dataclass(frozen=True)
class Words:
    """Inputs of the flip unit, one row per word.

    error, weight and momentum are [words, lanes], the others [words]; weight and momentum are what memory holds.
    """

    trace: Integers
    error: Integers
    weight: Integers  # bit 0 or 1
    momentum: Integers
    shift_add: Integers
    flip_threshold: Integers
    backward: Integers  # 1: the word's weights are read whatever q
    tag: Integers
    address: Integers

    def __len__(self) -> int:
        return len(self.trace)

    def part(self, start: int, stop: int) -> Self:
        """The words start ... stop - 1."""
        return type(self)(**{f.name: getattr(self, f.name)[start:stop] for f in fields(self)})


@dataclass(frozen=True)
class Learnt:
    """What the flip unit makes of them, [words, lanes] each."""

    weight: Integers
    momentum: Integers
    updated: Flags
    flipped: Flags
    saturated: Flags


def draw_noise(unit: FlipUnit, trace: Integers, shift: Integers, seeds: Integers) -> Integers:
    """Noise of each lane of each word (N10), drawn in words with a trace (R6).

    Args:
        unit: Tells the rounding and the generators.
        trace: [words].
        shift: [words], the gradient shift of each word.
        seeds: [generators] states before the first word.

    Returns:
        [words, lanes].
    """
    shape = (len(trace), unit.lanes)
    if unit.rounding != "stochastic":
        half = numerics.nearest_noise(shift) if unit.rounding == "nearest" else shift * 0
        return np.broadcast_to(half[:, None], shape)
    states = np.zeros((len(trace), max(unit.generators, 1)), dtype=np.int64)
    state = seeds
    for word in np.flatnonzero(trace) if unit.draws else ():
        state = numerics.xorshift32(state)
        states[word] = state
    keys = numerics.lane_key(np.arange(unit.lanes, dtype=np.int64))
    random = states if unit.generators > 1 else states ^ keys
    mask: Integers = numerics.noise_mask(shift)
    return random & mask[:, None]


def learn(unit: FlipUnit, words: Words, rounded: Integers) -> Learnt:
    """Apply N11 and N12 to words whose gradients are rounded."""
    moved = numerics.update_momentum(words.momentum, rounded, unit.momentum_limit)
    updated = rounded != 0
    aligned = 2 * words.weight - 1
    flipped = updated & numerics.flips(aligned, moved, words.flip_threshold[:, None])
    kept = 1 - flipped if unit.momentum_at_flip == "reset" else 1
    saturated = updated & (moved != words.momentum + rounded)
    return Learnt(words.weight ^ flipped, moved * kept, updated, flipped, saturated)


def round_words(unit: FlipUnit, words: Words, seeds: Integers) -> Integers:
    """Rounded gradients of words (N9, N10), [words, lanes]."""
    shift = unit.gradient_shift + words.shift_add
    noise = draw_noise(unit, words.trace, shift, seeds)
    gradient = words.trace[:, None] * words.error
    return np.asarray(
        numerics.round_gradient(gradient, noise, shift[:, None]) * (words.error != 0),
        dtype=np.int64,
    )


def make_words(unit: FlipUnit, count: int, seeds: Integers, rng: np.random.Generator) -> Words:
    """Draw words in which everything the flip unit can meet is frequent.

    A fifth of the words has no trace, a fifth no error at all, a fifth a single one; large and small values
    are mixed. Momenta are aimed, knowing q: a third of the lanes at the flip threshold and its neighbours,
    a third at the ends of the range, the rest is uniform.
    """
    shape = (count, unit.lanes)
    kind = rng.integers(0, 5, count)
    trace = rng.integers(1, 1 << unit.trace_bits, count) * (kind != 0)
    top = (1 << (unit.error_bits - 1)) - 1
    error = _large_or_small(rng, shape, top)
    error *= (kind != 1)[:, None]
    one_lane = np.arange(unit.lanes) == rng.integers(0, unit.lanes, count)[:, None]
    error *= (kind != 2)[:, None] | one_lane
    limit = unit.momentum_limit
    block = -(-count // THRESHOLD_BLOCKS)
    threshold = (
        np.repeat(rng.integers(0, limit, THRESHOLD_BLOCKS), block)[:count]
        if unit.rule == "tbso"
        else np.full(count, unit.flip_threshold_value)
    )
    words = Words(
        trace=trace,
        error=error,
        weight=rng.integers(0, 2, shape),
        momentum=rng.integers(-limit, limit + 1, shape),
        shift_add=rng.integers(0, unit.max_gradient_shift - unit.gradient_shift + 1, count),
        flip_threshold=threshold,
        backward=rng.integers(0, 2, count) if unit.backward else np.zeros(count, np.int64),
        tag=rng.integers(0, 1 << unit.tag_bits, count),
        address=rng.integers(0, 1 << unit.address_bits, count),
    )
    rounded = round_words(unit, words, seeds)
    aim = rng.integers(0, 3, shape)
    at_threshold = (2 * words.weight - 1) * (threshold[:, None] + rng.integers(-1, 3, shape))
    at_end = np.where(rounded < 0, -limit, limit) + rng.integers(-1, 2, shape)
    momentum = np.where(aim == 0, at_threshold - rounded, words.momentum)
    momentum = np.where(aim == 1, at_end, momentum)
    words.momentum[:] = np.clip(momentum, -limit, limit)
    return words


def _large_or_small(rng: np.random.Generator, shape: tuple[int, int], top: int) -> Integers:
    """Uniform -top ... top in half of the places, the ends and -1 ... 1 in the others."""
    uniform = rng.integers(-top, top + 1, shape)
    corner = rng.choice(np.array([-top, -1, 0, 1, top]), shape)
    return np.where(rng.integers(0, 2, shape) == 0, uniform, corner)


def count_coverage(
    unit: FlipUnit, words: Words, rounded: Integers, learnt: Learnt
) -> dict[str, int]:
    """Count what the words exercised; a count of 0 is something that they did not test."""
    exact = words.momentum + rounded
    aligned = (2 * words.weight - 1) * np.clip(exact, -unit.momentum_limit, unit.momentum_limit)
    margin = np.where(
        learnt.updated, aligned - words.flip_threshold[:, None], unit.momentum_limit * 4
    )
    lanes_updated = learnt.updated.sum(axis=1)
    gradient = words.trace[:, None] * words.error
    shift = (unit.gradient_shift + words.shift_add)[:, None]
    counts: dict[str, Any] = {
        "saturations_high": exact > unit.momentum_limit,
        "saturations_low": exact < -unit.momentum_limit,
        "flips_to_one": learnt.flipped & (words.weight == 0),
        "flips_to_zero": learnt.flipped & (words.weight == 1),
        "at_threshold": margin == 0,
        "one_above_threshold": margin == 1,
        "words_without_trace": words.trace == 0,
        "words_without_error": (words.trace > 0) & ~words.error.any(axis=1),
        "words_not_updated": lanes_updated == 0,
        "words_updated": lanes_updated > 0,
    }
    if unit.momentum_limit > 1:  # one below: needs a momentum between -limit and the threshold
        counts["one_below_threshold"] = margin == -1
    if unit.max_gradient_shift:
        counts["gradients_rounded_to_zero"] = (gradient != 0) & ~learnt.updated
    if unit.rounding != "floor" and unit.max_gradient_shift:
        counts["gradients_rounded_up"] = rounded > numerics.round_gradient(gradient, 0, shift)
    if unit.lanes > 1:
        counts["words_partly_updated"] = (lanes_updated > 0) & (lanes_updated < unit.lanes)
    for add in range(unit.max_gradient_shift - unit.gradient_shift + 1):
        if unit.shift_add_bits:
            counts[f"words_with_shift_{unit.gradient_shift + add}"] = words.shift_add == add
    return {name: int(np.count_nonzero(hits)) for name, hits in counts.items()}


def pack(values: npt.NDArray[Any], width: int) -> list[int]:
    """Pack rows of lanes into one integer each, lane 0 lowest, `width` bits of two's complement per lane."""
    bit = (values[..., None].astype(np.int64) >> np.arange(width)) & 1
    rows = np.packbits(bit.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def pack_words(unit: FlipUnit, words: Words) -> list[dict[str, int]]:
    """Payloads of the unit's `word` stream."""
    packed: dict[str, list[int]] = {
        "last": [0] * len(words),
        "trace": words.trace.tolist(),
        "error": pack(words.error, unit.error_bits),
        "address": words.address.tolist(),
    }
    if unit.shift_add_bits:
        packed["shift_add"] = words.shift_add.tolist()
    if unit.backward:
        packed |= {"backward": words.backward.tolist(), "tag": words.tag.tolist()}
    return _transpose(packed)


def pack_learnt(unit: FlipUnit, words: Words, learnt: Learnt) -> list[dict[str, int]]:
    """Payloads that the unit's `result` stream has to carry; weight and momentum count only where they are written."""
    packed: dict[str, list[int]] = {
        "address": words.address.tolist(),
        "momentum_write": learnt.updated.any(axis=1).astype(int).tolist(),
        "momentum": pack(learnt.momentum, unit.momentum_bits),
        "weight_write": learnt.flipped.any(axis=1).astype(int).tolist(),
        "weight": pack(learnt.weight, 1),
        "updated": pack(learnt.updated, 1),
        "flipped": pack(learnt.flipped, 1),
        "saturated": pack(learnt.saturated, 1),
    }
    if unit.backward:
        packed |= {
            "backward": words.backward.tolist(),
            "tag": words.tag.tolist(),
            "error": pack(words.error, unit.error_bits),
        }
    return _transpose(packed)


def _transpose(columns: Mapping[str, list[int]]) -> list[dict[str, int]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
