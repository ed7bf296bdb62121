"""A process that does jobs of a comparison: `python -m flipcore.comparison.worker DESCRIPTOR FOLDER`, started by `comparison.workers`.

Through the connection come jobs, go fractions and outcomes, each a JSON document. Whatever arrives while a job lasts asks it to stop,
and so does the end of the connection, when the process that started this one is gone.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from flipcore.chip import Chip
from flipcore.comparison.jobs import RUNS, Job, run_name
from flipcore.comparison.line import Line, Stopped, receive, send
from flipcore.comparison.request import (
    Entry,
    Request,
    data_of_seed,
    load_request_data,
    read_request,
)
from flipcore.errors import FlipcoreError, InputError
from flipcore.session import finish_run, prepare_run
from flipcore.sim import run as chip_runs
from flipcore.sim.data import Dataset
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.logbook import Logbook

LOCK_SECONDS = 60.0  # a process that a kill has left behind writes its checkpoint and ends


class _ChipWatch:
    """Observer of a chip's run."""

    def __init__(self, line: Line, logbook: Logbook, epochs: int) -> None:
        self._line = line
        self._logbook = logbook
        self._epochs = epochs

    def on_chunk(self, progress: chip_runs.Progress, epoch_samples: int, flips: int) -> None:
        """Tell how far it is."""
        self._line.tell((progress.epoch + progress.position / epoch_samples) / self._epochs)

    def on_epoch(self, epoch: chip_runs.Epoch) -> None:
        """Log the epoch."""
        self._logbook.write(epoch)

    def should_stop(self) -> bool:
        """Whether it is asked to."""
        return self._line.should_stop()


def run_job(request: Request, folder: Path, dataset: Dataset, job: Job, line: Line) -> Any:
    """Do a job; returns what a measurement gave, and nothing for a training, which writes its own files.

    Raises:
        Stopped: it was asked to stop; a checkpoint holds where it is.
        InputError: something is damaged, does not fit or cannot be written.
    """
    entry = request.entries[job.entry]
    if job.kind == "memory":
        from flipcore.comparison.software import measure_memory

        return measure_memory(request, entry, dataset)
    run_dir = folder / RUNS / run_name(entry, job.seed)
    run_dir.mkdir(parents=True, exist_ok=True)
    _await_lock(run_dir)
    if entry.parsed.where == "chip":
        _run_chip(request, entry, dataset, job.seed, run_dir, line)
        return None
    from flipcore.comparison.software import train

    with folder_lock(run_dir):
        train(request, entry, dataset, job.seed, run_dir, line)
    return None


def _await_lock(run_dir: Path) -> None:
    """Wait until a process left over from a killed comparison has left the directory."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with folder_lock(run_dir):
                return
        except InputError:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _run_chip(
    request: Request, entry: Entry, dataset: Dataset, seed: int, run_dir: Path, line: Line
) -> None:
    chip = entry.chip()
    own = data_of_seed(request, dataset, seed)
    run = _chip_run(request, chip, own, seed, run_dir)

    @contextmanager
    def watch() -> Iterator[_ChipWatch]:
        logbook = Logbook(run_dir, run.progress.epoch)
        try:
            yield _ChipWatch(line, logbook, run.settings.epochs)
        finally:
            logbook.close()

    try:
        finish_run(run, run_dir, watch, lambda _: None)
    except chip_runs.Interrupted:
        raise Stopped from None


def _chip_run(
    request: Request, chip: Chip, dataset: Dataset, seed: int, run_dir: Path
) -> chip_runs.Run:
    settings = chip_runs.Settings(request.dataset, chip.workload.epochs, seed, request.validation)
    if not (run_dir / chip_runs.CHECKPOINT).is_file():
        return prepare_run(chip, dataset, settings)
    checkpoint = chip_runs.load_checkpoint(run_dir)
    if checkpoint.chip != chip or checkpoint.settings != settings:
        raise InputError(f"{run_dir}: the checkpoint is of another run than the comparison's")
    return chip_runs.resume_run(checkpoint, dataset, settings)


def serve(connection: Connection, folder: Path) -> None:
    """Do jobs until the connection ends or the comparison stops."""
    request = read_request(folder)
    dataset: Dataset | None = None
    while True:
        try:
            job = Job(**receive(connection)["job"])
        except (EOFError, OSError, KeyError):
            return
        try:
            if dataset is None:
                dataset = load_request_data(request)
            send(connection, {"done": run_job(request, folder, dataset, job, Line(connection))})
        except FlipcoreError as error:
            send(connection, {"failed": str(error)})
        except Stopped:
            send(connection, {"stopped": True})
            return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), Path(sys.argv[2]))
