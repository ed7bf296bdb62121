"""A training from its first epoch to its last: order of samples, evaluations, checkpoints that continue bit for bit."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from flipcore import draws
from flipcore.chip import chip_document
from flipcore.errors import InputError
from flipcore.training.checkpoint import read_checkpoint, write_checkpoint
from flipcore.training.data import Samples, SampleSet, crop_and_flip
from flipcore.training.data.samples import check_kind
from flipcore.training.distributed import (
    average_over_processes,
    check_agreement,
    rank,
    sum_over_processes,
    world_size,
)
from flipcore.training.flip_ratio import FlipMeter
from flipcore.training.frames import make_coder
from flipcore.training.learner import BatchFigures, Learner
from flipcore.training.live_tensors import LiveTensors
from flipcore.training.models import binary_weights
from flipcore.training.networks import build_network, network_steps
from flipcore.training.options import Options
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.recipe import Recipe, recipe_document

CHECKPOINT_SECONDS = 60.0
TAG_AUGMENTATION = 16  # of the streams of SPEC R2: beyond those that the SPEC names
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch.

    Attributes:
        loss: mean over the samples.
        train_accuracy: share of samples classified right just before each batch was learnt.
        test_accuracy: share of test samples classified right after the epoch.
        flip_ratio: share of binary weights whose sign at the end is not that of the beginning (AGMM's pi_e).
        seconds: time spent learning.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    flip_ratio: float
    seconds: float


@dataclass
class Progress:
    """How far a training is; plain numbers only, as it goes into the checkpoint."""

    epoch: int = 0
    batch: int = 0
    correct: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    peak_bytes: int = 0
    history: list[Epoch] = field(default_factory=list)


class Interrupted(Exception):
    """The training was asked to stop; a checkpoint holds where it is."""


class Observer(Protocol):
    """Who is told how a training goes, and asked whether to stop."""

    def on_batch(self, progress: Progress, batches: int) -> None:
        """A batch was learnt; an epoch has `batches`."""

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def should_stop(self) -> bool:
        """Whether to write a checkpoint and stop."""


class TrainingRun:
    """A training in the making.

    Attributes:
        learner: the network and its optimisers.
        progress: how far it is.
        epochs: after how many it ends.
    """

    def __init__(
        self, recipe: Recipe, options: Options, samples: SampleSet, device: torch.device
    ) -> None:
        """Start at the beginning.

        Raises:
            InputError: the data do not fit the network or its augmentation, or processes would have no samples.
        """
        if recipe.augment:
            check_kind(samples, "pixels", f"{recipe.name}: augment")
        self.recipe = recipe
        self.options = options
        self.samples = samples
        self.device = device
        self.steps = network_steps(recipe)
        self.epochs = recipe.epochs if options.epochs is None else options.epochs
        self.progress = Progress()
        if self.batch_samples < world_size():
            raise InputError(
                f"{recipe.name}: batches of {self.batch_samples}: too few for {world_size()} processes"
            )
        model = build_network(recipe, options, samples)
        self.learner = Learner(recipe, options, model, device, self.epochs)
        self._coder = make_coder(recipe, samples, self.steps)
        self._meter = FlipMeter(self.learner.model)

    @property
    def batches(self) -> int:
        """Batches of an epoch; a rest that does not fill one is left for the next epoch's order."""
        return max(len(self.samples.train) // self.recipe.batch_size, 1)

    @property
    def batch_samples(self) -> int:
        """Samples of a batch, on all processes together."""
        return min(self.recipe.batch_size, len(self.samples.train))

    def train(self, observer: Observer, run_dir: Path | None) -> None:
        """Train to the last epoch, with a checkpoint now and then if there is a run directory.

        Raises:
            Interrupted: the observer said so; a checkpoint was written before.
            InputError: a gradient is not finite; the last checkpoint is of before.
        """
        last_checkpoint = time.monotonic()
        while self.progress.epoch < self.epochs:
            order = draws.sample_order(
                self.options.seed, self.progress.epoch, len(self.samples.train.labels)
            )
            while self.progress.batch < self.batches:
                if self._should_stop(observer):
                    self.save(run_dir)
                    raise Interrupted
                if time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
                    self.save(run_dir)
                    last_checkpoint = time.monotonic()
                self._train_batch(order)
                observer.on_batch(self.progress, self.batches)
            self._end_epoch()
            self.save(run_dir)
            observer.on_epoch(self.progress.history[-1])
            last_checkpoint = time.monotonic()

    def _should_stop(self, observer: Observer) -> bool:
        """Whether any process was asked to stop: all of them stop at the same batch."""
        (asked,) = sum_over_processes([observer.should_stop()], self.device)
        return asked > 0

    def _train_batch(self, order: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        progress, size = self.progress, self.recipe.batch_size
        indices = order[progress.batch * size : (progress.batch + 1) * size][rank() :: world_size()]
        raw, labels = self._read(self.samples.train, indices)
        if self.recipe.augment:
            raw = crop_and_flip(raw, self._generator())
        started = time.perf_counter()
        try:
            figures = self._learn(raw, labels)
        except InputError as error:
            raise InputError(
                f"epoch {progress.epoch}, batch {progress.batch}, {error}; the last checkpoint is of before"
            ) from None
        seconds = time.perf_counter() - started
        progress.batch += 1
        progress.correct += figures.correct
        progress.loss += figures.loss
        progress.seconds += seconds
        progress.epoch_seconds += seconds

    def _learn(self, raw: Tensor, labels: Tensor) -> BatchFigures:
        """Learn a batch; the second one under the eyes of the tracker, when all state exists that is ever kept."""
        progress = self.progress
        if progress.peak_bytes or (progress.epoch, progress.batch) == (0, 0):
            return self.learner.learn(self._coder(raw), labels, self.steps)
        with LiveTensors(self.learner.state_tensors(), self.device) as tracker:
            figures = self.learner.learn(self._coder(raw), labels, self.steps)
        progress.peak_bytes = tracker.peak_bytes()
        return figures

    def _read(
        self, split: Samples, indices: np.ndarray[Any, np.dtype[np.int64]]
    ) -> tuple[Tensor, Tensor]:
        return split.batch(indices).to(self.device), split.labels[indices].to(self.device)

    def _generator(self) -> torch.Generator:
        """Randomness of this batch alone, so that a training resumed in the middle draws the same."""
        progress = self.progress
        seeds = draws.stream(
            self.options.seed, TAG_AUGMENTATION, progress.epoch, count=progress.batch + 1
        )
        return torch.Generator().manual_seed(int(seeds[-1] >> np.uint64(1)) ^ rank())

    def _end_epoch(self) -> None:
        progress = self.progress
        check_agreement(_bits(self.learner.model))
        average_over_processes(_statistics(self.learner.model))
        correct, loss = sum_over_processes([progress.correct, progress.loss], self.device)
        progress.history.append(
            Epoch(
                epoch=progress.epoch,
                loss=loss / (self.batches * world_size()),
                train_accuracy=correct / (self.batches * self.batch_samples),
                test_accuracy=self.evaluate(),
                flip_ratio=self._meter.ratio().total,
                seconds=progress.epoch_seconds,
            )
        )
        self._meter.snapshot()
        self.learner.end_epoch()
        progress.epoch += 1
        progress.batch = progress.correct = 0
        progress.loss = progress.epoch_seconds = 0.0

    def evaluate(self) -> float:
        """Accuracy on the test split; processes share the work."""
        split = self.samples.test
        correct = 0
        mine = np.arange(rank(), len(split.labels), world_size(), dtype=np.int64)
        for first in range(0, len(mine), EVALUATION_BATCH):
            raw, labels = self._read(split, mine[first : first + EVALUATION_BATCH])
            correct += int((self.learner.classify(self._coder(raw)) == labels).sum())
        (all_correct,) = sum_over_processes([correct], self.device)
        return all_correct / len(split.labels)

    def save(self, run_dir: Path | None) -> None:
        """Write the checkpoint; an older one survives if that fails."""
        if run_dir is None or rank():
            return
        content = {
            **self._identity(),
            "learner": self.learner.state_dict(),
            "meter": self._meter.state(),
            "progress": asdict(self.progress),
        }
        write_checkpoint(run_dir, content)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the training that it continues."""
        return {
            "recipe": recipe_document(self.recipe),
            # The recipe only names it: its file may be another by now.
            "chip": chip_document(self.recipe.chip()) if self.recipe.network.chip else None,
            "algorithm": self.options.algorithm.name,
            "storage": self.options.storage,
        }

    def restore(self, run_dir: Path) -> None:
        """Go on from the checkpoint of a run directory.

        Raises:
            InputError: it is damaged, or of another recipe, algorithm or network.
        """
        content = read_checkpoint(run_dir)
        try:
            for key, mine in self._identity().items():
                if content[key] != mine:
                    raise InputError(f"{run_dir}: the checkpoint is of another {key}")
            plain = dict(content["progress"])
            history = [Epoch(**epoch) for epoch in plain.pop("history")]
            self.progress = Progress(**plain, history=history)
            self._meter.load_state(content["meter"])
            self.learner.load_state_dict(content["learner"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{run_dir}: damaged or not a checkpoint: {error}") from None


def _statistics(model: nn.Module) -> list[Tensor]:
    """Running means and variances of BatchNorm: each process has those of its own samples."""
    return [
        statistic
        for layer in model.modules()
        if isinstance(layer, nn.BatchNorm2d)
        for statistic in (layer.running_mean, layer.running_var)
    ]


def _bits(model: nn.Module) -> dict[str, Tensor]:
    """The binary weights by name, as they are stored."""
    return {
        name: weight.bits if isinstance(weight, PackedWeight) else weight
        for name, weight in binary_weights(model)
    }
