"""What each memory and register of the chip must hold, word by word, taken from the simulator (S2, T13).

Names and layouts of the stores are those of docs/RTL.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, Core
from flipcore.rtl.bench import flip_words
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.sim.stepper import PhaseRecord, Stepper

Rows = npt.NDArray[np.int64]

# Up to so many words a core's weights and momentum are compared as a whole after every phase that may change them.
SMALL_CORE_WORDS = 300


@dataclass(frozen=True)
class Store:
    """Contents that a memory or register must have.

    Attributes:
        path: hierarchical name below `flip_chip`.
        core: whose it is.
        words: indices of the words to compare; none for a register that is no array.
        values: what they must hold, in the order of `words`.
        masks: bits that count, in the order of `words`; empty if all do.
        lane_bits: width of one lane, to name the one that differs; 0 if there are no lanes.
    """

    path: str
    core: int
    words: Sequence[int] | None
    values: Sequence[int]
    masks: Sequence[int] = ()
    lane_bits: int = 0


def index_bits(count: int) -> int:
    """Width of an index of `count` things, 1 at least (T13)."""
    return max(1, (count - 1).bit_length())


def signed_bits(magnitude: int) -> int:
    """Width of a two's complement number of -magnitude ... magnitude."""
    return magnitude.bit_length() + 1


def pack_neurons(core: Core, values: npt.NDArray[Any], width: int) -> list[int]:
    """Pack rows of neurons, [rows, neurons], into words of P lanes, padded lanes 0 (S2); row after row."""
    rows = len(values)
    if not rows:
        return []
    padded = np.zeros((rows, core.words * core.lanes), np.int64)
    padded[:, : core.neurons] = values
    return flip_words.pack(padded.reshape(rows * core.words, core.lanes), width)


def lane_masks(lanes: int, count: int, width: int) -> list[int]:
    """Masks that leave padded lanes out of words that hold `count` values."""
    words = -(-count // lanes)
    full = (1 << (lanes * width)) - 1
    last = (1 << ((count - (words - 1) * lanes) * width)) - 1
    return [full] * (words - 1) + [last]


def bit_map(positions: Sequence[int]) -> int:
    """A number with these bits set."""
    return sum(1 << position for position in positions)


class ExpectedStores:
    """The stores of a chip as the simulator has them."""

    def __init__(self, chip: Chip, stepper: Stepper) -> None:
        """Look at the state of this stepper."""
        self._chip = chip
        self._stepper = stepper
        self._last = len(chip.layers) - 1

    def after(self, record: PhaseRecord, input_events: Sequence[int]) -> list[Store]:
        """All that a phase may have changed.

        Args:
            record: the phase.
            input_events: distinct axons of the step in the order of their first events.
        """
        c, core = record.core, self._chip.layers[record.core]
        match record.phase:
            case "input":
                return self._events(0, input_events)
            case "forward":
                return self._outputs() if c == self._last else self._neurons(c)
            case "spikes":
                return self._events(c + 1, self._stepper.spikes(c))
            case "trace":
                return self._traces(c)
            case "error":
                return self._errors(c)
            case "threshold":
                return self._second_moment(c, [record.step])
            case "update":
                below = self._errors(c - 1) if c > 0 else []
                return [*self.synapses(c, self._updated_rows(c)), *self._generators(c), *below]
            case "decay":
                return [*self.synapses(c, np.arange(core.axons)), *self._generators(c)]
            case "predict":
                return []

    def at_rest(self) -> list[Store]:
        """All that is kept between samples, whole."""
        stores = []
        for c, core in enumerate(self._chip.layers):
            stores += self.synapses(c, np.arange(core.axons))
            stores += self._generators(c)
            if core.rule == "tbso":
                stores += self._second_moment(c, range(self._chip.steps))
        return stores

    def synapses(self, c: int, rows: Rows) -> list[Store]:
        """Weights and momentum of some rows, in this order."""
        core, prefix = self._chip.layers[c], f"u_core_{c}"
        words = (rows[:, None] * core.words + np.arange(core.words)).reshape(-1).tolist()
        weights = pack_neurons(core, self._stepper.weights(c)[rows], 1)
        momentum = pack_neurons(core, self._stepper.momentum(c)[rows], core.momentum_bits)
        return [
            Store(f"{prefix}.u_weight.memory", c, words, weights, (), 1),
            Store(f"{prefix}.u_momentum.memory", c, words, momentum, (), core.momentum_bits),
        ]

    def _events(self, c: int, axons: Sequence[int]) -> list[Store]:
        path = f"u_core_{c}.u_event_input.event_map_q"
        return [
            Store(f"u_core_{c}.u_event_list.memory", c, range(len(axons)), axons),
            Store(path, c, None, [bit_map(axons)], lane_bits=1),
        ]

    def _neurons(self, c: int) -> list[Store]:
        core, words = self._chip.layers[c], range(self._chip.layers[c].words)
        width = core.potential_bits
        potentials = pack_neurons(core, self._stepper.potentials(c)[None], width)
        masks = lane_masks(core.lanes, core.neurons, width)
        spikes = np.zeros((1, core.neurons), np.int64)
        spikes[0, self._stepper.spikes(c)] = 1
        window = bit_map(np.flatnonzero(self._stepper.windows(c)).tolist())
        prefix = f"u_core_{c}"
        return [
            Store(f"{prefix}.u_potential.memory", c, words, potentials, masks, width),
            Store(f"{prefix}.u_fire.window_q", c, None, [window], lane_bits=1),
            Store(f"{prefix}.u_fire.spike_q", c, words, pack_neurons(core, spikes, 1), (), 1),
        ]

    def _outputs(self) -> list[Store]:
        c, core = self._last, self._chip.layers[-1]
        readings = [("u_total.memory", self._stepper.totals(), core.axons * self._chip.steps)]
        if self._chip.error.of == "step":
            readings.append(("u_readout.output_q", self._stepper.outputs(), core.axons))
        stores = []
        for path, values, magnitude in readings:
            width = signed_bits(magnitude)
            words = pack_neurons(core, values[None], width)
            masks = lane_masks(core.lanes, core.neurons, width)
            path = f"u_core_{c}.{path}"
            stores.append(Store(path, c, range(core.words), words, masks, width))
        return stores

    def _traces(self, c: int) -> list[Store]:
        core, stores = self._chip.layers[c], []
        row_bits, width = index_bits(core.axons), core.trace_bits
        if core.trace_decay_shift != "none":
            traces = np.zeros(core.trace_words * core.lanes, np.int64)
            traces[: core.axons] = self._stepper.traces(c)
            words = flip_words.pack(traces.reshape(-1, core.lanes), width)
            masks = lane_masks(core.lanes, core.axons, width)
            path = f"u_core_{c}.u_trace.memory"
            stores.append(Store(path, c, range(core.trace_words), words, masks, width))
        rows = self._stepper.row_list(c)
        entries = [
            row | trace << row_bits | window << (row_bits + width) for row, trace, window in rows
        ]
        return [
            *stores,
            Store(f"u_core_{c}.u_row_list.memory", c, range(len(rows)), entries),
            Store(f"u_core_{c}.u_trace_update.num_rows_q", c, None, [len(rows)]),
        ]

    def _errors(self, c: int) -> list[Store]:
        """Errors of the live words; the others were not written."""
        core, live = self._chip.layers[c], self._stepper.live_words(c)
        words = pack_neurons(core, self._stepper.errors(c)[None], core.error_bits)
        unit = "u_error_unit" if c == self._last else "u_error_words"
        errors = [words[j] for j in live]
        return [
            Store(f"u_core_{c}.u_error.memory", c, live, errors, (), core.error_bits),
            Store(f"u_core_{c}.{unit}.live_q", c, None, [bit_map(live)], lane_bits=1),
        ]

    def _second_moment(self, c: int, steps: Sequence[int]) -> list[Store]:
        values = self._stepper.second_moment(c)
        path = f"u_core_{c}.u_adaptive_threshold.second_moment_q"
        return [Store(path, c, steps, [int(values[t]) for t in steps])]

    def _generators(self, c: int) -> list[Store]:
        core = self._chip.layers[c]
        if not FlipUnit.of(core).draws:
            return []
        states = self._stepper.generators(c)
        state = sum(one << (32 * lane) for lane, one in enumerate(states))
        path = f"u_core_{c}.u_flip_unit.u_random_source.u_xorshift32.state_q"
        return [Store(path, c, None, [state], lane_bits=32)]

    def _updated_rows(self, c: int) -> Rows:
        """The visited rows; all rows of a small core, so that a stray write is seen at once."""
        core = self._chip.layers[c]
        if core.axons * core.words <= SMALL_CORE_WORDS:
            return np.arange(core.axons)
        return np.array([row for row, _, _ in self._stepper.row_list(c)], np.int64)
