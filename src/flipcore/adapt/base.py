"""The trained chip that meets a changed world: of a finished run, or trained here first."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.estimate import run_workload
from flipcore.session import Tell, finish_run
from flipcore.sim.data import Dataset
from flipcore.sim.engine import Engine
from flipcore.sim.layout import initial_state
from flipcore.sim.run import (
    CHECKPOINT,
    Observer,
    Run,
    Settings,
    load_checkpoint,
    resume_run,
)
from flipcore.sim.storage import load_weights

RUN_FILE = "run.json"
WEIGHTS_FILE = "weights.npz"

Schedule = Literal["compress", "restart", "continue"]


@dataclass(frozen=True)
class Base:
    """A trained chip and what it was trained on.

    Attributes:
        run_dir: its run directory, with weights and momentum.
        settings: data set, epochs and seed of its training.
        training: counts of its training.
    """

    run_dir: Path
    chip: Chip
    settings: Settings
    training: EventCounts

    @property
    def weights(self) -> Path:
        """File of weights and momentum."""
        return self.run_dir / WEIGHTS_FILE

    def engine(self, seed: int, schedule: Schedule, samples: int) -> Engine:
        """A chip powered on with the trained weights and momentum.

        Its generators start from the seed (R5), T-BSO's second moments at 0, the sample counter after the training samples (`continue`, O5) or at 0.

        Args:
            seed: of the generators.
            schedule: `continue` stays at the schedule's end, `restart` begins it anew, `compress` begins it anew with its stages where they lay in the training, in proportion.
            samples: that will be learnt.

        Raises:
            InputError: there are no weights, or they are damaged.
        """
        state = initial_state(self.chip, seed)
        load_weights(self.weights, self.chip, state)
        if schedule == "continue":
            state.sample_counter = self.training.samples
        chip = self._compressed(samples) if schedule == "compress" else self.chip
        return Engine(chip, seed, state)

    def _compressed(self, samples: int) -> Chip:
        """The chip with its schedule's stages at the same shares of so many samples; of those that coincide the last."""
        stages = {
            stage.after_samples * samples // self.training.samples: stage
            for stage in self.chip.schedule
        }
        schedule = [
            stage.model_copy(update={"after_samples": after}) for after, stage in stages.items()
        ]
        return self.chip.model_copy(update={"schedule": schedule})

    def digest(self) -> str:
        """SHA-256 of the file of the weights, in hex."""
        with _told_in_one_line(self.weights):
            return hashlib.sha256(self.weights.read_bytes()).hexdigest()


def read_base(run_dir: Path) -> Base:
    """The trained chip of a finished run of `flipcore simulate`.

    Raises:
        InputError: there is no finished run of a chip that learnt, or its weights are missing.
    """
    workload = run_workload(run_dir)
    path = run_dir / RUN_FILE
    with _told_in_one_line(path):
        document = json.loads(path.read_text(encoding="utf-8"))
    settings = _settings(document.get("settings"), path)
    if workload.training is None:
        raise InputError(f"{run_dir}: this run has learnt nothing that could be lost")
    base = Base(run_dir, workload.chip, settings, workload.training)
    base.engine(0, "continue", 0)  # refuses missing, damaged or foreign weights before any work
    return base


def _settings(document: Any, path: Path) -> Settings:
    names = {field.name for field in fields(Settings)}
    if not isinstance(document, dict) or not set(document) <= names:
        raise InputError(f"{path}: settings: damaged or of another version")
    try:
        return Settings(**document)
    except TypeError as error:
        raise InputError(f"{path}: settings: {error}") from None


@contextmanager
def _told_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise InputError(f"{path}: cannot be read: {reason}") from None


def without_class(dataset: Dataset, label: int) -> Dataset:
    """The data set without the samples of a class, in both splits.

    Raises:
        InputError: nothing else is in one of them.
    """
    splits = []
    for split in (dataset.train, dataset.test):
        kept = np.flatnonzero(split.labels != label)
        if not len(kept):
            raise InputError(f"{dataset.name}: holds no class but {label}")
        splits.append(split.subset(kept))
    provenance = dataset.provenance | {"without_class": label}
    return replace(dataset, train=splits[0], test=splits[1], provenance=provenance)


def train_base(
    chip: Chip, dataset: Dataset, settings: Settings, folder: Path, observer: Observer, tell: Tell
) -> Base:
    """Train a chip in a run directory of its own; finished or interrupted before, it goes on from there.

    Args:
        chip: to be trained.
        dataset: what it learns.
        settings: of the run.
        folder: becomes a run directory as `flipcore simulate` leaves it.
        observer: told and asked while it trains.
        tell: hears that loops are compiled, if that takes long.

    Raises:
        Interrupted: the observer said so; a checkpoint was written before.
        InputError: the folder holds another run, or the data do not fit the chip.
    """
    if (folder / RUN_FILE).exists():
        base = read_base(folder)
        if (base.chip, base.settings) != (chip, settings):
            raise InputError(f"{folder}: holds another trained chip: choose another --out")
        return base
    if (folder / CHECKPOINT).exists():
        checkpoint = load_checkpoint(folder)
        if (checkpoint.chip, checkpoint.settings) != (chip, settings):
            raise InputError(f"{folder}: holds another trained chip: choose another --out")
        run = resume_run(checkpoint, dataset, settings)
    else:
        run = Run(chip, dataset, settings)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be created: {error.strerror}") from None
    finish_run(run, folder, lambda: nullcontext(observer), tell)
    return read_base(folder)
