"""`flipcore sweep` as a user runs it: a grid, a search, a kill in the middle, bad plans."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flipcore.cli import sweep
from flipcore.errors import InputError

GRID = ("--vary", "core.momentum_bits=4,8", "--vary", "error.margin=2..4", "--seeds", "2")


def _data(folder: Path) -> str:
    generator = np.random.default_rng(1)
    labels = np.arange(60) % 3
    pixels = np.zeros((60, 8), np.uint8)
    for k in range(3):
        pixels[labels == k, 2 * k : 2 * k + 3] = generator.integers(120, 255, (20, 3))
    np.savez(folder / "tiny.npz", x=pixels, y=labels)
    (folder / "tiny.yaml").write_text(
        "name: tiny\ninputs: 8\nsteps: 4\ncore: {lanes: 8, threshold: 3, window: 6, gradient_shift: 6}\n"
        "layers: [{neurons: 12}, {neurons: 3}]\nworkload: {dataset: digits, epochs: 2}\n"
    )
    return f"npz:{folder / 'tiny.npz'}"


def _command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "flipcore", "sweep", str(folder / "tiny.yaml"),
        "--dataset", _data(folder), "--out", str(folder / "out"), *more,
    ]  # fmt: skip


def _run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(folder, *more), capture_output=True, text=True, timeout=300)


def test_grid_measures_every_point_with_every_seed(tmp_path: Path) -> None:
    done = _run(tmp_path, *GRID, "--json", "--processes", "2")
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)["points"]
    assert len(points) == 6
    assert {point["runs"] for point in points} == {2}
    assert all(0 <= point["accuracy_mean"] <= 1 for point in points)
    means = [point["accuracy_mean"] for point in points]
    assert means == sorted(means, reverse=True)
    with (tmp_path / "out" / "sweep.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    assert (tmp_path / "out" / "sweep.svg").read_text().startswith("<?xml")


def test_a_killed_sweep_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    killed = tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = json.loads(_run(whole, *GRID, "--json", "--processes", "1").stdout)["points"]
    process = subprocess.Popen(
        _command(killed, *GRID, "--processes", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    database = killed / "out" / "sweep.db"
    deadline = time.monotonic() + 60
    while not database.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    done = _run(killed, *GRID, "--json", "--processes", "1")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)["points"]

    def key(points: list[dict]) -> list[tuple]:
        return sorted(
            (str(point["values"]), point["runs"], point["accuracy_mean"], point["flips"])
            for point in points
        )

    assert key(got) == key(expected)


def _takes_interrupts() -> None:
    """As in a terminal: what a script runs in its background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        _command(tmp_path, *GRID, "--epochs", "1000000", "--processes", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_takes_interrupts,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "sweep.db").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out == ""
    # A worker that is still starting may complain, too.
    assert "Interrupted; the same command goes on where it was." in err.splitlines()


def test_search_tries_so_many_points_and_names_what_it_refused(tmp_path: Path) -> None:
    done = _run(
        tmp_path, "--search", "5", "--seeds", "1", "--vary", "core.momentum_bits=2..8",
        "--vary", "core.flip_threshold=0,40", "--validation", "0.3", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 1 <= len(result["points"]) <= 5
    assert all("flip_threshold=40" in line for line in result["refused"])


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ((), "--vary: nothing varies"),
        (("core.momentum_bits",), r"write KEY=V1,V2,\.\.\. or KEY=FIRST\.\.LAST"),
        (("core.momentum_bits=8..4",), "the range is empty"),
        (("core.momentum_bits=4,4",), "a value stands there twice"),
        (("core.lanes=4", "core.lanes=8"), "a key stands there twice"),
        (("core.bits=4,8",), "core.bits: unknown field"),
        (("inputs=9,8",), "8 inputs a sample: the chip tiny has inputs=9"),
    ],
)
def test_bad_plans_are_told_in_one_line(
    tmp_path: Path, vary: tuple[str, ...], message: str
) -> None:
    request = sweep.Request(
        chip=str(tmp_path / "tiny.yaml"), vary=vary, seeds=1, search=0, dataset=_data(tmp_path),
        epochs=1, changes=(), validation=0.0, processes=1, out=tmp_path / "out",
    )  # fmt: skip
    with pytest.raises(InputError, match=message) as told:
        sweep.run(request, as_json=False)
    assert len(str(told.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_another_sweep_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.yaml").write_text("chip: another\n")
    done = _run(tmp_path, "--vary", "error.margin=4", "--seeds", "1", "--epochs", "1")
    assert done.returncode == 2
    assert "holds another sweep" in done.stderr
    assert len(done.stderr.splitlines()) == 1
