"""One file of CIFAR's binary or python version, whole in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import check_labels
from flipcore.sim.data.store import Int64s, UInt8s
from flipcore.training.data.restricted_pickle import read_batch

SHAPE = (3, 32, 32)
IMAGE_BYTES = 3072
# The largest published file, CIFAR-100's training set as a pickle, has 155 MB.
MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class CifarKind:
    """What differs between CIFAR-10 and CIFAR-100.

    Attributes:
        name: of the set.
        num_classes: labels are 0 ... num_classes - 1.
        label_bytes: label bytes in a record of the binary version; the last one counts.
        label_key: labels in a python batch.
        train_files: names of the training files, without the suffix `.bin`.
        test_file: name of the test file.
    """

    name: str
    num_classes: int
    label_bytes: int
    label_key: bytes
    train_files: tuple[str, ...]
    test_file: str


CIFAR10 = CifarKind(
    "cifar10", 10, 1, b"labels", tuple(f"data_batch_{k}" for k in range(1, 6)), "test_batch"
)
# Fine labels: the 100 classes, not their 20 groups.
CIFAR100 = CifarKind("cifar100", 100, 2, b"fine_labels", ("train",), "test")


@dataclass(frozen=True, slots=True)
class Images:
    """Some images: labels int64 [k], pixels uint8 [k, 3072], each red, green, blue, row by row."""

    labels: Int64s
    pixels: UInt8s


def read_binary(content: bytes, kind: CifarKind, where: str) -> Images:
    """Read a file of the binary version: records of the label bytes and 3072 pixels.

    Raises:
        InputError: empty, a broken last record, or a label out of range.
    """
    record_bytes = kind.label_bytes + IMAGE_BYTES
    if not content or len(content) % record_bytes:
        raise InputError(
            f"{where}: {len(content)} bytes: must be a positive multiple of {record_bytes}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record_bytes)
    labels = records[:, kind.label_bytes - 1].astype(np.int64)
    return _checked(Images(labels, records[:, kind.label_bytes :]), kind, where)


def read_python(content: bytes, kind: CifarKind, where: str) -> Images:
    """Read a file of the python version through the restricted reader of pickles.

    Raises:
        InputError: not such a pickle, arrays of other shapes, or a label out of range.
    """
    batch = read_batch(content, where)
    for key in (b"data", kind.label_key):
        if key not in batch:
            there = ", ".join(sorted(name.decode("utf-8", "replace") for name in batch))
            raise InputError(f"{where}: no entry {key.decode()}; it holds {there or 'nothing'}")
    pixels = batch[b"data"]
    if not isinstance(pixels, np.ndarray):
        raise InputError(f"{where}: data: a {type(pixels).__name__}: must be an array")
    if pixels.shape[1] != IMAGE_BYTES or not len(pixels):
        raise InputError(f"{where}: data: shape {pixels.shape}: must be [n, {IMAGE_BYTES}], n > 0")
    labels = _label_list(batch[kind.label_key], f"{where}: {kind.label_key.decode()}")
    if len(labels) != len(pixels):
        raise InputError(f"{where}: {len(labels)} labels: must be {len(pixels)}, as many as images")
    return _checked(Images(labels, pixels), kind, where)


def _label_list(values: Any, where: str) -> Int64s:
    if not isinstance(values, list):
        raise InputError(f"{where}: a {type(values).__name__}: must be a list")
    for index, value in enumerate(values):
        if type(value) is not int or not -(2**31) <= value < 2**31:
            raise InputError(f"{where} {index}: {value!r}: must be an integer label")
    return np.array(values, np.int64)


def _checked(images: Images, kind: CifarKind, where: str) -> Images:
    rule = f"0 ... {kind.num_classes - 1}"
    check_labels(images.labels, f"{where}: label", rule, kind.num_classes)
    return images
