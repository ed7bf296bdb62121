"""A run: interrupted anywhere it goes on bit for bit, and its figures add up."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim import run as runs
from flipcore.sim.data import Dataset, Split
from flipcore.sim.engine import Engine
from flipcore.sim.run import Epoch, Progress, Run, Settings
from flipcore.sim.storage import write_checkpoint
from tests.datasets import pixel_split, tiny_dataset

# Every kind of state that a checkpoint must hold: generators per lane, second moment, scrub order, stages.
CHIP: dict[str, Any] = {
    "name": "tiny",
    "inputs": 12,
    "steps": 3,
    "core": {"lanes": 3, "threshold": 2, "window": 6, "gradient_shift": 5, "momentum_bits": 6},
    "layers": [
        {"neurons": 10, "decay": "scrub", "scrub_period": 4, "random_source": "per_lane"},
        {"neurons": 3, "rule": "tbso", "square_shift": 12, "decay": "dense", "decay_shift": 5},
    ],
    "schedule": [{"after_samples": 50, "gradient_shift_add": 1, "scrub_period_multiply": 2}],
}
SETTINGS = Settings(dataset="tiny", epochs=3, seed=5)
DATASET = tiny_dataset()
LENGTH = SETTINGS.epochs * len(DATASET.train)


def chip(**changes: Any) -> Chip:
    return parse_chip({**CHIP, **changes}, "tiny")


class Watcher:
    """Notes what it is told, and stops the run after so many chunks."""

    def __init__(self, chunks: int = 10**9) -> None:
        self.left = chunks
        self.epochs: list[Epoch] = []
        self.flips: list[int] = []

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Count down."""
        self.left -= 1
        self.flips.append(flips)
        assert 0 < progress.position <= epoch_samples == 40

    def on_epoch(self, epoch: Epoch) -> None:
        """Note the epoch."""
        self.epochs.append(epoch)

    def should_stop(self) -> bool:
        """Whether the chunks are used up."""
        return self.left <= 0


@contextmanager
def chunks_of(samples: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "TRAIN_CHUNK", samples)
        yield


def finished(run_dir: Path | None = None, run_settings: Settings = SETTINGS) -> Run:
    run = Run(chip(), DATASET, run_settings)
    run.train(Watcher(), run_dir)
    return run


def without_times(progress: Progress) -> dict[str, Any]:
    plain = asdict(progress)
    for key in ("seconds", "epoch_seconds"):
        del plain[key]
    for epoch in plain["history"]:
        del epoch["seconds"]
    return plain


def assert_same(run: Run, expected: Run) -> None:
    for name in ("weights", "momentum", "generators", "second_moment"):
        np.testing.assert_array_equal(
            getattr(run.engine.state, name), getattr(expected.engine.state, name), err_msg=name
        )
    assert run.engine.state.sample_counter == expected.engine.state.sample_counter
    np.testing.assert_array_equal(run.train_counts.cores, expected.train_counts.cores)
    assert run.train_counts.samples == expected.train_counts.samples
    assert without_times(run.progress) == without_times(expected.progress)
    assert run.evaluate() == expected.evaluate()
    np.testing.assert_array_equal(run.inference_counts.cores, expected.inference_counts.cores)
    for name, value in vars(expected.flips).items():
        np.testing.assert_array_equal(getattr(run.flips, name), value, err_msg=name)


@pytest.fixture(scope="module")
def whole() -> Run:
    """The run that was never interrupted."""
    return finished()


def test_the_run_of_these_tests_uses_all_its_state(whole: Run) -> None:
    for c in range(2):
        for name in ("flips", "words_decayed", "words_drawn", "momentum_updates"):
            assert whole.train_counts.per_core(name)[c] > 0, f"core {c}: {name}"
    assert whole.engine.state.second_moment[1].all()
    assert whole.engine.state.sample_counter == LENGTH > 50  # both stages of the schedule


LEGS = st.lists(st.tuples(st.integers(1, 45), st.integers(1, 30)), max_size=4)


@settings(max_examples=25)
@given(legs=LEGS, last=st.integers(1, 45))
def test_an_interrupted_run_ends_like_one_that_was_not(
    whole: Run, legs: list[tuple[int, int]], last: int
) -> None:
    """Legs: samples in a chunk, and chunks until the interrupt."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        run = Run(chip(), DATASET, SETTINGS)
        for size, count in legs:
            with chunks_of(size):
                try:
                    run.train(Watcher(count), run_dir)
                except runs.Interrupted:
                    checkpoint = runs.load_checkpoint(run_dir)
                    run = runs.resume_run(checkpoint, DATASET, checkpoint.settings)
        with chunks_of(last):
            run.train(Watcher(), run_dir)
        assert_same(run, whole)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_chunks_do_not_change_a_run(size: int, whole: Run) -> None:
    with chunks_of(size):
        assert_same(finished(), whole)


def test_a_small_budget_of_events_does_not_change_a_run(
    whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "EVENT_BUDGET", 100)  # 2 samples of 3 steps and 12 axons
    run, watcher = Run(chip(), DATASET, SETTINGS), Watcher()
    run.train(watcher, None)
    assert len(watcher.flips) == LENGTH // 2
    assert_same(run, whole)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHECKPOINT_SECONDS", 0.0)

    class Killer(Watcher):
        def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
            if (progress.epoch, progress.position) == (1, 21):
                raise SystemExit

    with chunks_of(7), pytest.raises(SystemExit):
        Run(chip(), DATASET, SETTINGS).train(Killer(), tmp_path)
    checkpoint = runs.load_checkpoint(tmp_path)
    assert (checkpoint.progress.epoch, checkpoint.progress.position) == (1, 14)
    run = runs.resume_run(checkpoint, DATASET, checkpoint.settings)
    run.train(Watcher(), tmp_path)
    assert_same(run, whole)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = Run(chip(), DATASET, SETTINGS)
    with chunks_of(10), pytest.raises(runs.Interrupted):
        interrupted.train(Watcher(2), tmp_path)
    before = (tmp_path / "checkpoint.npz").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError) as caught:
        interrupted.train(Watcher(), tmp_path)
    path = tmp_path / "checkpoint.npz"
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_finished_run_goes_on_to_more_epochs(whole: Run, tmp_path: Path) -> None:
    finished(tmp_path, replace(SETTINGS, epochs=1))
    checkpoint = runs.load_checkpoint(tmp_path)
    assert checkpoint.settings.epochs == 1
    run = runs.resume_run(checkpoint, DATASET, replace(checkpoint.settings, epochs=3))
    run.train(Watcher(), tmp_path)
    assert_same(run, whole)


def test_the_observer_is_told_every_chunk_and_epoch(whole: Run) -> None:
    watcher = Watcher()
    run = Run(chip(), DATASET, SETTINGS)
    with chunks_of(15):
        run.train(watcher, None)
    assert len(watcher.flips) == 9  # 15, 15 and 10 samples in each of three epochs
    assert watcher.flips == sorted(watcher.flips)
    assert watcher.flips[-1] == whole.train_counts.total("flips")
    assert watcher.epochs == run.progress.history


def test_figures_of_the_epochs_add_up(whole: Run) -> None:
    history = whole.progress.history
    assert [epoch.epoch for epoch in history] == [0, 1, 2]
    assert sum(epoch.flips for epoch in history) == whole.train_counts.total("flips")
    updates = sum(epoch.momentum_updates for epoch in history)
    assert updates == whole.train_counts.total("momentum_updates")
    assert sum(epoch.seconds for epoch in history) == pytest.approx(whole.progress.seconds)
    assert history[-1].test_accuracy == whole.evaluate()
    synapses = 12 * 10 + 10 * 3
    for epoch, changed in zip(history, whole.flips.changed, strict=True):
        assert epoch.flip_ratio == changed.sum() / synapses
        # A weight that flips twice is back; three times, and it has changed once.
        assert 0 < changed.sum() <= epoch.flips
        assert (epoch.flips - changed.sum()) % 2 == 0


def test_the_first_epoch_begins_with_the_weights_that_a_run_is_given() -> None:
    run = Run(chip(), DATASET, replace(SETTINGS, epochs=1))
    given = Run(chip(), DATASET, replace(SETTINGS, seed=6)).engine.state.weights
    run.engine.state.weights[:] = given
    run.train(Watcher(), None)
    np.testing.assert_array_equal(run.flips.start, given)
    changed = run.flips.changed.sum()
    assert 0 < changed <= run.train_counts.total("flips")


def test_a_state_without_a_map_of_flips_begins_one() -> None:
    """As one that learnt in torch."""
    run, other = Run(chip(), DATASET, SETTINGS), finished(None, replace(SETTINGS, epochs=1))
    run.restore(other.engine.state, Progress(), EventCounts.zeros(2))
    assert len(run.flips.changed) == 0
    np.testing.assert_array_equal(run.flips.start, other.engine.state.weights)


def test_it_learns_what_can_be_learnt(whole: Run) -> None:
    fresh = Run(chip(), DATASET, SETTINGS)
    assert fresh.evaluate() < 0.6
    assert whole.evaluate() > 0.9
    assert whole.progress.history[0].train_accuracy < whole.progress.history[-1].train_accuracy


def test_evaluation_changes_nothing(whole: Run) -> None:
    before = {name: value.copy() for name, value in vars(whole.engine.state).items()
              if isinstance(value, np.ndarray)}  # fmt: skip
    counts = whole.train_counts.copy()
    assert whole.evaluate() == whole.evaluate()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(whole.engine.state, name), value)
    np.testing.assert_array_equal(whole.train_counts.cores, counts.cores)
    assert whole.inference_counts.samples == len(DATASET.test)  # of the last evaluation alone


class Evaluations:
    """Notes the samples that every evaluation of the test split reads."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        measure = runs.accuracy

        def noted(engine: Engine, split: Split, counts: EventCounts) -> float:
            self.sizes.append(len(split))
            return measure(engine, split, counts)

        patch.setattr(runs, "accuracy", noted)


def test_the_last_epoch_is_tested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Evaluations(monkeypatch)
    run = finished()
    accuracy = run.final_accuracy()
    assert tests.sizes == [len(DATASET.test)] * SETTINGS.epochs
    assert accuracy == run.progress.history[-1].test_accuracy
    assert run.inference_counts.samples == len(DATASET.test)


def test_a_run_that_was_not_tested_here_is_tested_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = finished(tmp_path)
    tests = Evaluations(monkeypatch)
    resumed = runs.resume_run(runs.load_checkpoint(tmp_path), DATASET, SETTINGS)
    resumed.train(Watcher(), None)  # nothing is left
    fresh = Run(chip(), DATASET, replace(SETTINGS, epochs=0))
    assert resumed.final_accuracy() == expected.final_accuracy()
    assert fresh.final_accuracy() == Run(chip(), DATASET, SETTINGS).evaluate()
    assert tests.sizes == [len(DATASET.test)] * 3
    np.testing.assert_array_equal(resumed.inference_counts.cores, expected.inference_counts.cores)


def test_an_evaluation_is_forgotten_when_learning_goes_on() -> None:
    run = finished()
    run.settings = replace(SETTINGS, epochs=SETTINGS.epochs + 1)
    with chunks_of(7), pytest.raises(runs.Interrupted):
        run.train(Watcher(chunks=3), None)
    counts = run.inference_counts.copy()
    assert run.final_accuracy() == run.evaluate()
    assert run.inference_counts.as_dict() != counts.as_dict()


def test_accuracy_does_not_depend_on_chunks_or_threads(
    whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for chunk, processors in ((4096, 1), (4, 1), (4096, 2), (4096, 40)):
        monkeypatch.setattr(runs, "INFER_CHUNK", chunk)
        monkeypatch.setattr("os.cpu_count", lambda processors=processors: processors)
        counts = EventCounts.zeros(2)
        accuracy = runs.accuracy(whole.engine, DATASET.test, counts)
        results.append((accuracy, counts.as_dict()))
    assert results[1:] == results[:1] * 3


def test_zero_epochs_leave_the_initial_weights(tmp_path: Path) -> None:
    run = finished(tmp_path, replace(SETTINGS, epochs=0))
    assert run.progress.history == []
    assert run.engine.state.sample_counter == 0
    assert not list(tmp_path.iterdir())


def test_data_of_another_size_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        Run(chip(), tiny_dataset(axons=13), SETTINGS)
    assert str(caught.value) == "tiny: 13 inputs a sample: the chip tiny has inputs=12"
    with pytest.raises(InputError) as caught:
        Run(chip(), tiny_dataset(classes=4), SETTINGS)
    assert str(caught.value) == "tiny: 4 classes: the readout of tiny has 3 neurons"


def test_fewer_classes_than_neurons_fit() -> None:
    run = Run(chip(), tiny_dataset(classes=2), SETTINGS)
    assert 0 <= run.evaluate() <= 1


@pytest.mark.parametrize(
    "other",
    [tiny_dataset(seed=1), tiny_dataset(train=39), tiny_dataset(test=14), tiny_dataset(classes=2)],
    ids=["pixels", "training samples", "test samples", "labels"],
)
def test_a_run_goes_on_with_its_own_data_only(other: Dataset, tmp_path: Path) -> None:
    finished(tmp_path, replace(SETTINGS, epochs=1))
    checkpoint = runs.load_checkpoint(tmp_path)
    with pytest.raises(InputError) as caught:
        runs.resume_run(checkpoint, other, checkpoint.settings)
    assert str(caught.value) == "tiny: is not the data set that the checkpoint was made with"


def test_data_are_the_same_wherever_they_lie() -> None:
    moved = replace(DATASET, provenance=DATASET.provenance | {"spec": "x", "path": "/elsewhere"})
    assert runs.fingerprint(moved) == runs.fingerprint(tiny_dataset())
    labels = DATASET.train.labels[::-1].copy()
    pixels = DATASET.train.read(np.arange(40)).pixels
    relabelled = replace(DATASET, train=pixel_split(pixels, labels))
    assert runs.fingerprint(relabelled) != runs.fingerprint(DATASET)


def test_a_folder_without_a_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        runs.load_checkpoint(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'checkpoint.npz'}: no such checkpoint"


def test_a_checkpoint_of_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    run = Run(chip(), DATASET, SETTINGS)
    path = tmp_path / "checkpoint.npz"
    for about in ({}, {"settings": {"colour": 3}, "progress": {}, "dataset": ""}):
        write_checkpoint(path, run.chip, run.engine.state, about, run.train_counts, run.flips)
        with pytest.raises(InputError) as caught:
            runs.load_checkpoint(tmp_path)
        assert str(caught.value).startswith(f"{path}: damaged or not a checkpoint: ")
