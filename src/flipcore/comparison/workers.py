"""Runs the jobs of a comparison in processes of their own, a few at a time."""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from flipcore.comparison.jobs import Job, job_document, job_title
from flipcore.comparison.line import receive, send
from flipcore.comparison.request import Request
from flipcore.errors import InputError

LOOK_SECONDS = 0.2  # between two looks at the wish to stop
STOP_SECONDS = 120.0  # that a job has to write its checkpoint
END_SECONDS = 10.0


class Interrupted(Exception):
    """The comparison was asked to stop; checkpoints hold where its runs are."""


class Watcher(Protocol):
    """Who is told how the jobs go, and asked whether to stop."""

    def on_start(self, job: Job) -> None:
        """A job begins."""

    def on_fraction(self, job: Job, fraction: float) -> None:
        """A job is so far."""

    def on_done(self, job: Job, result: Any) -> None:
        """A job has ended; measurements have a result."""

    def should_stop(self) -> bool:
        """Whether to stop all jobs."""


@dataclass(eq=False)
class _Worker:
    """A process, and what it does now."""

    process: subprocess.Popen[bytes]
    connection: Connection
    job: Job | None = None


def run_jobs(
    request: Request, folder: Path, jobs: Iterable[Job], processes: int, watcher: Watcher
) -> None:
    """Do jobs of the comparison of a folder in their order, so many at a time.

    Raises:
        Interrupted: the watcher asked to stop; the jobs that ran have written checkpoints.
        InputError: a job failed, and the others were stopped; or a process died, and the others did all the jobs that were left.
    """
    waiting = deque(jobs)
    workers = [_start(folder) for _ in range(min(processes, len(waiting)))]
    crew = _Crew(workers, waiting, watcher)
    try:
        crew.work()
    finally:
        for worker in workers:
            _end(worker)
    if crew.failed:
        job, reason = crew.failed
        raise InputError(f"{job_title(request, job)}: {reason}")
    if crew.stopping:
        raise Interrupted
    if crew.died:
        lost = ", ".join(f"{job_title(request, job)} ({how})" for job, how in crew.died)
        raise InputError(
            f"{folder}: processes of the comparison died: {lost}; go on with --resume {folder}"
        )


class _Crew:
    """The processes at work.

    Attributes:
        failed: the first job that failed, and what it said.
        died: jobs whose process died, and how.
        stopping: whether all were asked to stop.
    """

    def __init__(self, workers: list[_Worker], waiting: deque[Job], watcher: Watcher) -> None:
        self._workers = {worker.connection: worker for worker in workers}
        self._waiting = waiting
        self._watcher = watcher
        self.failed: tuple[Job, str] | None = None
        self.died: list[tuple[Job, str]] = []
        self.stopping = False

    def work(self) -> None:
        """Until every job is done, or all were stopped."""
        for worker in list(self._workers.values()):
            self._give(worker)
        while busy := [worker.connection for worker in self._workers.values() if worker.job]:
            ready = wait(busy, LOOK_SECONDS)
            for connection in ready:
                if isinstance(connection, Connection):
                    self._hear(self._workers[connection])
            if not self.stopping and self._watcher.should_stop():
                self._stop()

    def _give(self, worker: _Worker) -> None:
        worker.job = None
        if self._waiting and not self.stopping:
            worker.job = self._waiting.popleft()
            send(worker.connection, {"job": job_document(worker.job)})
            self._watcher.on_start(worker.job)

    def _stop(self) -> None:
        self.stopping = True
        for worker in self._workers.values():
            if worker.job:
                send(worker.connection, {"stop": True})

    def _hear(self, worker: _Worker) -> None:
        job = worker.job
        assert job is not None
        try:
            message = receive(worker.connection)
        except (EOFError, OSError):
            self._bury(worker, job)
            return
        if "fraction" in message:
            self._watcher.on_fraction(job, message["fraction"])
        elif "done" in message:
            self._watcher.on_done(job, message["done"])
            self._give(worker)
        elif "failed" in message:
            self.failed = self.failed or (job, message["failed"])
            worker.job = None
            if not self.stopping:
                self._stop()
        else:
            worker.job = None

    def _bury(self, worker: _Worker, job: Job) -> None:
        worker.job = None
        del self._workers[worker.connection]
        self.died.append((job, _obituary(worker.process)))


def _obituary(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return "fell silent"
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"killed by {name}{hint}"
    return f"exit code {code}"


def _start(folder: Path) -> _Worker:
    """A process that waits for jobs.

    It is in a session of its own, so that a terminal's Ctrl-C reaches this process alone; it ends with the connection.
    """
    connection, other_end = Pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "flipcore.comparison.worker", str(other_end.fileno()), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(other_end.fileno(),),
        start_new_session=True,
        # Processes side by side: threads would only wait for each other.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    other_end.close()  # the process holds the only one, which closes when it dies
    return _Worker(process, connection)


def _end(worker: _Worker) -> None:
    """Let a process end by itself, as it does when its connection closes; kill it if it does not."""
    worker.connection.close()
    try:
        worker.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
