"""Folders of IDX files, the format of MNIST and its relatives."""

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import (
    Dataset,
    Int32s,
    PixelLayout,
    Progress,
    Provenance,
    Split,
    check_num_axons,
    make_dataset,
)
from flipcore.sim.data.store import (
    BLOCK_BYTES,
    RecordStore,
    Spool,
    sha256_of,
    store_in_place,
    told_in_one_line,
)

_GZIP_MAGIC = b"\x1f\x8b"
_TYPE_NAMES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_UINT8 = 0x08


def load_idx(folder: Path, *, name: str, spec: str, progress: Progress) -> Dataset:
    """Load the four files `{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]` of `folder`.

    Raises:
        InputError: a file is missing, corrupt, of the wrong shape or type, or does not fit.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths = {
        f"{part}_{what}": _find(folder, f"{stem}-{what}", f"idx{dims}-ubyte")
        for part, stem in (("train", "train"), ("test", "t10k"))
        for what, dims in (("images", 3), ("labels", 1))
    }
    train, shape = _load_split(paths["train_images"], paths["train_labels"], progress)
    test, test_shape = _load_split(paths["test_images"], paths["test_labels"], progress)
    if test_shape != shape:
        raise InputError(
            f"{paths['test_images']}: images of {_times(test_shape)}: "
            f"must be {_times(shape)} as the training images"
        )
    provenance: Provenance = {"spec": spec}
    for key, path in paths.items():
        provenance |= {key: path.name, f"{key}_sha256": sha256_of(path)}
    return make_dataset(name, train=train, test=test, provenance=provenance)


def _find(folder: Path, stem: str, kind: str) -> Path:
    # Both spellings are about: "-idx3" in the original archives, ".idx3" in some unpacked copies.
    for name in (f"{stem}-{kind}", f"{stem}-{kind}.gz", f"{stem}.{kind}", f"{stem}.{kind}.gz"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: no file {stem}-{kind}[.gz] or {stem}.{kind}[.gz]")


def _load_split(images: Path, labels: Path, progress: Progress) -> tuple[Split, tuple[int, ...]]:
    if progress:
        progress(f"reading {images.name}")
    store, (count, *shape) = _read_images(images)
    return Split(_read_labels(labels, count, images), PixelLayout(math.prod(shape)), store), tuple(
        shape
    )


def _read_images(path: Path) -> tuple[RecordStore, tuple[int, ...]]:
    with _opened(path) as (file, is_packed):
        dims = _read_header(file, path, 3)
        if not dims[0]:
            raise InputError(f"{path}: holds no images")
        record_bytes = math.prod(dims[1:])
        check_num_axons(record_bytes, str(path))
        spool = Spool(str(path)) if is_packed else None
        for block in _blocks(file, path, math.prod(dims)):
            if spool:
                spool.write(block)
        if spool:
            return spool.store(record_bytes), dims
    return store_in_place(path, offset=4 + 4 * len(dims), record_bytes=record_bytes), dims


def _read_labels(path: Path, num_images: int, images: Path) -> Int32s:
    with _opened(path) as (file, _):
        (count,) = _read_header(file, path, 1)
        if count != num_images:
            raise InputError(
                f"{path}: {count} labels: must be {num_images}, as many as images in {images.name}"
            )
        labels = b"".join(_blocks(file, path, count))
    return np.frombuffer(labels, dtype=np.uint8).astype(np.int32)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """Unpacked bytes of a file, and whether it is packed."""
    # By content: some browsers unpack a download but keep its name.
    with told_in_one_line(str(path)), path.open("rb") as file:
        is_packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if is_packed:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked), True
        else:
            yield file, False


def _read_header(file: BinaryIO, path: Path, num_dims: int) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4:
        raise InputError(f"{path}: {len(magic)} bytes: too short for an IDX file")
    if magic[:2] != b"\0\0" or (magic[2] != _UINT8 and magic[2] not in _TYPE_NAMES):
        raise InputError(f"{path}: magic number 0x{magic.hex()}: not an IDX file")
    if magic[2] != _UINT8:
        raise InputError(f"{path}: values of type {_TYPE_NAMES[magic[2]]}: must be uint8")
    if magic[3] != num_dims:
        raise InputError(f"{path}: {magic[3]} dimensions: must be {num_dims}")
    sizes = file.read(4 * num_dims)
    if len(sizes) < 4 * num_dims:
        raise InputError(f"{path}: ends within its header")
    return tuple(np.frombuffer(sizes, dtype=">u4").tolist())


def _blocks(file: BinaryIO, path: Path, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes up to the end of the file, in blocks."""
    left = size
    while left:
        block = file.read(min(left, BLOCK_BYTES))
        if not block:
            raise InputError(
                f"{path}: truncated: {size - left} bytes of data: its header says {size}"
            )
        left -= len(block)
        yield block
    if file.read(1):
        raise InputError(f"{path}: has bytes after its data: its header says {size} bytes of data")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
