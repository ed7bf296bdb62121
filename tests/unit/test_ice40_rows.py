"""The iCE40's prices are those that follow from the record of synthesis, and its LUT4 are near those of chips that were not fitted on."""

import statistics
from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.ice40_rows import (
    CHECK,
    FIT,
    SOURCES,
    TECHNOLOGY,
    counts,
    parts_of_chip,
    read_record,
    shipped_rows,
)
from flipcore.chip import chip_document, load_chip
from flipcore.hwmodel.area import chip_luts
from flipcore.hwmodel.estimate import estimate_figures, make_estimate, rates_workload
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.lut_fit import (
    CellPrices,
    check_luts,
    fit_luts,
    is_of_one_chip,
    lut_rows,
    unit_spreads,
)
from flipcore.hwmodel.sram import MemoryShape, memory_cost
from flipcore.hwmodel.technology import Band, format_rows, load_technology


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """The record that is committed."""
    return read_record()


def test_the_shipped_rows_follow_from_the_record(record: dict[str, Any]) -> None:
    shipped = [
        row
        for row in load_technology(TECHNOLOGY).coefficients
        if row.source in SOURCES.values() or row.component == "register_file"
    ]
    wanted = shipped_rows(record)
    assert sorted(format_rows(shipped).splitlines()) == sorted(format_rows(wanted).splitlines())


def test_the_record_is_of_the_chips_that_are_described(record: dict[str, Any]) -> None:
    fit = [chip_document(load_chip("digits", (*changes, f"name={name}"))) for name, changes in FIT.items()]  # fmt: skip
    check = [chip_document(load_chip(preset, (*changes, f"name={name}"))) for name, (preset, changes) in CHECK.items()]  # fmt: skip
    assert [entry["chip"] for entry in record["fit"]] == fit
    assert [entry["chip"] for entry in record["check"]] == check


def test_luts_are_near_those_of_chips_that_were_not_fitted_on(record: dict[str, Any]) -> None:
    checks = check_luts(record, load_technology(TECHNOLOGY))
    errors = [abs(check.error) for check in checks]
    assert len(checks) == len(CHECK)
    assert statistics.median(errors) <= 0.10
    assert max(errors) <= 0.20
    for check in checks:
        assert check.model_luts.low <= check.luts <= check.model_luts.high, check.name
        assert check.model_block_rams == pytest.approx(check.block_rams, rel=0.1), check.name
        assert check.model_flip_flops == pytest.approx(check.flip_flops, rel=0.3), check.name
        assert check.logic_cells >= check.luts


CHIPS = {
    "a": "[{neurons: 24, lanes: 4}, {neurons: 16, lanes: 8}, {neurons: 10, lanes: 16}]",
    "b": "[{neurons: 32, lanes: 8, momentum_bits: 4, gradient_shift: 13}, {neurons: 40, lanes: 4, error_bits: 12}, {neurons: 6, lanes: 6}]",
    "c": "[{neurons: 20, lanes: 10, momentum_bits: 12, gradient_shift: 6}, {neurons: 64, lanes: 16, trace_bits: 3, trace_unit: 4}, {neurons: 9, lanes: 3}]",
}  # fmt: skip
LAW = {
    ("flip_unit", "lanes"): 10,
    ("flip_unit", "lanes*momentum_bits"): 3,
    ("event_input", "axons"): 2,
    ("trace_update", "1"): 60,
    ("trace_update", "lanes*trace_bits"): 7,
}


def _made_record() -> dict[str, Any]:
    """Cores whose LUT4 follow a law exactly; a memory of block RAM with a LUT per bit, one of flip-flops with half a LUT per bit."""
    entries = []
    for name, layers in CHIPS.items():
        chip = load_chip("digits", (f"layers={layers}", f"name={name}"))
        cores = []
        for c in range(len(chip.layers)):
            features = core_features(chip, c)
            units: dict[str, dict[str, int]] = {}
            for (unit, term), factor in LAW.items():
                product = 1.0
                for feature in term.split("*"):
                    product *= 1.0 if feature == "1" else features[feature]
                luts = units.setdefault(unit, {"luts": 0})
                luts["luts"] += round(factor * product)
            core = chip.layers[c]
            momentum, trace = core.lanes * core.momentum_bits, core.lanes * core.trace_bits
            memories = {
                "momentum": {"luts": momentum, "block_rams": 4},
                "trace": {"luts": core.trace_words * trace, "block_rams": 0},
                "event_list": {"luts": 6, "block_rams": 1},  # of one port: beside nothing
            }
            cores.append({"units": units, "memories": memories})
        entries.append({"name": name, "chip": chip_document(chip), "cores": cores})
    return {"fit": entries, "check": []}


def test_factors_come_back() -> None:
    groups = {group.name: group for group in fit_luts(_made_record())}
    assert set(groups) == {"event_input", "flip_unit", "register_file", "sram_1r1w", "trace_update"}
    found = {
        (unit, term): factor
        for unit, group in groups.items()
        for (_, _, term), factor in group.factors.items()
    }
    wanted = LAW | {("sram_1r1w", "bits"): 1, ("register_file", "words*bits"): 1}
    assert {key: pytest.approx(value, rel=1e-6) for key, value in wanted.items()} == {
        key: value for key, value in found.items() if value > 1e-9
    }
    assert max(abs(error) for group in groups.values() for error in group.errors) < 1e-6


def test_rows_are_cells_times_what_a_cell_takes() -> None:
    prices = CellPrices(Band(0.5, 0.25, 1.0), Band(100.0, 50.0, 300.0), Band(1.5, 1.2, 2.0))
    rows = {
        (row.component, row.action, row.term): row
        for row in lut_rows(fit_luts(_made_record()), prices, SOURCES)
    }
    unit = ("flip_unit", "lanes")
    assert rows["flip_unit", "luts", "lanes"].band.value == pytest.approx(10)
    area = rows["flip_unit", "area", "lanes"].band
    assert (area.value, area.low, area.high) == pytest.approx((1500, 0.85 * 600, 6000))
    energy = rows["flip_unit", "words_visited", "lanes"].band
    assert (energy.value, energy.low, energy.high) == pytest.approx((5, 0.85 * 2.5, 10))
    assert {row.source for key, row in rows.items() if key[0] == unit[0]} == set(SOURCES.values())
    assert rows["sram_1r1w", "read", "bits"].band.value == pytest.approx(0.5)
    # A flip-flop for each bit and each bit of the output; a write works a word of them, a read the output and what chooses.
    assert rows["register_file", "area", "words*bits"].band.value == pytest.approx(100)
    assert rows["register_file", "write", "bits"].band.value == pytest.approx(0.5)
    assert rows["register_file", "read", "words*bits"].band.value == pytest.approx(0.5)


def test_a_unit_of_one_chip_has_the_bounds_of_all_others() -> None:
    record = _made_record()
    for core in record["fit"][0]["cores"]:
        core["units"]["fire"] = {"luts": 500}  # of no law: its own fit would be exact for none
    for core in record["fit"][1]["cores"]:
        core["units"]["event_input"]["luts"] *= 2
    groups = {group.name: group for group in fit_luts(record)}
    assert is_of_one_chip(groups["fire"]) and not is_of_one_chip(groups["event_input"])
    spreads = unit_spreads(list(groups.values()))
    assert spreads["event_input"] == groups["event_input"].spread
    assert spreads["flip_unit"].high == pytest.approx(1.0)
    assert 1.0 < spreads["fire"].high <= spreads["event_input"].high


def test_a_small_memory_is_built_as_synthesis_builds_it() -> None:
    technology = load_technology(TECHNOLOGY)
    assert technology.register_limit == 64
    for words, bits, ports, built_of in (
        (4, 80, "1r1w", "flip-flops"),  # 320 bits, 5 block RAMs
        (4, 81, "1r1w", "flip-flops"),
        (8, 32, "1rw", "sram"),  # 256 bits, 2
        (16, 80, "1r1w", "sram"),
        (1, 128, "1rw", "flip-flops"),
        (64, 6, "1rw", "sram"),
        (10, 6, "1rw", "flip-flops"),
    ):
        cost = memory_cost(technology, MemoryShape(words, bits, ports))  # type: ignore[arg-type]
        assert cost.built_of == built_of, (words, bits)


def test_luts_of_a_chip_are_those_of_its_parts() -> None:
    technology, chip = load_technology(TECHNOLOGY), load_chip("digits")
    luts = chip_luts(chip, technology)
    assert luts.low < luts.value < luts.high
    wider = load_chip("digits", ("core.lanes=32",))
    assert chip_luts(wider, technology).value > 1.5 * luts.value
    figures = estimate_figures(make_estimate(rates_workload(chip, None, ()), technology))
    assert figures["fpga"] == {"luts": asdict(luts), "block_rams": 72}
    cells = load_technology("ihp-sg13g2")
    assert chip_luts(chip, cells) == Band.exact(0.0)
    assert estimate_figures(make_estimate(rates_workload(chip, None, ()), cells))["fpga"] is None


def test_modules_of_a_netlist_are_counted_where_they_stand() -> None:
    def cells(**numbers: int) -> dict[str, Any]:
        return {f"{kind}_{k}": {"type": kind} for kind, n in numbers.items() for k in range(n)}

    def module(name: str, found: dict[str, Any]) -> dict[str, Any]:
        return {"attributes": {"hdlname": f"\\{name}"}, "cells": found}

    modules = {
        "flip_chip": module("flip_chip", cells(SB_LUT4=2) | {"u_core_0": {"type": "core"}, "u_control": {"type": "control"}}),
        "control": module("chip_control", cells(SB_LUT4=3, SB_DFFR=1)),
        "core": module("flip_core", cells(SB_LUT4=5) | {"u_flip_unit": {"type": "unit"}, "u_weight": {"type": "memory"}, "u_two": {"type": "unit"}}),
        "unit": module("flip_unit_1", cells(SB_LUT4=7, SB_CARRY=4)),
        "memory": module("memory_1r1w", cells(SB_LUT4=1, SB_DFF=2, SB_RAM40_4K=3, SB_RAM40_4KNR=1)),
    }  # fmt: skip
    none = dict.fromkeys(("luts", "carries", "flip_flops", "block_rams"), 0)
    assert parts_of_chip(modules, 1) == [
        {
            "units": {
                "memory_ports": none | {"luts": 5},
                "flip_unit": none | {"luts": 14, "carries": 8},
                "chip_control": none | {"luts": 5, "flip_flops": 1},
            },
            "memories": {"weight": none | {"luts": 1, "flip_flops": 2, "block_rams": 4}},
        }
    ]
    assert counts(modules["control"])["luts"] == 3
