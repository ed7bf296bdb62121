"""CIFAR's images in NumPy archives: arrays x and y in two files, or both splits in one."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import check_labels
from flipcore.sim.data.npy_member import NpyMember, open_member
from flipcore.sim.data.store import Int64s, told_in_one_line
from flipcore.training.data.cifar_batches import IMAGE_BYTES, CifarKind, Images

_BY_ROW = (32, 32, 3)  # row, column, colour, as image libraries have them
_BY_COLOUR = (3, 32, 32)


def read_archive(path: Path, names: tuple[str, str], kind: CifarKind) -> Iterator[Images]:
    """Read the images and labels that `names` names, in blocks.

    Raises:
        InputError: an array is missing, corrupt, of the wrong type or shape, or out of range.
    """
    with told_in_one_line(str(path)), zipfile.ZipFile(path) as archive:
        present = {name.removesuffix(".npy") for name in archive.namelist()}
        for name in names:
            if name not in present:
                there = ", ".join(sorted(present)) or "no arrays"
                raise InputError(f"{path}: no array {name}; it holds {there}")
        images, labels = (open_member(archive, name) for name in names)
        _check_images(images)
        found = _read_labels(labels, images, kind)
        for start, block in images.blocks():
            if images.shape[1:] == _BY_ROW:
                block = block.reshape(-1, *_BY_ROW).transpose(0, 3, 1, 2)
            pixels = np.ascontiguousarray(block).reshape(-1, IMAGE_BYTES)
            yield Images(found[start : start + len(pixels)], pixels)


def _check_images(images: NpyMember) -> None:
    if images.dtype != np.uint8:
        raise InputError(f"{images.where}: values of type {images.dtype}: must be uint8")
    if images.shape[1:] not in (_BY_ROW, _BY_COLOUR) or not images.shape[0]:
        raise InputError(
            f"{images.where}: shape {images.shape}: must be [n, 32, 32, 3] or [n, 3, 32, 32], n > 0"
        )


def _read_labels(labels: NpyMember, images: NpyMember, kind: CifarKind) -> Int64s:
    if labels.dtype.kind not in "iu":
        raise InputError(f"{labels.where}: values of type {labels.dtype}: labels must be integers")
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"{labels.where}: shape {labels.shape}: must be {images.shape[:1]}, a label an image"
        )
    found = np.concatenate([block[:, 0] for _, block in labels.blocks()])
    rule = f"0 ... {kind.num_classes - 1}"
    check_labels(found, f"{labels.where}: label", rule, kind.num_classes)
    return found.astype(np.int64)
