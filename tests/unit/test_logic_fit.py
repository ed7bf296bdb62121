"""Factors of the logic come back from records that were made with them, and the model is held against records rightly."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.chip import chip_document, load_chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES
from flipcore.hwmodel.check import check_record, record_counts
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.logic_fit import fit_logic, logic_rows, measured_energy, total_counts
from flipcore.hwmodel.technology import Technology, format_rows, load_technology, term_value

LAW = {
    ("input", "events", "axons"): 0.1,
    ("forward", "event_list_reads", "lanes"): 0.25,
    ("forward", "forward_cycles", "1"): 0.5,
    ("trace", "trace_cycles", "1"): 1.5,
    ("learning", "words_visited", "lanes*trace_bits"): 0.2,
    ("learning", "words_updated", "lanes*momentum_bits"): 0.05,
}
PHASE_OF = {"input": "input", "forward": "forward", "trace": "trace", "learning": "update"}
SAMPLES = 3
CLOCK_PJ, LEAKAGE_NW, AREA_UM2 = 0.75, 20.0, 500.0


def _record(name: str, lanes: int, hidden: int, trace_bits: int, seed: int) -> dict[str, Any]:
    """A record whose energies follow LAW exactly."""
    changes = (f"layers.0.neurons={hidden}", f"core.lanes={lanes}", f"core.trace_bits={trace_bits}", f"name={name}")  # fmt: skip
    chip = load_chip("digits", (*changes, f"core.trace_unit={1 << (trace_bits - 1)}"))
    rng = np.random.default_rng(seed)
    phases: dict[str, Any] = {"idle 0": {"cycles": 7, "toggles_pj": {"0": 1e6}, "counts": {}}}
    for phase, c in itertools.product(("input", "forward", "spikes", "trace", "update"), (0, 1)):
        if (phase, c) in (("input", 1), ("spikes", 1)):
            continue
        cycles = int(rng.integers(100, 1000))
        counts = {f"{phase}_cycles": cycles}
        for group, action, _ in LAW:
            owner = "spikes" if (group, c) == ("input", 1) else PHASE_OF[group]
            if owner == phase and action in COUNT_NAMES and not action.endswith("cycles"):
                counts[action] = int(rng.integers(50, 500))
        phases[f"{phase} {c}"] = {"cycles": cycles, "toggles_pj": {}, "counts": counts}
    phases["spikes 0"]["counts"].pop("events", None)
    phases["forward 1"]["counts"]["events"] = int(rng.integers(50, 500))
    for c in (0, 1):  # as in T10: a weight word for each entry of the event list
        counts = phases[f"forward {c}"]["counts"]
        counts["weight_reads"] = counts["event_list_reads"]
    entered = phases["input 0"]
    entered["cycles"] = entered["counts"]["events"] + SAMPLES * (chip.steps + 1)  # T1
    entered["counts"]["input_cycles"] = entered["cycles"]
    record = {
        "name": name, "chip": chip_document(chip), "samples": SAMPLES, "phases": phases,
        "clock_pj": {"0": CLOCK_PJ, "1": CLOCK_PJ, "control": 0.4},
        "leakage_nw": {"0": LEAKAGE_NW, "1": LEAKAGE_NW, "control": 5.0},
        "area_um2": {"0": AREA_UM2, "1": AREA_UM2, "control": 50.0},
    }  # fmt: skip
    for c in (0, 1):
        features, counts = core_features(chip, c), total_counts(record, c)
        for (group, action, term), factor in LAW.items():
            place = "spikes 0" if (group, c) == ("input", 1) else f"{PHASE_OF[group]} {c}"
            toggles = phases[place]["toggles_pj"]
            energy = factor * counts[action] * term_value(term, features)
            toggles[str(c)] = toggles.get(str(c), 0.0) + energy
    return record


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    shapes = ((4, 24, 3), (8, 32, 5), (16, 64, 7), (8, 48, 4), (2, 16, 6), (12, 36, 2))
    return [_record(f"chip-{k}", *shape, k) for k, shape in enumerate(shapes)]


def test_factors_come_back(records: list[dict[str, Any]]) -> None:
    groups = {group.name: group for group in fit_logic(records)}
    for (name, action, term), factor in LAW.items():
        group = groups[name]
        found = {key[1:]: value for key, value in group.factors.items()}
        assert found[action, term] == pytest.approx(factor, rel=1e-6)
        assert max(map(abs, group.errors)) < 1e-6  # also for the chip that the fit did not see


def test_energy_of_idle_cycles_is_nobodys(records: list[dict[str, Any]]) -> None:
    energies = measured_energy(records[0], 0)
    cycles = total_counts(records[0], 0)["cycles"]
    assert energies["clock"] == pytest.approx(CLOCK_PJ * cycles)
    assert sum(energies.values()) < 1e6


def test_counts_of_a_record_are_those_of_its_phases(records: list[dict[str, Any]]) -> None:
    counts = record_counts(records[0])
    assert counts.samples == SAMPLES
    assert counts.cycles == total_counts(records[0], 0)["cycles"]
    visited = sum(records[0]["phases"][f"update {c}"]["counts"]["words_visited"] for c in (0, 1))
    assert counts.total("words_visited") == visited


def test_bounds_hold_the_value_and_nothing_is_negative(records: list[dict[str, Any]]) -> None:
    for row in logic_rows(fit_logic(records), "1.2 V 25 C", "gate-level"):
        assert 0 < row.band.low <= row.band.value <= row.band.high
        assert row.unit == {"area": "um2", "leakage": "nW"}.get(row.action, "pJ")


def test_a_fit_needs_several_chips(records: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="1 records: a fit needs those of several chips"):
        fit_logic(records[:1])


@pytest.fixture(scope="module")
def technology(
    records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Technology:
    """The memories of IHP with the logic of LAW."""
    folder: Path = tmp_path_factory.mktemp("technology")
    shipped = load_technology("ihp-sg13g2")
    memories = format_rows(row for row in shipped.coefficients if row.component.startswith(("sram", "register_file")))  # fmt: skip
    facts = "".join(
        f"technology,{action},1,{value},{value},{value},{unit},nominal,ihp-sg13g2-process\n"
        for action, value, unit in (("node", 130, "nm"), ("voltage", 1.2, "V"))
    )
    source = shipped.rows("sram_1rw")[0].source
    logic = format_rows(logic_rows(fit_logic(records), "1.2 V 25 C", source)).partition("\n")[2]
    ranges = "".join(
        f"sram_{ports},{name},1,{value},{value},{value},count,typical,{source}\n"
        for ports, sizes in shipped.sram_ranges.items()
        for name, value in ((field, getattr(sizes, field)) for field in sizes.__slots__)
    )
    path = folder / "law.csv"
    path.write_text("# A law\n" + memories + ranges + facts + logic, encoding="utf-8")
    return load_technology(str(path))


def test_the_model_agrees_with_what_follows_its_law(
    records: list[dict[str, Any]], technology: Technology
) -> None:
    unseen = _record("unseen", 6, 40, 5, 77)
    check = check_record(unseen, technology)
    assert check.logic_error == pytest.approx(0.0, abs=1e-4)
    assert check.area_error == pytest.approx(0.0, abs=1e-6)
    assert check.memory_pj > 0


def test_an_error_is_told(technology: Technology) -> None:
    wrong = _record("wrong", 6, 40, 5, 77)
    toggles = wrong["phases"]["update 0"]["toggles_pj"]
    added = check_record(wrong, technology).logic_pj
    toggles["0"] += added  # the gates take twice what the model says
    check = check_record(wrong, technology)
    assert check.logic_error == pytest.approx(-0.5, abs=1e-3)
    assert check.logic_error < check.total_error < 0  # the memories are shared
