"""Folders that a report is made from: each kind read, and one line for everything that is none of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flipcore.chip import load_chip
from flipcore.comparison.chip_rows import chip_growth
from flipcore.errors import InputError
from flipcore.hwmodel.memory import memory_bits
from flipcore.report.sources import read_source
from tests.report_folders import comparison, edit_json, simulation, training


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_source(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(folder), "DIR")


def test_a_simulation_is_a_comparison_of_one_chip(tmp_path: Path) -> None:
    source = read_source(simulation(tmp_path / "run"))
    (row,) = source.comparison.rows
    chip = load_chip("digits")
    assert (source.network, row.where, row.label) == (
        "64-256-10",
        "chip",
        "chip, BSO, 8-bit momentum",
    )
    assert row.accuracies == (0.92,)
    assert row.training_state_bits == memory_bits(chip)["total_chip"]
    assert row.peak_bytes_by_steps == chip_growth(chip)
    assert [point.samples_seen for point in row.curve] == [100, 200, 300, 400]
    assert source.comparison.headline_row == row.name
    assert source.run_dirs == {row.name: tmp_path / "run"}
    assert source.command == (
        f"flipcore simulate {tmp_path}/run/chip.yaml --dataset digits --epochs 4 --seed 0"
    )


def test_a_simulation_of_tbso_is_named_after_its_rule(tmp_path: Path) -> None:
    changes = ("core.rule=tbso", "core.flip_threshold=0")
    source = read_source(simulation(tmp_path / "run", *changes))
    assert source.comparison.rows[0].name == "chip-tbso-8"


def test_a_training_is_a_comparison_of_software(tmp_path: Path) -> None:
    source = read_source(training(tmp_path / "train"))
    bso, bptt = source.comparison.rows
    assert (bso.name, bptt.name) == ("bso", "bptt-adam")
    assert (bso.where, bso.momentum_bits, bptt.momentum_bits) == ("software", 8, None)
    assert bso.accuracy_mean == pytest.approx(0.965)
    assert bso.training_peak_bytes == 300_010
    assert source.comparison.network == (64, 256, 10)
    assert (source.comparison.steps, source.comparison.headline_row) == (8, "")
    assert source.command == f"flipcore train --resume {tmp_path}/train"


def test_a_network_without_a_chip_is_named(tmp_path: Path) -> None:
    folder = training(tmp_path / "train")
    for run in folder.glob("*/run.json"):
        recipe = json.loads(run.read_text())["recipe"] | {"network": {"model": "vgg11", "steps": 6}}
        edit_json(run, recipe=recipe)
    source = read_source(folder)
    assert source.network == "vgg11, which no chip has"
    assert (source.comparison.network, source.comparison.steps) == ((), 6)


def test_runs_of_a_comparison_lie_where_rows_say(tmp_path: Path) -> None:
    source = read_source(comparison(tmp_path / "cmp"))
    assert source.run_dirs["chip-8"] == tmp_path / "cmp" / "runs" / "chip-8-seed0"
    assert source.command == f"flipcore compare --resume {tmp_path}/cmp"


def test_what_is_no_folder_of_results_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "DIR: no such folder"
    assert refusal(tmp_path) == (
        "DIR: no compare.json, train.json or run.json: not a finished folder of `flipcore compare`, `train` or `simulate`"
    )


@pytest.mark.parametrize(
    ("make", "file"),
    [(comparison, "compare.json"), (training, "train.json"), (simulation, "run.json")],
)
@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2", b"[]", b"\xff\xfe", b"null"])
def test_damage_is_told_in_a_line_that_names_the_file(
    tmp_path: Path, make: Callable[[Path], Path], file: str, content: bytes
) -> None:
    folder = make(tmp_path / "run")
    (folder / file).write_bytes(content)
    assert f"DIR/{file}" in refusal(folder)


def test_a_run_of_a_training_is_told_where_its_folder_is(tmp_path: Path) -> None:
    folder = training(tmp_path / "train") / "bso-packed-int8-seed0"
    assert refusal(folder) == "DIR/run.json: not of a simulation; of a training, give the folder with its train.json"  # fmt: skip


def test_a_training_whose_run_is_missing_is_refused(tmp_path: Path) -> None:
    folder = training(tmp_path / "train")
    (folder / "bso-packed-int8-seed1" / "run.json").unlink()
    assert "DIR/bso-packed-int8-seed1: no run.json" in refusal(folder)


def test_a_run_that_learnt_nothing_is_refused(tmp_path: Path) -> None:
    folder = simulation(tmp_path / "run")
    counts = json.loads((folder / "run.json").read_text())["counts"]
    nothing = {name: [0, 0] for name in counts["train"]} | {"samples": 0}
    edit_json(folder / "run.json", counts=counts | {"train": nothing})
    assert refusal(folder) == "DIR: this run has learnt nothing that could be reported"


def test_a_run_without_flip_ratios_is_of_an_older_flipcore(tmp_path: Path) -> None:
    folder = simulation(tmp_path / "run")
    history = json.loads((folder / "run.json").read_text())["history"]
    edit_json(folder / "run.json", history=[{k: v for k, v in one.items() if k != "flip_ratio"} for one in history])  # fmt: skip
    assert refusal(folder) == "DIR/run.json: of an older flipcore, which kept no flip ratios: simulate it again"  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"settings": {"dataset": 3}}, "DIR/run.json: damaged: dataset"),
        ({"test_split": 7}, "DIR/run.json: damaged: test_split=7: input should be a valid string"),
        ({"test_accuracy": None}, "damaged runs of chip:8"),
        ({"counts": {}}, "DIR/run.json: damaged or not of a run"),
    ],
)
def test_damaged_fields_of_a_simulation(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    folder = simulation(tmp_path / "run")
    edit_json(folder / "run.json", **changes)
    assert told in refusal(folder)


def test_a_comparison_needs_rows_and_its_headline_among_them(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    edit_json(folder / "compare.json", headline_row="chip-9")
    assert refusal(folder) == "DIR/compare.json: damaged: headline_row chip-9 is none of its rows"
    edit_json(folder / "compare.json", rows=[])
    assert refusal(folder) == "DIR/compare.json: damaged: has no rows"


def test_names_of_rows_are_no_paths(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    rows = json.loads((folder / "compare.json").read_text())["rows"]
    rows[0]["name"] = "../../etc"
    edit_json(folder / "compare.json", rows=rows, headline_row="")
    assert refusal(folder) == "DIR/compare.json: damaged: row '../../etc': names are letters, digits and hyphens, each once"  # fmt: skip
    rows[0]["name"] = rows[1]["name"]
    edit_json(folder / "compare.json", rows=rows)
    assert "damaged: row 'chip-4'" in refusal(folder)


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    rows = json.loads((folder / "compare.json").read_text())["rows"]
    rows[0]["accuracy_mean"] = float("nan")
    edit_json(folder / "compare.json", rows=rows)
    assert refusal(folder) == "DIR/compare.json: damaged: holds a number that is none"
