"""What a loaded data set is to PyTorch: labels in memory, batches read from disk."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from flipcore.errors import InputError
from flipcore.sim.data import Dataset, Split, split_validation
from flipcore.sim.data.dataset import Provenance

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Labelled samples of one split; several threads may read at once.

    Attributes:
        split: where the records lie and how they are read.
        shape: channels, height and width of a sample; their product is the split's axons.
        labels: int64 [n], on the CPU.
    """

    split: Split
    shape: Shape
    labels: torch.Tensor

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def batch(self, indices: torch.Tensor | npt.ArrayLike) -> torch.Tensor:
        """Read the samples `indices`, int64 [b], in that order.

        Returns:
            Pixels: uint8 [b, C, H, W], 0 ... 255. Events: uint8 [b, steps, C, H, W], 0 or 1.
            A new tensor on the CPU.

        Raises:
            IndexError: an index is not 0 ... len(self) - 1.
        """
        if isinstance(indices, torch.Tensor):
            indices = indices.cpu().numpy()
        records = self.split.read(np.asarray(indices, np.int64))
        if self.split.layout.kind == "pixels":
            return torch.from_numpy(records.pixels.reshape(-1, *self.shape))
        axons = math.prod(self.shape)
        flags = np.unpackbits(records.bitmaps, axis=-1, count=axons, bitorder="little")
        return torch.from_numpy(flags.reshape(*flags.shape[:2], *self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class SampleSet:
    """A data set with its training and its test split.

    Attributes:
        dataset: the same records as the simulator takes them, an axon per channel, row and column.
        shape: channels, height and width of a sample.
        train: training split.
        test: test split.
    """

    dataset: Dataset
    shape: Shape
    train: Samples
    test: Samples

    @property
    def name(self) -> str:
        """Short name for tables."""
        return self.dataset.name

    @property
    def kind(self) -> Literal["pixels", "events"]:
        """Whether samples are pixels, still to be coded as spikes, or spikes."""
        return self.dataset.kind

    @property
    def num_classes(self) -> int:
        """Largest training label + 1."""
        return self.dataset.num_classes

    @property
    def provenance(self) -> Provenance:
        """The spec, source files with their SHA-256, counts, how it was split."""
        return self.dataset.provenance


def as_sample_set(dataset: Dataset, shape: Shape) -> SampleSet:
    """Give the flat records of `dataset` the shape they have; its product must be their axons."""
    if math.prod(shape) != dataset.num_axons:
        raise ValueError(f"shape {shape}: must hold {dataset.num_axons} axons")
    train, test = (
        Samples(split, shape, torch.from_numpy(split.labels.astype(np.int64)))
        for split in (dataset.train, dataset.test)
    )
    return SampleSet(dataset, shape, train, test)


def hold_out(sample_set: SampleSet, fraction: float, seed: int) -> SampleSet:
    """Replace the test split by a stratified, seeded share of the training split (R7).

    The same samples are held out as in the simulator with this fraction and seed.

    Raises:
        InputError: `fraction` is not between 0 and 1, or no class has two samples.
    """
    return as_sample_set(split_validation(sample_set.dataset, fraction, seed), sample_set.shape)


def check_kind(sample_set: SampleSet, kind: Literal["pixels", "events"], what: str) -> None:
    """Refuse a data set of the other kind; `what` begins the message."""
    if sample_set.kind != kind:
        raise InputError(f"{what}: {sample_set.name} holds {sample_set.kind}: must hold {kind}")
