"""Files of event cameras and of tactile sensors, one recording each.

tonic reads N-MNIST's .bin, AEDAT 4 and AEDAT 2; Prophesee's .dat, which it does not read, is plain,
ST-MNIST's .mat goes through SciPy, and .npy takes whatever else tonic or others have read.
"""

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.store import Int64s, told_in_one_line
from flipcore.training.data.aedat4 import Aedat4Reader, check_installed

MAX_FILE_BYTES = 1 << 30
# MATLAB's files are compressed: 1 MiB can unpack to 1 GiB. ST-MNIST's have some 40 kB.
MAX_MAT_BYTES = 1 << 20
MAX_SIDE = 4096  # pixels in a row or column of a sensor
MAX_TIME_US = (1 << 54) - 1  # times 256 steps fits into 64 bits; clocks since 1970 are below 2^51


class Events(NamedTuple):
    """Events of a recording, int64 [n] each, n > 0: column, row, time in us, polarity 0 or 1."""

    x: Int64s
    y: Int64s
    time_us: Int64s
    polarity: Int64s


def read_events(path: Path, aedat4: Aedat4Reader) -> Events:
    """Read a recording in the format that its suffix, one of SUFFIXES, names.

    Raises:
        InputError: it is damaged, empty, of an unknown variant, or too large.
        ToolError: it needs tonic or aedat, which are not installed.
    """
    suffix = path.suffix.lower()
    with told_in_one_line(str(path)):
        size = path.stat().st_size
    limit = MAX_MAT_BYTES if suffix == ".mat" else MAX_FILE_BYTES
    if size > limit:
        raise InputError(f"{path}: {size} bytes: a recording has at most {limit}")
    columns = aedat4.read(path) if suffix == ".aedat4" else READERS[suffix](path)
    events = Events(*(np.asarray(values).astype(np.int64) for values in columns))
    if not len(events.x):
        raise InputError(f"{path}: holds no events")
    for title, values, largest in (
        ("x", events.x, MAX_SIDE - 1),
        ("y", events.y, MAX_SIDE - 1),
        ("time", events.time_us, MAX_TIME_US),
        ("polarity", events.polarity, 1),
    ):
        bad = np.flatnonzero((values < 0) | (values > largest))
        if len(bad):
            first = int(bad[0])
            raise InputError(
                f"{path}: event {first}: {title} {values[first]}: must be 0 ... {largest}"
            )
    return events


def _read_bin(path: Path) -> Events:
    tonic_io = _tonic_io(path)
    size = path.stat().st_size
    if not size or size % 5:
        raise InputError(f"{path}: {size} bytes: must be a positive multiple of 5")
    return _fields(
        _foreign(lambda: tonic_io.read_mnist_file(path, dtype=tonic_io.events_struct), path), path
    )


_AEDAT_VERSION = re.compile(rb"#!AER-DAT([0-9])\.[0-9]\r?\n")
_DVS128_BITS = 15  # of an address; bit 15 marks a signal from outside
_DAVIS_FRAME_BIT = 31  # of an address: a sample of a pixel's brightness, or of motion


def _read_aedat(path: Path) -> Events:
    tonic_io = _tonic_io(path)
    with told_in_one_line(str(path)), path.open("rb") as file:
        head = file.read(1 << 16)
    version = _AEDAT_VERSION.match(head)
    if not version or version[1] != b"2":
        shown = f"AEDAT {version[1].decode()}" if version else "not an AEDAT file"
        raise InputError(f"{path}: {shown}: must be AEDAT 2 (.aedat) or 4 (.aedat4)")
    _, start, _ = _foreign(lambda: tonic_io.read_aedat_header_from_file(path), path)
    size = path.stat().st_size - start
    if size < 8:  # of an empty one tonic counts a byte too many
        raise InputError(f"{path}: holds no events")
    if size % 8:
        raise InputError(f"{path}: {size} bytes of events: must be a multiple of 8")
    raw = _foreign(lambda: tonic_io.get_aer_events_from_file(path, 2.0, start), path)
    address = raw["address"].astype(np.int64)
    if b"Davis346" in head[:start]:
        if (address >> _DAVIS_FRAME_BIT).any():  # tonic would take them for events
            raise InputError(f"{path}: holds frames or motion beside events: must be events alone")
        _, _, events = _foreign(lambda: tonic_io.read_davis_346(path), path)
        return _fields(events, path)
    # tonic's own reader of this camera fails (1.7.0: read_dvs_128 unpacks two of three values).
    if (address >> _DVS128_BITS).any() or b"Davis" in head[:start]:
        raise InputError(f"{path}: camera: must be a DVS128 or a DAVIS346, as told in its header")
    return Events((address >> 1) & 127, (address >> 8) & 127, raw["timeStamp"], address & 1)


def _read_dat(path: Path) -> Events:
    with told_in_one_line(str(path)):
        content = path.read_bytes()
    start = 0
    while content[start : start + 1] == b"%":
        end = content.find(b"\n", start)
        if end < 0:
            raise InputError(f"{path}: ends within its header")
        start = end + 1
    if len(content) < start + 2:
        raise InputError(f"{path}: ends within its header")
    kind, event_bytes = content[start], content[start + 1]
    if kind not in (0x00, 0x0C) or event_bytes != 8:
        raise InputError(
            f"{path}: events of type {kind} and {event_bytes} bytes: must be type 0 or 12, 8 bytes"
        )
    size = len(content) - start - 2
    if size % 8:
        raise InputError(f"{path}: {size} bytes of events: must be a multiple of 8")
    raw = np.frombuffer(content, "<u4", offset=start + 2).reshape(-1, 2).astype(np.int64)
    time_us, address = raw[:, 0], raw[:, 1]
    return Events(address & 0x3FFF, (address >> 14) & 0x3FFF, time_us, (address >> 28) & 1)


def _read_mat(path: Path) -> Events:
    from scipy.io import loadmat

    matrix = _foreign(lambda: loadmat(path, variable_names=["spiketrain"]), path).get("spiketrain")
    if matrix is None:
        raise InputError(f"{path}: no variable spiketrain: must be a recording of ST-MNIST")
    if matrix.ndim != 2 or len(matrix) != 101 or matrix.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: spiketrain: shape {matrix.shape}, {matrix.dtype}: must be numbers [101, n]"
        )
    if not np.isfinite(matrix).all() or np.abs(matrix[-1]).max(initial=0) > 1e6:
        raise InputError(f"{path}: spiketrain: must be finite, times below 1e6 s")
    taxel, sample = np.nonzero(matrix[:-1])
    time_us = np.round(matrix[-1, sample] * 1e6)
    return Events(taxel % 10, taxel // 10, time_us, matrix[taxel, sample] > 0)


def _read_npy(path: Path) -> Events:
    # Mapped, not read: a header that promises more than there is costs nothing.
    table = _foreign(lambda: np.load(path, mmap_mode="r", allow_pickle=False), path)
    if table.dtype.names is None or table.ndim != 1:
        raise InputError(f"{path}: must be an array [n] with the fields x, y, t and p")
    return _fields(table, path)


READERS: Mapping[str, Callable[[Path], Events]] = {
    ".bin": _read_bin,
    ".bs2": _read_bin,
    ".dat": _read_dat,
    ".mat": _read_mat,
    ".npy": _read_npy,
    ".aedat": _read_aedat,
}
SUFFIXES = (*READERS, ".aedat4")


def _fields(table: Any, path: Path) -> Events:
    """Take the fields out of a structured array, as tonic names them."""
    names = table.dtype.names
    for name in ("x", "y", "t", "p"):
        if name not in names or table[name].dtype.kind not in "biu":
            raise InputError(f"{path}: no field {name} of integers; it has {', '.join(names)}")
    return Events(table["x"], table["y"], table["t"], table["p"])


def _tonic_io(path: Path) -> Any:
    check_installed("tonic", path)
    return importlib.import_module("tonic.io")  # an extra, and slow to import


def _foreign(read: Callable[[], Any], path: Path) -> Any:
    """Let a library read; what it meets in damaged bytes, or says of them, is of many types."""
    try:
        return read()
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read: {reason}") from error
