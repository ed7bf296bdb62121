"""Files of a data set by name, in a folder or in an archive; nothing is unpacked to disk."""

import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from flipcore.errors import InputError
from flipcore.sim.data.store import told_in_one_line

_MAX_DEPTH = 6  # folders below the one that was named


class Members(Protocol):
    """A place that holds files by name, `/` between folders."""

    @property
    def path(self) -> Path:
        """The folder or the archive."""

    def names(self) -> list[str]:
        """All names of files, sorted."""

    def read(self, name: str, limit: int) -> bytes:
        """Content of a file of at most `limit` bytes; whatever its header claims, no more is read.

        Raises:
            InputError: it is larger, corrupt or encrypted.
        """


@contextmanager
def opened_members(path: Path) -> Iterator[Members]:
    """Open the folder, zip file or tar file at `path`.

    Raises:
        InputError: there is none.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    if zipfile.is_zipfile(path):
        with told_in_one_line(str(path)):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _Zip(path, archive)
        return
    try:
        tar = tarfile.open(path)  # closed below, after others have used it
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{path}: neither a folder nor a zip or tar file: {error}") from error
    with tar:
        yield _Tar(path, tar)


def where(members: Members, name: str) -> str:
    """File `name`, for messages."""
    return f"{members.path}: {name}"


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path

    def names(self) -> list[str]:
        found = []
        for root, folders, files in os.walk(self.path):
            below = Path(root).relative_to(self.path)
            if len(below.parts) >= _MAX_DEPTH:
                folders.clear()
            found += [(below / file).as_posix() for file in files]
        return sorted(found)

    def read(self, name: str, limit: int) -> bytes:
        with told_in_one_line(where(self, name)), (self.path / name).open("rb") as file:
            return _read_limited(file, limit, where(self, name))


@dataclass(frozen=True, slots=True)
class _Zip:
    path: Path
    archive: zipfile.ZipFile

    def names(self) -> list[str]:
        return sorted(info.filename for info in self.archive.infolist() if not info.is_dir())

    def read(self, name: str, limit: int) -> bytes:
        info = self.archive.getinfo(name)
        if info.flag_bits & 1:
            raise InputError(f"{where(self, name)}: encrypted")
        with told_in_one_line(where(self, name)), self.archive.open(info) as file:
            return _read_limited(file, limit, where(self, name))


@dataclass(frozen=True, slots=True)
class _Tar:
    path: Path
    archive: tarfile.TarFile

    def names(self) -> list[str]:
        with _tar_told(str(self.path)):
            return sorted(member.name for member in self.archive.getmembers() if member.isfile())

    def read(self, name: str, limit: int) -> bytes:
        with _tar_told(where(self, name)):
            file = self.archive.extractfile(name)
            assert file is not None  # names() lists files alone
            with file:
                return _read_limited(file, limit, where(self, name))


@contextmanager
def _tar_told(source: str) -> Iterator[None]:
    try:
        with told_in_one_line(source):
            yield
    except tarfile.TarError as error:
        raise InputError(f"{source}: corrupt: {error}") from error


def _read_limited(file: IO[bytes], limit: int, source: str) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{source}: more than {limit} bytes: larger than any file of its kind")
    return content
