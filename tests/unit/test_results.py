"""The run directory and the figures of a run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.results import create_run_dir, figures, free_run_dir, write_results
from flipcore.sim.run import Run
from tests.unit.test_run import DATASET, SETTINGS, chip, finished


def test_a_run_directory_is_created_with_its_parents(tmp_path: Path) -> None:
    create_run_dir(tmp_path / "a" / "b")
    create_run_dir(tmp_path / "a" / "b")  # still empty
    assert (tmp_path / "a" / "b").is_dir()


def test_a_run_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        create_run_dir(tmp_path)
    assert str(caught.value) == f"{tmp_path}: this run directory exists and is not empty"
    (tmp_path / "checkpoint.npz").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        create_run_dir(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: this run directory exists and is not empty; "
        f"continue it with --resume {tmp_path}"
    )


def test_a_free_run_directory_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        path = free_run_dir("digits", 7)
        path.mkdir(parents=True)
        names.append(str(path))
    assert names == ["runs/digits-seed7", "runs/digits-seed7-1", "runs/digits-seed7-2"]


def test_figures_are_per_sample_and_the_latency_is_at_the_clock() -> None:
    run = finished()
    accuracy = run.evaluate()
    found = figures(run, accuracy)
    assert found["test_accuracy"] == accuracy
    for side, counts in (("train", run.train_counts), ("inference", run.inference_counts)):
        samples = counts.samples
        assert found[side]["samples"] == samples
        assert found[side]["cycles_per_sample"] == counts.cycles / samples
        assert found[side]["latency_us"] == counts.cycles / samples / 100  # MHz
        assert found[side]["sops_per_sample"] == counts.total("sops") / samples
        assert found[side]["cycles_by_phase"]["input"] == counts.total("input_cycles") / samples
        assert len(found[side]["cycles_by_phase"]) == 9
    json.dumps(found)


def test_figures_of_a_run_that_learnt_nothing() -> None:
    run = Run(chip(), DATASET, SETTINGS)
    found = figures(run, run.evaluate())
    assert found["samples_per_second"] == 0
    assert found["train"]["samples"] == found["train"]["cycles_per_sample"] == 0


def test_results_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    run = finished()
    blocker = tmp_path / "file"
    blocker.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        write_results(blocker, run, figures(run, run.evaluate()))
    assert str(caught.value) == f"{blocker / 'chip.yaml'}: cannot be written: Not a directory"


def test_flips_and_the_first_test_sample_are_kept(tmp_path: Path) -> None:
    run = finished()
    write_results(tmp_path, run, figures(run, run.evaluate()))
    with np.load(tmp_path / "flips.npz", allow_pickle=False) as stored:
        flips = {name: stored[name] for name in stored.files}
    assert set(flips) == {f"{name}_{c}" for name in ("last_epoch", "epochs_changed") for c in (0, 1)} | {"flip_ratio"}  # fmt: skip
    for name in ("last_epoch", "epochs_changed"):
        assert [flips[f"{name}_{c}"].shape for c in (0, 1)] == [(12, 10), (10, 3)]
        assert {flips[f"{name}_{c}"].dtype for c in (0, 1)} == {np.dtype(np.uint16)}
    assert flips["flip_ratio"].shape == (3, 2)
    whole = [epoch.flip_ratio for epoch in run.progress.history]
    np.testing.assert_allclose(flips["flip_ratio"] @ [120 / 150, 30 / 150], whole)
    with np.load(tmp_path / "recording.npz", allow_pickle=False) as stored:
        recording = {name: stored[name] for name in stored.files}
    expected = {
        "label": ((), "i8"), "prediction": ((), "i8"), "input_spikes": ((3, 12), "u1"),
        "spikes_0": ((3, 10), "u1"), "potentials_0": ((3, 10), "i8"), "outputs": ((3, 3), "i8"),
    }  # fmt: skip
    found = {name: (value.shape, value.dtype.str[1:]) for name, value in recording.items()}
    assert found == expected
    first = run.dataset.test.read(np.array([0]))
    assert recording["label"] == run.dataset.test.labels[0]
    assert recording["prediction"] == run.engine.infer(first, EventCounts.zeros(2))[0]


def test_a_run_that_learns_nothing_keeps_empty_flips(tmp_path: Path) -> None:
    run = finished(run_settings=replace(SETTINGS, epochs=0))
    write_results(tmp_path, run, figures(run, run.evaluate()))
    with np.load(tmp_path / "flips.npz", allow_pickle=False) as stored:
        assert stored["flip_ratio"].shape == (0, 2)
        assert not stored["last_epoch_0"].any()
    assert (tmp_path / "recording.npz").exists()


def test_run_json_comes_last_and_holds_all_counts(tmp_path: Path) -> None:
    run = finished()
    results = figures(run, run.evaluate())
    write_results(tmp_path, run, results)
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {key: document[key] for key in results} == results
    assert set(document["counts"]["train"]) == {"samples", *COUNT_NAMES}
    newest = max((path for path in tmp_path.rglob("*") if path.is_file()),
                 key=lambda path: path.stat().st_mtime_ns)  # fmt: skip
    assert newest.name == "run.json"
