"""Functional coverage of a run of the chip: which situations occurred, seen from the simulator's state before and after each phase.

A situation that the chip can meet and that did not occur stands in the counts with a 0.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flipcore import numerics
from flipcore.chip import Chip, Core
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench.chip_phases import PHASES, RunningPhase
from flipcore.rtl.bench.chip_samples import IGNORED, Sample
from flipcore.sim.stepper import PhaseRecord, Stepper

Integers = npt.NDArray[np.int64]

_COLUMN = {name: index for index, name in enumerate(COUNT_NAMES)}


def possible_transitions(chip: Chip) -> set[str]:
    """Every pair of phases that may follow one another in this chip (O1), as `phase>phase`."""
    last = len(chip.layers) - 1
    has = dict(enumerate(chip.layers))
    pairs = {"input>forward", "forward>trace", "trace>error", "predict>input"}
    if last:
        pairs |= {"forward>spikes", "trace>spikes", "spikes>forward"}
    entry = {c: "threshold" if core.rule == "tbso" else "update" for c, core in has.items()}
    pairs.add(f"error>{entry[last]}")
    after_training = "predict"
    scrubbed = [c for c, core in has.items() if core.decay == "scrub"]
    if scrubbed:
        after_training = "decay"
        pairs.add("decay>predict")
        pairs |= {"decay>decay"} if len(scrubbed) > 1 else set()
    ends_of_step = {"input", after_training} if chip.steps > 1 else {after_training}
    for c, core in has.items():
        if core.rule == "tbso":
            pairs.add("threshold>update")
        end = "update"
        if core.decay == "dense":
            pairs.add("update>decay")
            end = "decay"
        following = {entry[c - 1]} if c else ends_of_step
        pairs |= {f"{end}>{phase}" for phase in following}
    # Without a label a step ends with the readout's forward phase.
    pairs |= {"forward>predict"} | ({"forward>input"} if chip.steps > 1 else set())
    return pairs


def possible_phases(chip: Chip) -> list[str]:
    """Every phase of this chip, in the order of their codes."""
    found = {pair.partition(">")[0] for pair in possible_transitions(chip)}
    return [phase for phase in PHASES if phase in found]


class Coverage:
    """Counts what happened, sample after sample."""

    def __init__(self, chip: Chip, stepper: Stepper) -> None:
        """Start with every situation that the chip can meet at 0."""
        self._chip = chip
        self._stepper = stepper
        self._last = len(chip.layers) - 1
        self._phase = ""
        self._potentials: dict[int, Integers] = {}
        self._synapses = {c: self._learnt(c) for c in range(len(chip.layers))}
        self.counts: Counter[str] = Counter(dict.fromkeys(_situations(chip), 0))
        self.transitions: Counter[str] = Counter(dict.fromkeys(possible_transitions(chip), 0))

    def reset(self, cut_short: RunningPhase) -> None:
        """Count a reset by the phase that it cut short."""
        self.counts["resets_in_flight"] += 1
        self.counts[f"resets_in_{cut_short.phase}"] += 1
        self.counts["resets_in_first_cycles"] += cut_short.is_running and cut_short.cycles == 1
        self.counts["resets_in_last_cycles"] += cut_short.is_done

    def reload(self) -> None:
        """Take the simulator's state as it is now; for after a reset."""
        self._phase = ""
        self._synapses = {c: self._learnt(c) for c in range(len(self._chip.layers))}

    def sample(self, sample: Sample) -> None:
        """Count what a sample brings."""
        counts = self.counts
        counts["training_samples" if sample.label is not None else "inference_samples"] += 1
        counts["empty_steps"] += sum(not axons for axons in sample.events)
        counts["merged_events"] += sample.merged_events
        for bit, number in sample.ignored_kinds.items():
            counts[IGNORED[bit]] += number

    def phase(self, record: PhaseRecord, input_events: Sequence[int]) -> None:
        """Count what a phase did that has just been made in the simulator."""
        if self._phase:
            self.transitions[f"{self._phase}>{record.phase}"] += 1
        self._phase = record.phase
        c = record.core
        if record.phase == "forward" and c < self._last:
            self._forward(c, record.step, input_events if c == 0 else self._stepper.spikes(c - 1))
        elif record.phase == "error":
            is_silent = not self._stepper.errors(c).any()
            self.counts["steps_without_error" if is_silent else "steps_with_error"] += 1
        elif record.phase == "update":
            self._update(c, record)
        elif record.phase == "decay":
            visited = int(record.counts[_COLUMN["words_decayed"]])
            changed = int(record.counts[_COLUMN["words_changed"]])
            self.counts["decays_that_change"] += changed
            self.counts["decays_that_change_nothing"] += visited - changed
            self._synapses[c] = self._learnt(c)

    def _learnt(self, c: int) -> tuple[Integers, Integers]:
        return self._stepper.weights(c), self._stepper.momentum(c)

    def _forward(self, c: int, step: int, axons: Sequence[int]) -> None:
        core, counts = self._chip.layers[c], self.counts
        weights = self._synapses[c][0]
        before = self._potentials[c] if step else np.zeros(core.neurons, np.int64)
        exact = before + (2 * weights[list(axons)] - 1).sum(axis=0)
        potential = numerics.clip_potential(exact, core.potential_bits)
        distance = potential - core.threshold
        counts["potential_saturations_high"] += int((exact > potential).sum())
        counts["potential_saturations_low"] += int((exact < potential).sum())
        counts["spikes"] += len(self._stepper.spikes(c))
        counts["potentials_at_threshold"] += int((distance == 0).sum())
        counts["potentials_one_below_threshold"] += int((distance == -1).sum())
        counts["potentials_just_in_window"] += int((abs(distance) == core.window - 1).sum())
        counts["potentials_just_outside_window"] += int((abs(distance) == core.window).sum())
        self._potentials[c] = self._stepper.potentials(c)

    def _update(self, c: int, record: PhaseRecord) -> None:
        core, counts = self._chip.layers[c], self.counts
        if not record.counts[_COLUMN["live_steps"]]:
            counts["updates_without_live_word"] += 1
            return
        updated = int(record.counts[_COLUMN["words_updated"]])
        counts["words_updated"] += updated
        counts["words_visited_in_vain"] += int(record.counts[_COLUMN["words_visited"]]) - updated
        rows = self._stepper.row_list(c)
        counts["rows_visited_for_the_window_alone"] += sum(trace == 0 for _, trace, _ in rows)
        counts["momentum_saturations"] += int(record.counts[_COLUMN["momentum_saturations"]])
        weights, momentum = self._synapses[c]
        self._synapses[c] = self._learnt(c)
        self._flips(core, (weights, momentum), self._synapses[c], self._flip_threshold(c, record))

    def _flips(
        self,
        core: Core,
        before: tuple[Integers, Integers],
        after: tuple[Integers, Integers],
        flip_threshold: int,
    ) -> None:
        """Count by what can be seen afterwards: a momentum that a flip reset cannot."""
        counts = self.counts
        flipped = after[0] != before[0]
        moved = (after[1] != before[1]) & ~flipped
        counts["flips_to_one"] += int((flipped & (after[0] == 1)).sum())
        counts["flips_to_zero"] += int((flipped & (after[0] == 0)).sum())
        counts["momentum_moved_to_its_maximum"] += int(
            (moved & (after[1] == core.momentum_limit)).sum()
        )
        counts["momentum_moved_to_its_minimum"] += int(
            (moved & (after[1] == -core.momentum_limit)).sum()
        )
        aligned = (2 * before[0] - 1) * after[1]
        counts["momentum_at_flip_threshold"] += int((moved & (aligned == flip_threshold)).sum())
        counts["momentum_one_below_flip_threshold"] += int(
            (moved & (aligned == flip_threshold - 1)).sum()
        )
        if core.momentum_at_flip == "keep":
            counts["flips_one_above_threshold"] += int(
                (flipped & (aligned == flip_threshold + 1)).sum()
            )

    def _flip_threshold(self, c: int, record: PhaseRecord) -> int:
        core = self._chip.layers[c]
        if core.rule == "bso":
            return core.flip_threshold_value
        second_moment = int(self._stepper.second_moment(c)[record.step])
        return int(
            numerics.adaptive_threshold(
                second_moment, core.threshold_gain, core.threshold_shift, core.momentum_limit
            )
        )


def _situations(chip: Chip) -> list[str]:
    """Situations that this chip can meet; whether a run can reach those of small sizes is another matter."""
    names = [
        "training_samples", "inference_samples", "empty_steps", "merged_events",
        *IGNORED.values(), "resets_in_flight", "resets_in_first_cycles", "resets_in_last_cycles",
        *(f"resets_in_{phase}" for phase in possible_phases(chip)), "steps_with_error", "steps_without_error",
        "updates_without_live_word", "words_updated", "words_visited_in_vain",
        "momentum_saturations", "momentum_moved_to_its_maximum", "momentum_moved_to_its_minimum",
        "flips_to_one", "flips_to_zero", "momentum_at_flip_threshold",
        "momentum_one_below_flip_threshold", "event_pauses", "events_waited",
        "event_offers_taken_back", "prediction_waits", "bus_accesses_waited",
        "bus_accesses_to_nothing", "counters_far",
    ]  # fmt: skip
    if len(chip.layers) > 1:
        names += [
            "potential_saturations_high", "potential_saturations_low", "spikes",
            "potentials_at_threshold", "potentials_one_below_threshold",
            "potentials_just_in_window", "potentials_just_outside_window",
            "rows_visited_for_the_window_alone",
        ]  # fmt: skip
    if any(core.momentum_at_flip == "keep" for core in chip.layers):
        names.append("flips_one_above_threshold")
    if any(core.decay != "none" for core in chip.layers):
        names += ["decays_that_change", "decays_that_change_nothing"]
    return names
