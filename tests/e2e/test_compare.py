"""`flipcore compare` as a user runs it: figures, files, kills, resumption, bad input."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.comparison.rows import read_comparison
from flipcore.sim.folder_lock import folder_lock
from tests.datasets import striped_pixels
from tests.e2e.command import TIMEOUT_SECONDS, figures_of, flipcore, one_line_of, started

CHIP = """
name: tiny
inputs: 12
steps: 3
core: {neuron: if, threshold: 3, window: 4}
layers: [{neurons: 16}, {neurons: 3}]
workload: {dataset: "npz:data.npz", epochs: 2}
"""
# Long enough to be caught in the middle, short enough to wait for.
LONG = (
    *("compare", "tiny.yaml", "-a", "chip:4,chip", "--seeds", "1"),
    *("--epochs", "150", "--processes", "1"),
)
TIMES = ("seconds_per_sample",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the comparisons of these tests lie, with a chip and data that it can learn."""
    path = tmp_path_factory.mktemp("comparisons")
    (path / "tiny.yaml").write_text(CHIP)
    pixels, labels = striped_pixels(150, 12, 3, seed=0)
    np.savez(
        path / "data.npz",
        x_train=pixels[:120], y_train=labels[:120], x_test=pixels[120:], y_test=labels[120:],
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What a comparison of four rows with two seeds prints, in `short`."""
    done = flipcore(
        *("compare", "tiny.yaml", "-a", "bptt-adam+gate,bso", "-a", "chip:4,chip"),
        *("--seeds", "2", "--samples", "96", "--processes", "1", "--out", "short"),
        folder=folder,
        COLUMNS="80",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def short(printed: str, folder: Path) -> dict[str, Any]:
    """The figures of that comparison."""
    figures: dict[str, Any] = json.loads((folder / "short" / "compare.json").read_text())
    return figures


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    """The long comparison, never interrupted."""
    return figures_of(flipcore(*LONG, "--out", "whole", "--json", folder=folder))


def without_times(figures: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {key: value for key, value in row.items() if key not in TIMES} for row in figures["rows"]
    ]
    return {key: value for key, value in figures.items() if key != "report"} | {"rows": rows}


def test_figures_that_scripts_rely_on(short: dict[str, Any], folder: Path) -> None:
    assert short["network"] == [12, 16, 3]
    assert (short["training_samples"], short["test_samples"], short["test_split"]) == (
        96,
        30,
        "test",
    )
    assert short["headline_row"] == "chip"
    names = [row["name"] for row in short["rows"]]
    assert names == ["bptt-adam-gate", "bso", "chip-4", "chip"]
    for row in short["rows"]:
        assert row["missing"] is None
        assert row["seeds"] == [0, 1]
        assert len(row["accuracies"]) == 2
        assert row["accuracy_mean"] == pytest.approx(np.mean(row["accuracies"]))
        assert row["accuracy_std"] == pytest.approx(np.std(row["accuracies"], ddof=1))
        assert row["samples_seen"] == 2 * 96
        assert [point["samples_seen"] for point in row["curve"]] == [96, 192]
        assert row["curve"][-1]["accuracy_mean"] == pytest.approx(row["accuracy_mean"])
        assert row["training_state_bits"] == sum(row["training_state_bits_by_part"].values())
        assert row["training_peak_bytes"] > row["training_state_bits"] / 8 - 1
        assert row["peak_bytes_by_steps"].keys() == {"1", "2", "4", "8", "16", "32"}
        assert row["seconds_per_sample"] > 0
    gated, packed, narrow, own = short["rows"]
    assert (gated["gate"], packed["gate"], gated["momentum_bits"]) == (True, False, None)
    assert (packed["momentum_bits"], narrow["momentum_bits"], own["momentum_bits"]) == (8, 4, 8)
    assert gated["chip"] is None
    for row in (narrow, own):
        figures = row["chip"]
        assert figures["training_cycles"] > figures["inference_cycles"] > 0
        assert figures["training_latency_us"] == pytest.approx(figures["training_cycles"] / 100)
        energy = figures["training_energy_pj"]
        assert 0 < energy["low"] < energy["value"] < energy["high"]
        assert row["flips_per_sample"] > 0
    assert narrow["training_state_bits"] < own["training_state_bits"]


def test_files_of_a_comparison(short: dict[str, Any], folder: Path) -> None:
    comparison = read_comparison(folder / "short")
    assert comparison.row("bso").accuracies == tuple(short["rows"][1]["accuracies"])
    with (folder / "short" / "compare.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [row["name"] for row in short["rows"]]
    assert float(lines[2]["training_energy_pj_high"]) == short["rows"][2]["chip"]["training_energy_pj"]["high"]  # fmt: skip
    assert lines[0]["training_cycles"] == ""
    runs = folder / "short" / "runs"
    assert len(list(runs.iterdir())) == 8
    priced = figures_of(flipcore("estimate", "--from", runs / "chip-4-seed1", "--json", folder=folder))  # fmt: skip
    assert priced["energy_pj"]["train_sample"]["value"] > 0
    assert (folder / "short" / "report.html").is_file()


def test_the_table(printed: str) -> None:
    lines = printed.splitlines()
    assert lines[1].startswith(
        "tiny: 12-16-3, 3 steps, npz:data.npz, 96 training samples, 30 test samples, 2 seeds"
    )
    for name in ("bptt-adam-gate", "bso", "chip-4", "chip"):
        assert any(line.split()[:1] == [name] for line in lines)
    assert "…" not in printed.replace(" … ", "")
    assert "On the chip, BSO with a momentum of 8 bits reaches" in printed
    assert printed.endswith("The report is short/report.html\nResults are in short\n")


def test_interrupts_and_kills_lose_nothing(folder: Path, whole: dict[str, Any]) -> None:
    told = _stopped(folder, signal.SIGTERM, *LONG, "--out", "broken")
    assert told == "Interrupted; checkpoint written. Go on with: flipcore compare --resume broken"
    _stopped(folder, signal.SIGKILL, "compare", "--resume", "broken")
    assert not (folder / "broken" / "compare.json").exists()
    # At once: a process that the kill has left behind may still be writing.
    figures = figures_of(flipcore("compare", "--resume", "broken", "--json", folder=folder))
    assert without_times(figures) == without_times(whole)
    assert figures["report"] == "broken/report.html"
    for name in ("chip-4-seed0", "chip-seed0"):
        with (
            np.load(folder / "whole" / "runs" / name / "weights.npz") as a,
            np.load(folder / "broken" / "runs" / name / "weights.npz") as b,
        ):
            for array in a.files:
                np.testing.assert_array_equal(a[array], b[array])


def _stopped(folder: Path, kind: signal.Signals, *words: str) -> str:
    """Send a signal as soon as a run has a checkpoint that it had not before; returns the last line on stderr."""
    runs = folder / "broken" / "runs"
    before = _checkpoints(runs)
    process = started(*words, "--json", folder=folder)
    end = time.monotonic() + TIMEOUT_SECONDS
    while _checkpoints(runs) == before and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(kind)
    out, error = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == (-kind if kind == signal.SIGKILL else 130), (out, error)
    assert out == ""
    return error.splitlines()[-1] if error else ""


def _checkpoints(runs: Path) -> dict[str, int]:
    found = {}
    for path in runs.glob("*/checkpoint.*"):
        try:
            found[str(path)] = path.stat().st_ino
        except FileNotFoundError:
            continue
    return found


def test_a_process_that_dies_is_told_in_one_line(folder: Path) -> None:
    process = started(*LONG, "--out", "bereft", folder=folder)
    end = time.monotonic() + TIMEOUT_SECONDS
    while not _checkpoints(folder / "bereft" / "runs") and time.monotonic() < end:
        time.sleep(0.01)
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    (worker,) = found.stdout.split()
    os.kill(int(worker), signal.SIGKILL)
    _, error = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 2
    # On a slow machine a line before says that the loops are being compiled.
    assert error.splitlines()[-1] == (
        "flipcore: bereft: processes of the comparison died: chip-4-seed0 (killed by SIGKILL, perhaps for want of memory); go on with --resume bereft"
    )


def test_one_command_at_a_time(short: dict[str, Any], folder: Path) -> None:
    with folder_lock(folder / "short"):
        told = one_line_of(flipcore("compare", "--resume", "short", folder=folder))
    assert told == "short: another process is writing into it"


def test_bad_words_are_refused_before_anything_is_written(
    short: dict[str, Any], folder: Path
) -> None:
    before = sorted(folder.iterdir())
    for words, told in (
        (("digits", "-a", "chip", "--dataset", "npz:data.npz"), "data: 12 inputs a sample: the chip digits has inputs=64"),
        (("tiny.yaml", "--out", "short"), "short: this run directory exists and is not empty; continue it with --resume short"),
        (("--resume", "short", "--seeds", "3"), "--seeds: cannot be given with --resume, which settles it"),
    ):  # fmt: skip
        assert one_line_of(flipcore("compare", *words, folder=folder)).startswith(told)
    assert sorted(folder.iterdir()) == before


def test_damaged_runs_are_refused(short: dict[str, Any], folder: Path) -> None:
    path = folder / "short" / "runs" / "chip-seed0" / "run.json"
    whole = path.read_text()
    for text, told in (
        ("{", f"{path.relative_to(folder)}: cannot be read: not JSON"),
        (json.dumps({**json.loads(whole), "counts": {}}), f"{path.relative_to(folder)}: damaged or not of a run"),
        (whole.replace('"test_accuracy"', '"accuracy"'), "short/runs: damaged runs of chip: KeyError 'test_accuracy'"),
    ):  # fmt: skip
        path.write_text(text)
        assert one_line_of(flipcore("compare", "--resume", "short", folder=folder)).startswith(told)
    path.write_text(whole)
