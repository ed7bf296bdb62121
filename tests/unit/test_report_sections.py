"""Sections: charts where their numbers are there, and where not the reason in words."""

import json
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.report.sections import Basis, Section, make_sections
from flipcore.report.sources import read_source
from flipcore.report.subject import join_sources
from tests.report_folders import comparison, edit_json, simulation, training


def sections_of(folder: Path) -> tuple[dict[str, Section], Basis | None]:
    sections, basis = make_sections(join_sources([read_source(folder)]))
    return {section.name: section for section in sections}, basis


def test_everything_of_a_comparison(tmp_path: Path) -> None:
    sections, basis = sections_of(comparison(tmp_path / "cmp"))
    assert list(sections) == ["learning", "memory", "energy", "spikes", "flips", "chip"]
    assert all(section.charts for section in sections.values())
    assert basis is not None
    assert "IHP SG13G2" in basis.technology
    assert [source.key for source in basis.citations]


def test_what_an_older_run_does_not_keep_is_told(tmp_path: Path) -> None:
    folder = simulation(tmp_path / "run", pictures=False)
    sections, _ = sections_of(folder)
    for name, file in (("spikes", "recording.npz"), ("flips", "flips.npz")):
        assert sections[name].charts == ()
        assert sections[name].text == (
            f"The run in {folder} keeps no {file}: it is of an older flipcore. Simulated again, it has one.",
        )
    assert sections["chip"].charts


def test_a_comparison_without_its_runs_keeps_its_figures(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    (folder / "runs").rename(tmp_path / "elsewhere")
    sections, basis = sections_of(folder)
    assert sections["learning"].charts
    assert basis is None
    for name in ("energy", "spikes", "flips", "chip"):
        (text,) = sections[name].text
        assert text.endswith("runs/chip-8-seed0, is not there: its pictures cannot be drawn.")


def test_a_technology_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    rows = json.loads((folder / "compare.json").read_text())["rows"]
    for row in rows:
        if row["chip"]:
            row["chip"]["technology"] = "my-process"
    edit_json(folder / "compare.json", rows=rows)
    sections, _ = sections_of(folder)
    (text,) = sections["energy"].text
    assert text.startswith("The run cannot be priced here: my-process: no such technology")


def test_a_chip_without_figures_says_why(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    rows = json.loads((folder / "compare.json").read_text())["rows"]
    rows[0] |= dict.fromkeys(("chip", "accuracy_mean", "accuracy_std"))
    rows[0] |= {"missing": "was stopped", "seeds": [], "accuracies": [], "curve": []}
    edit_json(folder / "compare.json", rows=rows)
    assert sections_of(folder)[0]["energy"].text == ("chip, BSO, 8-bit momentum: was stopped.",)


def test_software_alone_has_no_chip(tmp_path: Path) -> None:
    sections, basis = sections_of(training(tmp_path / "train"))
    assert basis is None
    assert sections["spikes"].text == ("No row was learnt on a chip.",)


@pytest.mark.parametrize("file", ["recording.npz", "flips.npz", "run.json"])
def test_a_damaged_run_is_refused(tmp_path: Path, file: str) -> None:
    folder = comparison(tmp_path / "cmp")
    path = folder / "runs" / "chip-8-seed0" / file
    path.write_bytes(b"not this")
    with pytest.raises(InputError) as caught:
        sections_of(folder)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_run_of_another_chip_is_refused(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    run_dir = folder / "runs" / "chip-8-seed0"
    simulation(run_dir, "core.momentum_bits=4")
    with pytest.raises(InputError, match="is of another chip than chip, BSO, 8-bit momentum"):
        sections_of(folder)
