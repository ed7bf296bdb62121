"""Arrays in a .npz file, read as streams: an array may be larger than memory."""

import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError
from flipcore.sim.data.store import BLOCK_BYTES, told_in_one_line

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_LOCAL_HEADER = struct.Struct(
    "<26xHH"
)  # of a zip member: lengths of name and extra field at its end


@dataclass(frozen=True, slots=True)
class NpyMember:
    """One array of an archive.

    Attributes:
        where: file and array, for messages.
        shape: at least one dimension.
        dtype: bool, integer or float of at most 64 bits.
        archive: open archive that it lies in.
        info: its entry there.
        header_bytes: size of its header, before the values.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    header_bytes: int

    @property
    def row_size(self) -> int:
        """Values per row, a row being all that has the same first index."""
        return math.prod(self.shape[1:])

    def blocks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the rows in order, as (index of the first, [rows, row_size]).

        The archive's checksum is compared at the end.
        """
        row_bytes = self.row_size * self.dtype.itemsize
        rows = max(1, BLOCK_BYTES // max(1, row_bytes))
        with told_in_one_line(self.where), self.archive.open(self.info) as file:
            file.read(self.header_bytes)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                block = file.read(count * row_bytes)
                if len(block) != count * row_bytes:
                    raise InputError(f"{self.where}: corrupt: ends too early")
                yield start, np.frombuffer(block, self.dtype).reshape(count, self.row_size)
            file.read(1)  # the end: only there the checksum is compared

    def offset_in_file(self) -> int | None:
        """Where the values start in the archive, if they lie there uncompressed."""
        if self.info.compress_type != zipfile.ZIP_STORED:
            return None
        with told_in_one_line(self.where), Path(self.archive.filename or "").open("rb") as file:
            file.seek(self.info.header_offset)
            name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = self.info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
        return int(start + self.header_bytes)


def open_member(archive: zipfile.ZipFile, name: str) -> NpyMember:
    """Read the header of the array `name`.

    Raises:
        InputError: not an array of numbers in C order, or its size is not what its header says.
    """
    where = f"{archive.filename}: {name}"
    info = archive.getinfo(f"{name}.npy")
    if info.flag_bits & 1:
        raise InputError(f"{where}: encrypted")
    shape, fortran_order, dtype, header_bytes = _read_header(archive, info, where)
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(
            f"{where}: values of type {dtype}: must be bool, integer or float of at most 64 bits"
        )
    if not shape:
        raise InputError(f"{where}: a single value: must be an array of samples")
    if fortran_order:
        raise InputError(
            f"{where}: stored column by column: save it through numpy.ascontiguousarray"
        )
    size = header_bytes + math.prod(shape) * dtype.itemsize
    if info.file_size != size:
        raise InputError(f"{where}: {info.file_size} bytes: its header says {size}")
    return NpyMember(where, shape, dtype, archive, info, header_bytes)


def _read_header(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    with told_in_one_line(where), archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            if version not in _HEADER_READERS:
                raise InputError(f"{where}: .npy version {version}: must be 1.0 or 2.0")
            shape, fortran_order, dtype = _HEADER_READERS[version](file)
        except ValueError as error:
            raise InputError(f"{where}: not a .npy array: {str(error).splitlines()[0]}") from error
        return shape, fortran_order, dtype, file.tell()
