"""Learning of one core of many chips at once: update of the visited words and decay of momentum (O3, O4, N9-N13)."""

from typing import NamedTuple

import torch
from torch import Tensor

from flipcore import numerics
from flipcore.chip import Core
from flipcore.training.hardware_error import live_words, padded_words
from flipcore.training.hardware_random import LaneNoise
from flipcore.training.hardware_state import CoreState

# Lanes worked on at a time: temporary integers that stay in a processor's cache, or fill a GPU without filling its memory.
_LANES_ON_PROCESSOR = 1 << 17
_LANES_ON_DEVICE = 1 << 24


class Learnt(NamedTuple):
    """Counts of an update, each int64 [chips] (T12).

    Attributes:
        words_drawn: draws (R6).
        momentum_updates: lanes with q that is not 0.
        flips: weights that flipped.
    """

    words_drawn: Tensor
    momentum_updates: Tensor
    flips: Tensor


class _Visit(NamedTuple):
    """What an update reads, rows and words of all chips one after the other.

    Attributes:
        errors: int32 [chips * words, lanes], delta.
        traces: int32 [chips * axons], a.
        reached: int32 [chips * (axons + 1), generators], generators at each row; empty without draws.
        ranks: int32 [chips * words], place of a live word in its row, from 1.
        shifts: int32 [chips], s.
    """

    errors: Tensor
    traces: Tensor
    reached: Tensor
    ranks: Tensor
    shifts: Tensor


class _Lanes(NamedTuple):
    """Lanes with q that is not 0: chip and place of the synapse in the core's flat arrays, int64, and q, int32."""

    chip: Tensor
    synapse: Tensor
    rounded: Tensor


def learn_core(
    core: Core, state: CoreState, noise: LaneNoise, error: Tensor, trace: Tensor,
    shift: Tensor, flip_threshold: Tensor,
) -> Learnt:  # fmt: skip
    """Update momentum and weights of the visited words in place (N9-N12).

    The words of a step are independent of each other but for their place in the chip's sequence of draws, and that is known
    beforehand: live words visited in rows with a trace before, and in the own row.

    Args:
        core: its parameters.
        state: weights, momentum and generators, changed.
        noise: of this core.
        error: int32 [chips, neurons], delta.
        trace: int32 [chips, axons], a.
        shift: int32 [chips], s of N10, schedule included.
        flip_threshold: int32 [chips], gamma.
    """
    live = live_words(core, error)
    has_trace = trace != 0
    num_live = live.sum(1)
    drawn = has_trace.sum(1) * num_live
    learnt = Learnt(drawn * noise.draws, torch.zeros_like(drawn), torch.zeros_like(drawn))
    chip, row, word = torch.nonzero(has_trace[:, :, None] & live[:, None, :], as_tuple=True)
    if len(chip) == 0:
        return learnt
    visit = _Visit(
        errors=padded_words(core, error).flatten(0, 1),
        traces=trace.view(-1),
        reached=noise.draw_rows(state.generators, has_trace, num_live).flatten(0, 1)
        if noise.draws
        else trace[:0],
        ranks=live.cumsum(1).view(-1).to(torch.int32),
        shifts=shift,
    )
    size = words_at_a_time(core.lanes, chip.device)
    for chips, rows, words in zip(chip.split(size), row.split(size), word.split(size), strict=True):
        lanes = _round_words(core, noise, visit, chips, rows, words)
        _update_lanes(core, state, lanes, flip_threshold, learnt)
    return learnt


def words_at_a_time(lanes: int, device: torch.device) -> int:
    """How many words of so many lanes are worked on together."""
    budget = _LANES_ON_PROCESSOR if device.type == "cpu" else _LANES_ON_DEVICE
    return max(1, budget // lanes)


def _round_words(
    core: Core, noise: LaneNoise, visit: _Visit, chip: Tensor, row: Tensor, word: Tensor
) -> _Lanes:
    """Gradient of words and what is left of it after rounding (N9, N10)."""
    own_row = row + chip * core.axons
    own_word = word + chip * core.words
    shifts = visit.shifts.index_select(0, chip)[:, None]
    trace = visit.traces.index_select(0, own_row)[:, None]
    gradient = trace * visit.errors.index_select(0, own_word)
    if noise.draws:
        ranks = visit.ranks.index_select(0, own_word)
        reached = visit.reached.index_select(0, own_row + chip)
        added = noise.of_words(reached, ranks, shifts)
    else:
        added = noise.constant(shifts)
    rounded = numerics.round_gradient(gradient, added, shifts)
    place, lane = torch.nonzero(rounded, as_tuple=True)
    first_synapse = own_row * core.neurons + word * core.lanes
    return _Lanes(
        chip=chip.index_select(0, place),
        synapse=first_synapse.index_select(0, place) + lane,
        rounded=rounded.view(-1).index_select(0, place * core.lanes + lane),
    )


def _update_lanes(
    core: Core, state: CoreState, lanes: _Lanes, flip_threshold: Tensor, learnt: Learnt
) -> None:
    """Momentum and flip of lanes with q that is not 0 (N11, N12), in place; no synapse comes twice."""
    momentum = state.momentum.view(-1)
    weights = state.weights.view(-1)
    old = momentum.index_select(0, lanes.synapse).to(torch.int32)
    new = numerics.update_momentum(old, lanes.rounded, core.momentum_limit)
    weight = weights.index_select(0, lanes.synapse)
    flip = numerics.flips(weight, new, flip_threshold.index_select(0, lanes.chip))
    kept = new if core.momentum_at_flip == "keep" else new * ~flip
    momentum.index_copy_(0, lanes.synapse, kept.to(momentum.dtype))
    flipped = torch.nonzero(flip).view(-1)
    weights.index_copy_(0, lanes.synapse.index_select(0, flipped), -weight.index_select(0, flipped))
    learnt.momentum_updates.index_add_(0, lanes.chip, torch.ones_like(lanes.chip))
    learnt.flips.index_add_(0, lanes.chip, flip.to(torch.int64))


def decay_rows(core: Core, state: CoreState, noise: LaneNoise, rows: Tensor) -> Tensor:
    """Decay the momentum of rows in place, all their words (N13, O4); returns the draws, int64 [chips].

    Args:
        core: its parameters.
        state: momentum and generators, changed.
        noise: of this core.
        rows: bool [chips, axons], the rows whose turn it is.
    """
    num_words = torch.full_like(rows[:, 0], core.words, dtype=torch.int64)
    chosen = torch.nonzero(rows.flatten()).view(-1)
    if len(chosen):
        momentum = state.momentum.flatten(0, 1)
        reached = None
        if noise.draws:
            reached = noise.draw_rows(state.generators, rows, num_words)[:, :-1].flatten(0, 1)
        for own in chosen.split(words_at_a_time(core.words * core.lanes, chosen.device)):
            old = momentum.index_select(0, own).to(torch.int32)
            if reached is None:
                added = noise.constant(core.decay_shift)
            else:
                added = _row_noise(core, noise, reached.index_select(0, own))
            new = numerics.decay_momentum(old, added, core.decay_shift)
            momentum.index_copy_(0, own, new.to(momentum.dtype))
    return rows.sum(1) * core.words * noise.draws


def _row_noise(core: Core, noise: LaneNoise, reached: Tensor) -> Tensor:
    """Noise of all words of rows, int32 [rows, neurons], of the generators there, int32 [rows, generators]."""
    ranks = torch.arange(1, core.words + 1, dtype=torch.int32, device=reached.device)
    words = noise.of_words(reached[:, None, :], ranks, core.decay_shift)
    return words.flatten(1)[:, : core.neurons]
