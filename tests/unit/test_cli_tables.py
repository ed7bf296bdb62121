"""What the tables of a run say."""

import pytest
from rich.console import Console

from flipcore.chip import Chip, load_chip
from flipcore.cli.tables import print_results
from flipcore.hwmodel.alternatives import training_state_bits
from flipcore.hwmodel.memory import memory_bits


def show(chip: Chip) -> None:
    """Print the results of a run of nothing."""
    side = {"samples": 0}
    print_results(
        chip,
        {
            "dataset": "digits", "seed": 0, "epochs": 0, "test_split": "test", "test_accuracy": 0.5,
            "test_samples": 2, "train": side, "inference": side, "warnings": [], "run_dir": "runs/x",
            "memory_bits": memory_bits(chip), "training_state_bits": training_state_bits(chip),
        },
        Console(),
    )  # fmt: skip


def test_the_readouts_totals_are_not_taken_for_the_sum_of_all_stores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chip = load_chip("digits")
    show(chip)
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines()]
    shown = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    assert "total" not in shown
    assert shown["readout total"] == f"{memory_bits(chip)['total'] / 1000:.1f}"
    assert shown["total chip"] == f"{memory_bits(chip)['total_chip'] / 1000:.1f}"


def test_what_other_ways_need_stands_beside_this_chip(capsys: pytest.CaptureFixture[str]) -> None:
    chip = load_chip("digits")
    show(chip)
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines()]
    (own,) = ([cell.strip() for cell in row] for row in rows if row[0].startswith("this chip"))
    bits = memory_bits(chip)
    assert own[1:] == [f"{bits['total_learning'] / 1000:.0f}", "1.0 x", f"{bits['total_chip'] / 1000:.0f}", "1.0 x"]  # fmt: skip
    (adam,) = ([c.strip() for c in row] for row in rows if row[0].startswith("BPTT, latent fp32, Adam"))  # fmt: skip
    assert adam[1:] == ["2,702", "15.7 x", "2,729", "13.7 x"]
