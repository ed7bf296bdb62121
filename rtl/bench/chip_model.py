"""What the pins of a chip must say in each cycle, by the rules of docs/RTL.md; how long its phases take and what they leave, by the simulator.

It was written from the rules alone: it has no state machine of the Verilog in it.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench import chip_bus
from flipcore.rtl.bench.chip_bus import PIECE, Pieces
from flipcore.rtl.bench.chip_operations import Pins
from flipcore.rtl.bench.chip_phases import PHASES
from flipcore.rtl.bench.chip_samples import (
    BEGUN,
    EVENT,
    IGNORED,
    LABEL,
    STEP_END,
    status_bit,
)
from flipcore.rtl.bench.chip_stores import ExpectedStores, Store
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState, store_momentum, store_weights
from flipcore.sim.stepper import PhaseRecord, Stepper


@dataclass(frozen=True)
class Answer:
    """What the chip's outputs are in a cycle; None where no rule says it.

    Attributes:
        phase: code of it.
        core: on which it runs; None in `input`.
        is_running, is_done: `phase_run_o`, `phase_done_o`.
        event_ready: `event_ready_o`.
        prediction: offered; -1 without one.
        bus_ready: None without valid.
        bus_rdata: of a read that is transferred in this cycle.
    """

    phase: int
    core: int | None
    is_running: bool
    is_done: bool
    event_ready: bool
    prediction: int
    bus_ready: bool | None
    bus_rdata: int | None


class ChipModel:
    """A chip at its boundary.

    Attributes:
        expected: the stores as the simulator has them.
        coverage: how often each situation occurred.
        stores: what memories and registers must hold in the next cycle, if a phase has ended in this one.
    """

    def __init__(self, chip: Chip, state: ChipState, *, has_counters: bool) -> None:
        """A chip that was loaded with this state, which changes with it."""
        self._chip = chip
        self._engine = Engine(chip, 0, state)
        self._stepper = Stepper(self._engine)
        self.expected = ExpectedStores(chip, self._stepper)
        self._has_counters = has_counters
        self._counter_bits = ChipShape(chip, counters=has_counters).counter_bits
        self.coverage: Counter[str] = Counter()
        self.stores: list[Store] = []
        self._clear()

    def _clear(self) -> None:
        self._records: Iterator[PhaseRecord] = iter(())
        self._record: PhaseRecord | None = None
        self._cycles_left = 0
        self._has_begun = False
        self._label: int | None = None
        self._step = 0
        self._next_step()
        self._errors = 0
        self._prediction = -1
        self._served: int | None = None  # the core whose access ends in this cycle
        self._sums = np.zeros((len(self._chip.layers), len(COUNT_NAMES)), np.int64)
        self._before: ChipState | None = None

    def _next_step(self) -> None:
        self._events: list[int] = []
        self._offered = 0

    @property
    def state(self) -> ChipState:
        """What the chip keeps between samples."""
        return self._engine.state

    @property
    def has_begun(self) -> bool:
        """A sample is on its way."""
        return self._has_begun

    @property
    def is_busy(self) -> bool:
        """A phase other than `input` is at hand."""
        return self._record is not None

    @property
    def offers_prediction(self) -> bool:
        """A prediction waits to be taken."""
        return self._prediction >= 0

    @property
    def phase(self) -> str:
        """The phase at hand."""
        return self._record.phase if self._record else "input"

    def reset(self) -> None:
        """Lose the sample at hand, and what was not read; the state is that of before the sample, as a host loads it again."""
        self.coverage[f"resets_in_{self.phase}"] += 1
        self.coverage["resets_with_a_prediction_offered"] += self.offers_prediction
        self.coverage["resets_in_an_access"] += self._served is not None
        self.coverage["resets_with_events_in_the_list"] += bool(self._events)
        self.coverage["resets_with_status_bits"] += bool(self._errors)
        if self._before is not None:
            for one in fields(ChipState):
                setattr(self._engine.state, one.name, getattr(self._before, one.name))
        self._clear()
        self.stores = []

    def cycle(self, pins: Pins) -> Answer:
        """Answer the pins of a cycle, and go on to the next one."""
        self.stores = []
        region, core, index = _split(pins.bus_address)
        is_state = region in _STATE_REGIONS and core < len(self._chip.layers) and pins.bus_valid
        is_input = self._record is None
        is_granted = is_state and is_input and not self._has_begun
        is_ready = is_input and not is_granted
        bus_ready = not is_state or self._served == core
        transfers = pins.bus_valid and bus_ready
        took = pins.event_valid and is_ready
        problem = self._problem(pins) if took else 0
        is_good = took and not problem
        is_running, is_done = self._progress(pins, is_good=is_good)
        self._cover(pins, is_granted=is_granted, is_ready=is_ready, problem=problem)
        answer = Answer(
            phase=PHASES.index(self._record.phase) if self._record else 0,
            core=self._record.core if self._record else None,
            is_running=is_running,
            is_done=is_done,
            event_ready=is_ready,
            prediction=self._prediction,
            bus_ready=bus_ready if pins.bus_valid else None,
            bus_rdata=self._read(region, core, index) if transfers and not pins.bus_write else None,
        )
        if self._prediction >= 0 and pins.prediction_ready:
            self._prediction = -1
        if transfers and pins.bus_write:
            self._write(region, core, index, pins.bus_wdata)
        self._errors |= problem
        self._served = core if is_granted and not bus_ready else None
        if is_good:
            self._take(pins)
        elif is_running and self._record:
            self._cycles_left -= 1
            if is_done:
                self._end_phase(self._record)
        return answer

    def _problem(self, pins: Pins) -> int:
        can_be_labelled = not self._has_begun
        kind, data = pins.event_kind, pins.event_data
        return status_bit(self._chip, kind, data, can_be_labelled=can_be_labelled)

    def _progress(self, pins: Pins, *, is_good: bool) -> tuple[bool, bool]:
        """Whether the cycle is one of the phase, and its last one."""
        if self._record is None:
            return is_good, is_good and pins.event_kind == STEP_END
        is_held_up = (
            self._record.phase == "predict" and self.offers_prediction and not pins.prediction_ready
        )
        self.coverage["predictions_held_up"] += is_held_up
        return not is_held_up, not is_held_up and self._cycles_left == 1

    def _take(self, pins: Pins) -> None:
        """What is in order on the event stream."""
        if not self._has_begun:
            self._has_begun = True
            self._before = copy.deepcopy(self._engine.state)
        if pins.event_kind == LABEL:
            self._label = pins.event_data
        elif pins.event_kind == EVENT:
            self._offered += 1
            if pins.event_data not in self._events:
                self._events.append(pins.event_data)
        else:
            self._end_step()

    def _end_step(self) -> None:
        if self._step == 0:
            self._stepper.begin(self._label)
        self._records = self._stepper.step(sorted(self._events), self._offered)
        self._record = next(self._records)
        self._end_phase(self._record)

    def _end_phase(self, record: PhaseRecord) -> None:
        """What a phase leaves is held against the chip in the next cycle, which is the first one of the next phase."""
        self._sums[record.core] += record.counts
        self.stores = self.expected.after(record, self._events)
        following = next(self._records, None)
        is_last_step = self._step == self._chip.steps - 1
        if following is None and record.phase != "predict" and is_last_step:
            self._records = self._stepper.end()
            following = next(self._records)
        elif following is None and record.phase == "predict":
            self._end_sample()
        elif following is None:
            self._step += 1
            self._next_step()
        self._record = following
        self._cycles_left = following.cycles if following else 0

    def _end_sample(self) -> None:
        assert self._stepper.prediction is not None
        self._prediction = self._stepper.prediction
        self.coverage["training_samples" if self._label is not None else "inference_samples"] += 1
        self._has_begun, self._label, self._step = False, None, 0
        self._before = None
        self.state.sample_counter &= (1 << self._counter_bits) - 1
        self._next_step()
        self.stores = [*self.stores, *self.expected.at_rest()]

    def _read(self, region: int, core: int, index: int) -> int | None:
        """What a read finds; None where no rule says it."""
        if region == chip_bus.CHIP:
            counter = self._engine.state.sample_counter
            status = self._errors | (BEGUN if self._has_begun else 0)
            registers = [chip_bus.IDENTITY_VALUE, status, counter & PIECE, counter >> 32]
            return registers[index] if index < len(registers) else 0
        if region > chip_bus.COUNTERS or core >= len(self._chip.layers):
            return 0
        if region == chip_bus.COUNTERS:
            if not self._has_counters or index >= len(COUNT_NAMES):
                return 0
            return None if self._has_begun else int(self._sums[core, index])
        return self._read_state(region, core, index)

    def _read_state(self, region: int, core: int, index: int) -> int:
        if region == chip_bus.GENERATOR:
            has = index < FlipUnit.of(self._chip.layers[core]).generators
            return int(self.state.generators[core, index]) if has else 0
        if region == chip_bus.SECOND_MOMENT:
            has = index < self._chip.steps and self._chip.layers[core].rule == "tbso"
            return int(self.state.second_moment[core, index]) if has else 0
        pieces = self._pieces(region, core)
        word, piece = divmod(index, pieces.pitch)
        words = self._words(region, core)
        has = word < len(words) and piece < pieces.used
        return pieces.split(words[word])[piece] if has else 0

    def _write(self, region: int, core: int, index: int, data: int) -> None:
        """What a write changes; it is transferred all the same where it changes nothing."""
        if region == chip_bus.CHIP:
            self._write_chip(index, data)
        elif region > chip_bus.COUNTERS or core >= len(self._chip.layers):
            return
        elif region == chip_bus.COUNTERS:
            self._sums[core] = 0
        elif region == chip_bus.GENERATOR:
            if index < FlipUnit.of(self._chip.layers[core]).generators:
                self.state.generators[core, index] = data
        elif region == chip_bus.SECOND_MOMENT:
            if index < self._chip.steps and self._chip.layers[core].rule == "tbso":
                self.state.second_moment[core, index] = data
        else:
            self._write_synapses(region, core, index, data)

    def _write_chip(self, index: int, data: int) -> None:
        if index == chip_bus.STATUS:
            self._errors = 0
        elif index in (chip_bus.SAMPLES_LOW, chip_bus.SAMPLES_HIGH):
            shift = 32 * (index - chip_bus.SAMPLES_LOW)
            counter = self.state.sample_counter & ~(PIECE << shift) | data << shift
            self.state.sample_counter = counter & ((1 << self._counter_bits) - 1)

    def _write_synapses(self, region: int, c: int, index: int, data: int) -> None:
        pieces, words = self._pieces(region, c), self._words(region, c)
        word, piece = divmod(index, pieces.pitch)
        if word >= len(words) or piece >= pieces.used:
            return
        held = pieces.split(words[word])
        held[piece] = data
        words[word] = pieces.join(held)
        values = self._unpack(region, c, words)
        if region == chip_bus.WEIGHT:
            store_weights(self.state, self._chip, c, values.astype(np.bool_))
        else:
            store_momentum(self.state, self._chip, c, values)

    def _pieces(self, region: int, c: int) -> Pieces:
        core = self._chip.layers[c]
        bits = 1 if region == chip_bus.WEIGHT else core.momentum_bits
        return Pieces.of(core.lanes * bits)

    def _words(self, region: int, c: int) -> list[int]:
        weights, momentum = self.expected.synapses(c, np.arange(self._chip.layers[c].axons))
        return list((weights if region == chip_bus.WEIGHT else momentum).values)

    def _unpack(self, region: int, c: int, words: list[int]) -> npt.NDArray[np.int64]:
        core = self._chip.layers[c]
        width = 1 if region == chip_bus.WEIGHT else core.momentum_bits
        mask = (1 << width) - 1
        lanes = np.array(
            [[word >> (lane * width) & mask for lane in range(core.lanes)] for word in words]
        )
        if region == chip_bus.MOMENTUM:
            lanes -= (lanes >> (width - 1)) << width
        return lanes.reshape(core.axons, -1)[:, : core.neurons]

    def _cover(self, pins: Pins, *, is_granted: bool, is_ready: bool, problem: int) -> None:
        counts = self.coverage
        if problem:
            counts[IGNORED[problem]] += 1
        if pins.event_valid and not is_ready:
            counts["offers_while_the_bus_is_served" if is_granted else "offers_while_busy"] += 1
            counts["marks_while_the_bus_is_served"] += is_granted and pins.event_kind == STEP_END
        if pins.bus_valid and not is_granted and (pins.bus_address >> 28) in _STATE_REGIONS:
            counts["accesses_that_wait"] += self._has_begun
        counts["accesses_taken_back_half_served"] += self._served is not None and not is_granted
        is_cleared = pins.bus_valid and pins.bus_write and _split(pins.bus_address) == _STATUS
        counts["status_cleared_while_it_is_set"] += is_cleared and bool(problem)


_STATUS = (chip_bus.CHIP, 0, chip_bus.STATUS)
_STATE_REGIONS = range(chip_bus.WEIGHT, chip_bus.SECOND_MOMENT + 1)


def _split(address: int) -> tuple[int, int, int]:
    return address >> 28, address >> 24 & 0xF, address & 0xFFFFFF
