"""A training run: epochs of single samples, evaluations, checkpoints that continue bit for bit."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flipcore import draws
from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim.data import Dataset, Records, Split
from flipcore.sim.engine import Engine
from flipcore.sim.flip_map import FlipMap, begin_epoch, end_epoch, new_flip_map
from flipcore.sim.layout import ChipState
from flipcore.sim.storage import read_checkpoint, write_checkpoint

CHECKPOINT = "checkpoint.npz"
CHECKPOINT_SECONDS = 20.0
TRAIN_CHUNK = 256  # samples between two looks at the clock and the interrupt flag
INFER_CHUNK = 4096
EVENT_BUDGET = 1 << 22  # most input events held at a time, so that memory does not grow with steps


@dataclass(frozen=True)
class Settings:
    """What a run is: with the chip and the data it fixes every result bit."""

    dataset: str
    epochs: int
    seed: int
    validation: float = 0.0
    weights: str = ""


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch.

    Attributes:
        train_accuracy: share of samples predicted right just before each was learnt.
        test_accuracy: share of test samples predicted right after the epoch.
        flips, momentum_updates: of this epoch, all cores.
        flip_ratio: share of all weights whose sign at its end is not that at its beginning, 0 ... 1.
        seconds: time spent learning.
    """

    epoch: int
    train_accuracy: float
    test_accuracy: float
    flips: int
    flip_ratio: float
    momentum_updates: int
    seconds: float


@dataclass
class Progress:
    """How far a run is; plain numbers only, as it goes into the checkpoint."""

    epoch: int = 0
    position: int = 0
    correct: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    epoch_flips: int = 0
    epoch_updates: int = 0
    history: list[Epoch] = field(default_factory=list)


class Interrupted(Exception):
    """The run was asked to stop; a checkpoint holds where it is."""


class Observer(Protocol):
    """Who is told how a run goes, and asked whether to stop."""

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Some samples were learnt; `flips` is of the whole run."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def should_stop(self) -> bool:
        """Whether to write a checkpoint and stop."""


class Run:
    """A run in the making: chip state, counts, progress.

    Attributes:
        engine: the chip.
        train_counts, inference_counts: event counts of all training samples, and of the last evaluation.
        progress: how far it is.
        flips: which weights the epochs changed.
    """

    def __init__(self, chip: Chip, dataset: Dataset, settings: Settings) -> None:
        """Start at the beginning.

        Raises:
            InputError: the data do not fit the chip.
        """
        check_fit(chip, dataset)
        self.chip = chip
        self.dataset = dataset
        self.settings = settings
        self.engine = Engine(chip, settings.seed)
        self.progress = Progress()
        self.train_counts = EventCounts.zeros(len(chip.layers))
        self.inference_counts = EventCounts.zeros(len(chip.layers))
        self.flips = new_flip_map(chip, self.engine.state)
        self._epoch_accuracy: float | None = None  # of the weights as they are, if it is known

    def restore(
        self,
        state: ChipState,
        progress: Progress,
        train_counts: EventCounts,
        flips: FlipMap | None = None,
    ) -> None:
        """Go on from a checkpoint's contents; of a state that comes without a map of flips, changes are noted from here on."""
        self.engine = Engine(self.chip, self.settings.seed, state)
        self.progress = progress
        self.train_counts = train_counts
        self.flips = new_flip_map(self.chip, state) if flips is None else flips

    def train(self, observer: Observer, run_dir: Path | None) -> None:
        """Train to the last epoch, with a checkpoint now and then if there is a run directory.

        Raises:
            Interrupted: the observer said so; a checkpoint was written before.
        """
        last_checkpoint = time.monotonic()
        while self.progress.epoch < self.settings.epochs:
            order = draws.sample_order(
                self.settings.seed, self.progress.epoch, len(self.dataset.train)
            )
            if self.progress.position == 0:
                begin_epoch(self.flips, self.engine.state)
            while self.progress.position < len(order):
                if observer.should_stop():
                    self.save(run_dir)
                    raise Interrupted
                if time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
                    self.save(run_dir)
                    last_checkpoint = time.monotonic()
                self._train_chunk(order[self.progress.position :])
                flips = self.train_counts.total("flips")
                observer.on_chunk(self.progress, len(order), flips)
            self._end_epoch(len(order))
            self.save(run_dir)
            observer.on_epoch(self.progress.history[-1])
            last_checkpoint = time.monotonic()

    def _train_chunk(self, remaining: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        self._epoch_accuracy = None
        chunk = remaining[: _chunk(TRAIN_CHUNK, self.chip)]
        started = time.perf_counter()
        split = self.dataset.train
        labels = split.labels[chunk]
        flips = self.train_counts.total("flips")
        updates = self.train_counts.total("momentum_updates")
        predictions = self.engine.train(split.read(chunk), labels, self.train_counts)
        elapsed = time.perf_counter() - started
        progress = self.progress
        progress.position += len(chunk)
        progress.correct += int(np.count_nonzero(predictions == labels))
        progress.seconds += elapsed
        progress.epoch_seconds += elapsed
        progress.epoch_flips += self.train_counts.total("flips") - flips
        progress.epoch_updates += self.train_counts.total("momentum_updates") - updates

    def _end_epoch(self, num_samples: int) -> None:
        progress = self.progress
        self._epoch_accuracy = self.evaluate()
        progress.history.append(
            Epoch(
                epoch=progress.epoch,
                train_accuracy=progress.correct / num_samples,
                test_accuracy=self._epoch_accuracy,
                flips=progress.epoch_flips,
                flip_ratio=end_epoch(self.flips, self.chip, self.engine.state),
                momentum_updates=progress.epoch_updates,
                seconds=progress.epoch_seconds,
            )
        )
        progress.epoch += 1
        progress.position = progress.correct = 0
        progress.epoch_flips = progress.epoch_updates = 0
        progress.epoch_seconds = 0.0

    def evaluate(self) -> float:
        """Accuracy on the test split; `inference_counts` are of this evaluation."""
        self.inference_counts = EventCounts.zeros(len(self.chip.layers))
        return accuracy(self.engine, self.dataset.test, self.inference_counts)

    def final_accuracy(self) -> float:
        """Accuracy on the test split with the weights as they are: that of the epoch just ended, else `evaluate`."""
        return self.evaluate() if self._epoch_accuracy is None else self._epoch_accuracy

    def save(self, run_dir: Path | None) -> None:
        """Write the checkpoint; an older one survives if that fails."""
        if run_dir is None:
            return
        about = {
            "settings": asdict(self.settings),
            "progress": asdict(self.progress),
            "dataset": fingerprint(self.dataset),
        }
        write_checkpoint(
            run_dir / CHECKPOINT, self.chip, self.engine.state, about, self.train_counts, self.flips
        )


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read, before its data set is loaded."""

    chip: Chip
    settings: Settings
    state: ChipState
    progress: Progress
    train_counts: EventCounts
    flips: FlipMap
    fingerprint: str


def load_checkpoint(run_dir: Path) -> Checkpoint:
    """Read the checkpoint of a run directory.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = run_dir / CHECKPOINT
    chip, state, about, train_counts, flips = read_checkpoint(path)
    try:
        settings = Settings(**about["settings"])
        plain = dict(about["progress"])
        history = [Epoch(**epoch) for epoch in plain.pop("history")]
        progress = Progress(**plain, history=history)
        return Checkpoint(
            chip, settings, state, progress, train_counts, flips, str(about["dataset"])
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged or not a checkpoint: {error}") from None


def resume_run(checkpoint: Checkpoint, dataset: Dataset, settings: Settings) -> Run:
    """Put a run back to where its checkpoint left it.

    Raises:
        InputError: the data set is not the one that the checkpoint was made with.
    """
    if fingerprint(dataset) != checkpoint.fingerprint:
        raise InputError(
            f"{settings.dataset}: is not the data set that the checkpoint was made with"
        )
    run = Run(checkpoint.chip, dataset, settings)
    run.restore(checkpoint.state, checkpoint.progress, checkpoint.train_counts, checkpoint.flips)
    return run


def check_fit(chip: Chip, dataset: Dataset) -> None:
    """Refuse data that the chip cannot take.

    Raises:
        InputError: names both figures.
    """
    if dataset.num_axons != chip.inputs:
        raise InputError(
            f"{dataset.name}: {dataset.num_axons} inputs a sample: the chip {chip.name} has inputs={chip.inputs}"
        )
    if dataset.num_classes > chip.classes:
        raise InputError(
            f"{dataset.name}: {dataset.num_classes} classes: the readout of {chip.name} has {chip.classes} neurons"
        )


def accuracy(engine: Engine, split: Split, counts: EventCounts) -> float:
    """Share of samples that the chip predicts right, on all processors; counts are added to."""
    size = _chunk(INFER_CHUNK, engine.chip)
    correct = 0
    for first in range(0, len(split), size):
        indices = np.arange(first, min(first + size, len(split)), dtype=np.int64)
        records: Records = split.read(indices)
        predictions = engine.infer(records, counts)
        correct += int(np.count_nonzero(predictions == split.labels[indices]))
    return correct / len(split)


def fingerprint(dataset: Dataset) -> str:
    """Digest of what a data set is and where it came from; equal data give equal digests."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.test):
        digest.update(split.labels.astype("<i4").tobytes())
    about = {
        key: value
        for key, value in dataset.provenance.items()
        if not key.startswith(("spec", "path"))
    }
    digest.update(json.dumps([dataset.kind, dataset.num_axons, about], sort_keys=True).encode())
    return digest.hexdigest()


def _chunk(most: int, chip: Chip) -> int:
    return max(1, min(most, EVENT_BUDGET // (chip.steps * chip.inputs)))
