"""A run from its settings to its finished folder: what it leaves, stops and refuses."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from flipcore import session
from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.run import Epoch, Interrupted, Progress, Run, Settings

SETTINGS = Settings("digits", epochs=1, seed=0)


class Watch:
    """Observer that asks to stop after so many chunks."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.chunks = 0
        self.epochs: list[Epoch] = []
        self._stop_after = stop_after

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Count."""
        self.chunks += 1

    def on_epoch(self, epoch: Epoch) -> None:
        """Keep."""
        self.epochs.append(epoch)

    def should_stop(self) -> bool:
        """Whether so many chunks were learnt."""
        return self._stop_after is not None and self.chunks >= self._stop_after


@pytest.fixture
def chip() -> Chip:
    """A small chip for the digits."""
    document = {"name": "small", "inputs": 64, "steps": 2, "layers": [{"neurons": 10}]}
    return parse_chip(document, "small")


def make_run(chip: Chip, settings: Settings = SETTINGS) -> Run:
    return session.prepare_run(chip, session.load_data(chip, settings, None), settings)


def finish(run: Run, run_dir: Path, watch: Watch) -> dict[str, object]:
    return session.finish_run(run, run_dir, lambda: nullcontext(watch), lambda line: None)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_a_run_leaves_its_folder(chip: Chip, tmp_path: Path) -> None:
    watch = Watch()
    results = finish(make_run(chip), tmp_path, watch)
    assert results["epochs"] == len(watch.epochs) == 1
    document = json.loads((tmp_path / "run.json").read_text())
    assert {key: document[key] for key in results} == json.loads(json.dumps(results))
    assert results["run_dir"] == str(tmp_path)
    for name in ("chip.yaml", "weights.npz", "counts.npz", "checkpoint.npz", "report.png"):
        assert (tmp_path / name).is_file(), name


def test_a_stopped_run_goes_on_where_it_was(chip: Chip, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = finish(make_run(chip), tmp_path / "whole", Watch())
    with pytest.raises(Interrupted):
        finish(make_run(chip), tmp_path / "broken", Watch(stop_after=2))
    assert not (tmp_path / "broken" / "run.json").exists()
    run = session.continue_run(tmp_path / "broken", None, None)
    assert run.progress.position > 0
    broken = finish(run, tmp_path / "broken", Watch())
    assert broken["test_accuracy"] == whole["test_accuracy"]
    assert broken["train"] == whole["train"]
    # To fewer epochs than it has begun it cannot go.
    told = refusal(lambda: session.continue_run(tmp_path / "broken", 0, None))
    assert told == f"--epochs 0: {tmp_path / 'broken'} has already begun its epoch 1"
    assert session.continue_run(tmp_path / "broken", 3, None).settings.epochs == 3


def test_weights_of_another_run_are_where_it_begins(chip: Chip, tmp_path: Path) -> None:
    learnt = make_run(chip)
    finish(learnt, tmp_path, Watch())
    settings = Settings("digits", epochs=0, seed=5, weights=str(tmp_path / "weights.npz"))
    assert make_run(chip, settings).evaluate() == learnt.final_accuracy()


def test_held_out_samples_take_the_place_of_the_test_split(chip: Chip) -> None:
    held_out = session.load_data(chip, Settings("digits", 1, 0, validation=0.25), None)
    whole = session.load_data(chip, SETTINGS, None)
    assert len(held_out.train) + len(held_out.test) == len(whole.train)


def test_a_folder_in_use_is_refused(chip: Chip, tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        told = refusal(lambda: finish(make_run(chip), tmp_path, Watch()))
    assert told == f"{tmp_path}: another process is writing into it"
    assert list(tmp_path.iterdir()) == []


def test_compiling_is_told_only_where_it_takes_time(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    run = make_run(chip)
    monkeypatch.setattr(session, "COMPILE_NOTICE_SECONDS", 600.0)
    session.compile_loops(run, lines.append)
    assert lines == []
    assert run.train_counts.samples == 0
