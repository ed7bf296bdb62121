"""One sample phase by phase, so that a bench can hold hardware to the simulator while it runs (SPEC sections 4 and 5)."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.engine import Engine
from flipcore.sim.forward import forward, predict, read_out, take_input
from flipcore.sim.kernels import schedule_stage
from flipcore.sim.layout import (
    CHUNK,
    DECAY_DENSE,
    DECAY_SCRUB,
    momentum_values,
    neuron_positions,
    weight_bits,
)
from flipcore.sim.learning import (
    adapt_threshold,
    decay,
    list_live_words,
    make_error,
    scrub,
    trace,
    update,
)
from flipcore.sim.scratch import SPIKES, SPIKES_CYCLES

Phase = Literal[
    "input", "forward", "spikes", "trace", "error", "threshold", "update", "decay", "predict"
]
Int64s = npt.NDArray[np.int64]
Phases = Generator["PhaseRecord", None, None]

_SPIKES_PHASE = [SPIKES, SPIKES_CYCLES]


@dataclass(frozen=True)
class PhaseRecord:
    """A phase that has just ended.

    Attributes:
        phase: which one; the cycles of each are SPEC T1-T9.
        core: core that it ran on; the first for `input`, the last for `error` and `predict`.
        step: step of the sample; the number of steps for what follows the last one (scrub, predict).
        cycles: cycles that it took.
        counts: int64 [counts], what it added to the counts of its core, in the order of COUNT_NAMES.
            Counts are booked where the engine books them: the event list writes of a core with its `forward`,
            and the error words that the `update` of core c+1 wrote with the `update` of core c.
    """

    phase: Phase
    core: int
    step: int
    cycles: int
    counts: Int64s


class Stepper:
    """Runs samples on an engine phase by phase, in the order of the hardware.

    The phases are the engine's own compiled loops, on the engine's own state and working arrays. While a sample is suspended the engine must not be used otherwise,
    and a training sample that is not run to its end leaves it half learnt.

    The readers give copies without padding, of what the last phase left. What belongs to a sample (all but weights, momentum, generators and second moments)
    means something from the first phase of the sample on that writes it.
    """

    def __init__(self, engine: Engine) -> None:
        """Step the samples of this engine."""
        self._engine = engine
        self._chip = engine.chip
        self._cores = engine._cores
        self._scratch = engine._scratch
        self._last = len(self._cores) - 1
        self._counts = EventCounts.zeros(len(self._cores)).cores
        self._prediction: int | None = None
        self._label: int | None = None
        self._step = 0  # of the sample, the next one
        self._stage = (0, 1)  # of the schedule: gradient shift to add, factor of the scrub period

    @property
    def prediction(self) -> int | None:
        """Class that the last `predict` found (N6); None from the start of a sample until then."""
        return self._prediction

    def run(
        self, events: Sequence[Sequence[int]], offered: Sequence[int], label: int | None = None
    ) -> Phases:
        """Run one sample; the generator stops after every phase and tells which it was.

        The order is, for each step: input; for the cores in ascending order forward, trace (training), spikes (not the last); in training then error, and for the cores
        in descending order threshold (`tbso`), update, decay (`dense`). After the last step: decay of the cores in ascending order (training, `scrub`), predict.
        A training sample is counted (O5) with its `predict`.

        Args:
            events: distinct axons with an event, ascending, for each step.
            offered: events offered in each step, merged ones included.
            label: class to learn; None classifies without learning.

        Raises:
            ValueError: the sample does not fit the chip.
        """
        if len(events) != self._chip.steps or len(offered) != self._chip.steps:
            raise ValueError(f"events and offered must have {self._chip.steps} steps")
        self._check_label(label)
        for step, number in zip(events, offered, strict=True):
            self._check_step(step, number)
        return self._run(events, offered, label)

    def begin(self, label: int | None = None) -> None:
        """Begin a sample of which `step` and `end` make the phases, for whoever does not know yet what comes; what was begun before is dropped.

        Raises:
            ValueError: the chip has no such class.
        """
        self._check_label(label)
        self._label = None if label is None else int(label)
        self._prediction = None
        self._counts[...] = 0
        self._step = 0
        self._stage = schedule_stage(self._engine._stages, self._engine.state.sample_counter)

    def step(self, events: Sequence[int], offered: int) -> Phases:
        """The phases of the next step of the sample that was begun; the generator must be run to its end.

        Args:
            events: distinct axons with an event, ascending.
            offered: events offered, merged ones included.

        Raises:
            ValueError: the step does not fit the chip, or the sample has had all its steps.
        """
        if self._step == self._chip.steps:
            raise ValueError(f"the sample has had its {self._chip.steps} steps")
        self._check_step(events, offered)
        return self._run_step(np.array(events, np.int32), int(offered))

    def end(self) -> Phases:
        """The phases after the last step: decay of the cores in ascending order (training, `scrub`), predict.

        Raises:
            ValueError: the sample has not had all its steps.
        """
        if self._step != self._chip.steps:
            raise ValueError(f"the sample has had {self._step} of {self._chip.steps} steps")
        return self._run_end()

    def _check_label(self, label: int | None) -> None:
        if label is not None and not 0 <= label < self._chip.classes:
            raise ValueError(f"label {label}: the chip has {self._chip.classes} classes")

    def _check_step(self, events: Sequence[int], offered: int) -> None:
        axons = np.array(events, np.int64)
        if len(axons) and (axons[0] < 0 or axons[-1] >= self._chip.inputs):
            raise ValueError(f"axons must be 0 ... {self._chip.inputs - 1}")
        if (np.diff(axons) <= 0).any():
            raise ValueError("the axons of a step must be distinct and ascending")
        if offered < len(axons):
            raise ValueError(f"{offered} events offered, {len(axons)} of them distinct")

    def _run(
        self, events: Sequence[Sequence[int]], offered: Sequence[int], label: int | None
    ) -> Phases:
        self.begin(label)
        for step, number in zip(events, offered, strict=True):
            yield from self.step(step, number)
        yield from self.end()

    def _run_step(self, axons: npt.NDArray[np.int32], offered: int) -> Phases:
        t, label = self._step, self._label
        take_input(axons, offered, label is not None and t == 0, self._scratch, self._counts)
        yield self._record("input", 0, t)
        yield from self._forward_step(t, is_training=label is not None)
        if label is not None:
            yield from self._learn_step(t, label, self._stage[0])
        self._step += 1

    def _run_end(self) -> Phases:
        state, is_training = self._engine.state, self._label is not None
        for c in range(self._last + 1 if is_training else 0):
            if self._cores[c]["decay"] == DECAY_SCRUB:
                scrub(
                    c, self._cores, self._learnt(), self._scratch, state.sample_counter,
                    self._stage[1], self._counts,
                )  # fmt: skip
                yield self._record("decay", c, self._chip.steps)
        self._prediction = int(predict(self._cores, self._scratch, self._counts))
        state.sample_counter += is_training
        yield self._record("predict", self._last, self._chip.steps)

    def _forward_step(self, t: int, *, is_training: bool) -> Phases:
        """FORWARD, TRACE and SPIKES of the cores from the first to the last (O1)."""
        cores, scratch, counts = self._cores, self._scratch, self._counts
        first_step = t == 0
        inputs = (self._engine.state.weights, self._engine._positions, scratch, first_step, counts)
        for c in range(self._last + 1):
            if c < self._last:
                forward(c, cores, *inputs)
            else:
                read_out(cores, *inputs)
            # One loop does both phases; what the second adds is told apart here.
            spikes_counts = np.zeros_like(counts[c])
            spikes_counts[_SPIKES_PHASE] = counts[c, _SPIKES_PHASE]
            counts[c, _SPIKES_PHASE] = 0
            yield self._record("forward", c, t)
            if is_training:
                trace(c, cores, scratch, first_step, counts)
                yield self._record("trace", c, t)
            if c < self._last:
                counts[c] += spikes_counts
                yield self._record("spikes", c, t)

    def _learn_step(self, t: int, label: int, shift_add: int) -> Phases:
        """ERROR, then THRESHOLD, UPDATE and dense decay of the cores from the last to the first (O1)."""
        engine, cores, scratch, counts = self._engine, self._cores, self._scratch, self._counts
        num_live = make_error(cores, engine._positions, scratch, label, engine._rule, counts)
        yield self._record("error", self._last, t)
        for c in range(self._last, -1, -1):
            core = cores[c]
            if c < self._last:
                num_live = list_live_words(core, scratch)
            flip_threshold = int(core["flip_threshold"])
            if core["is_tbso"]:
                second_moment = engine.state.second_moment
                flip_threshold = adapt_threshold(c, t, core, second_moment, scratch, counts[c])
                yield self._record("threshold", c, t)
            shift = int(core["gradient_shift"]) + shift_add
            update(
                c, cores, self._learnt(), engine._positions, scratch, num_live, shift,
                flip_threshold, counts,
            )  # fmt: skip
            yield self._record("update", c, t)
            if core["decay"] == DECAY_DENSE:
                decay(c, core, self._learnt(), scratch, 0, 1, counts[c])
                yield self._record("decay", c, t)

    def _learnt(self) -> tuple[npt.NDArray[np.generic], ...]:
        """What the loops call the state."""
        state = self._engine.state
        return state.weights, state.momentum, state.generators

    def _record(self, phase: Phase, c: int, step: int) -> PhaseRecord:
        """Take what was counted since the last record."""
        counts = self._counts[c].copy()
        self._counts[c] = 0
        cycles = int(counts[COUNT_NAMES.index(f"{phase}_cycles")])
        return PhaseRecord(phase, c, step, cycles, counts)

    def potentials(self, c: int) -> Int64s:
        """Potentials, [neurons]; 0 in the readout, which has none."""
        return self._of_neurons(self._scratch.potentials, c)

    def windows(self, c: int) -> Int64s:
        """Window bits, [neurons]; 0 in the readout, which has none."""
        return self._of_neurons(self._scratch.windows, c)

    def spikes(self, c: int) -> list[int]:
        """Neurons that spiked in this step, ascending; none in the readout."""
        if c == self._last:
            return []
        start = int(self._cores[c + 1]["axon_start"])
        number = int(self._scratch.num_events[c + 1])
        return [int(n) for n in self._scratch.events[start : start + number]]

    def traces(self, c: int) -> Int64s:
        """Traces, [axons]."""
        return self._of_axons(self._scratch.traces, c)

    def row_list(self, c: int) -> list[tuple[int, int, int]]:
        """Visited rows (O2) in ascending order, each with its trace and window bit (0 in the first core)."""
        traces = self.traces(c)
        windows = self._of_axons(self._scratch.in_window, c)
        rows = np.flatnonzero((traces != 0) | (windows != 0))
        return [(int(row), int(traces[row]), int(windows[row])) for row in rows]

    def outputs(self) -> Int64s:
        """Outputs of the readout in this step, [classes]."""
        return self._scratch.outputs.copy()

    def totals(self) -> Int64s:
        """Outputs of the readout summed over the steps so far, [classes]."""
        return self._scratch.totals.copy()

    def errors(self, c: int) -> Int64s:
        """Errors, [neurons]; written by `error` in the readout, by `update` of core c+1 in the others."""
        return self._of_neurons(self._scratch.errors.reshape(-1), c)

    def live_words(self, c: int) -> list[int]:
        """Words with an error that is not 0 (O2), in ascending order."""
        lanes = self._chip.layers[c].lanes
        return sorted({int(n) // lanes for n in np.flatnonzero(self.errors(c))})

    def weights(self, c: int) -> Int64s:
        """Weight bits, [axons, neurons]."""
        return weight_bits(self._engine.state, self._chip, c).astype(np.int64)

    def momentum(self, c: int) -> Int64s:
        """Momentum, [axons, neurons]."""
        return momentum_values(self._engine.state, self._chip, c).astype(np.int64)

    def generators(self, c: int) -> list[int]:
        """States of the generators: one, or one a lane; none unless rounding is stochastic."""
        core = self._chip.layers[c]
        if core.rounding != "stochastic":
            return []
        number = core.lanes if core.random_source == "per_lane" else 1
        return [int(r) for r in self._engine.state.generators[c, :number]]

    def second_moment(self, c: int) -> Int64s:
        """Second moments of T-BSO, [steps]; 0 for `bso`."""
        return np.array(self._engine.state.second_moment[c], np.int64)

    def _of_neurons(self, values: npt.NDArray[np.int64 | np.uint8], c: int) -> Int64s:
        start = int(self._cores[c]["chunk_start"]) * CHUNK
        return values[start + neuron_positions(self._chip.layers[c])].astype(np.int64)

    def _of_axons(self, values: npt.NDArray[np.int64 | np.uint8], c: int) -> Int64s:
        start = int(self._cores[c]["axon_start"])
        return values[start : start + self._chip.layers[c].axons].astype(np.int64)
