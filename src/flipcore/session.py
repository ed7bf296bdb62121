"""A chip's run from its settings to its finished folder: what every command and interface that simulates shares."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.hwmodel.alternatives import training_state_bits
from flipcore.hwmodel.memory import memory_bits
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.results import figures, write_results, write_trace
from flipcore.sim.run import Observer, Run, Settings, load_checkpoint, resume_run
from flipcore.sim.run_plot import plot_run
from flipcore.sim.storage import load_weights
from flipcore.sim.timeline import trace_run

COMPILE_NOTICE_SECONDS = 2.0  # loading from the cache is faster than that

Tell = Callable[[str], None]  # takes a line for people
Watch = Callable[[], AbstractContextManager[Observer]]


def load_data(chip: Chip, settings: Settings, tell: Tell | None) -> Dataset:
    """The data of a run; `tell` hears of downloads and conversions.

    Raises:
        InputError: they cannot be found or read, or leave nothing to hold out.
    """
    dataset = load_dataset(settings.dataset, num_steps=chip.steps, progress=tell)
    if settings.validation:
        dataset = split_validation(dataset, settings.validation, settings.seed)
    return dataset


def prepare_run(chip: Chip, dataset: Dataset, settings: Settings) -> Run:
    """A run at its beginning, with the weights that its settings name.

    Raises:
        InputError: the data or the weights do not fit the chip.
    """
    run = Run(chip, dataset, settings)
    if settings.weights:
        load_weights(Path(settings.weights), chip, run.engine.state)
    return run


def continue_run(run_dir: Path, epochs: int | None, tell: Tell | None) -> Run:
    """The run of a directory where its checkpoint left it, to more epochs if asked.

    Raises:
        InputError: there is no checkpoint, it is damaged or of other data, or has begun an epoch beyond those asked for.
    """
    checkpoint = load_checkpoint(run_dir)
    settings = checkpoint.settings
    if epochs is not None:
        begun = checkpoint.progress.epoch + (checkpoint.progress.position > 0)
        if epochs < begun:
            raise InputError(f"--epochs {epochs}: {run_dir} has already begun its epoch {begun}")
        settings = replace(settings, epochs=epochs)
    return resume_run(checkpoint, load_data(checkpoint.chip, settings, tell), settings)


def finish_run(
    run: Run, run_dir: Path, watch: Watch, tell: Tell, trace_samples: int = 0
) -> dict[str, Any]:
    """Train a run to its end and write everything that it leaves behind; returns its figures, ready for JSON.

    Args:
        run: new, or continued.
        run_dir: exists; nobody else may write into it meanwhile.
        watch: opens what observes the training, when that begins.
        tell: hears that loops are compiled, if that takes long.
        trace_samples: after the run, so many samples are learnt and classified phase by phase and written as a trace; 0 for none.

    Raises:
        Interrupted: the observer asked to stop; a checkpoint holds where the run is.
        InputError: the directory is in use or cannot be written, or has not so many samples to trace.
    """
    with folder_lock(run_dir):
        # From here on a kill at any moment leaves something to go on with.
        run.save(run_dir)
        compile_loops(run, tell)
        with watch() as observer:
            run.train(observer, run_dir)
        results = {**run_figures(run), "run_dir": str(run_dir)}
        if trace_samples:
            results["trace"] = write_trace(run_dir, trace_run(run, trace_samples))
        plot_run(results, run_dir / "report")
        # Its last file says that the run is finished.
        write_results(run_dir, run, results)
    return results


def run_figures(run: Run) -> dict[str, Any]:
    """Figures of a run that has learnt, with the chip's memory and that of other ways to train its network."""
    return {
        **figures(run, run.final_accuracy()),
        "memory_bits": memory_bits(run.chip),
        "training_state_bits": training_state_bits(run.chip),
    }


def compile_loops(run: Run, tell: Tell) -> None:
    """Compile the loops before any clock runs, and say so if it takes time; the run learns nothing."""
    message = "Compiling the simulator's loops, once on this machine (about half a minute) ..."
    notice = threading.Timer(COMPILE_NOTICE_SECONDS, tell, [message])
    notice.start()
    nothing = np.zeros(0, np.int64)
    split = run.dataset.train
    try:
        run.engine.train(split.read(nothing), split.labels[nothing], run.train_counts)
    finally:
        notice.cancel()
