"""The fit of logic: what the actions of each part of a core cost, from records of netlists that learn (docs/ENERGY.md).

A record is a JSON document of one chip: per phase and core the cycles, the counts of SPEC T12 and the energy of each module's nets.
A group is what can be told apart in it: the nets of one core's module in one phase. Within a group the energy is a sum of actions times terms;
no factor is negative, and relative errors count, so that small cores weigh as much as large ones.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.hwmodel.components import has_component
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.technology import Band, Coefficient, term_value

Record = Mapping[str, Any]
Key = tuple[str, str, str]  # component, action, term
CONTROL = "control"

# Actions and terms of each group. `cycles` are those of the whole chip, other actions counts of the core.
_INPUT = (
    ("event_input", "events", "1"),
    ("event_input", "events", "axons"),
    ("event_input", "events", "axons^0.5"),
    ("event_input", "events", "lanes"),
    ("event_input", "events", "lanes*potential_bits*hidden"),
)
_FORWARD = (
    ("integrate", "forward_cycles", "1"),
    ("integrate", "event_list_reads", "lanes"),
    ("integrate", "event_list_reads", "lanes*count_bits"),
    ("integrate", "event_list_reads", "row_bits"),
    ("fire", "potential_writes", "lanes*potential_bits"),
    ("fire", "potential_writes", "neurons"),
    ("readout", "total_writes", "lanes*total_bits"),
)
_SPIKES = (
    ("spike_output", "spikes_cycles", "1"),
    ("spike_output", "spikes_cycles", "lanes"),
    ("spike_output", "spikes_cycles", "neurons"),
)
_TRACE = (
    ("trace_update", "trace_cycles", "1"),
    ("trace_update", "trace_cycles", "lanes"),
    ("trace_update", "trace_cycles", "axons"),
    ("trace_update", "row_list_writes", "lanes*trace_bits"),
    ("trace_update", "trace_writes", "lanes*trace_bits"),
    ("square_sum", "trace_cycles", "lanes*trace_bits"),
)
_ERROR = (
    ("error_hinge", "error_cycles", "1"),
    ("error_hinge", "error_cycles", "lanes"),
    ("error_hinge", "error_cycles", "neurons"),
    ("error_softmax", "error_cycles", "1"),
    ("error_softmax", "error_cycles", "neurons"),
    ("error_hinge", "error_cycles", "output_bits"),
    ("error_unit", "error_writes", "lanes*error_bits"),
)
_BELOW = (
    ("error_words", "error_writes", "lanes*error_bits"),
    ("error_words", "error_writes", "words"),
    ("error_words", "live_steps", "lanes*error_bits"),
    ("error_words", "live_steps", "neurons"),
    ("square_sum", "error_writes", "lanes*error_bits"),
)
_LEARNING = (
    ("update_control", "update_cycles", "1"),
    ("update_control", "row_list_reads", "row_bits"),
    ("update_control", "row_list_reads", "words"),
    ("flip_unit", "words_visited", "lanes"),
    ("flip_unit", "words_visited", "lanes*error_bits"),
    ("flip_unit", "words_visited", "lanes*trace_bits"),
    ("flip_unit", "words_visited", "lanes*momentum_bits"),
    ("flip_unit", "words_updated", "lanes*momentum_bits"),
    ("flip_unit", "momentum_updates", "momentum_bits"),
    ("random_source", "words_drawn", "generators"),
    ("random_source", "words_drawn", "lanes"),
    ("random_source", "words_drawn", "lanes*trace_bits"),
    ("backward_sum", "words_visited", "lanes*error_bits"),
    ("decay", "words_decayed", "lanes*momentum_bits"),
)
_THRESHOLD = (("adaptive_threshold", "threshold_cycles", "1"),)
_PREDICT = (
    ("predict", "predict_cycles", "1"),
    ("predict", "predict_cycles", "lanes*total_bits"),
)
_CLOCK = (
    ("clock", "cycles", "1"),
    ("clock", "cycles", "lanes"),
    ("clock", "cycles", "axons"),
    ("clock", "cycles", "axons^0.5"),
    ("clock", "cycles", "words"),
    ("clock", "cycles", "backward"),
    ("clock", "cycles", "tbso"),
    ("clock", "cycles", "decays"),
    ("clock", "cycles", "softmax"),
    ("clock", "cycles", "softmax*lanes"),
)
_CONTROL = (("chip_control", "cycles", "1"),)
_ENERGY_GROUPS = {
    "input": _INPUT,
    "forward": _FORWARD,
    "spikes": _SPIKES,
    "trace": _TRACE,
    "error": _ERROR,
    "errors from above": _BELOW,
    "learning": _LEARNING,
    "threshold": _THRESHOLD,
    "predict": _PREDICT,
    "clock": _CLOCK,
    "control": _CONTROL,
}
_SIZES = (
    ("update_control", "1"),
    ("update_control", "row_bits"),
    ("event_input", "axons"),
    ("integrate", "lanes*count_bits"),
    ("fire", "lanes*potential_bits*hidden"),
    ("fire", "neurons*hidden"),
    ("readout", "words*lanes*output_bits*readout"),
    ("trace_update", "lanes*trace_bits"),
    ("flip_unit", "lanes*trace_bits*error_bits"),
    ("flip_unit", "lanes*momentum_bits"),
    ("random_source", "generators"),
    ("error_words", "lanes*error_bits*hidden"),
    ("backward_sum", "lanes*error_bits*backward"),
    ("error_softmax", "softmax"),
    ("error_hinge", "hinge"),
    ("adaptive_threshold", "tbso"),
    ("adaptive_threshold", "lanes*error_bits*tbso"),
)


@dataclass(frozen=True)
class Observation:
    """One core in one group of one record: what each action and term amounts to, and what was measured."""

    record: str
    core: int
    amounts: dict[Key, float]
    measured: float


@dataclass(frozen=True)
class Group:
    """A fitted group.

    Attributes:
        name: of the group.
        unit: pJ, um2 or nW.
        factors: of each action and term; those that came out 0 are left out.
        observations: what it was fitted on.
        left_out: for each observation, what a fit to the records of all other chips says of it.
    """

    name: str
    unit: str
    factors: dict[Key, float]
    observations: tuple[Observation, ...]
    left_out: tuple[float, ...]

    def model(self, amounts: Mapping[Key, float]) -> float:
        """What the group costs."""
        return sum(factor * amounts.get(key, 0.0) for key, factor in self.factors.items())

    @property
    def errors(self) -> list[float]:
        """Relative errors of what the fits to all other chips say."""
        return [
            model / one.measured - 1.0
            for one, model in zip(self.observations, self.left_out, strict=True)
        ]

    @property
    def median_error(self) -> float:
        """Median of their sizes."""
        return statistics.median(abs(error) for error in self.errors)

    @property
    def spread(self) -> Band:
        """Factor within which a core that the fit did not see lies: nine of ten did."""
        ratios = sorted(1.0 / max(1.0 + error, 1e-3) for error in self.errors)
        low, high = np.quantile(ratios, [0.05, 0.95])
        return Band(1.0, min(1.0, float(low)), max(1.0, float(high)))


def record_chip(record: Record) -> Chip:
    """The chip of a record."""
    return parse_chip(dict(record["chip"]), str(record["name"]))


def total_counts(record: Record, c: int) -> dict[str, int]:
    """Counts of core c over all phases of a record, and the cycles of the whole chip as `cycles`."""
    counts: dict[str, int] = {}
    cycles = 0
    for key, phase in record["phases"].items():
        name, core = key.split()
        cycles += phase["cycles"] * (name != "idle")
        if int(core) == c:
            for count, number in phase["counts"].items():
                counts[count] = counts.get(count, 0) + number
    return counts | {"cycles": cycles}


def measured_energy(record: Record, c: int) -> dict[str, float]:
    """Energy of the nets of core c by group, in pJ; of the idle cycles before and after the samples nothing."""
    own = {
        "input": [("input", 0)] if c == 0 else [("spikes", c - 1)],
        "learning": [("update", c), ("decay", c)],
        "errors from above": [("update", c + 1)],
        **{
            name: [(name, c)]
            for name in ("forward", "spikes", "trace", "error", "threshold", "predict")
        },
    }
    groups = {place: group for group, places in own.items() for place in places}
    energies = dict.fromkeys(_ENERGY_GROUPS, 0.0)
    del energies["control"]
    for key, phase in record["phases"].items():
        name, core = key.split()
        if name != "idle":
            group = groups.get((name, int(core)), "clock")
            energies[group] += phase["toggles_pj"].get(str(c), 0.0)
            energies["clock"] += phase["cycles"] * record["clock_pj"][str(c)]
    return energies


def measured_control(record: Record) -> float:
    """Energy of the chip's control, in pJ."""
    energies: list[float] = [
        phase["toggles_pj"].get(CONTROL, 0.0) + phase["cycles"] * record["clock_pj"][CONTROL]
        for key, phase in record["phases"].items()
        if not key.startswith("idle")
    ]
    return sum(energies)


def observations(record: Record) -> dict[str, list[Observation]]:
    """What a record says, by group."""
    chip = record_chip(record)
    found: dict[str, list[Observation]] = {}

    def add(group: str, c: int, amounts: dict[Key, float], measured: float) -> None:
        if measured > 0 and any(amounts.values()):
            one = Observation(str(record["name"]), c, amounts, measured)
            found.setdefault(group, []).append(one)

    for c in range(len(chip.layers)):
        counts, features = total_counts(record, c), core_features(chip, c)
        for group, energy in measured_energy(record, c).items():
            amounts = {
                key: counts.get(key[1], 0) * term_value(key[2], features)
                for key in _ENERGY_GROUPS[group]
                if has_component(chip, c, key[0])
            }
            add(group, c, amounts, energy)
        for quantity, measured in (("area", "area_um2"), ("leakage", "leakage_nw")):
            sizes = {
                (component, quantity, term): term_value(term, features)
                for component, term in _SIZES
                if has_component(chip, c, component)
            }
            add(quantity, c, sizes, record[measured][str(c)])
    cycles = total_counts(record, 0)["cycles"]
    add("control", 0, {("chip_control", "cycles", "1"): cycles}, measured_control(record))
    for quantity, measured in (("area", "area_um2"), ("leakage", "leakage_nw")):
        sizes = {("chip_control", quantity, "1"): 1.0}
        add(f"control {quantity}", 0, sizes, record[measured][CONTROL])
    return found


def fit_logic(records: Sequence[Record]) -> list[Group]:
    """Fit all groups to the records of some chips.

    Raises:
        InputError: there are too few records.
    """
    gathered: dict[str, list[Observation]] = {}
    for record in records:
        for group, found in observations(record).items():
            gathered.setdefault(group, []).extend(found)
    if len(records) < 2 or "forward" not in gathered:
        raise InputError(f"{len(records)} records: a fit needs those of several chips")
    return [fit_group(name, found, _unit(name)) for name, found in gathered.items()]


def _unit(group: str) -> str:
    return {"area": "um2", "leakage": "nW"}.get(group.split()[-1], "pJ")


def fit_group(name: str, found: Sequence[Observation], unit: str) -> Group:
    """Fit a group to its observations, and each chip's to those of all others."""
    keys = list(dict.fromkeys(key for one in found for key in one.amounts))
    left_out = []
    for one in found:
        others = [other for other in found if other.record != one.record] or found
        factors = _solve(keys, others)
        left_out.append(sum(factors[key] * amount for key, amount in one.amounts.items()))
    factors = {key: factor for key, factor in _solve(keys, found).items() if factor}
    return Group(name, unit, factors, tuple(found), tuple(left_out))


def _solve(keys: list[Key], found: Sequence[Observation]) -> dict[Key, float]:
    """Factors of 0 or more with the least sum of squared relative errors."""
    matrix = np.array([[one.amounts.get(key, 0.0) / one.measured for key in keys] for one in found])
    scale = np.maximum(matrix.max(axis=0), 1e-30)
    solution: npt.NDArray[np.float64] = nnls(matrix / scale, np.ones(len(found)))[0]
    return dict(zip(keys, (solution / scale).tolist(), strict=True))


# What weighing toggles may be wrong by, as measured in docs/ENERGY.md: below, without glitches; above, with the wires
# that the library expects of a block of this size.
METHOD = Band(1.0, 0.8, 1.6)


def logic_rows(groups: Sequence[Group], corner: str, source: str) -> list[Coefficient]:
    """Rows of a technology from a fit; bounds are the spread of the fit times what the method may be wrong by."""
    rows = []
    for group in groups:
        bounds = group.spread.times(METHOD if group.unit == "pJ" else Band.exact(1.0))
        for (component, action, term), factor in group.factors.items():
            rows.append(
                Coefficient(component, action, term, bounds * factor, group.unit, corner, source)
            )
    return rows
