"""The fit of logic on an FPGA: LUT4 of each part of a chip from records of synthesis, and prices that follow from them (docs/ENERGY.md).

A record is a JSON document of chips: in `fit` the cells of every unit and memory of every core, synthesised apart; in `check` those of whole chips.
Numbers of cells are measured; what a cell takes, in energy and area, is published for the device or bounded by what is (`sources.yaml`).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flipcore.chip import Chip
from flipcore.hwmodel.area import chip_luts
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.logic_fit import Group, Observation, fit_group, record_chip
from flipcore.hwmodel.memories import core_memories
from flipcore.hwmodel.sram import memory_cost
from flipcore.hwmodel.technology import (
    REGISTER_FILE,
    SRAM_COMPONENTS,
    Band,
    Coefficient,
    Technology,
    term_value,
)

Record = Mapping[str, Any]
LUTS = "luts"
# Units that are synthesised apart share nothing: chips that are synthesised whole need up to 15 % less (docs/ENERGY.md).
WHOLE = Band(1.0, 0.85, 1.0)
# What the size of each unit may follow from, and the counts at which those of its cells work; none: at no event of a sample.
_UNITS: dict[str, dict[str, tuple[str, ...]]] = {
    "adaptive_threshold": {
        "1": ("threshold_cycles",),
        "lanes*error_bits": ("threshold_cycles",),
    },
    "backward_sum": {"lanes": ("words_visited",), "lanes*error_bits": ("words_visited",)},
    "chip_control": {"1": ()},
    "decay": {"1": ("words_decayed",), "lanes*momentum_bits": ("words_decayed",)},
    "error_hinge": {"1": ("error_cycles",), "lanes": ("error_cycles",)},
    "error_softmax": {"1": ("error_cycles",), "lanes": ("error_cycles",)},
    "error_words": {
        "1": ("error_writes",),
        "lanes*error_bits": ("error_writes",),
        "words*uneven": ("error_writes",),
    },
    "event_input": {"1": ("events",), "axons": ("events",)},
    "fire": {"lanes*potential_bits": ("potential_writes",), "neurons": ("potential_writes",)},
    "flip_unit": {
        "lanes": ("words_visited",),
        "lanes*trace_bits*error_bits": ("words_visited",),
        "lanes*momentum_bits": ("words_visited",),
    },
    "host_port": {"1": (), "lanes*momentum_bits": (), "generators": (), "tbso": ()},
    "integrate": {"1": ("event_list_reads",), "lanes*count_bits": ("event_list_reads",)},
    "memory_ports": {
        "1": ("event_list_reads", "words_visited"),
        "lanes*momentum_bits": ("words_updated",),
        "lanes*momentum_bits*decays": ("words_decayed",),
        "lanes*total_bits*readout": ("total_writes",),
    },
    "output_scan": {"1": ("error_cycles",), "lanes*output_bits": ("error_cycles",)},
    "predict": {"1": ("predict_cycles",)},
    "random_source": {"1": ("words_drawn",), "generators": ("words_drawn",)},
    "readout": {
        "lanes*total_bits": ("total_writes",),
        "words*lanes*output_bits": ("total_writes",),
    },
    "spike_output": {
        "1": ("spikes_cycles",),
        "lanes": ("spikes_cycles",),
        "words": ("spikes_cycles",),
    },
    "square_sum": {"lanes*trace_bits": ("trace_cycles",), "lanes*error_bits": ("error_writes",)},
    "trace_update": {
        "1": ("trace_cycles",),
        "lanes*trace_bits": ("trace_cycles",),
        "axons": ("trace_cycles",),
    },
    "update_control": {
        "1": ("update_cycles",),
        "row_bits": ("update_cycles",),
        "words": ("update_cycles",),
    },
}
# A block RAM has no answer of its own to a word that is read while it is written: with two ports, LUTs beside it give that.
_MEMORIES = {SRAM_COMPONENTS["1r1w"]: ("bits",), REGISTER_FILE: ("words*bits", "bits")}


@dataclass(frozen=True, slots=True)
class CellPrices:
    """What a logic cell takes.

    Attributes:
        active_pj: of a cycle in which its unit works, with the wires that it drives.
        area_um2: with its share of wires and configuration.
        cells_per_lut: logic cells that are filled for each LUT4: flip-flops and carries do not all share one with a LUT.
    """

    active_pj: Band
    area_um2: Band
    cells_per_lut: Band


@dataclass(frozen=True, slots=True)
class LutCheck:
    """A whole chip, synthesised as one module, beside the model.

    Attributes:
        name: of the chip.
        luts, flip_flops, block_rams, logic_cells: synthesised, the last after packing.
        model_luts: what the fit says.
        model_flip_flops: what the feature `flip_flops` and memories of flip-flops say.
        model_block_rams: what banking says.
    """

    name: str
    luts: int
    model_luts: Band
    flip_flops: int
    model_flip_flops: float
    block_rams: int
    model_block_rams: int
    logic_cells: int

    @property
    def error(self) -> float:
        """Relative error of the model's LUT4."""
        return self.model_luts.value / self.luts - 1.0


def fit_luts(record: Record) -> list[Group]:
    """Fit the LUT4 of every unit, and of memories, to the cores of a record."""
    gathered: dict[str, list[Observation]] = {}
    for entry in record["fit"]:
        chip = record_chip(entry)
        for c, core in enumerate(entry["cores"]):
            features = core_features(chip, c)
            for unit, cells in core["units"].items():
                amounts = {(unit, LUTS, term): term_value(term, features) for term in _UNITS[unit]}
                _add(gathered, entry, c, unit, amounts, cells)
            for memory, cells in core["memories"].items():
                _add_memory(gathered, entry, chip, c, memory, cells)
    return [fit_group(unit, found, "LUT4") for unit, found in sorted(gathered.items())]


def _add(
    gathered: dict[str, list[Observation]], entry: Record, c: int, unit: str,
    amounts: dict[tuple[str, str, str], float], cells: Mapping[str, int],
) -> None:  # fmt: skip
    if cells[LUTS] and any(amounts.values()):
        found = Observation(str(entry["name"]), c, amounts, float(cells[LUTS]))
        gathered.setdefault(unit, []).append(found)


def _add_memory(
    gathered: dict[str, list[Observation]], entry: Record, chip: Chip, c: int, memory: str,
    cells: Mapping[str, int],
) -> None:  # fmt: skip
    shape = core_memories(chip, c)[memory]
    component = SRAM_COMPONENTS[shape.ports] if cells["block_rams"] else REGISTER_FILE
    features = {"words": float(shape.words), "bits": float(shape.bits)}
    amounts = {
        (component, LUTS, term): term_value(term, features) for term in _MEMORIES.get(component, ())
    }
    # One word is its own output: no LUT chooses.
    if shape.words > 1:
        _add(gathered, entry, c, component, amounts, cells)


def is_of_one_chip(group: Group) -> bool:
    """Whether no other chip of the record has the unit, so that its errors are not those of cores left out."""
    return len({one.record for one in group.observations}) == 1


def unit_spreads(groups: Sequence[Group]) -> dict[str, Band]:
    """Factor within which nine of ten cores that the fit did not see lie; for units of one chip alone, that of all other units together."""
    seen = [group for group in groups if not is_of_one_chip(group)]
    ratios = [1.0 / max(1.0 + error, 1e-3) for group in seen for error in group.errors]
    low, high = np.quantile(ratios, [0.05, 0.95]) if ratios else (1.0, 1.0)
    others = Band(1.0, min(1.0, float(low)), max(1.0, float(high)))
    return {group.name: others if is_of_one_chip(group) else group.spread for group in groups}


def cells_per_lut(record: Record) -> Band:
    """Logic cells per LUT4 of whole chips: median, least and most."""
    ratios = [one["counts"]["logic_cells"] / one["counts"][LUTS] for one in record["check"]]
    return Band(statistics.median(ratios), min(ratios), max(ratios))


def lut_rows(
    groups: Sequence[Group], prices: CellPrices, sources: Mapping[str, str]
) -> list[Coefficient]:
    """Rows of a technology from a fit: LUT4, and area and energy of the cells that they fill.

    Args:
        groups: of `fit_luts`.
        prices: of a logic cell.
        sources: of rows in LUT4, um2 and pJ, by their unit.
    """
    rows = []
    corners = {"LUT4": "yosys 0.23, synth_ice40", "um2": "LUT4 x area of a logic cell", "pJ": "LUT4 x energy of an active logic cell"}  # fmt: skip

    def row(component: str, action: str, term: str, band: Band, unit: str) -> None:
        rows.append(Coefficient(component, action, term, band, unit, corners[unit], sources[unit]))

    spreads = unit_spreads(groups)
    for group in groups:
        for (component, _, term), factor in group.factors.items():
            luts = spreads[group.name].times(WHOLE) * factor
            cells = luts.times(prices.cells_per_lut)
            row(component, LUTS, term, luts, "LUT4")
            if component in _UNITS:
                row(component, "area", term, cells.times(prices.area_um2), "um2")
                for action in _UNITS[component][term]:
                    row(component, action, term, luts.times(prices.active_pj), "pJ")
            else:
                row(component, "read", term, luts.times(prices.active_pj), "pJ")
                if component != REGISTER_FILE:
                    row(component, "area", term, cells.times(prices.area_um2), "um2")
    # A memory of flip-flops has one for each bit and one for each bit of its output; a write works those of a word, as a read does of the output.
    for action, band, unit in (("area", prices.area_um2, "um2"), ("write", prices.active_pj, "pJ"), ("read", prices.active_pj, "pJ")):  # fmt: skip
        if action == "area":
            row(REGISTER_FILE, action, "words*bits", band, unit)
        row(REGISTER_FILE, action, "bits", band, unit)
    return _merged(rows)


def _merged(rows: Sequence[Coefficient]) -> list[Coefficient]:
    """One row of each component, action and term."""
    sums: dict[tuple[str, str, str], Coefficient] = {}
    for one in rows:
        key = (one.component, one.action, one.term)
        before = sums.get(key)
        band = one.band if before is None else before.band + one.band
        sums[key] = Coefficient(*key, band, one.unit, one.corner, one.source)
    return list(sums.values())


def check_luts(record: Record, technology: Technology) -> list[LutCheck]:
    """The whole chips of a record beside what a technology says of them."""
    checks = []
    for entry in record["check"]:
        chip, counts = record_chip(entry), entry["counts"]
        block_rams, flip_flops = 0, 0.0
        for c in range(len(chip.layers)):
            flip_flops += core_features(chip, c)["flip_flops"]
            for shape in core_memories(chip, c).values():
                cost = memory_cost(technology, shape)
                if cost.built_of == "sram":
                    block_rams += sum(number for _, _, number in cost.macros)
                else:
                    flip_flops += (shape.words + 1) * shape.bits
        checks.append(
            LutCheck(
                str(entry["name"]), counts[LUTS], chip_luts(chip, technology), counts["flip_flops"], flip_flops,
                counts["block_rams"], block_rams, counts["logic_cells"],
            )
        )  # fmt: skip
    return checks
