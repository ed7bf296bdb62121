"""`flipcore simulate`: start or continue a run, show how it goes, print and keep its results."""

import json as json_format
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flipcore.chip import Chip, load_chip
from flipcore.cli.display import RunDisplay, leave_interrupted
from flipcore.cli.tables import print_results
from flipcore.errors import InputError
from flipcore.hwmodel.alternatives import training_state_bits
from flipcore.hwmodel.memory import memory_bits
from flipcore.sim import run as runs
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.logbook import Logbook
from flipcore.sim.results import create_run_dir, figures, free_run_dir, write_results
from flipcore.sim.run_plot import plot_run
from flipcore.sim.storage import load_weights

COMPILE_NOTICE_SECONDS = 2.0  # loading from the cache is faster than that


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
    dataset = _load_data(chip, settings, console)
    run = runs.Run(chip, dataset, settings)
    if request.weights:
        load_weights(request.weights, chip, run.engine.state)
    run_dir = request.out or free_run_dir(chip.name, settings.seed)
    create_run_dir(run_dir)
    _finish(run, run_dir, console, as_json=as_json)


def resume(run_dir: Path, epochs: int | None, *, as_json: bool) -> None:
    """Continue a run, to more epochs if asked."""
    checkpoint = runs.load_checkpoint(run_dir)
    settings = checkpoint.settings
    if epochs is not None:
        begun = checkpoint.progress.epoch + (checkpoint.progress.position > 0)
        if epochs < begun:
            raise InputError(f"--epochs {epochs}: {run_dir} has already begun its epoch {begun}")
        settings = replace(settings, epochs=epochs)
    console = Console(stderr=True)
    dataset = _load_data(checkpoint.chip, settings, console)
    run = runs.resume_run(checkpoint, dataset, settings)
    _finish(run, run_dir, console, as_json=as_json)


def _load_data(chip: Chip, settings: runs.Settings, console: Console) -> Dataset:
    def tell(line: str) -> None:
        console.print(line, highlight=False)

    dataset = load_dataset(
        settings.dataset, num_steps=chip.steps, progress=tell if console.is_terminal else None
    )
    if settings.validation:
        dataset = split_validation(dataset, settings.validation, settings.seed)
    return dataset


def _finish(run: runs.Run, run_dir: Path, console: Console, *, as_json: bool) -> None:
    with folder_lock(run_dir):
        # From here on a kill at any moment leaves something to go on with.
        run.save(run_dir)
        _compile(run, console)
        _train(run, run_dir, console)
        results: dict[str, Any] = {
            **figures(run, run.final_accuracy()),
            "memory_bits": memory_bits(run.chip),
            "training_state_bits": training_state_bits(run.chip),
            "run_dir": str(run_dir),
        }
        write_results(run_dir, run, results)
        plot_run(results, run_dir / "report")
    if as_json:
        print(json_format.dumps(results))
    else:
        print_results(run.chip, results)


def _train(run: runs.Run, run_dir: Path, console: Console) -> None:
    with _Display(run, run_dir, console) as display:
        try:
            run.train(display, run_dir)
        except runs.Interrupted:
            leave_interrupted(console, f"flipcore simulate --resume {run_dir}")


def _compile(run: runs.Run, console: Console) -> None:
    """Compile the loops before any clock runs, and say so if it takes time."""
    message = "Compiling the simulator's loops, once on this machine (about half a minute) ..."
    notice = threading.Timer(COMPILE_NOTICE_SECONDS, console.print, [message])
    notice.start()
    nothing = np.zeros(0, np.int64)
    split = run.dataset.train
    run.engine.train(split.read(nothing), split.labels[nothing], run.train_counts)
    notice.cancel()


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
