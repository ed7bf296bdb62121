"""A chip with broken cells: stuck weight bits, stuck momenta, neurons whose spikes never leave.

A fault is imposed where the hardware would show it. A stuck cell of the weight or momentum memory ignores every write, and every read sees what it is stuck at: the forward
sum, the backward sum (N8), the flip test (N12), the momentum's next sum (N11). The chip does not know: it counts and pays for the flip and the write that had no effect. A
dead neuron is a bit of the spike register (T13) that is stuck at 0: its potential is integrated and reset and its window bit set as ever (N3, N4), so that it is still sent
errors and its synapses still learn, but none of its spikes becomes an event.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.chip import Chip
from flipcore.events import EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine, Predictions
from flipcore.sim.layout import (
    Momentum,
    empty_state,
    row_chunks,
    store_momentum,
    store_weights,
)
from flipcore.sim.scratch import SPIKES, SPIKES_CYCLES
from flipcore.sim.stepper import PhaseRecord, Stepper

# Streams of the faults (R2), beyond the tags that the SPEC gives away.
TAG_STUCK_CELLS = 101
TAG_STUCK_VALUES = 102
TAG_DEAD_NEURONS = 103

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Faults:
    """Broken cells of a chip; weights and momentum in the layout of `layout.ChipState`.

    Attributes:
        stuck_weights: uint16, 1 for each weight bit that is stuck.
        weight_values: uint16, what those bits are stuck at; 0 elsewhere.
        stuck_momentum: bool [chunks, 16], which momenta are stuck.
        momentum_values: what those are stuck at.
        dead_neurons: bool [neurons] of each core; none in the readout, which does not spike.
    """

    stuck_weights: npt.NDArray[np.uint16]
    weight_values: npt.NDArray[np.uint16]
    stuck_momentum: Bools
    momentum_values: Momentum
    dead_neurons: tuple[Bools, ...]


def no_faults(chip: Chip) -> Faults:
    """A chip without a fault."""
    zeros = empty_state(chip)
    return Faults(
        stuck_weights=zeros.weights,
        weight_values=zeros.weights.copy(),
        stuck_momentum=zeros.momentum.astype(np.bool_),
        momentum_values=zeros.momentum,
        dead_neurons=tuple(np.zeros(core.neurons, np.bool_) for core in chip.layers),
    )


def stuck_weights(
    chip: Chip, where: Sequence[Bools], values: Sequence[Bools], faults: Faults
) -> Faults:
    """Add stuck weight bits: bool [axons, neurons] of each core, which and at what."""
    mask, stuck_at = empty_state(chip), empty_state(chip)
    for c, (own, value) in enumerate(zip(where, values, strict=True)):
        store_weights(mask, chip, c, own)
        store_weights(stuck_at, chip, c, own & value)
    return replace(faults, stuck_weights=mask.weights, weight_values=stuck_at.weights)


def stuck_momentum(
    chip: Chip, where: Sequence[Bools], values: Sequence[Int64s], faults: Faults
) -> Faults:
    """Add stuck momenta: of each core bool [axons, neurons], which, and integers within the width, at what."""
    mask, stuck_at = empty_state(chip), empty_state(chip)
    for c, (own, value) in enumerate(zip(where, values, strict=True)):
        store_momentum(mask, chip, c, own.astype(np.int64))
        store_momentum(stuck_at, chip, c, np.where(own, value, 0))
    return replace(faults, stuck_momentum=mask.momentum != 0, momentum_values=stuck_at.momentum)


def draw_dead_synapses(chip: Chip, share: float, seed: int) -> Faults:
    """A share of each core's weight bits stuck at 0, which reads as -1 (N1)."""
    where = _chosen_synapses(chip, share, seed)
    return stuck_weights(chip, where, [np.zeros_like(own) for own in where], no_faults(chip))


def draw_stuck_bits(chip: Chip, share: float, seed: int) -> Faults:
    """A share of each core's weight bits stuck, each at a random value."""
    where = _chosen_synapses(chip, share, seed)
    values = [
        (_outputs(seed, TAG_STUCK_VALUES, c, own.size) >> np.uint64(63)).astype(np.bool_)
        for c, own in enumerate(where)
    ]
    shaped = [value.reshape(own.shape) for value, own in zip(values, where, strict=True)]
    return stuck_weights(chip, where, shaped, no_faults(chip))


def draw_stuck_momentum(chip: Chip, share: float, seed: int) -> Faults:
    """A share of each core's momenta stuck, each at a random value between the limits of its width."""
    where = _chosen_synapses(chip, share, seed)
    values = []
    for c, (core, own) in enumerate(zip(chip.layers, where, strict=True)):
        number = np.uint64(2 * core.momentum_limit + 1)
        drawn = (_outputs(seed, TAG_STUCK_VALUES, c, own.size) >> np.uint64(32)) % number
        values.append(drawn.astype(np.int64).reshape(own.shape) - core.momentum_limit)
    return stuck_momentum(chip, where, values, no_faults(chip))


def draw_dead_neurons(chip: Chip, share: float, seed: int) -> Faults:
    """A share of the neurons of each core but the readout dead."""
    hidden = tuple(
        _chosen(seed, TAG_DEAD_NEURONS, c, core.neurons, share)
        for c, core in enumerate(chip.layers[:-1])
    )
    readout = np.zeros(chip.layers[-1].neurons, np.bool_)
    return replace(no_faults(chip), dead_neurons=(*hidden, readout))


def _chosen_synapses(chip: Chip, share: float, seed: int) -> list[Bools]:
    return [
        _chosen(seed, TAG_STUCK_CELLS, c, core.axons * core.neurons, share).reshape(
            core.axons, core.neurons
        )
        for c, core in enumerate(chip.layers)
    ]


def _chosen(seed: int, tag: int, c: int, number: int, share: float) -> Bools:
    """The share, rounded to whole cells, with the smallest outputs of a stream; equal outputs by index (as R4 sorts)."""
    order = np.argsort(_outputs(seed, tag, c, number), kind="stable")
    chosen = np.zeros(number, np.bool_)
    chosen[order[: int(share * number + 0.5)]] = True
    return chosen


def _outputs(seed: int, tag: int, c: int, number: int) -> npt.NDArray[np.uint64]:
    return draws.stream(seed, tag, c, count=number)


class FaultyChip:
    """Learns on an engine whose chip has faults, phase by phase; the engine must not be used otherwise meanwhile.

    Each phase reads a synapse before it writes it, and once (O3, O4). So a stuck cell has ignored a write if it is put back when the phase that wrote it has ended.
    """

    def __init__(self, engine: Engine, faults: Faults) -> None:
        """Break the engine's chip: its stuck cells take their values at once."""
        self._engine = engine
        self._faults = faults
        self._stepper = Stepper(engine)
        chip, state = engine.chip, engine.state
        self._slices = _synapse_slices(chip)
        self._has_stuck_weights = [bool(faults.stuck_weights[s].any()) for s in self._slices]
        self._has_stuck_momentum = [bool(faults.stuck_momentum[s].any()) for s in self._slices]
        self._has_dead = [bool(dead.any()) for dead in faults.dead_neurons]
        self._working_weights = ~faults.stuck_weights
        self._heard = _weights_of_live_neurons(chip, faults)
        self._classifier = Engine(chip, 0, replace(state, weights=state.weights.copy()))
        for c in range(len(chip.layers)):
            self._impose_weights(c)
            self._impose_momentum(c)

    def train(
        self, records: Records, labels: npt.NDArray[np.int32], counts: EventCounts
    ) -> Predictions:
        """Learn from samples in their order; returns each one's prediction before its last update, int32 [samples]."""
        events = self._engine._encode(records)
        steps = self._engine.chip.steps
        predictions = np.empty(len(labels), np.int32)
        for k, label in enumerate(labels.tolist()):
            bounds = events.starts[k * steps : (k + 1) * steps + 1].tolist()
            sample = [events.axons[a:b].tolist() for a, b in itertools.pairwise(bounds)]
            for record in self._stepper.run(sample, events.offered[k].tolist(), label):
                counts.cores[record.core] += record.counts
                self._impose(record, counts)
            assert self._stepper.prediction is not None
            predictions[k] = self._stepper.prediction
        counts.samples += len(labels)
        return predictions

    def classifier(self) -> Engine:
        """An engine that classifies as this chip does now.

        Evaluation writes no synapse, so that stuck bits need no care. Nothing sees that a dead neuron does not spike but its events; an intact one that never reaches its
        threshold gives the same: with weights of -1 alone a potential never rises above 0. Only its own `potential_saturations` may be counted otherwise.
        """
        np.bitwise_and(self._engine.state.weights, self._heard, out=self._classifier.state.weights)
        return self._classifier

    def _impose(self, record: PhaseRecord, counts: EventCounts) -> None:
        """Break again what the phase that has just ended mended."""
        if record.phase == "forward":
            self._silence(record.core, counts)
        elif record.phase == "update":
            self._impose_weights(record.core)
            self._impose_momentum(record.core)
        elif record.phase == "decay":
            self._impose_momentum(record.core)

    def _impose_weights(self, c: int) -> None:
        if self._has_stuck_weights[c]:
            where = self._slices[c]
            weights = self._engine.state.weights[where]
            weights &= self._working_weights[where]
            weights |= self._faults.weight_values[where]

    def _impose_momentum(self, c: int) -> None:
        if self._has_stuck_momentum[c]:
            where = self._slices[c]
            momentum = self._engine.state.momentum[where]
            np.copyto(
                momentum,
                self._faults.momentum_values[where],
                where=self._faults.stuck_momentum[where],
            )

    def _silence(self, c: int, counts: EventCounts) -> None:
        """Take the spikes of dead neurons out of the events of the next core, and out of what FIRE counted (T3)."""
        if not self._has_dead[c]:
            return
        cores, scratch = self._engine._cores, self._engine._scratch
        number = int(scratch.num_events[c + 1])
        start = int(cores[c + 1]["axon_start"])
        events = scratch.events[start : start + number]
        kept = events[~self._faults.dead_neurons[c][events]]
        lanes, words = int(cores[c]["lanes"]), int(cores[c]["words"])
        counts.cores[c, SPIKES] -= number - len(kept)
        counts.cores[c, SPIKES_CYCLES] -= _scan_cycles(events, lanes, words) - _scan_cycles(
            kept, lanes, words
        )
        events[: len(kept)] = kept
        scratch.num_events[c + 1] = len(kept)


def _scan_cycles(spikes: npt.NDArray[np.int32], lanes: int, words: int) -> int:
    """Cycles of spike output that depend on the spikes (T3): one per spike, one per word without any."""
    in_word = np.bincount(spikes // lanes, minlength=words)
    return int(np.maximum(in_word, 1).sum())


def _synapse_slices(chip: Chip) -> list[slice]:
    """Where each core's synapses lie in the arrays of the state."""
    ends = np.cumsum([core.axons * row_chunks(core) for core in chip.layers]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _weights_of_live_neurons(chip: Chip, faults: Faults) -> npt.NDArray[np.uint16]:
    """1 for each weight bit that leads to a neuron that is not dead."""
    state = empty_state(chip)
    for c, (core, dead) in enumerate(zip(chip.layers, faults.dead_neurons, strict=True)):
        store_weights(state, chip, c, np.broadcast_to(~dead, (core.axons, core.neurons)))
    return state.weights
