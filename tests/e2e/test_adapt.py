"""`flipcore adapt` as a user runs it: figures, files, a run directory, what it refuses, Ctrl-C."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.datasets import striped_pixels
from tests.e2e.command import Done, figures_of, flipcore, one_line_of, started

CHIP = """
name: tiny
inputs: 16
steps: 4
core: {lanes: 4, threshold: 3, window: 8, gradient_shift: 8}
layers: [{neurons: 32}, {neurons: 4}]
error: {kind: hinge, margin: 6}
workload: {dataset: "npz:tiny.npz", epochs: 3}
"""
WORDS = ("adapt", "tiny.yaml", "--disturb", "invert", "--disturb", "stuck-bits:0.2", "--disturb", "new-class:1", "--seeds", "2")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chip, its data, and recordings without images."""
    path = tmp_path_factory.mktemp("adapt")
    pixels, labels = striped_pixels(200, 16, 4, 0)
    np.savez(path / "tiny.npz", x_train=pixels[:120], y_train=labels[:120], x_test=pixels[120:], y_test=labels[120:])  # fmt: skip
    np.savez(path / "lines.npz", x=pixels[:, :15], y=labels)
    (path / "tiny.yaml").write_text(CHIP)
    return path


@pytest.fixture(scope="module")
def first(folder: Path) -> Done:
    """Three disturbances of a chip that is trained first."""
    return flipcore(*WORDS, "--out", "first", "--json", folder=folder)


def test_figures_and_files(first: Done, folder: Path) -> None:
    figures = figures_of(first)
    assert first.stderr == ""
    names = ["invert", "stuck-bits:0.2", "new-class:1"]
    assert [row["disturbance"] for row in figures["rows"]] == names
    for row in figures["rows"]:
        assert row["seeds"] == [0, 1]
        assert row["in_all"]["samples"] == 120
        energy = row["in_all"]["energy_pj"]
        assert 0 < energy["low"] < energy["value"] < energy["high"]
        assert row["in_all"]["milliseconds"] > 0
        assert row["curve"][0]["samples"] == 0
    inverted, _, new = figures["rows"]
    assert inverted["before"] - inverted["after_mean"] > 0.3
    assert new["after_mean"] == pytest.approx(0.75 * new["before"])
    assert new["recovered_mean"] > new["after_mean"]
    assert (figures["schedule"], figures["technology"]) == ("continue", "ihp-sg13g2")
    assert json.loads((folder / "first" / "adapt.json").read_text()) == figures
    for suffix in ("csv", "svg", "png"):
        assert (folder / "first" / f"adapt.{suffix}").stat().st_size > 300
    assert (folder / "first" / "trained" / "weights.npz").exists()
    assert (folder / "first" / "trained-without-1" / "weights.npz").exists()


def test_again_it_reuses_everything_and_prints_a_table(first: Done, folder: Path) -> None:
    figures_of(first)
    times = {path: path.stat().st_mtime_ns for path in (folder / "first").rglob("*.npz")}
    pairs = {path: path.read_bytes() for path in (folder / "first" / "pairs").iterdir()}
    again = flipcore(*WORDS, "--out", "first", "--technology", "generic-28nm", folder=folder)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (folder / "first").rglob("*.npz")} == times
    assert {path: path.read_bytes() for path in (folder / "first" / "pairs").iterdir()} == pairs
    for text in ("invert", "stuck-bits:0.2", "new-class:1", "regained", "2 seeds", "µJ in generic-28nm"):  # fmt: skip
        assert text in again.stdout
    assert max(map(len, again.stdout.splitlines()[2:9])) <= 130


def test_a_finished_run_adapts(first: Done, folder: Path) -> None:
    done = flipcore("simulate", "tiny.yaml", "--out", "run", "--json", folder=folder)
    accuracy = figures_of(done)["test_accuracy"]
    figures = figures_of(
        flipcore(
            "adapt",
            "run",
            "--disturb",
            "invert",
            "--seeds",
            "2",
            "--out",
            "of-run",
            "--json",
            folder=folder,
        )
    )
    assert figures["rows"] == figures_of(first)["rows"][:1]
    assert figures["rows"][0]["before"] == accuracy
    assert not (folder / "of-run" / "trained").exists()
    refused = flipcore("adapt", "run", "--epochs", "2", folder=folder)
    assert one_line_of(refused) == "--epochs: cannot be given with the run run, which settles it"
    (folder / "run" / "weights.npz").unlink()
    refused = flipcore("adapt", "run", "--out", "x", folder=folder)
    assert one_line_of(refused) == "run/weights.npz: no such weights file"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tiny.yaml", "--disturb", "rotat:3"), "--disturb rotat:3: unknown, did you mean `rotate`? (known: "),
        (("tiny.yaml", "--dataset", "npz:lines.npz", "--set", "inputs=15", "--disturb", "shear"), "--disturb shear: needs square images of pixels, and the samples are none"),
        (("tiny.yaml", "--out", "first", "--samples", "5", "--disturb", "none"), "first: holds adaptations of another request"),
        (("tiny.yaml", "--epochs", "0"), "tiny.yaml: 0 epochs of training leave nothing to lose"),
        (("empty",), "empty: no run.json: not the directory of a finished run"),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_line(
    first: Done, folder: Path, words: tuple[str, ...], says: str
) -> None:
    figures_of(first)
    (folder / "empty").mkdir(exist_ok=True)
    assert one_line_of(flipcore("adapt", *words, folder=folder)).startswith(says)


def test_ctrl_c_leaves_whole_files_and_it_goes_on(folder: Path) -> None:
    words = ("adapt", "tiny.yaml", "--disturb", "stuck-bits:0.2", "--seeds", "400", "--out", "cut")
    process = started(*words, folder=folder)
    pairs = folder / "cut" / "pairs"
    _wait_for(process, pairs)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: the same command, with --out cut" in errors
    kept = {path: path.read_bytes() for path in pairs.iterdir()}
    assert 0 < len(kept) < 400
    assert not (folder / "cut" / "adapt.json").exists()
    seeds = str(len(kept) + 1)
    done = flipcore(*words[:4], "--seeds", seeds, "--out", "cut", "--json", folder=folder)
    assert len(figures_of(done)["rows"][0]["seeds"]) == len(kept) + 1
    assert {path: path.read_bytes() for path in kept} == kept


def _wait_for(process: subprocess.Popen[str], pairs: Path) -> None:
    deadline = time.monotonic() + 60
    while not (pairs.is_dir() and any(pairs.glob("*.json"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
