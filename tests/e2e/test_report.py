"""`flipcore report` as a user runs it."""

import json
from pathlib import Path

import pytest

from tests.e2e.command import figures_of, flipcore, one_line_of
from tests.report_folders import simulation, training


def test_two_folders_side_by_side_as_json(tmp_path: Path) -> None:
    simulation(tmp_path / "chip")
    training(tmp_path / "soft")
    done = flipcore("report", "chip", "soft", "--out", "both", "--json", folder=tmp_path)
    figures = figures_of(done)
    assert set(figures) == {"report", "figures", "rows"}
    assert figures["report"] == "both/report.html"
    assert [row["name"] for row in figures["rows"]] == ["chip-8", "bso", "bptt-adam"]
    for name in (figures["report"], *figures["figures"]):
        assert (tmp_path / name).stat().st_size


def test_the_report_of_one_folder_lies_in_it(tmp_path: Path) -> None:
    training(tmp_path / "soft")
    done = flipcore("report", "soft", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    assert last == "The report is soft/report.html"
    assert "BSO in software reaches" in done.stdout
    assert json.loads((tmp_path / "soft" / "train.json").read_text())["rows"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("none", "none: no such folder"),
        ("empty", "empty: no compare.json, train.json or run.json: not a finished folder of `flipcore compare`, `train` or `simulate`"),
        ("damaged", "damaged/train.json: damaged: not JSON"),
        ("soft soft", "soft: is given twice"),
        ("soft held", "soft and held do not belong together: test split test and validation"),
    ],
)  # fmt: skip
def test_what_cannot_be_reported_is_one_line(tmp_path: Path, words: str, told: str) -> None:
    training(tmp_path / "soft")
    training(tmp_path / "held", test_split="validation")
    for name in ("empty", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / "train.json").write_text("{")
    line = one_line_of(flipcore("report", *words.split(), folder=tmp_path))
    assert line.startswith(told)
    assert not (tmp_path / "runs").exists()
