"""CIFAR-10 and CIFAR-100: binary version, python version, or the same images in .npz files."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import PixelLayout, Progress, Provenance, Split, make_dataset
from flipcore.sim.data.store import Spool, sha256_of
from flipcore.training.data.cifar_batches import (
    IMAGE_BYTES,
    MAX_FILE_BYTES,
    SHAPE,
    CifarKind,
    Images,
    read_binary,
    read_python,
)
from flipcore.training.data.cifar_npz import read_archive
from flipcore.training.data.members import Members, opened_members, where
from flipcore.training.data.samples import SampleSet, as_sample_set

_Reader = Callable[[bytes, CifarKind, str], Images]


def load_cifar(path: Path, kind: CifarKind, *, spec: str, progress: Progress) -> SampleSet:
    """Load the set from a folder, an archive as published (.tar.gz), or .npz files.

    In a folder `*train*.npz` and `*test*.npz` hold x and y each; a single .npz holds x_train,
    y_train, x_test and y_test. A folder that holds the set in several versions gives the binary,
    else the python one.

    Raises:
        InputError: files are missing, damaged, of the wrong shape, or have labels out of range.
    """
    if path.suffix == ".npz" and path.is_file():
        return _from_npz(path, path, kind, spec, progress)
    with opened_members(path) as members:
        by_name = _by_name(members)
        versions: tuple[tuple[str, str, _Reader], ...] = (
            ("binary", ".bin", read_binary),
            ("python", "", read_python),
        )
        for version, suffix, reader in versions:
            wanted = [file + suffix for file in (*kind.train_files, kind.test_file)]
            if by_name.keys() & set(wanted):
                files = [_only(by_name, name, members) for name in wanted]
                return _from_batches(members, files, reader, version, kind, spec, progress)
        archives = {part: _npz_of(path, by_name, part) for part in ("train", "test")}
        if archives["train"] and archives["test"]:
            return _from_npz(archives["train"], archives["test"], kind, spec, progress)
        alone = [path / name for name in members.names() if name.endswith(".npz")]
        if len(alone) == 1 and path.is_dir():
            return _from_npz(alone[0], alone[0], kind, spec, progress)
    first = kind.train_files[0]
    raise InputError(
        f"{path}: no {kind.name} in it: looked for {first}.bin, {first} (python version), "
        "and *train*.npz with *test*.npz"
    )


def _by_name(members: Members) -> dict[str, list[str]]:
    """Full names of the files by their last part: archives put them into folders of their own."""
    by_name: dict[str, list[str]] = {}
    for name in members.names():
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    return by_name


def _only(by_name: dict[str, list[str]], name: str, members: Members) -> str:
    found = by_name.get(name, [])
    if not found:
        raise InputError(f"{members.path}: no file {name}, but others of the set")
    if len(found) > 1:
        raise InputError(f"{where(members, found[1])}: is there twice, the other is {found[0]}")
    return found[0]


def _npz_of(path: Path, by_name: dict[str, list[str]], part: str) -> Path | None:
    found = sorted(name for name in by_name if part in name.lower() and name.endswith(".npz"))
    if len(found) > 1:
        raise InputError(f"{path}: {found[0]} and {found[1]}: must be one archive of {part} images")
    return path / by_name[found[0]][0] if found and path.is_dir() else None


def _from_batches(
    members: Members,
    files: list[str],
    reader: _Reader,
    version: str,
    kind: CifarKind,
    spec: str,
    progress: Progress,
) -> SampleSet:
    provenance: Provenance = {"spec": spec, "version": version, "source": members.path.name}

    def images(names: Iterable[str]) -> Iterator[Images]:
        for name in names:
            if progress:
                progress(f"reading {PurePosixPath(name).name}")
            content = members.read(name, MAX_FILE_BYTES)
            digest = hashlib.sha256(content).hexdigest()
            provenance[f"{PurePosixPath(name).name}_sha256"] = digest
            yield reader(content, kind, where(members, name))

    train, test = _spool(images(files[:-1])), _spool(images(files[-1:]))
    return _as_set(kind, train, test, provenance)


def _from_npz(
    train_path: Path, test_path: Path, kind: CifarKind, spec: str, progress: Progress
) -> SampleSet:
    provenance: Provenance = {"spec": spec, "version": "npz"}
    splits = {}
    for part, path in (("train", train_path), ("test", test_path)):
        if progress:
            progress(f"reading {path.name}")
        in_one = train_path == test_path
        names = (f"x_{part}", f"y_{part}") if in_one else ("x", "y")
        splits[part] = _spool(read_archive(path, names, kind))
        provenance |= {f"{part}_source": path.name, f"{part}_sha256": sha256_of(path)}
    return _as_set(kind, splits["train"], splits["test"], provenance)


def _spool(parts: Iterator[Images]) -> Split:
    """Write images to a temporary file, as uint8 in the order colour, row, column."""
    spool = Spool("CIFAR")
    labels = []
    for images in parts:
        spool.write(np.ascontiguousarray(images.pixels).data)
        labels.append(images.labels)
    return Split(
        np.concatenate(labels).astype(np.int32), PixelLayout(IMAGE_BYTES), spool.store(IMAGE_BYTES)
    )


def _as_set(kind: CifarKind, train: Split, test: Split, provenance: Provenance) -> SampleSet:
    return as_sample_set(
        make_dataset(kind.name, train=train, test=test, provenance=provenance), SHAPE
    )
