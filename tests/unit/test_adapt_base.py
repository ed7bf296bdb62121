"""The trained chip: of a run directory or trained here, powered on with weights and momentum."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flipcore import session
from flipcore.adapt.base import Base, read_base, train_base, without_class
from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.sim.data import Dataset
from flipcore.sim.layout import momentum_values, weight_bits
from flipcore.sim.run import Epoch, Interrupted, Progress, Run, Settings
from tests.datasets import tiny_dataset

CHIP = {
    "name": "tiny",
    "inputs": 12,
    "steps": 4,
    "core": {"lanes": 4, "threshold": 3, "window": 8, "gradient_shift": 4, "momentum_bits": 5},
    "layers": [{"neurons": 20}, {"neurons": 3}],
    "schedule": [
        {"after_samples": 30, "gradient_shift_add": 1},
        {"after_samples": 60, "gradient_shift_add": 2},
    ],
}
SETTINGS = Settings(dataset="tiny", epochs=2, seed=4)


class Ear:
    """Stops after some chunks, if at all."""

    def __init__(self, chunks: int = 1 << 30) -> None:
        self.left = chunks

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        """Whether there were enough chunks."""
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Trained chips without their pictures, which take longer than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "plot_run", lambda results, path: None)
        yield


@pytest.fixture(scope="module")
def chip() -> Chip:
    """A chip that learns in no time."""
    return parse_chip(CHIP, "tiny")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """What it learns."""
    return tiny_dataset()


@pytest.fixture
def base(chip: Chip, dataset: Dataset, tmp_path: Path) -> Base:
    """The trained chip."""
    return train_base(chip, dataset, SETTINGS, tmp_path / "trained", Ear(), print)


def test_the_chip_starts_with_what_the_run_ended_with(
    chip: Chip, dataset: Dataset, base: Base
) -> None:
    run = Run(chip, dataset, SETTINGS)
    run.train(Ear(), None)
    assert (base.chip, base.settings, base.training.samples) == (chip, SETTINGS, 80)
    for schedule, counter in (("restart", 0), ("compress", 0), ("continue", 80)):
        state = base.engine(9, schedule, 40).state  # type: ignore[arg-type]
        assert state.sample_counter == counter
        for c in range(2):
            expected = weight_bits(run.engine.state, chip, c)
            np.testing.assert_array_equal(weight_bits(state, chip, c), expected)
            momentum = momentum_values(run.engine.state, chip, c)
            assert momentum.any()
            np.testing.assert_array_equal(momentum_values(state, chip, c), momentum)


def test_engines_share_nothing(base: Base) -> None:
    first, second = base.engine(0, "continue", 40), base.engine(0, "continue", 40)
    first.state.weights[:] = 0
    assert second.state.weights.any()
    assert (base.engine(1, "continue", 40).state.generators != second.state.generators).any()


def test_a_trained_chip_is_not_trained_again(chip: Chip, dataset: Dataset, base: Base) -> None:
    again = train_base(chip, dataset, SETTINGS, base.run_dir, Ear(0), print)
    assert again.digest() == base.digest()
    other = Settings(dataset="tiny", epochs=3, seed=4)
    with pytest.raises(InputError, match="holds another trained chip: choose another --out"):
        train_base(chip, dataset, other, base.run_dir, Ear(), print)


def test_an_interrupted_training_goes_on(
    chip: Chip, dataset: Dataset, base: Base, tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    with pytest.raises(Interrupted):
        train_base(chip, dataset, SETTINGS, folder, Ear(1), print)
    assert not (folder / "run.json").exists()
    with pytest.raises(InputError, match="holds another trained chip"):
        train_base(chip, dataset, Settings(dataset="tiny", epochs=9, seed=4), folder, Ear(), print)
    went_on = train_base(chip, dataset, SETTINGS, folder, Ear(), print)
    np.testing.assert_array_equal(
        went_on.engine(0, "continue", 40).state.weights,
        base.engine(0, "continue", 40).state.weights,
    )


def test_a_class_is_left_out_of_both_splits(dataset: Dataset) -> None:
    known = without_class(dataset, 1)
    assert set(known.train.labels) == set(known.test.labels) == {0, 2}
    assert len(known.train) == int((dataset.train.labels != 1).sum())
    with pytest.raises(InputError, match="tiny: holds no class but 0"):
        without_class(without_class(known, 2), 0)


def test_runs_that_cannot_adapt(base: Base, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the directory of a finished run"):
        read_base(tmp_path)
    run_file = base.run_dir / "run.json"
    document = json.loads(run_file.read_text())

    def said(**changes: object) -> str:
        run_file.write_text(json.dumps({**document, **changes}))
        with pytest.raises(InputError) as refused:
            read_base(base.run_dir)
        return str(refused.value)

    assert said(settings=None) == f"{run_file}: settings: damaged or of another version"
    assert said(settings={"dataset": "tiny"}).startswith(f"{run_file}: settings: ")
    untrained = {name: 0 if name == "samples" else [0, 0] for name in document["counts"]["train"]}
    counts = {**document["counts"], "train": untrained}
    assert said(counts=counts) == f"{base.run_dir}: this run has learnt nothing that could be lost"
    base.weights.unlink()
    assert said() == f"{base.weights}: no such weights file"


def test_a_compressed_schedule_lies_at_the_same_shares(base: Base) -> None:
    stages = [
        [(stage.after_samples, stage.gradient_shift_add) for stage in chip.schedule]
        for chip in (
            base.chip,
            base.engine(0, "restart", 40).chip,
            base.engine(0, "compress", 40).chip,
            base.engine(0, "compress", 1).chip,
        )
    ]
    assert stages == [[(30, 1), (60, 2)], [(30, 1), (60, 2)], [(15, 1), (30, 2)], [(0, 2)]]
