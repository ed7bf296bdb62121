"""Records of fixed size in a file: memory does not grow with the number of samples."""

import hashlib
import lzma
import os
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError

UInt8s = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

BLOCK_BYTES = 1 << 20  # what passes through memory at a time


class RecordStore:
    """Records in an open file; `read` may be called from several threads at once.

    `pread`, not `mmap`: pages of a mapping count as the process's memory once they were touched.
    """

    def __init__(self, descriptor: int, *, offset: int, record_bytes: int, source: str) -> None:
        """Take over `descriptor`; record i lies at `offset` + i * `record_bytes`."""
        self._descriptor = descriptor
        self._offset = offset
        self._record_bytes = record_bytes
        self._source = source
        weakref.finalize(self, os.close, descriptor)

    def read(self, positions: Int64s) -> UInt8s:
        """Read the records at `positions`, int64 [k], into a new uint8 [k, record_bytes]."""
        size = self._record_bytes
        records = bytearray().join(
            os.pread(self._descriptor, size, self._offset + position * size)
            for position in positions.tolist()
        )
        if len(records) != len(positions) * size:
            raise InputError(
                f"{self._source}: ends within its records: it was changed while in use"
            )
        return np.frombuffer(records, dtype=np.uint8).reshape(len(positions), size)


def store_in_place(path: Path, *, offset: int, record_bytes: int) -> RecordStore:
    """Records that are read where they lie, in an uncompressed file."""
    with told_in_one_line(str(path)):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return RecordStore(descriptor, offset=offset, record_bytes=record_bytes, source=str(path))


class Spool:
    """Anonymous temporary file for records that have to be unpacked or converted.

    It is gone with its last reader. It lies where `tempfile` puts it: in `TMPDIR`, else usually in
    /tmp.
    """

    def __init__(self, source: str) -> None:
        """Open the file; `source` names in errors what is unpacked."""
        self._source = source
        with self._no_room_told(), tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def write(self, block: bytes | memoryview) -> None:
        """Append a block of bytes, C-contiguous."""
        left = memoryview(block).cast("B")
        with self._no_room_told():
            while left:
                left = left[os.write(self._descriptor, left) :]

    def store(self, record_bytes: int) -> RecordStore:
        """What was written, as records."""
        return RecordStore(
            os.dup(self._descriptor), offset=0, record_bytes=record_bytes, source=self._source
        )

    @contextmanager
    def _no_room_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            folder = tempfile.tempdir or "temporary folder"
            raise InputError(
                f"{self._source}: cannot be unpacked into {folder}: {error.strerror or error}; "
                "set TMPDIR to a folder with room"
            ) from error


@contextmanager
def told_in_one_line(source: str) -> Iterator[None]:
    """Turn what the operating system or an unpacker says about a file into an `InputError`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{source}: corrupt: {str(error) or 'ends too early'}") from error
    except NotImplementedError as error:  # zipfile: a compression or a version it does not know
        raise InputError(f"{source}: cannot be unpacked: {error}") from error
    except OSError as error:
        # Without an errno it is an unpacker that speaks (gzip: wrong checksum, bz2: broken stream).
        reason = error.strerror if error.errno else f"corrupt: {error}"
        raise InputError(f"{source}: {reason}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with told_in_one_line(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
