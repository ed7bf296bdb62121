"""`flipcore simulate --trace` as a user runs it: files, table, JSON, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.command import figures_of, flipcore, one_line_of
from tests.unit.test_data_nmnist import write_original

PAGE = Path(__file__).parents[2] / "docs" / "TRACE.md"
SMALL = ("simulate", "digits", "--set", "layers.0.neurons=32", "--epochs", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of these tests lie."""
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, Any]:
    """A run with a trace, in `traced`."""
    words = (*SMALL, "--trace", "--trace-samples", "12", "--out", "traced", "--json")
    return figures_of(flipcore(*words, folder=folder))


def test_the_figures_tell_where_the_trace_is_and_how_busy_the_cores_are(
    figures: dict[str, Any], folder: Path
) -> None:
    trace = figures["trace"]
    assert (trace["json"], trace["npz"]) == ("traced/trace.json", "traced/trace.npz")
    assert list(trace["sides"]) == ["training", "inference"]
    for side in trace["sides"].values():
        assert side["samples"] == 12
        assert [0 < core["busy_share"] < 1 for core in side["cores"]] == [True, True]
        assert sum(core["busy_share"] for core in side["cores"]) == pytest.approx(1)
    document = json.loads((folder / "traced" / "run.json").read_text(encoding="utf-8"))
    assert document["trace"] == trace


def test_the_trace_is_of_the_finished_run(figures: dict[str, Any], folder: Path) -> None:
    trace = json.loads((folder / "traced" / "trace.json").read_text(encoding="utf-8"))
    assert {event["ph"] for event in trace["traceEvents"]} == {"M", "X", "C", "i"}
    other = trace["otherData"]
    assert (other["chip"], other["epochs"], other["seed"]) == ("digits", 1, 0)
    assert other["versions"].keys() >= {"flipcore", "numpy", "python"}
    assert other["summary"] == figures["trace"]["sides"]
    assert (folder / "traced" / "trace.json").stat().st_size < 1_000_000
    with np.load(folder / "traced" / "trace.npz", allow_pickle=False) as arrays:
        flips = arrays["flips"]
        predictions = arrays["inference_predictions"]
    assert len(flips) == figures["trace"]["sides"]["training"]["flips"] > 0
    # The first test sample is the one that every run records.
    with np.load(folder / "traced" / "recording.npz", allow_pickle=False) as recording:
        assert predictions[0] == recording["prediction"]


def test_a_run_is_the_same_with_and_without_a_trace(figures: dict[str, Any], folder: Path) -> None:
    plain = figures_of(flipcore(*SMALL, "--out", "plain", "--json", folder=folder))
    assert "trace" not in plain
    assert not list((folder / "plain").glob("trace.*"))
    for name in ("weights.npz", "flips.npz", "recording.npz"):
        with np.load(folder / "plain" / name) as one, np.load(folder / "traced" / name) as other:
            assert one.files == other.files
            for key in one.files:
                np.testing.assert_array_equal(one[key], other[key])
    assert plain["test_accuracy"] == figures["test_accuracy"]


def test_a_finished_run_can_be_traced_later(figures: dict[str, Any], folder: Path) -> None:
    before = (folder / "traced" / "trace.json").read_bytes()
    words = ("simulate", "--resume", "traced", "--trace", "--trace-samples", "12")
    done = flipcore(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "traced" / "trace.json").read_bytes() == before
    assert "Trace: one phase at a time over the whole chip; the other cores wait" in done.stdout
    for words_of_table in ("0: 64 to 32", "1: 32 to 10", "training: 12 samples learnt in "):
        assert words_of_table in done.stdout
    for core in figures["trace"]["sides"]["training"]["cores"]:
        assert f"{core['busy_cycles']:,} │ " in done.stdout
        assert f"{core['busy_share']:.1%} │ " in done.stdout


def test_a_run_that_only_classifies_is_traced_so(folder: Path) -> None:
    words = ("simulate", "digits", "--set", "layers.0.neurons=1", "--no-learn", "--trace")
    done = flipcore(*words, "--out", "classified", folder=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("inference: 2 samples classified in ") for line in lines)
    assert not any(line.startswith("training: ") for line in lines)
    assert lines[-1] == (
        "Open classified/trace.json in https://ui.perfetto.dev; "
        "spikes, potentials and flips are in classified/trace.npz"
    )
    trace = json.loads((folder / "classified" / "trace.json").read_text(encoding="utf-8"))
    assert {event["pid"] for event in trace["traceEvents"]} == {2}


def test_recordings_of_events_are_traced(tmp_path: Path) -> None:
    """Several events of an axon in one step are one event, and the others are counted."""
    write_original(tmp_path / "set")
    words = ("simulate", "nmnist", "--dataset", "nmnist:set", "--epochs", "1", "--trace", "--json")
    figures = figures_of(flipcore(*words, "--out", "run", folder=tmp_path))
    assert figures["trace"]["sides"]["training"]["samples"] == 2
    trace = json.loads((tmp_path / "run" / "trace.json").read_text(encoding="utf-8"))
    merged = [event["args"].get("merged_events", 0) for event in trace["traceEvents"] if event["name"] == "input"]  # fmt: skip
    assert sum(merged) > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--trace-samples 3", "--trace-samples: needs --trace"),
        ("--trace --trace-samples 0", "--trace-samples 0: must be 1 or more"),
        ("--trace --trace-samples 65", "--trace-samples 65: must be 1 ... 64"),
    ],
)
def test_what_cannot_be_traced_is_refused_before_the_run(
    words: str, told: str, tmp_path: Path
) -> None:
    done = flipcore("simulate", "digits", *words.split(), "--out", "run", folder=tmp_path)
    assert one_line_of(done) == told
    assert not (tmp_path / "run").exists()


def test_the_page_of_traces_is_right(tmp_path: Path) -> None:
    """Its command and its code run, and it names every array that there is."""
    page = PAGE.read_text(encoding="utf-8")
    command = next(line.split() for line in page.splitlines() if line.startswith("    flipcore "))
    done = flipcore(*command[1:], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    code = page.split("```python\n")[1].split("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *flips, fire = ran.stdout.splitlines()
    assert fire.endswith("of the hidden neurons fire in a step")
    assert len(flips) == 2
    run_dir = tmp_path / "runs" / "digits-seed3"
    for name in ("recording", "flips", "trace"):
        with np.load(run_dir / f"{name}.npz", allow_pickle=False) as arrays:
            for array in arrays.files:
                written = re.sub(r"^(training|inference)_", "S_", re.sub(r"_\d$", "_c", array))
                assert f"`{written}`" in page, f"{name}.npz: {array}"
