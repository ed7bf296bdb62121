"""The tables of docs/STUDIES.md are those that the results print."""

import json
from pathlib import Path

import pytest

from benchmarks.studies import markdown

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = sorted((DOCS / "studies").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_table_is_printed_from_its_results(path: Path) -> None:
    assert markdown(json.loads(path.read_text())) in (DOCS / "STUDIES.md").read_text()


def test_there_are_results() -> None:
    assert RESULTS
