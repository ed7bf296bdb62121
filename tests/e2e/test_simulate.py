"""`flipcore simulate` as a user runs it: figures, the run directory, interrupts, kills, weights of an earlier run."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.chip import load_chip
from flipcore.events import COUNT_NAMES
from flipcore.sim import run as runs
from tests.e2e.command import Done, environment, figures_of, flipcore, one_line_of, started

TIMES = ("samples_per_second", "run_dir")
# Long enough to be caught in the middle, short enough to wait for.
LONG = ("simulate", "digits", "--set", "layers.0.neurons=64", "--epochs", "60", "--seed", "3")


def without_times(figures: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in figures.items() if key not in TIMES}
    plain["history"] = [
        {key: value for key, value in epoch.items() if key != "seconds"}
        for epoch in figures["history"]
    ]
    return plain


def assert_same_weights(a: Path, b: Path) -> None:
    assert_same_arrays(a / "weights.npz", b / "weights.npz")


def assert_same_arrays(a: Path, b: Path) -> None:
    with np.load(a) as first, np.load(b) as second:
        assert sorted(first.files) == sorted(second.files) != []
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of these tests lie."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def digits(folder: Path) -> Done:
    """Two epochs of the digits, in the run directory `first`."""
    return flipcore(
        "simulate", "digits", "--epochs", "2", "--out", "first", "--json", folder=folder
    )


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    """The long run, never interrupted, in `whole`."""
    return figures_of(flipcore(*LONG, "--out", "whole", "--json", folder=folder))


def test_figures_that_scripts_rely_on(digits: Done, folder: Path) -> None:
    figures = figures_of(digits)
    assert digits.stderr == ""
    assert figures["test_accuracy"] > 0.85
    assert figures["samples_per_second"] > 0
    assert figures["seed"] == 0
    assert figures["epochs"] == len(figures["history"]) == 2
    assert figures["warnings"] == []
    assert figures["run_dir"] == "first"
    assert (figures["dataset"], figures["test_split"], figures["test_samples"]) == (
        "digits",
        "test",
        360,
    )
    assert figures["memory_bits"]["weight"] == 64 * 256 + 256 * 16
    own = figures["training_state_bits"]["this chip"]
    assert own["synapse_state"] + own["other_state"] == figures["memory_bits"]["total_learning"]
    assert sum(own.values()) == figures["memory_bits"]["total_chip"]
    assert (figures["train"]["samples"], figures["inference"]["samples"]) == (2 * 1437, 360)
    for side in ("train", "inference"):
        assert figures[side]["sops_per_sample"] > 0
        assert figures[side]["latency_us"] == figures[side]["cycles_per_sample"] / 100
        phases = figures[side]["cycles_by_phase"]
        assert sum(phases.values()) == pytest.approx(figures[side]["cycles_per_sample"])
    assert figures["train"]["flips"] > 0
    assert figures["inference"]["flips"] == 0
    assert figures["train"]["cycles_per_sample"] > figures["inference"]["cycles_per_sample"]


def test_the_run_directory_holds_the_run(digits: Done, folder: Path) -> None:
    figures, run_dir = figures_of(digits), folder / "first"
    document = json.loads((run_dir / "run.json").read_text())
    assert {key: document[key] for key in figures} == figures
    assert load_chip(str(run_dir / "chip.yaml")) == load_chip("digits")
    assert runs.load_checkpoint(run_dir).progress.epoch == 2
    with np.load(run_dir / "counts.npz", allow_pickle=False) as counts:
        assert tuple(counts["count_names"]) == COUNT_NAMES
        for side in ("train", "inference"):
            for index, name in enumerate(COUNT_NAMES):
                assert document["counts"][side][name] == counts[side][:, index].tolist()
    assert sum(document["counts"]["train"]["flips"]) == figures["train"]["flips"]
    assert document["settings"]["seed"] == 0
    assert "source_sha256" in document["dataset_provenance"]
    assert {"flipcore", "numpy", "numba", "python"} <= set(document["versions"])
    images = sorted(path.name for path in (run_dir / "images").iterdir())
    assert images == [
        "momentum_core0.mem",
        "momentum_core1.mem",
        "weight_core0.mem",
        "weight_core1.mem",
    ]
    assert (run_dir / "tensorboard").is_dir()
    assert not list(run_dir.rglob(".*")), "temporary files were left behind"


PROCESSORS = """
import os, sys
count = int(sys.argv.pop(1))
os.cpu_count = lambda: count
from flipcore.cli import main
main()
"""


@pytest.mark.parametrize("processors", [1, 2])
def test_the_same_seed_gives_the_same_run_on_any_number_of_processors(
    processors: int, digits: Done, folder: Path
) -> None:
    out = f"processors{processors}"
    words = [str(processors), "simulate", "digits", "--epochs", "2", "--out", out, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", PROCESSORS, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert without_times(figures_of(done)) == without_times(figures_of(digits))
    assert_same_weights(folder / out, folder / "first")


def test_figures_in_words_without_colour_or_progress(digits: Done, tmp_path: Path) -> None:
    done = flipcore("simulate", "digits", "--epochs", "1", "--seed", "1", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "digits: 64-256-10, 8 steps, 1-bit weights, 8-bit momentum" in done.stdout
    assert "test accuracy" in done.stdout
    assert "Results are in runs/digits-seed1" in done.stdout
    document = json.loads((tmp_path / "runs" / "digits-seed1" / "run.json").read_text())
    assert document["seed"] == 1
    # Another seed is another run.
    assert document["history"][0]["flips"] != figures_of(digits)["history"][0]["flips"]


def _has_done_an_epoch(run_dir: Path) -> bool:
    return (run_dir / "checkpoint.npz").exists() and runs.load_checkpoint(
        run_dir
    ).progress.epoch > 0


def _stop_in_the_middle(out: str, folder: Path, number: int) -> tuple[int, str, str]:
    process = started(*LONG, "--out", out, "--json", folder=folder)
    deadline = time.monotonic() + 120
    while not _has_done_an_epoch(folder / out):
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    told, error = process.communicate(timeout=240)
    assert process.returncode is not None
    return process.returncode, told, error


def _assert_goes_on(out: str, folder: Path, whole: dict[str, Any]) -> None:
    before = runs.load_checkpoint(folder / out).progress
    assert 0 < before.epoch < 12
    figures = figures_of(flipcore("simulate", "--resume", out, "--json", folder=folder))
    assert without_times(figures) == without_times(whole)
    for name in ("weights.npz", "flips.npz", "recording.npz"):
        assert_same_arrays(folder / out / name, folder / "whole" / name)
    for c in range(2):
        for store in ("weight", "momentum"):
            image = f"images/{store}_core{c}.mem"
            assert (folder / out / image).read_bytes() == (folder / "whole" / image).read_bytes()


def test_an_interrupted_run_goes_on_bit_for_bit(folder: Path, whole: dict[str, Any]) -> None:
    code, told, error = _stop_in_the_middle("interrupted", folder, signal.SIGINT)
    assert code == 130
    assert told == ""
    # On a slow machine a line before says that the loops are being compiled.
    assert error.splitlines()[-1] == (
        "Interrupted; checkpoint written. Go on with: flipcore simulate --resume interrupted"
    )
    assert not (folder / "interrupted" / "run.json").exists()
    _assert_goes_on("interrupted", folder, whole)


def test_a_killed_run_goes_on_bit_for_bit(folder: Path, whole: dict[str, Any]) -> None:
    code, told, _ = _stop_in_the_middle("killed", folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert told == ""
    _assert_goes_on("killed", folder, whole)


def test_a_finished_run_goes_on_to_more_epochs(
    digits: Done, folder: Path, copied: Callable[[str], Path]
) -> None:
    run_dir = copied("first")
    more = flipcore("simulate", "--resume", run_dir, "--epochs", "3", "--json", folder=folder)
    figures = figures_of(more)
    assert figures["epochs"] == 3
    assert figures["history"][:2] == figures_of(digits)["history"]
    fewer = flipcore("simulate", "--resume", run_dir, "--epochs", "2", folder=folder)
    assert one_line_of(fewer) == f"--epochs 2: {run_dir} has already begun its epoch 3"


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a run directory's checkpoint into a directory of its own."""

    def copy(name: str) -> Path:
        target = tmp_path / name
        target.mkdir()
        content = (folder / name / "checkpoint.npz").read_bytes()
        (target / "checkpoint.npz").write_bytes(content)
        return target

    return copy


def test_a_damaged_checkpoint_is_refused(
    digits: Done, folder: Path, copied: Callable[[str], Path]
) -> None:
    run_dir = copied("first")
    path = run_dir / "checkpoint.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    told = one_line_of(flipcore("simulate", "--resume", run_dir, folder=folder))
    assert told.startswith(f"{path}: damaged or not a checkpoint: Bad CRC-32")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--resume first --seed 4", "--seed: cannot be given with --resume, which settles it"),
        ("--resume first --no-learn", "--learn/--no-learn: cannot be given with --resume, which settles it"),
        ("digits --resume first", "chip: cannot be given with --resume, which settles it"),
        ("digits --no-learn --epochs 4", "--epochs: cannot be given with --no-learn, which settles it"),
    ],
)  # fmt: skip
def test_options_that_would_be_ignored_are_refused(words: str, told: str, tmp_path: Path) -> None:
    assert one_line_of(flipcore("simulate", *words.split(), folder=tmp_path)) == told


def test_weights_of_a_run_classify_like_the_run(digits: Done, folder: Path) -> None:
    words = ("simulate", "digits", "--weights", "first/weights.npz", "--no-learn")
    figures = figures_of(flipcore(*words, "--out", "reused", "--json", folder=folder))
    expected = figures_of(digits)
    assert figures["test_accuracy"] == expected["test_accuracy"]
    assert figures["inference"] == expected["inference"]
    assert figures["train"]["samples"] == figures["epochs"] == 0
    assert figures["history"] == []
    assert_same_weights(folder / "reused", folder / "first")


def test_a_share_held_out_takes_the_place_of_the_test(tmp_path: Path) -> None:
    words = (
        "simulate",
        "digits",
        "--epochs",
        "1",
        "--validation",
        "0.2",
        "--out",
        "held",
        "--json",
    )
    figures = figures_of(flipcore(*words, folder=tmp_path))
    assert figures["test_split"] == "validation"
    assert figures["test_samples"] + figures["train"]["samples"] == 1437


def test_samples_of_ones_own(tmp_path: Path) -> None:
    """An archive and a chip description, as the README of a user would have them."""
    labels = np.arange(100) % 4
    samples = (np.arange(12) % 4 == labels[:, None]).astype(np.float32)
    np.savez(tmp_path / "own.npz", x=samples.reshape(100, 3, 4), y=labels)
    (tmp_path / "own.yaml").write_text(
        "name: own\ninputs: 12\nsteps: 3\ncore: {threshold: 2, window: 4, gradient_shift: 6}\n"
        "layers: [{neurons: 20}, {neurons: 4}]\nworkload: {dataset: 'npz:own.npz', epochs: 4}\n"
    )
    figures = figures_of(flipcore("simulate", "own.yaml", "--json", folder=tmp_path))
    assert figures["test_accuracy"] == 1.0
    assert figures["dataset"] == "npz:own.npz"
    assert figures["run_dir"] == "runs/own-seed0"
