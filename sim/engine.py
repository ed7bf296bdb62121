"""The simulated chip: learns from samples one at a time, classifies on all processors, counts every event."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, Softmax
from flipcore.events import EventCounts
from flipcore.sim.data import Records
from flipcore.sim.encoding import encode_pixels, unpack_bitmaps
from flipcore.sim.kernels import run_samples
from flipcore.sim.layout import (
    ChipState,
    core_table,
    initial_state,
    neuron_positions,
)
from flipcore.sim.scratch import HINGE, SOFTMAX, ErrorRule, Scratch, make_scratch

Predictions = npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Events:
    """Input events of a few samples in the form of `run_samples`."""

    axons: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    offered: npt.NDArray[np.int32]


class Engine:
    """A chip and its state.

    Attributes:
        chip: the description it was built from.
        state: weights, momentum, generators and counters, changed by `train` in place.
    """

    def __init__(self, chip: Chip, seed: int, state: ChipState | None = None) -> None:
        """Build the chip; without a state, with the initial weights of the seed (R3)."""
        self.chip = chip
        self.state = initial_state(chip, seed) if state is None else state
        self._cores = core_table(chip)
        self._positions = np.concatenate([neuron_positions(core) for core in chip.layers])
        self._scratch = make_scratch(self._cores, self._positions)
        self._stages = np.array(
            [
                (stage.after_samples, stage.gradient_shift_add, stage.scrub_period_multiply)
                for stage in chip.schedule
            ],
            np.int64,
        ).reshape(-1, 3)
        error = chip.error
        self._rule = ErrorRule(
            kind=SOFTMAX if isinstance(error, Softmax) else HINGE,
            margin=0 if isinstance(error, Softmax) else error.margin,
            sharpness=error.sharpness if isinstance(error, Softmax) else 0,
            of_total=int(error.of == "total"),
        )

    def train(
        self, records: Records, labels: npt.NDArray[np.int32], counts: EventCounts
    ) -> Predictions:
        """Learn from samples in their order; returns each one's prediction before its last update.

        Args:
            records: Samples; bits of a bitmap beyond the chip's axons are ignored, as the chip ignores such events.
            labels: int32 [samples], classes to learn.
            counts: What happened is added to them.

        Returns:
            int32 [samples].

        Raises:
            ValueError: Records or labels do not fit the chip; nothing was learnt.
        """
        events = self._encode(records)
        _refuse_labels(labels, len(events.offered), self.chip.classes)
        predictions = self._run(events, labels, self._scratch, counts, learn=True)
        self.state.sample_counter += len(labels)
        return predictions

    def infer(self, records: Records, counts: EventCounts, num_threads: int = 0) -> Predictions:
        """Classify samples without learning, on `num_threads` threads (0: all processors); int32 [samples].

        Raises:
            ValueError: The records do not fit the chip.
        """
        events = self._encode(records)
        num_samples = len(events.offered)
        num_threads = min(num_threads or os.cpu_count() or 1, num_samples)
        if num_threads <= 1:
            labels = np.zeros(num_samples, np.int32)
            return self._run(events, labels, self._scratch, counts, learn=False)
        bounds = [num_samples * k // num_threads for k in range(num_threads + 1)]
        with ThreadPoolExecutor(num_threads) as pool:
            parts = list(pool.map(lambda k: self._infer_part(events, bounds[k], bounds[k + 1]),
                                  range(num_threads)))  # fmt: skip
        for _, part_counts in parts:
            counts.add(part_counts)
        return np.concatenate([predictions for predictions, _ in parts])

    def _infer_part(
        self, events: _Events, first: int, last: int
    ) -> tuple[Predictions, EventCounts]:
        steps = events.offered.shape[1]
        part = _Events(
            events.axons,
            events.starts[first * steps : last * steps + 1],
            events.offered[first:last],
        )
        counts = EventCounts.zeros(len(self._cores))
        scratch = make_scratch(self._cores, self._positions)
        labels = np.zeros(last - first, np.int32)
        return self._run(part, labels, scratch, counts, learn=False), counts

    def _encode(self, records: Records) -> _Events:
        """Turn records into input events (N2)."""
        _refuse_records(records, self.chip)
        steps = self.chip.steps
        num_axons = self.chip.inputs
        if records.bitmaps.shape[1] == 0:
            num_samples = len(records.pixels)
            axons = np.empty(num_samples * steps * num_axons + 1, np.int32)
            starts = np.empty(num_samples * steps + 1, np.int64)
            encode_pixels(records.pixels, steps, axons, starts)
            offered = np.diff(starts).reshape(num_samples, steps).astype(np.int32)
            return _Events(axons, starts, offered)
        num_samples = len(records.bitmaps)
        axons = np.empty(num_samples * steps * num_axons + 1, np.int32)
        starts = np.empty(num_samples * steps + 1, np.int64)
        unpack_bitmaps(records.bitmaps, num_axons, axons, starts)
        distinct = np.diff(starts).reshape(num_samples, steps)
        return _Events(axons, starts, (distinct + records.merged).astype(np.int32))

    def _run(
        self,
        events: _Events,
        labels: npt.NDArray[np.int32],
        scratch: Scratch,
        counts: EventCounts,
        *,
        learn: bool,
    ) -> Predictions:
        predictions = np.empty(len(labels), np.int32)
        run_samples(
            self._cores,
            self._positions,
            self.state.weights,
            self.state.momentum,
            self.state.generators,
            self.state.second_moment,
            scratch,
            events.axons,
            events.starts,
            events.offered,
            labels,
            self._rule,
            self._stages,
            self.state.sample_counter,
            learn,
            counts.cores,
            predictions,
        )
        counts.samples += len(labels)
        return predictions


# The compiled loops do not check indices: what does not fit would be read and written past the end of an array.
def _refuse_records(records: Records, chip: Chip) -> None:
    if records.bitmaps.shape[1] == 0:
        if records.pixels.shape[1] != chip.inputs:
            raise ValueError(f"{records.pixels.shape[1]} pixels, the chip has {chip.inputs} axons")
        return
    samples, steps, num_bytes = records.bitmaps.shape
    if steps != chip.steps:
        raise ValueError(f"{steps} steps, the chip has {chip.steps}")
    needed = -(-chip.inputs // 8)
    if num_bytes != needed:
        raise ValueError(f"bitmaps of {num_bytes} bytes, {chip.inputs} axons need {needed}")
    if records.merged.shape != (samples, steps):
        raise ValueError(f"merged events {records.merged.shape}, bitmaps {(samples, steps)}")
    if (records.merged < 0).any():
        raise ValueError("merged events below 0")


def _refuse_labels(labels: npt.NDArray[np.int32], samples: int, classes: int) -> None:
    if len(labels) != samples:
        raise ValueError(f"{len(labels)} labels for {samples} samples")
    if ((labels < 0) | (labels >= classes)).any():
        raise ValueError(f"labels must be 0 ... {classes - 1}")
