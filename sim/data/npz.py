"""NumPy archives: x and y, or x_train, y_train, x_test and y_test."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flipcore.chip import MAX_NEURONS
from flipcore.errors import InputError
from flipcore.sim.data.dataset import (
    Dataset,
    Int32s,
    PixelLayout,
    Progress,
    Provenance,
    Split,
    check_labels,
    check_num_axons,
    make_dataset,
)
from flipcore.sim.data.npy_member import NpyMember, open_member
from flipcore.sim.data.scaling import largest_value, scale, spool_scaled
from flipcore.sim.data.store import RecordStore, Spool, sha256_of, store_in_place, told_in_one_line

_SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path, *, spec: str, progress: Progress) -> Dataset:
    """Load an archive; with x and y alone, every fifth sample of each class is test, in their order.

    Samples x [n, ...] are flattened. uint8 stays as it is, bool becomes 0 and 255, other numbers
    are scaled by the largest value of the training split to 0 ... 255, rounded half up; larger ones
    in the test split become 255.

    Raises:
        InputError: the file or one of its arrays is missing, corrupt, of the wrong type or shape,
            or out of range.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if progress:
        progress(f"reading {path.name}")
    with told_in_one_line(str(path)), zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        if names.intersection(_SPLIT_NAMES):
            train, test, found = _load_given_split(path, archive, names)
        else:
            train, test, found = _load_unsplit(path, archive, names)
    provenance: Provenance = {
        "spec": spec,
        "source": path.name,
        "source_sha256": sha256_of(path),
        **found,
    }
    return make_dataset(path.stem, train=train, test=test, provenance=provenance)


def _load_given_split(
    path: Path, archive: zipfile.ZipFile, names: set[str]
) -> tuple[Split, Split, Provenance]:
    _check_present(path, names, _SPLIT_NAMES)
    train, test = (open_member(archive, name) for name in ("x_train", "x_test"))
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise InputError(
            f"{test.where}: samples of shape {test.shape[1:]} and type {test.dtype}: "
            f"must be {train.shape[1:]} and {train.dtype} as in x_train"
        )
    train_labels = _read_labels(open_member(archive, "y_train"), train)
    test_labels = _read_labels(open_member(archive, "y_test"), test)
    largest = _largest(
        [
            (train, np.ones(len(train_labels), np.bool_)),
            (test, np.zeros(len(test_labels), np.bool_)),
        ]
    )
    layout = _layout(train)
    return (
        Split(train_labels, layout, _store(path, train, largest)),
        Split(test_labels, layout, _store(path, test, largest)),
        _scaling_told(train, largest),
    )


def _load_unsplit(
    path: Path, archive: zipfile.ZipFile, names: set[str]
) -> tuple[Split, Split, Provenance]:
    _check_present(path, names, ("x", "y"))
    member = open_member(archive, "x")
    labels = _read_labels(open_member(archive, "y"), member)
    is_test = _every_fifth_of_a_class(labels)
    if not is_test.any():
        raise InputError(
            f"{path}: no class has 5 samples: must be so for a fifth to become the test"
        )
    largest = _largest([(member, ~is_test)])
    whole = Split(labels, _layout(member), _store(path, member, largest))
    found = _scaling_told(member, largest) | {"test_split": "every fifth sample of each class"}
    return whole.subset(np.flatnonzero(~is_test)), whole.subset(np.flatnonzero(is_test)), found


def _every_fifth_of_a_class(labels: Int32s) -> npt.NDArray[np.bool_]:
    # By class: archives are often ordered by class or interleaved, where each fifth index of all
    # would leave classes out of one of the splits.
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    first_of_class = np.repeat(np.cumsum(counts) - counts, counts)
    is_test = np.empty(len(labels), np.bool_)
    is_test[by_class] = (np.arange(len(labels)) - first_of_class) % 5 == 4
    return is_test


def _check_present(path: Path, names: set[str], wanted: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        there = ", ".join(sorted(names)) or "no arrays"
        rule = f"must hold x, y or {', '.join(_SPLIT_NAMES)}"
        raise InputError(f"{path}: no array {missing[0]}: {rule}; it holds {there}")


def _read_labels(member: NpyMember, samples: NpyMember) -> Int32s:
    if member.dtype.kind not in "iu":
        raise InputError(f"{member.where}: values of type {member.dtype}: labels must be integers")
    if member.row_size != 1 or len(member.shape) > 2:  # [n, 1] is how some libraries save labels
        raise InputError(f"{member.where}: shape {member.shape}: must be [n] or [n, 1]")
    if member.shape[0] != samples.shape[0]:
        raise InputError(
            f"{member.where}: {member.shape[0]} labels: "
            f"must be {samples.shape[0]}, as many as samples in {samples.where}"
        )
    if not member.shape[0]:
        raise InputError(f"{samples.where}: holds no samples")
    check_num_axons(samples.row_size, samples.where)
    labels = np.empty(member.shape[0], np.int32)
    for start, block in member.blocks():
        check_labels(
            block[:, 0],
            f"{member.where}: label",
            f"0 ... {MAX_NEURONS - 1}",
            MAX_NEURONS,
            first=start,
        )
        labels[start : start + len(block)] = block[:, 0]
    return labels


def _largest(parts: list[tuple[NpyMember, npt.NDArray[np.bool_]]]) -> float | None:
    """Largest training value (parts: an array, and which rows are training); None: no scaling."""
    first = parts[0][0]
    if first.dtype == np.uint8 or first.dtype.kind == "b":
        return None
    largest = max(largest_value(member, counted) for member, counted in parts)
    if not largest:
        raise InputError(f"{first.where}: all training pixels are 0: there is nothing to scale by")
    return largest


def _store(path: Path, member: NpyMember, largest: float | None) -> RecordStore:
    offset = member.offset_in_file() if member.dtype == np.uint8 else None
    if offset is not None:
        for _ in member.blocks():  # for the checksum alone
            pass
        return store_in_place(path, offset=offset, record_bytes=member.row_size)
    spool = Spool(member.where)
    if largest is not None:
        spool_scaled(member, spool, lambda block: scale(block, largest))
    elif member.dtype.kind == "b":
        spool_scaled(
            member,
            spool,
            lambda block: (block.view(np.uint8) != 0).astype(np.uint8) * np.uint8(255),
        )
    else:
        spool_scaled(member, spool, lambda block: block)
    return spool.store(member.row_size)


def _layout(member: NpyMember) -> PixelLayout:
    return PixelLayout(member.row_size)


def _scaling_told(member: NpyMember, largest: float | None) -> Provenance:
    return {
        "dtype": str(member.dtype),
        "scaled_from": "as it is" if largest is None else f"0 ... {largest:.17g}",
    }
