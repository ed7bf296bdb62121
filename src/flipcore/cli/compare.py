"""`flipcore compare`: start or continue a comparison, show how it goes, print its table."""

import importlib.util
import json as json_format
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flipcore.cli.compare_table import print_comparison
from flipcore.cli.display import RunDisplay, leave_interrupted
from flipcore.comparison.finish import finish_comparison
from flipcore.comparison.jobs import Job, job_seconds, job_title
from flipcore.comparison.request import Request, create_folder, make_request
from flipcore.comparison.rows import comparison_document
from flipcore.comparison.workers import Interrupted
from flipcore.sim.results import free_folder


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    preset: str
    algorithms: tuple[str, ...]
    seeds: int | None
    epochs: int | None
    samples: int | None
    first_seed: int
    dataset: str | None
    validation: float
    technology: str
    processes: int
    out: Path | None


def start(asked: Asked, *, as_json: bool) -> None:
    """Compare in a new folder."""
    console = Console(stderr=True)
    request = make_request(
        asked.preset,
        algorithms=asked.algorithms,
        seeds=asked.seeds,
        first_seed=asked.first_seed,
        epochs=asked.epochs,
        samples=asked.samples,
        dataset=asked.dataset,
        validation=asked.validation,
        technology=asked.technology,
        tell=partial(console.print, highlight=False) if console.is_terminal else None,
    )
    folder = asked.out or free_folder(f"compare-{request.chip['name']}")
    create_folder(folder, request)
    _finish(folder, asked.processes, console, as_json=as_json)


def resume(folder: Path, *, as_json: bool) -> None:
    """Continue what a folder began; what is finished there is not done again."""
    _finish(folder, 0, Console(stderr=True), as_json=as_json)


def _finish(folder: Path, processes: int, console: Console, *, as_json: bool) -> None:
    try:
        comparison = finish_comparison(
            folder,
            processes or os.cpu_count() or 1,
            lambda request, jobs: _Display(request, jobs, console),
            console.print,
        )
    except Interrupted:
        leave_interrupted(console, f"flipcore compare --resume {folder}")
    report = _report(folder)
    if as_json:
        shown = None if report is None else str(report)
        print(json_format.dumps({**comparison_document(comparison), "report": shown}))
    else:
        print_comparison(comparison, folder, report, Console())


def _report(folder: Path) -> Path | None:
    """Write the report, where the package has one."""
    if importlib.util.find_spec("flipcore.report") is None:
        return None
    from flipcore.report import write_report

    return write_report([folder], folder)


class _Display(RunDisplay):
    """Progress bar on a terminal, and the ear for Ctrl-C."""

    def __init__(self, request: Request, jobs: Sequence[Job], console: Console) -> None:
        bar = Progress(
            TextColumn("{task.fields[done]}/{task.fields[jobs]} done"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[running]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        super().__init__(bar, None)
        self._request = request
        self._seconds = {job: job_seconds(request, job) for job in jobs}
        self._fractions: dict[Job, float] = {}
        self._done = 0
        self._finished = 0.0
        self._task = bar.add_task(
            "", total=sum(self._seconds.values()) or 1.0, done=0, jobs=len(jobs), running=""
        )

    def on_start(self, job: Job) -> None:
        """Name the job."""
        self._fractions[job] = 0.0
        self._show()

    def on_fraction(self, job: Job, fraction: float) -> None:
        """Move the bar."""
        self._fractions[job] = fraction
        self._show()

    def on_done(self, job: Job, result: Any) -> None:
        """Count the job."""
        self._fractions.pop(job, None)
        self._done += 1
        self._finished += self._seconds[job]
        self._show()

    def _show(self) -> None:
        running = " · ".join(
            f"{job_title(self._request, job)} {fraction:.0%}"
            for job, fraction in self._fractions.items()
        )
        part = sum(self._seconds[job] * fraction for job, fraction in self._fractions.items())
        self._bar.update(
            self._task, completed=self._finished + part, done=self._done, running=running
        )
