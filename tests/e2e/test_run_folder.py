"""A run directory from its first moment: what a kill leaves there, and who may write into it."""

import signal
import time
from pathlib import Path

import numpy as np

from flipcore.sim.folder_lock import folder_lock
from tests.e2e.command import flipcore, one_line_of, started

RUN = ("simulate", "digits", "--set", "layers.0.neurons=32", "--epochs", "1", "--out", "run")


def test_a_run_killed_before_its_first_epoch_goes_on(tmp_path: Path) -> None:
    process = started(*RUN[:-3], "1000", "--out", "run", folder=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoint.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with np.load(tmp_path / "run" / "checkpoint.npz") as checkpoint:
        assert '"epoch": 0' in str(checkpoint["about"])
    done = flipcore("simulate", "--resume", "run", "--epochs", "1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "run.json").exists()


def test_two_processes_do_not_write_into_one_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with folder_lock(tmp_path / "run"):
        done = flipcore(*RUN, folder=tmp_path)
    assert done.returncode == 2
    assert one_line_of(done) == "run: another process is writing into it"
    assert list((tmp_path / "run").iterdir()) == []
