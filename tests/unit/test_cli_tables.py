"""What the tables of a run say."""

import pytest

from flipcore.chip import load_chip
from flipcore.cli.tables import print_results
from flipcore.hwmodel.memory import memory_bits, training_state_bits


def test_the_readouts_totals_are_not_taken_for_the_sum_of_all_stores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chip = load_chip("digits")
    side = {"samples": 0}
    print_results(
        chip,
        {
            "dataset": "digits", "seed": 0, "epochs": 0, "test_split": "test", "test_accuracy": 0.5,
            "test_samples": 2, "train": side, "inference": side, "warnings": [], "run_dir": "runs/x",
            "memory_bits": memory_bits(chip), "training_state_bits": training_state_bits(chip),
        },
    )  # fmt: skip
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines()]
    shown = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    assert "total" not in shown
    assert shown["readout total"] == f"{memory_bits(chip)['total'] / 1000:.1f}"
    assert shown["total chip"] == f"{memory_bits(chip)['total_chip'] / 1000:.1f}"
