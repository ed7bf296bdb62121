"""The tables of docs/studies/adapt.md are those that the results print, and its kinds are those that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.adapt_study import SCHEDULES, STUDIES, schedule_table, table
from flipcore.adapt.disturbances import KINDS, parse_disturbance
from flipcore.chip import load_chip

DOCS = Path(__file__).parents[2] / "docs" / "studies"
TEXT = (DOCS / "adapt.md").read_text(encoding="utf-8")
RESULTS = {path.stem: path for path in sorted((DOCS / "adapt").glob("*.json"))}


def result(name: str) -> dict[str, Any]:
    document = json.loads(RESULTS[name].read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_every_study_has_its_result() -> None:
    assert set(RESULTS) == set(STUDIES)


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if not study.validation])
def test_table_is_printed_from_its_results(name: str) -> None:
    assert f"`{name}`" in TEXT
    assert table(result(name)) in TEXT


def test_schedules_are_compared_on_held_out_samples() -> None:
    results = {name: result(f"digits-{name}") for name in SCHEDULES}
    for name, one in results.items():
        assert (one["schedule"], one["test_split"]) == (name, "validation")
    assert schedule_table(results) in TEXT


@pytest.mark.parametrize("name", STUDIES)
def test_results_are_of_the_study_that_stands_there(name: str) -> None:
    study, found = STUDIES[name], result(name)
    assert (found["study"], found["name"], found["dataset"]) == (name, study.preset, study.preset)
    assert found["schedule"] == study.schedule
    names = [row["disturbance"] for row in found["rows"]]
    asked = [parse_disturbance(text).name for text in study.disturb if text != "all"]
    assert names == asked or {name.partition(":")[0] for name in names} == set(KINDS)
    chip = load_chip(study.preset)
    assert found["network"] == [chip.inputs, *(core.neurons for core in chip.layers)]
    for row in found["rows"]:
        assert len(row["seeds"]) == study.seeds
        assert study.samples in (None, row["in_all"]["samples"])


def test_every_kind_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)(?::[A-Z]+)?` \|", TEXT, re.MULTILINE))
    assert explained == set(KINDS) - {"none"}
