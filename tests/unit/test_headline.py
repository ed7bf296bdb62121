"""Energy of a training run and of its first samples: counts add up, are kept and read back, and every part is shown."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.headline import (
    FIRST,
    PARTS,
    Learnt,
    learn,
    learnt_document,
    part,
    read_learnt,
    show,
    table,
    together,
)
from flipcore.chip import load_chip
from flipcore.errors import InputError
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.technology import load_technology
from flipcore.sim.data import load_dataset
from flipcore.sim.run import Settings

EPOCHS = 2


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    """A small chip trained with two seeds."""
    chip = load_chip("digits", ["layers.0.neurons=16", "steps=2"])
    dataset = load_dataset("digits", num_steps=chip.steps)
    return together([learn(chip, dataset, Settings("digits", EPOCHS, seed)) for seed in (0, 1)])


def test_counts_are_of_the_whole_run_and_of_its_start(learnt: Learnt) -> None:
    assert learnt.first.samples == 2 * FIRST
    assert len(learnt.epochs) == EPOCHS
    assert learnt.whole.samples == sum(epoch.samples for epoch in learnt.epochs)
    np.testing.assert_array_equal(learnt.whole.cores, sum(epoch.cores for epoch in learnt.epochs))
    assert (learnt.first.cores <= learnt.epochs[0].cores).all()
    assert learnt.inference.total("flips") == 0


def test_file_is_read_back_and_priced_the_same(learnt: Learnt, tmp_path: Path) -> None:
    path = tmp_path / "learnt.json"
    path.write_text(json.dumps(learnt_document(learnt)))
    technology = load_technology("generic-28nm")
    assert table([read_learnt(path)], [technology]) == table([learnt], [technology])
    assert read_learnt(path, ("clock_mhz=50",)).chip.clock_mhz == 50
    path.write_text("{}")
    with pytest.raises(InputError, match="not a file of --out"):
        read_learnt(path)


def test_parts_sum_up(learnt: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
    technology = load_technology("generic-28nm")
    energy = price(learnt.chip, learnt.whole, technology).without_io()
    parts = energy.per_sample_by(part)
    assert set(parts) <= set(PARTS)
    assert sum(band.value for band in parts.values()) == pytest.approx(energy.per_sample_pj.value)
    show(learnt, [technology])
    assert f"first {FIRST:,}" in capsys.readouterr().out
