"""Where N-MNIST's recordings lie: folders or zip files, in either of the two published layouts."""

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from flipcore.errors import InputError
from flipcore.sim.data.store import told_in_one_line

# The longest of the set has some 50,000 bytes; a file beyond this is something else.
MAX_RECORDING_BYTES = 16 << 20
_MAX_DEPTH = 4
_WANTED = (
    "Train/<digit>/<number>.bin and Test/<digit>/<number>.bin, "
    "or train*.txt, test*.txt and <number>.bs2"
)

_ORIGINAL = re.compile(r"(?:.*/)?(Train|Test)/([0-9])/([0-9]+)\.bin")
_LIST = re.compile(r"(?:.*/)?(train|test)[0-9]*K?\.txt", re.IGNORECASE)
_LIST_LINE = re.compile(r"([0-9]+)\s+([0-9])")

Part = Literal["train", "test"]
_PARTS: dict[str, Part] = {"train": "train", "test": "test"}


class Source(Protocol):
    """A place that holds files by name, `/` between folders."""

    @property
    def path(self) -> Path:
        """The folder or the archive."""

    def names(self) -> list[str]:
        """All names that may matter."""

    def read(self, name: str) -> bytes:
        """Content of a file."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, not yet read."""

    source: Source
    name: str
    label: int

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.source.path}: {self.name}"

    def read(self) -> bytes:
        """Its content."""
        return self.source.read(self.name)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path

    def names(self) -> list[str]:
        # The folder's own name counts, so that nmnist:Train,Test finds Train/0/00002.bin.
        prefix = PurePosixPath(self.path.resolve().name)
        found = []
        for root, folders, files in os.walk(self.path):
            below = Path(root).relative_to(self.path)
            if len(below.parts) >= _MAX_DEPTH:
                folders.clear()
            found += [str(prefix / below.as_posix() / file) for file in files]
        return sorted(found)

    def read(self, name: str) -> bytes:
        path = self.path.joinpath(*PurePosixPath(name).parts[1:])
        with told_in_one_line(str(path)), path.open("rb") as file:
            content = file.read(MAX_RECORDING_BYTES + 1)
        return _checked_size(content, str(path))


@dataclass(frozen=True, slots=True)
class _Archive:
    path: Path
    archive: zipfile.ZipFile

    def names(self) -> list[str]:
        return self.archive.namelist()

    def read(self, name: str) -> bytes:
        info = self.archive.getinfo(name)
        where = f"{self.path}: {name}"
        if info.flag_bits & 1:
            raise InputError(f"{where}: encrypted")
        with told_in_one_line(where), self.archive.open(info) as file:
            content = file.read(MAX_RECORDING_BYTES + 1)
        return _checked_size(content, where)


@contextmanager
def opened_sources(paths: Iterable[Path]) -> Iterator[list[Source]]:
    """Folders and archives at `paths`; a folder without recordings stands for the zip files in it.

    Raises:
        InputError: a path is neither, or a folder holds neither.
    """
    with ExitStack() as stack:
        yield [source for path in paths for source in _sources_at(path, stack)]


def find_recordings(sources: Sequence[Source]) -> dict[Part, list[Recording]]:
    """Find the recordings of both splits, ordered by their number (the position in MNIST).

    Raises:
        InputError: a split has no recordings, a recording is there twice, or a list is wrong.
    """
    found: dict[tuple[Part, int], Recording] = {}
    for source in sources:
        names = source.names()
        listed: set[str] = set()
        for part, number, recording in (
            *_original_layout(source, names),
            *_listed_layout(source, names),
        ):
            other = found.setdefault((part, number), recording)
            if other is not recording:
                raise InputError(
                    f"{recording.where}: {part} recording {number}: is there twice, "
                    f"the other is {other.where}"
                )
            if recording.name in listed:
                raise InputError(f"{recording.where}: is in the training and in the test list")
            listed.add(recording.name)
    splits: dict[Part, list[Recording]] = {"train": [], "test": []}
    for (part, _), recording in sorted(found.items(), key=lambda item: item[0]):
        splits[part].append(recording)
    for part, recordings in splits.items():
        if not recordings:
            places = ", ".join(str(source.path) for source in sources)
            raise InputError(f"{places}: no {part} recordings: looked for {_WANTED}")
    return splits


def _sources_at(path: Path, stack: ExitStack) -> list[Source]:
    if path.is_dir():
        folder = _Folder(path)
        if any(name.endswith((".bin", ".bs2")) for name in folder.names()):
            return [folder]
        archives = sorted(path.glob("*.zip"))
        if not archives:
            raise InputError(f"{path}: no recordings and no zip file in it: looked for {_WANTED}")
        return [_open_archive(archive, stack) for archive in archives]
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    return [_open_archive(path, stack)]


def _open_archive(path: Path, stack: ExitStack) -> Source:
    with told_in_one_line(str(path)):
        return _Archive(path, stack.enter_context(zipfile.ZipFile(path)))


def _checked_size(content: bytes, where: str) -> bytes:
    if len(content) > MAX_RECORDING_BYTES:
        raise InputError(
            f"{where}: more than {MAX_RECORDING_BYTES} bytes: not a recording of N-MNIST"
        )
    return content


def _original_layout(source: Source, names: list[str]) -> Iterator[tuple[Part, int, Recording]]:
    for name in names:
        if match := _ORIGINAL.fullmatch(name):
            part, label, number = match.groups()
            yield _PARTS[part.lower()], int(number), Recording(source, name, int(label))


def _listed_layout(source: Source, names: list[str]) -> Iterator[tuple[Part, int, Recording]]:
    present = set(names)
    for name in sorted(names):
        match = _LIST.fullmatch(name)
        if not match:
            continue
        lines = source.read(name).decode("utf-8", "replace").splitlines()
        for count, line in enumerate(lines, 1):
            where = f"{source.path}: {name}: line {count}"
            if not line.strip() or line.startswith("#"):
                continue
            fields = _LIST_LINE.fullmatch(line.strip())
            if not fields:
                raise InputError(f"{where}: {line.strip()!r}: must be a sample number and a digit")
            number, label = map(int, fields.groups())
            recording = str(PurePosixPath(name).with_name(f"{number}.bs2"))
            if recording not in present:
                raise InputError(f"{where}: there is no file {recording}")
            yield _PARTS[match[1].lower()], number, Recording(source, recording, label)
