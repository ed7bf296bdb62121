"""What a loaded data set is: two splits of labelled records, and where they came from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from flipcore.chip import MAX_AXONS, MAX_NEURONS
from flipcore.errors import InputError
from flipcore.sim.data.store import Int64s, RecordStore, UInt8s

Int32s = npt.NDArray[np.int32]
Progress = Callable[[str], None] | None
Provenance = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Records:
    """Some samples, in memory; the arrays of the other kind of data are empty.

    Attributes:
        pixels: uint8 [k, axons], 0 ... 255 (N2).
        bitmaps: uint8 [k, steps, ceil(axons / 8)]; axon i of a step is bit i % 8, lowest first,
            of byte i // 8.
        merged: int32 [k, steps]; further events of an axon in the same step, which the bitmap
            cannot hold (N2).
    """

    pixels: UInt8s
    bitmaps: UInt8s
    merged: Int32s


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """A record is one byte per pixel."""

    num_axons: int

    @property
    def kind(self) -> Literal["pixels"]:
        """The data set's kind."""
        return "pixels"

    @property
    def record_bytes(self) -> int:
        """Size of a record."""
        return self.num_axons

    def decode(self, raw: UInt8s) -> Records:
        """Interpret raw records, uint8 [k, record_bytes]."""
        count = len(raw)
        return Records(raw, np.empty((count, 0, 0), np.uint8), np.empty((count, 0), np.int32))


@dataclass(frozen=True, slots=True)
class EventLayout:
    """A record is the merged counts of all steps, little-endian int32, then their bitmaps."""

    num_axons: int
    num_steps: int

    @property
    def kind(self) -> Literal["events"]:
        """The data set's kind."""
        return "events"

    @property
    def record_bytes(self) -> int:
        """Size of a record."""
        return self.num_steps * (4 + self._row_bytes)

    @property
    def _row_bytes(self) -> int:
        return -(-self.num_axons // 8)

    def encode(self, flags: npt.NDArray[np.bool_], merged: npt.NDArray[np.integer]) -> bytes:
        """One raw record from bool [steps, axons] and the merged counts, [steps]."""
        return (
            merged.astype("<i4").tobytes() + np.packbits(flags, axis=1, bitorder="little").tobytes()
        )

    def decode(self, raw: UInt8s) -> Records:
        """Interpret raw records, uint8 [k, record_bytes]."""
        count = len(raw)
        merged = np.ascontiguousarray(raw[:, : 4 * self.num_steps]).view("<i4").astype(np.int32)
        bitmaps = np.ascontiguousarray(raw[:, 4 * self.num_steps :])
        shape = (count, self.num_steps, self._row_bytes)
        return Records(np.empty((count, 0), np.uint8), bitmaps.reshape(shape), merged)


Layout = PixelLayout | EventLayout


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Labelled samples, labels in memory, records on disk; several threads may read at once.

    Attributes:
        labels: int32 [n].
        layout: how a record is to be read.
        store: where the records lie.
        positions: int64 [n], the record of each sample; None where sample i is record i.
    """

    labels: Int32s
    layout: Layout
    store: RecordStore
    positions: Int64s | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def read(self, indices: Int64s) -> Records:
        """Fetch the records of the samples `indices`, int64 [k], in that order.

        Raises:
            IndexError: an index is not 0 ... len(self) - 1.
        """
        return self.layout.decode(self.store.read(self._positions_of(indices)))

    def subset(self, indices: Int64s) -> "Split":
        """Select the samples `indices`, int64 [k], in that order; records are not copied.

        Raises:
            IndexError: an index is not 0 ... len(self) - 1.
        """
        return Split(self.labels[indices], self.layout, self.store, self._positions_of(indices))

    def _positions_of(self, indices: Int64s) -> Int64s:
        if len(indices) and not (indices.min() >= 0 and indices.max() < len(self)):
            raise IndexError(f"sample indices must be 0 ... {len(self) - 1}")
        return indices.astype(np.int64) if self.positions is None else self.positions[indices]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set with its training and its test split.

    Attributes:
        name: short name for tables.
        kind: `pixels` or `events` (N2).
        num_axons: inputs of the chip that takes it.
        num_classes: largest training label + 1.
        train: training split.
        test: test split.
        provenance: the spec, source files with their SHA-256, counts, how it was split.
    """

    name: str
    kind: Literal["pixels", "events"]
    num_axons: int
    num_classes: int
    train: Split
    test: Split
    provenance: Provenance


def make_dataset(name: str, *, train: Split, test: Split, provenance: Provenance) -> Dataset:
    """Check the labels of both splits against each other and put the data set together.

    A class without a training sample is no error; the provenance records it as
    `classes_without_training_samples`.

    Raises:
        InputError: a split is empty; a label is negative, beyond 4095, or (test) beyond the
            largest training label.
    """
    for title, split in (("training", train), ("test", test)):
        if not len(split):
            raise InputError(f"{name}: the {title} split is empty")
    check_labels(train.labels, f"{name}: training label", f"0 ... {MAX_NEURONS - 1}", MAX_NEURONS)
    num_classes = int(train.labels.max()) + 1
    rule = f"0 ... {num_classes - 1}, the largest training label"
    check_labels(test.labels, f"{name}: test label", rule, num_classes)
    counted: Provenance = {
        "train_samples": len(train),
        "test_samples": len(test),
        "num_classes": num_classes,
    }
    absent = np.flatnonzero(np.bincount(train.labels, minlength=num_classes) == 0)
    if len(absent):
        counted["classes_without_training_samples"] = ",".join(map(str, absent.tolist()))
    layout = train.layout
    return Dataset(
        name, layout.kind, layout.num_axons, num_classes, train, test, {**provenance, **counted}
    )


def check_labels(
    labels: npt.NDArray[np.integer], where: str, rule: str, limit: int, *, first: int = 0
) -> None:
    """Refuse the first label that is not 0 ... `limit` - 1; its index counts from `first`."""
    bad = np.flatnonzero((labels < 0) | (labels >= limit))
    if len(bad):
        raise InputError(f"{where} {first + int(bad[0])}: {int(labels[bad[0]])}: must be {rule}")


def check_num_axons(num_axons: int, where: str) -> None:
    """Refuse samples that no chip can take (S3)."""
    if not 1 <= num_axons <= MAX_AXONS:
        raise InputError(f"{where}: {num_axons} pixels a sample: must be 1 ... {MAX_AXONS} (S3)")
