"""`flipcore simulate`: start or continue a run, show how it goes, print and keep its results."""

import json as json_format
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flipcore.chip import load_chip
from flipcore.cli.display import RunDisplay, leave_interrupted
from flipcore.cli.tables import print_results
from flipcore.cli.trace_table import print_trace
from flipcore.session import Tell, continue_run, finish_run, load_data, prepare_run
from flipcore.sim import run as runs
from flipcore.sim.logbook import Logbook
from flipcore.sim.results import create_run_dir, free_run_dir
from flipcore.sim.timeline import check_samples


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    chip: str
    changes: tuple[str, ...]
    dataset: str | None
    epochs: int | None
    seed: int
    validation: float
    weights: Path | None
    out: Path | None
    trace_samples: int  # 0: no trace


def start(request: Request, *, as_json: bool) -> None:
    """Start a run."""
    chip = load_chip(request.chip, request.changes)
    settings = runs.Settings(
        dataset=request.dataset or chip.workload.dataset,
        epochs=chip.workload.epochs if request.epochs is None else request.epochs,
        seed=request.seed,
        validation=request.validation,
        weights=str(request.weights) if request.weights else "",
    )
    console = Console(stderr=True)
    run = prepare_run(chip, load_data(chip, settings, _progress(console)), settings)
    _check_trace(run, request.trace_samples)
    run_dir = request.out or free_run_dir(chip.name, settings.seed)
    create_run_dir(run_dir)
    _finish(run, run_dir, console, request.trace_samples, as_json=as_json)


def resume(run_dir: Path, epochs: int | None, trace_samples: int, *, as_json: bool) -> None:
    """Continue a run, to more epochs if asked."""
    console = Console(stderr=True)
    run = continue_run(run_dir, epochs, _progress(console))
    _check_trace(run, trace_samples)
    _finish(run, run_dir, console, trace_samples, as_json=as_json)


def _check_trace(run: runs.Run, trace_samples: int) -> None:
    """Refuse before the run what could only fail after it."""
    if trace_samples:
        check_samples(run, trace_samples)


def _progress(console: Console) -> Tell | None:
    """What hears of downloads: nobody where no person watches."""
    return partial(console.print, highlight=False) if console.is_terminal else None


def _finish(
    run: runs.Run, run_dir: Path, console: Console, trace_samples: int, *, as_json: bool
) -> None:
    try:
        results = finish_run(
            run,
            run_dir,
            lambda: _Display(run, run_dir, console),
            console.print,
            trace_samples=trace_samples,
        )
    except runs.Interrupted:
        leave_interrupted(console, f"flipcore simulate --resume {run_dir}")
    if as_json:
        print(json_format.dumps(results))
        return
    print_results(run.chip, results, Console())
    if trace_samples:
        print_trace(run.chip, results["trace"], Console())


class _Display(RunDisplay):
    """Progress bar on a terminal, TensorBoard log, and the ear for Ctrl-C."""

    def __init__(self, run: runs.Run, run_dir: Path, console: Console) -> None:
        bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[rate]} samples/s · running accuracy {task.fields[accuracy]} · {task.fields[flips]} flips"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        logbook = Logbook(run_dir, run.progress.epoch)
        super().__init__(bar, logbook)
        self._run = run
        self._epochs_log = logbook
        samples = len(run.dataset.train)
        self._task = bar.add_task(
            "",
            total=samples * run.settings.epochs,
            epoch=self._epoch_text(run.progress.epoch),
            rate="-",
            accuracy="-",
            flips="0",
        )

    def _epoch_text(self, epoch: int) -> str:
        return f"{min(epoch + 1, self._run.settings.epochs)}/{self._run.settings.epochs}"

    def on_chunk(self, progress: runs.Progress, epoch_samples: int, flips: int) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            completed=progress.epoch * epoch_samples + progress.position,
            epoch=self._epoch_text(progress.epoch),
            rate=f"{self._run.train_counts.samples / max(progress.seconds, 1e-9):,.0f}",
            accuracy=f"{progress.correct / max(progress.position, 1):.1%}",
            flips=f"{flips:,}",
        )

    def on_epoch(self, epoch: runs.Epoch) -> None:
        """Log the epoch."""
        self._epochs_log.write(epoch)
