"""The Pareto front of the studies: who is on it, chips built anew from results, results without counts refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pareto import (
    COLUMNS,
    Figures,
    Row,
    csv_text,
    mark_front,
    plot,
    prices,
    read_rows,
    table,
)
from flipcore.chip import load_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.activity import expected_counts, load_rates
from flipcore.hwmodel.technology import Band, load_technology
from tests.technologies import write_technology

CHIP = load_chip("digits")
NO_COUNTS = EventCounts.zeros(2)
SAMPLES = 100


def figures(setting: str, accuracy: float, energy: float, area: float) -> Figures:
    row = Row("made-up", setting, CHIP, accuracy, 0.0, 1, NO_COUNTS, NO_COUNTS)
    nothing = Band.exact(0.0)
    return Figures(row, "made-up", Band.exact(energy), nothing, nothing, Band.exact(area))


def front(*points: Figures) -> list[str]:
    return [one.row.setting for one in mark_front(list(points)) if one.front]


def test_front_of_a_small_table() -> None:
    points = (
        figures("best accuracy", 0.98, 50.0, 2.0),
        figures("dear for nothing", 0.97, 60.0, 2.0),
        figures("least energy", 0.96, 10.0, 1.5),
        figures("least area", 0.95, 12.0, 1.0),
        figures("worse in one alone", 0.96, 10.0, 1.6),
    )
    assert front(*points) == ["best accuracy", "least energy", "least area"]


def test_equal_points_share_the_front() -> None:
    assert front(figures("a", 0.9, 1.0, 1.0), figures("b", 0.9, 1.0, 1.0)) == ["a", "b"]


def test_order_does_not_matter() -> None:
    points = [figures(f"{k}", 0.9 + k * k % 7 / 100, 10.0 + k * 5 % 11, 1.0) for k in range(9)]
    assert set(front(*points)) == set(front(*reversed(points)))


def result(setting: str = "4 bits", **test: Any) -> dict[str, Any]:
    """A study's JSON of one row."""
    chip = load_chip("digits", ("core.momentum_bits=4",))
    rates = load_rates("digits")
    assert rates.training is not None
    values = {"core.gradient_shift": 13, "error.margin": 1}
    measured = {
        "values": values, "runs": 6, "accuracy_mean": 0.95, "accuracy_ci95": 0.01,
        "cycles_per_sample": 6000.0, "updates_per_sample": 100.0,
        "train_counts": expected_counts(chip, rates.training, SAMPLES).as_dict(),
        "inference_counts": expected_counts(chip, rates.inference, SAMPLES).as_dict(),
    }  # fmt: skip
    return {
        "study": "momentum_bits",
        "preset": "digits",
        "rows": [{"setting": setting, "test": {**measured, **test}}],
    }


def written(folder: Path, document: Any) -> Path:
    path = folder / "momentum_bits.json"
    path.write_text(json.dumps(document))
    return path


def test_chip_is_built_anew_from_its_result(tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, result()))
    assert row.chip.layers[0].momentum_bits == 4  # fixed by the setting
    assert row.chip.layers[0].gradient_shift == 13  # chosen by the search
    assert row.chip.layers[1].threshold == CHIP.layers[1].threshold  # of the preset
    assert (row.setting, row.accuracy, row.seeds) == ("4 bits", 0.95, 6)
    assert row.training.samples == SAMPLES


def test_rows_are_priced_and_written(tmp_path: Path) -> None:
    technology = load_technology(str(write_technology(tmp_path)))
    rows = read_rows(written(tmp_path, result()))
    (one,) = priced = prices(rows, technology)
    assert one.front
    assert one.training_nj.value > one.inference_nj.value > 0
    assert one.cycles == pytest.approx(rows[0].training.cycles / SAMPLES)
    assert "| **4 bits** | 95.00% ± 1.00% |" in table(priced)
    head, line = csv_text(priced).splitlines()
    assert head.split(",") == list(COLUMNS)
    assert len(line.split(",")) == len(COLUMNS)
    assert plot({technology.name: priced}).startswith(b"\x89PNG")


def test_result_without_counts_is_refused(tmp_path: Path) -> None:
    document = result()
    del document["rows"][0]["test"]["train_counts"]
    with pytest.raises(InputError, match=r"4 bits holds no event counts.*studies momentum_bits again"):  # fmt: skip
        read_rows(written(tmp_path, document))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (result("5,5 bits"), "no such setting"),
        (result(train_counts={"samples": 1}), "no count"),
        (result(train_counts=EventCounts.zeros(2).as_dict()), "no samples"),
        ({**result(), "study": "taste"}, "unknown"),
        ({"rows": []}, "not the result of a study"),
        ([], "not the result of a study"),
    ],
)
def test_damaged_result_is_refused(tmp_path: Path, document: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_rows(written(tmp_path, document))


def test_missing_result_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run python -m benchmarks\.studies lanes"):
        read_rows(tmp_path / "lanes.json")
