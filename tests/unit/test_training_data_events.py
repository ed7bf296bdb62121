"""Event recordings: formats, splits, binning, and each way in which a file or a list can be wrong."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
import torch

from flipcore.errors import InputError, ToolError
from flipcore.training.data import SampleSet, load_samples
from flipcore.training.data.aedat4 import Aedat4Reader
from flipcore.training.data.event_files import Events, read_events

Row = tuple[int, int, int, int]  # x, y, time in us, polarity
NEEDS_TONIC = "tonic and aedat come with the extra `events`"
FIELDS = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])


@pytest.fixture(scope="module")  # its process takes seconds to start
def aedat4() -> Iterator[Aedat4Reader]:
    with Aedat4Reader() as reader:
        yield reader


@pytest.fixture
def with_tonic() -> None:
    pytest.importorskip("tonic", reason=NEEDS_TONIC)
    pytest.importorskip("aedat", reason=NEEDS_TONIC)


def some_events(seed: int, count: int = 60, width: int = 6, height: int = 5) -> list[Row]:
    dice = np.random.default_rng(seed)
    times = np.sort(dice.integers(1000, 900_000, count)).tolist()
    x, y, p = (dice.integers(0, high, count).tolist() for high in (width, height, 2))
    return list(zip(x, y, times, p, strict=True))


def dat(
    rows: Iterable[Row], header: bytes = b"% Data file\n% Version 2\n", kind: int = 12
) -> bytes:
    packed = b"".join(struct.pack("<II", t, p << 28 | y << 14 | x) for x, y, t, p in rows)
    return header + bytes([kind, 8]) + packed


def nmnist(rows: Iterable[Row]) -> bytes:
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in rows)


def aedat2(rows: Iterable[Row], chip: str = "Davis346red") -> bytes:
    head = f"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.{chip}\r\n"
    if chip == "DVS128":
        words = ((t, y << 8 | x << 1 | p) for x, y, t, p in rows)
    else:
        words = ((t, (259 - y) << 22 | (345 - x) << 12 | p << 11) for x, y, t, p in rows)
    return head.encode() + b"".join(struct.pack(">II", word, t) for t, word in words)


def npy(path: Path, rows: Iterable[Row]) -> None:
    table = np.array(list(rows), dtype=FIELDS)
    np.save(path, table)


def as_rows(events: Events) -> list[Row]:
    return list(zip(*(column.tolist() for column in events), strict=True))


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def load(path: Path, num_steps: int = 7) -> SampleSet:
    return load_samples(f"events:{path}", num_steps=num_steps)


@pytest.mark.parametrize("kind", [0, 12])
def test_reads_prophesees_files(tmp_path: Path, aedat4: Aedat4Reader, kind: int) -> None:
    rows = [(5, 3, 17, 1), (1279, 719, 2**32 - 1, 0)]
    path = written(tmp_path / "a.dat", dat(rows, kind=kind))
    assert as_rows(read_events(path, aedat4)) == rows
    path = written(tmp_path / "b.DAT", dat(rows, header=b""))
    assert as_rows(read_events(path, aedat4)) == rows


def test_reads_st_mnists_files(tmp_path: Path, aedat4: Aedat4Reader) -> None:
    matrix = np.zeros((101, 4))
    matrix[[12, 99, 0, 12], [0, 0, 2, 3]] = [1, -1, 1, -1]
    matrix[100] = [0.196627, 0.25, 0.5, 0.895745]
    scipy.io.savemat(tmp_path / "a.mat", {"spiketrain": matrix}, do_compression=True)
    assert sorted(as_rows(read_events(tmp_path / "a.mat", aedat4))) == [
        (0, 0, 500_000, 1),
        (2, 1, 196_627, 1),
        (2, 1, 895_745, 0),
        (9, 9, 196_627, 0),
    ]


def test_reads_structured_arrays(tmp_path: Path, aedat4: Aedat4Reader) -> None:
    rows = some_events(1)
    npy(tmp_path / "a.npy", rows)
    assert as_rows(read_events(tmp_path / "a.npy", aedat4)) == rows
    swapped = np.empty(len(rows), [("p", "u1"), ("t", ">u4"), ("y", "i8"), ("x", "u2")])
    for k, name in enumerate("xytp"):
        swapped[name] = [row[k] for row in rows]
    np.save(tmp_path / "b.npy", swapped)
    assert as_rows(read_events(tmp_path / "b.npy", aedat4)) == rows


@pytest.mark.usefixtures("with_tonic")
@pytest.mark.parametrize("suffix", [".bin", ".bs2"])
def test_reads_n_mnists_files_through_tonic(
    tmp_path: Path, aedat4: Aedat4Reader, suffix: str
) -> None:
    rows = some_events(2, width=34, height=34)
    path = written(tmp_path / f"a{suffix}", nmnist(rows))
    assert as_rows(read_events(path, aedat4)) == rows


@pytest.mark.usefixtures("with_tonic")
@pytest.mark.parametrize(("chip", "width"), [("Davis346red", 346), ("DVS128", 128)])
def test_reads_jaers_files_through_tonic(
    tmp_path: Path, aedat4: Aedat4Reader, chip: str, width: int
) -> None:
    rows = some_events(3, width=width, height=120)
    path = written(tmp_path / "a.aedat", aedat2(rows, chip))
    assert as_rows(read_events(path, aedat4)) == rows


def write_classes(folder: Path, names: Iterable[str], count: int) -> list[str]:
    """Recordings `folder`/CLASS/K.dat; returns their paths below the folder, in their order."""
    paths = []
    for k, name in enumerate(names):
        for number in range(count):
            path = folder / name / f"{number:03}.dat"
            written(path, dat(some_events(100 * k + number)))
            paths.append(f"{name}/{number:03}.dat")
    return paths


def test_a_folder_per_class_gives_every_fifth_as_test(tmp_path: Path) -> None:
    write_classes(tmp_path, ["cat", "ant"], 6)
    (tmp_path / "README.txt").write_text("beside")
    samples = load(tmp_path)
    assert (samples.kind, samples.shape, samples.num_classes) == ("events", (2, 5, 6), 2)
    assert samples.provenance["classes"] == "ant,cat"
    assert samples.provenance["test_split"] == "every fifth recording of each class"
    assert samples.train.labels.tolist() == [0] * 5 + [1] * 5
    assert samples.test.labels.tolist() == [0, 1]
    fifth = binned(some_events(100 + 4), 7, (5, 6), (5, 6))
    assert np.array_equal(samples.test.batch([0])[0].numpy(), fifth)


@pytest.mark.parametrize("names", [("train", "test"), ("n-cars_Train", "n-cars_Test")])
def test_folders_name_the_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    write_classes(tmp_path / names[0], ["2", "10"], 2)
    write_classes(tmp_path / names[1], ["10", "2"], 3)
    samples = load(tmp_path)
    assert samples.provenance["classes"] == "2,10"  # by value
    assert sorted(samples.train.labels.tolist()) == [0, 0, 1, 1]
    assert sorted(samples.test.labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_a_list_names_splits_and_classes(tmp_path: Path) -> None:
    write_classes(tmp_path / "a b", ["x"], 3)
    (tmp_path / "list.txt").write_text(
        "# split class path\n\ntrain dog a b/x/002.dat\r\ntrain cat a b/x/000.dat\n"
        "test\tdog\ta b/x/001.dat\n"
    )
    samples = load(tmp_path / "list.txt")
    assert samples.name == "list"
    assert samples.train.labels.tolist() == [1, 0]
    assert samples.test.labels.tolist() == [1]
    wanted = binned(some_events(2), 7, (5, 6), (5, 6))
    assert np.array_equal(samples.train.batch([0])[0].numpy(), wanted)


def binned(
    rows: list[Row], num_steps: int, sensor: tuple[int, int], size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """One event at a time, [steps, polarity, rows, columns]; sensor and size are (rows, columns)."""
    frames = np.zeros((num_steps, 2, *size), np.uint8)
    first, last = min(row[2] for row in rows), max(row[2] for row in rows)
    for x, y, time, polarity in rows:
        step = (time - first) * num_steps // (last - first + 1)
        frames[step, polarity, y * size[0] // sensor[0], x * size[1] // sensor[1]] = 1
    return frames


@pytest.mark.parametrize("num_steps", [1, 10, 256])
def test_a_large_sensor_is_reduced_to_48(tmp_path: Path, num_steps: int) -> None:
    recordings = [[*some_events(k, 500, 128, 90), (127, 89, 900_000, 1)] for k in range(5)]
    for k, rows in enumerate(recordings):
        written(tmp_path / "a" / f"{k}.dat", dat(rows))
    samples = load(tmp_path, num_steps)
    assert samples.shape == (2, 34, 48)  # 90 * 48 / 128 = 33.75
    assert samples.provenance["sensor"] == "128x90"
    assert samples.provenance["reduced_to"] == "48x34"
    batch = samples.train.batch([0, 3]).numpy()
    assert batch.shape == (2, num_steps, 2, 34, 48)
    for frames, rows in zip(batch, (recordings[0], recordings[3]), strict=True):
        assert np.array_equal(frames, binned(rows, num_steps, (90, 128), (34, 48)))


def test_merged_events_are_counted_and_the_clock_may_start_anywhere(tmp_path: Path) -> None:
    start = 1_605_537_493_718_345  # us since 1970
    rows = [(0, 0, start, 1), (0, 0, start + 1, 1), (1, 0, start + 9, 0)]
    (tmp_path / "a").mkdir()
    for k in range(5):
        npy(tmp_path / "a" / f"{k}.npy", rows)
    samples = load(tmp_path, num_steps=2)
    assert samples.train.batch([0])[0].tolist() == [[[[0, 0]], [[1, 0]]], [[[0, 1]], [[0, 0]]]]
    assert samples.train.split.read(np.array([0])).merged.tolist() == [[1, 0]]


def test_tells_progress_and_a_digest_of_the_events(tmp_path: Path) -> None:
    write_classes(tmp_path, ["a"], 5)
    told: list[str] = []
    samples = load_samples(f"events:{tmp_path}", num_steps=2, progress=told.append)
    assert told == [
        "measuring the sensor: 0 of 5 recordings",
        "binning train recordings: 0 of 4",
        "binning test recordings: 0 of 1",
    ]
    assert load(tmp_path, 3).provenance["events_sha256"] == samples.provenance["events_sha256"]
    written(tmp_path / "a" / "001.dat", dat(some_events(77)))
    assert load(tmp_path, 3).provenance["events_sha256"] != samples.provenance["events_sha256"]


BAD_DAT: list[tuple[bytes, str]] = [
    (b"", "ends within its header"),
    (b"% no end", "ends within its header"),
    (b"% header\n\x00", "ends within its header"),
    (dat([]), "holds no events"),
    (dat([(1, 1, 1, 1)])[:-1], "7 bytes of events: must be a multiple of 8"),
    (dat([(1, 1, 1, 1)], kind=14), "events of type 14 and 8 bytes: must be type 0 or 12, 8 bytes"),
    (dat([(1, 1, 1, 1), (4096, 1, 1, 1)]), "event 1: x 4096: must be 0 ... 4095"),
    (dat([(1, 9000, 1, 1)]), "event 0: y 9000: must be 0 ... 4095"),
]


@pytest.mark.parametrize(("content", "told"), BAD_DAT)
def test_refuses_a_bad_prophesee_file(
    tmp_path: Path, aedat4: Aedat4Reader, content: bytes, told: str
) -> None:
    path = written(tmp_path / "a.dat", content)
    with pytest.raises(InputError) as error:
        read_events(path, aedat4)
    assert str(error.value) == f"{path}: {told}"


SPIKES = np.zeros((101, 3))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"events": SPIKES}, "no variable spiketrain: must be a recording of ST-MNIST"),
        ({"spiketrain": SPIKES[:50]}, "spiketrain: shape (50, 3), float64: must be numbers [101,"),
        ({"spiketrain": "text"}, "spiketrain: shape (1,), <U4: must be numbers [101, n]"),
        ({"spiketrain": SPIKES}, "holds no events"),
        ({"spiketrain": SPIKES + np.nan}, "spiketrain: must be finite, times below 1e6 s"),
        ({"spiketrain": SPIKES + 1e9}, "spiketrain: must be finite, times below 1e6 s"),
        ({"spiketrain": SPIKES - 1}, "event 0: time -1000000: must be 0 ..."),
    ],
)
def test_refuses_a_bad_st_mnist_file(
    tmp_path: Path, aedat4: Aedat4Reader, variables: dict[str, Any], told: str
) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, variables)
    with pytest.raises(InputError) as error:
        read_events(path, aedat4)
    assert str(error.value).startswith(f"{path}: {told}")


def test_refuses_what_is_no_matlab_file_or_could_be_a_bomb(
    tmp_path: Path, aedat4: Aedat4Reader
) -> None:
    path = written(tmp_path / "a.mat", bytes(range(256)))
    with pytest.raises(InputError, match=r"a\.mat: cannot be read: "):
        read_events(path, aedat4)
    written(path, bytes((1 << 20) + 1))
    told = r"a\.mat: 1048577 bytes: a recording has at most 1048576$"
    with pytest.raises(InputError, match=told):
        read_events(path, aedat4)


def test_refuses_bad_arrays(tmp_path: Path, aedat4: Aedat4Reader) -> None:
    path = tmp_path / "a.npy"
    rows = np.array(some_events(1), dtype=FIELDS)
    bad: list[tuple[Any, str]] = [
        (np.zeros((5, 4)), "must be an array [n] with the fields x, y, t and p"),
        (rows[["x", "y", "t"]], "no field p of integers; it has x, y, t"),
        (rows.astype([("x", "f4"), ("y", "i2"), ("t", "i8"), ("p", "?")]), "no field x of integers"),
        (rows[:0], "holds no events"),
        (np.array([{}], dtype=object), "cannot be read: "),
    ]  # fmt: skip
    for array, told in bad:
        np.save(path, array)
        with pytest.raises(InputError) as error:
            read_events(path, aedat4)
        assert str(error.value).startswith(f"{path}: {told}")
    np.save(path, rows)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"a\.npy: cannot be read: mmap length is greater"):
        read_events(path, aedat4)
    rows["p"] = True
    np.save(path, rows.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]))
    events = np.load(path)
    events["p"][3] = -1
    np.save(path, events)
    with pytest.raises(InputError, match=r"a\.npy: event 3: polarity -1: must be 0 \.\.\. 1$"):
        read_events(path, aedat4)


@pytest.mark.usefixtures("with_tonic")
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.bin", b"", "0 bytes: must be a positive multiple of 5"),
        ("a.bin", bytes(7), "7 bytes: must be a positive multiple of 5"),
        ("a.bin", b"\x01\xf0\x00\x00\x00", "holds no events"),  # an overflow of the clock alone
        ("a.aedat", b"", "not an AEDAT file: must be AEDAT 2 (.aedat) or 4 (.aedat4)"),
        ("a.aedat", b"#!AER-DAT3.1\r\n", "AEDAT 3: must be AEDAT 2 (.aedat) or 4 (.aedat4)"),
        ("a.aedat", aedat2([]), "holds no events"),
        ("a.aedat", aedat2([(1, 1, 1, 1)] * 2)[:-3], "13 bytes of events: must be a multiple of 8"),
        ("a.aedat", aedat2([(1, 1, 1, 1)], "Davis240C"), "camera: must be a DVS128 or a DAVIS346"),
        ("a.aedat", aedat2([])[:-2] + b"\r\n\x80\0\0\0\0\0\0\1", "holds frames or motion beside"),
        ("a.aedat4", b"", "cannot be read: "),
        ("a.aedat4", b"#!AER-DAT4.0\r\n" + bytes(40), "cannot be read: "),
    ],
)
def test_refuses_what_tonic_cannot_read(
    tmp_path: Path, aedat4: Aedat4Reader, name: str, content: bytes, told: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InputError) as error:
        read_events(path, aedat4)
    assert str(error.value).startswith(f"{path}: {told}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "package"), [("a.bin", "tonic"), ("a.aedat", "tonic"), ("a.aedat4", "tonic")]
)
def test_names_the_extra_where_tonic_is_missing(
    tmp_path: Path,
    aedat4: Aedat4Reader,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    package: str,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    path = written(tmp_path / name, nmnist(some_events(1)))
    with pytest.raises(ToolError) as error:
        read_events(path, aedat4)
    assert str(error.value) == (
        f"{path}: {path.suffix} is read by {package}, which is not installed: "
        "pip install flipcore[events]"
    )


def test_a_reader_that_breaks_off_is_told_and_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    child = tmp_path / "child.py"
    child.write_text(
        "import os, sys\n"
        "for line in sys.stdin:\n"
        "    if bytes.fromhex(line).endswith(b'bad.aedat4'):\n"
        "        os.abort()\n"
        "    sys.stdout.buffer.write(bytes([1]) + bytes(7) + bytes(4 * 8))\n"
        "    sys.stdout.flush()\n"
    )
    monkeypatch.setattr("flipcore.training.data.aedat4._CHILD", child)
    good, bad = (written(tmp_path / f"{name}.aedat4", b"") for name in ("good", "bad"))
    with Aedat4Reader() as reader:
        for _ in range(2):
            assert as_rows(read_events(good, reader)) == [(0, 0, 0, 0)]
            with pytest.raises(InputError) as error:
                read_events(bad, reader)
            assert str(error.value) == f"{bad}: cannot be read: damaged: its reader broke off"


def test_refuses_folders_that_are_no_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: no such file or folder$"):
        load(tmp_path / "gone")
    with pytest.raises(InputError, match=r"no recordings: looked for \.bin, .*\.aedat4$"):
        load(tmp_path)
    written(tmp_path / "a" / "x.raw", b"")
    with pytest.raises(InputError, match=r"no recordings: looked for .*; it holds x\.raw$"):
        load(tmp_path)
    write_classes(tmp_path, ["a", "b"], 4)
    with pytest.raises(InputError, match="no class has 5 recordings: must be so for a fifth"):
        load(tmp_path)
    alone = written(tmp_path / "alone.dat", dat(some_events(1)))
    with pytest.raises(InputError, match=f"^{alone}: must lie in a folder named after its class$"):
        load(tmp_path)
    alone.unlink()
    write_classes(tmp_path / "train", ["a"], 2)
    with pytest.raises(InputError, match=r"a/000\.dat: must lie below a folder train or test, as"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"no class has 5 recordings"):
        load(tmp_path / "train")
    (tmp_path / "set").mkdir()
    (tmp_path / "train").rename(tmp_path / "set" / "train")
    with pytest.raises(InputError, match=r"set: no test recordings$"):
        load(tmp_path / "set")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train 1", "line 2: 'train 1': must be train or test, a class and a path"),
        ("valid 1 a.dat", "line 2: 'valid 1 a.dat': must be train or test, a class and a path"),
        ("test 1 a.raw", "line 2: a.raw: must be one of .bin, "),
        ("train 1 a.dat", "no test recordings"),
    ],
)
def test_refuses_a_bad_list(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"train 0 a.dat\n{line}\n")
    with pytest.raises(InputError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: {told}")


def test_names_a_recording_that_a_list_names_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("train 0 a.dat\ntest 0 a.dat\n")
    with pytest.raises(InputError, match=r"a\.dat: No such file or directory$"):
        load(path)


@pytest.mark.realdata
@pytest.mark.usefixtures("with_tonic")
@pytest.mark.parametrize(
    ("name", "count", "largest"),
    [
        ("sample_nmnist.bin", 4325, (33, 33)),
        ("sample_ncars.dat", 2009, (77, 41)),
        ("sample_stmnist.mat", 2346, (9, 8)),
        ("sample.aedat4", 111954, (319, 239)),
    ],
)
def test_reads_real_recordings(
    data_dir: Path, aedat4: Aedat4Reader, name: str, count: int, largest: tuple[int, int]
) -> None:
    events = read_events(data_dir / "event-samples" / name, aedat4)
    assert len(events.x) == count
    assert (int(events.x.max()), int(events.y.max())) == largest
    assert set(events.polarity.tolist()) == {0, 1}


@pytest.mark.realdata
def test_reads_prophesees_files_as_expelliarmus_does(data_dir: Path, aedat4: Aedat4Reader) -> None:
    expelliarmus = pytest.importorskip("expelliarmus", reason="comes with tonic")
    path = data_dir / "event-samples" / "sample_ncars.dat"
    wanted = expelliarmus.Wizard(encoding="dat").read(str(path))
    events = read_events(path, aedat4)
    for name, values in zip("xytp", events, strict=True):
        assert np.array_equal(values, wanted[name])


@pytest.mark.realdata
@pytest.mark.usefixtures("with_tonic")
def test_real_files_that_end_the_reader_or_hold_nothing(
    data_dir: Path, tmp_path: Path, aedat4: Aedat4Reader
) -> None:
    header = data_dir / "event-samples" / "sample_aedat_header.aedat"
    with pytest.raises(InputError, match=r"header\.aedat: holds no events$"):
        read_events(header, aedat4)
    content = bytearray((data_dir / "event-samples" / "sample.aedat4").read_bytes())
    # Two bytes of the XML header with which aedat 2.3 aborts its process.
    content[306], content[355] = 179, 199
    path = written(tmp_path / "a.aedat4", bytes(content))
    with pytest.raises(InputError, match=r"a\.aedat4: cannot be read: "):
        read_events(path, aedat4)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.usefixtures("with_tonic")
def test_a_set_of_real_recordings(data_dir: Path, tmp_path: Path) -> None:
    for k in range(5):
        for name in ("sample.aedat4", "sample_ncars.dat"):
            path = tmp_path / name[-3:] / f"{k}{Path(name).suffix}"
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(data_dir / "event-samples" / name)
    samples = load(tmp_path, num_steps=10)
    assert samples.shape == (2, 36, 48)
    batch = samples.test.batch(torch.arange(2))
    assert batch.shape == (2, 10, 2, 36, 48)
    assert (batch.flatten(2).sum(2) > 0).all()  # no step of either is empty
