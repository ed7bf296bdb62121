"""Records on disk: read by position, from threads, with a full disk told."""

import errno
import os
import resource
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from flipcore.errors import InputError
from flipcore.sim.data.store import Spool, store_in_place

RECORDS = np.arange(1000 * 48, dtype=np.uint32).astype(np.uint8).reshape(1000, 48)


def spooled() -> Spool:
    spool = Spool("a set")
    spool.write(RECORDS[:400].data)
    spool.write(RECORDS[400:].tobytes())
    return spool


def test_reads_any_records_in_the_asked_order_into_its_own_memory() -> None:
    store = spooled().store(48)
    wanted = np.array([999, 0, 400, 400, 399])
    records = store.read(wanted)
    assert np.array_equal(records, RECORDS[wanted])
    records[:] = 0
    assert np.array_equal(store.read(wanted), RECORDS[wanted])
    assert store.read(np.array([], np.int64)).shape == (0, 48)


def test_reads_in_place_behind_a_header(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(b"header!" + RECORDS.tobytes())
    store = store_in_place(path, offset=7, record_bytes=48)
    assert np.array_equal(store.read(np.arange(1000)), RECORDS)


def test_threads_read_the_same_store() -> None:
    store = spooled().store(48)

    def reads_right(seed: int) -> bool:
        wanted = np.random.default_rng(seed).integers(0, 1000, size=(200, 16))
        return all(np.array_equal(store.read(row), RECORDS[row]) for row in wanted)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reads_right, range(16)))


def test_closes_its_file_with_its_last_reader() -> None:
    def num_open() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = num_open()
    store = spooled().store(48)
    assert num_open() == before + 1
    del store
    assert num_open() == before


def test_a_file_cut_while_in_use_is_told(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(RECORDS.tobytes())
    store = store_in_place(path, offset=0, record_bytes=48)
    os.truncate(path, 48 * 10 + 5)
    assert np.array_equal(store.read(np.array([9])), RECORDS[9:10])
    with pytest.raises(InputError, match="records: ends within its records: it was changed"):
        store.read(np.array([10]))


def test_a_full_disk_is_told_in_one_line() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    spool = Spool("big set")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(InputError) as told:
            spool.write(bytes(1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(told.value) == (
        f"big set: cannot be unpacked into {tempfile.gettempdir()}: {os.strerror(errno.EFBIG)}; "
        "set TMPDIR to a folder with room"
    )


def test_a_missing_temporary_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"set: cannot be unpacked into .*gone: No such file"):
        Spool("set")
