"""One training in its run directory: restored or begun, trained, its chip's files and figures written; or read if it is finished."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.training.checkpoint import CHECKPOINT
from flipcore.training.deployment import chip_state, write_deployment
from flipcore.training.distributed import rank
from flipcore.training.training_results import deployed_chip, figures, run_document
from flipcore.training.training_run import Epoch, Observer, TrainingRun

RUN_FILE = "run.json"
Watch = Callable[[TrainingRun], AbstractContextManager[Observer]]


def train_in_folder(
    make_run: Callable[[], TrainingRun], run_dir: Path, watch: Watch
) -> dict[str, Any]:
    """Train to the end, from the checkpoint of the run directory if it has one; returns the figures, ready for JSON.

    Args:
        make_run: the training at its beginning; not called if the directory holds a finished one.
        run_dir: exists; nobody else may write into it meanwhile.
        watch: opens what observes the training, when that begins.

    Raises:
        Interrupted: the observer asked to stop; a checkpoint holds where the training is.
        InputError: the directory holds something damaged or of another training, or cannot be written; or a gradient is not finite.
    """
    done = run_dir / RUN_FILE
    if done.is_file():
        return read_figures(done)
    run = make_run()
    if (run_dir / CHECKPOINT).is_file():
        run.restore(run_dir)
    with watch(run) as observer:
        run.train(observer, run_dir)
    results = figures(run)
    if rank() == 0:
        chip = deployed_chip(run)
        if chip is not None:
            write_deployment(run_dir, chip_state(run.learner.model, chip, run.options.seed), chip)
        write_whole(done, (json.dumps(run_document(run, results), indent=1) + "\n").encode())
    return results


def read_figures(path: Path) -> dict[str, Any]:
    """The figures of a finished training.

    Raises:
        InputError: the file cannot be read or is damaged.
    """
    try:
        figures_read = json.loads(path.read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged or not a finished training: {error}") from None
    if not isinstance(figures_read, dict):
        raise InputError(f"{path}: damaged or not a finished training: figures is no mapping")
    return figures_read


def logged_values(epoch: Epoch) -> dict[str, float]:
    """An epoch's figures by the names that TensorBoard shows."""
    return {
        "loss/train": epoch.loss,
        "accuracy/train": epoch.train_accuracy,
        "accuracy/test": epoch.test_accuracy,
        "learning/flip_ratio": epoch.flip_ratio,
        "time/seconds": epoch.seconds,
    }
