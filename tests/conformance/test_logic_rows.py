"""The shipped prices of logic are those that follow from the shipped records, and the model is as near to gates as docs/ENERGY.md says."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from flipcore.hwmodel.check import Check, check_record
from flipcore.hwmodel.logic_fit import fit_logic, logic_rows
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, format_rows, load_technology
from flipcore.rtl.characterize import FIT, VALIDATION

RECORDS = Path(__file__).parents[2] / "docs" / "energy" / "records"
SOURCE = "ihp-sg13g2-gates"


def _record(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    return record


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    technology = load_technology("ihp-sg13g2")
    return [check_record(_record(subject.name), technology) for subject in VALIDATION]


def test_shipped_rows_follow_from_the_records() -> None:
    shipped = load_technology("ihp-sg13g2")
    logic = [row for component in LOGIC_COMPONENTS for row in shipped.rows(component)]
    fitted = logic_rows(fit_logic([_record(subject.name) for subject in FIT]), "1.2 V 25 C", SOURCE)
    assert sorted(format_rows(logic).splitlines()) == sorted(format_rows(fitted).splitlines())


def test_every_subject_is_recorded_as_it_is_described() -> None:
    for subject in (*FIT, *VALIDATION):
        record = _record(subject.name)
        assert record["name"] == subject.name
        assert record["dataset"] == subject.dataset
        assert record["chip"]["inputs"] == subject.chip.inputs
        widths = [layer["neurons"] for layer in record["chip"]["layers"]]
        assert widths == [core.neurons for core in subject.chip.layers]


def _sizes(errors: list[float]) -> tuple[float, float]:
    sizes = [abs(error) for error in errors]
    return statistics.median(sizes), max(sizes)


def test_logic_is_near_the_gates_of_chips_that_were_not_fitted(checks: list[Check]) -> None:
    assert len(checks) >= 12
    median, worst = _sizes([check.logic_error for check in checks])
    assert median <= 0.15
    assert worst <= 0.35


def test_so_is_the_total(checks: list[Check]) -> None:
    median, worst = _sizes([check.total_error for check in checks])
    assert median <= 0.10
    assert worst <= 0.25
