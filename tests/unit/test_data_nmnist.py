"""N-MNIST: binning against a scalar reading, both layouts, and each way in which files can be wrong."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.errors import InputError
from flipcore.sim.data import Dataset, Records, load_dataset

Event = tuple[int, int, int, int]  # x, y, polarity, time in us
NUM_STEPS = 9
RNG = np.random.default_rng(5)


def packed(events: list[Event]) -> bytes:
    return b"".join(
        bytes([x, y]) + ((polarity << 23) | time).to_bytes(3, "big")
        for x, y, polarity, time in events
    )


def random_events(count: int) -> list[Event]:
    # Few pixels, so that events of an axon merge.
    x, y, polarity = (RNG.integers(0, high, count).tolist() for high in (4, 34, 2))
    return list(zip(x, y, polarity, np.sort(RNG.integers(0, 336_041, count)).tolist(), strict=True))


RECORDINGS: dict[tuple[str, int, int], list[Event]] = {
    ("Train", 5, 1): random_events(300),
    ("Train", 0, 2): random_events(2000),
    ("Train", 5, 10): random_events(1),
    ("Test", 5, 1): random_events(500),
    ("Test", 0, 7): random_events(80),
}


def write_original(folder: Path) -> None:
    for (part, label, number), events in RECORDINGS.items():
        path = folder / part / str(label) / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(events))


def write_listed(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    lists = {"Train": "#sample #class\r\n", "Test": "#sample #class\r\n"}
    for (part, label, number), events in RECORDINGS.items():
        sample = number + (60000 if part == "Test" else 0)
        (folder / f"{sample}.bs2").write_bytes(packed(events))
        lists[part] += f"{sample}\t{label}\r\n"
    (folder / "train1K.txt").write_text(lists["Train"])
    (folder / "test100.txt").write_text(lists["Test"])


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            target.write(path, path.relative_to(folder.parent))
    return archive


def load(*paths: Path, num_steps: int = NUM_STEPS) -> Dataset:
    return load_dataset("nmnist:" + ",".join(map(str, paths)), num_steps=num_steps)


def by_hand(events: list[Event]) -> tuple[list[set[int]], list[int]]:
    """Distinct axons and merged events of each step, one event at a time."""
    axons: list[set[int]] = [set() for _ in range(NUM_STEPS)]
    merged = [0] * NUM_STEPS
    for x, y, polarity, time in events:
        step = min(time * NUM_STEPS // 315_000, NUM_STEPS - 1)
        axon = (polarity * 34 + y) * 34 + x
        merged[step] += axon in axons[step]
        axons[step].add(axon)
    return axons, merged


def spikes(bitmaps: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.unpackbits(bitmaps, axis=-1, count=2312, bitorder="little")


def check_content(dataset: Dataset) -> None:
    assert (dataset.name, dataset.kind) == ("n-mnist", "events")
    assert (dataset.num_axons, dataset.num_classes) == (2312, 6)
    for part, split in (("Train", dataset.train), ("Test", dataset.test)):
        wanted = {number: (label, e) for (p, label, number), e in RECORDINGS.items() if p == part}
        assert len(split) == len(wanted)
        records: Records = split.read(np.arange(len(split)))
        assert records.bitmaps.shape == (len(split), NUM_STEPS, 289)
        for k, number in enumerate(sorted(wanted)):
            label, events = wanted[number]
            axons, merged = by_hand(events)
            assert split.labels[k] == label
            assert records.merged[k].tolist() == merged
            found = [set(np.flatnonzero(row).tolist()) for row in spikes(records.bitmaps[k])]
            assert found == axons


@pytest.mark.parametrize("layout", ["original", "listed"])
@pytest.mark.parametrize("place", ["folder", "zip", "folder of zips"])
def test_loads_both_layouts_from_folders_and_archives(
    tmp_path: Path, layout: str, place: str
) -> None:
    folder = tmp_path / "set"
    (write_original if layout == "original" else write_listed)(folder)
    path = folder
    if place != "folder":
        (tmp_path / "zips").mkdir()
        archive = zipped(folder, tmp_path / "zips" / "set.zip")
        path = archive if place == "zip" else archive.parent
    check_content(load(path))


def test_joins_several_paths(tmp_path: Path) -> None:
    write_original(tmp_path)
    check_content(load(tmp_path / "Test", tmp_path / "Train"))
    archives = [zipped(tmp_path / part, tmp_path / f"{part}.zip") for part in ("Train", "Test")]
    dataset = load(*archives)
    check_content(dataset)
    assert dataset.provenance["source_1"] == "Test.zip"
    assert len(str(dataset.provenance["source_1_sha256"])) == 64


def test_same_recordings_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    write_original(tmp_path / "a")
    write_listed(tmp_path / "b")
    first, second = (load(tmp_path / name).provenance for name in ("a", "b"))
    for part in ("train", "test"):
        assert first[f"{part}_recordings_sha256"] == second[f"{part}_recordings_sha256"]


def test_counts_events_after_the_window(tmp_path: Path) -> None:
    write_original(tmp_path)
    late = sum(event[3] >= 315_000 for events in RECORDINGS.values() for event in events)
    assert late > 0
    assert load(tmp_path).provenance["late_events"] == late


def test_the_order_of_events_does_not_matter(tmp_path: Path) -> None:
    write_original(tmp_path)
    straight = load(tmp_path).train.read(np.arange(3))
    for path in tmp_path.rglob("*.bin"):
        events = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5)
        path.write_bytes(events[::-1].tobytes())
    reversed_ = load(tmp_path).train.read(np.arange(3))
    assert np.array_equal(reversed_.bitmaps, straight.bitmaps)
    assert np.array_equal(reversed_.merged, straight.merged)


@pytest.mark.parametrize("num_steps", [1, 256])
def test_no_event_is_lost_at_any_number_of_steps(tmp_path: Path, num_steps: int) -> None:
    write_original(tmp_path)
    records = load(tmp_path, num_steps=num_steps).test.read(np.arange(2))
    kept = spikes(records.bitmaps).sum(axis=(1, 2)) + records.merged.sum(axis=1)
    assert kept.tolist() == [500, 80]


def test_tells_progress(tmp_path: Path) -> None:
    write_original(tmp_path)
    told: list[str] = []
    load_dataset(f"nmnist:{tmp_path}", num_steps=2, progress=told.append)
    assert told == ["binning train recordings: 0 of 3", "binning test recordings: 0 of 2"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes: must be a positive multiple of 5"),
        (packed([(1, 2, 0, 3)]) + b"ab", "7 bytes: must be a positive multiple of 5"),
        (packed([(1, 2, 0, 3), (34, 2, 0, 3)]), "event 1: x 34, y 2: must be 0 ... 33"),
        (packed([(1, 240, 0, 3)]), "event 0: x 1, y 240: must be 0 ... 33"),
        (bytes((16 << 20) + 5), "more than 16777216 bytes: not a recording of N-MNIST"),
    ],
)
def test_refuses_a_bad_recording(tmp_path: Path, content: bytes, told: str) -> None:
    write_original(tmp_path)
    (tmp_path / "Test" / "5" / "00001.bin").write_bytes(content)
    with pytest.raises(InputError) as error:
        load(tmp_path)
    assert str(error.value).endswith(f"Test/5/00001.bin: {told}")


def test_names_the_corrupt_member_of_an_archive(tmp_path: Path) -> None:
    write_original(tmp_path / "set")
    archive = zipped(tmp_path / "set", tmp_path / "set.zip")
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo("set/Train/0/00002.bin")
    content = bytearray(archive.read_bytes())
    content[info.header_offset + info.compress_size // 2] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"set\.zip: set/Train/0/00002\.bin: corrupt: "):
        load(archive)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1\tseven", "line 6: '1\\tseven': must be a sample number and a digit"),
        ("1\t12", "line 6: '1\\t12': must be a sample number and a digit"),
        ("4\t4", "line 6: there is no file set/4.bs2"),
        ("2\t0", "train recording 2: is there twice, the other is "),
        ("60001\t5", "set/60001.bs2: is in the training and in the test list"),
    ],
)
def test_refuses_a_bad_list(tmp_path: Path, line: str, told: str) -> None:
    write_listed(tmp_path / "set")
    path = tmp_path / "set" / "train1K.txt"
    path.write_text(path.read_text() + f"\n{line}\n")
    with pytest.raises(InputError) as error:
        load(tmp_path / "set")
    assert told in str(error.value)


def test_refuses_what_is_missing_or_there_twice(tmp_path: Path) -> None:
    write_original(tmp_path / "set")
    archive = zipped(tmp_path / "set", tmp_path / "set.zip")
    with pytest.raises(InputError, match=r"recording [0-9]+: is there twice, the other is .*set:"):
        load(tmp_path / "set", archive)
    with pytest.raises(InputError, match=r"Train: no test recordings: looked for Train/<digit>/"):
        load(tmp_path / "set" / "Train")
    with pytest.raises(InputError, match="gone: no such file or folder"):
        load(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no recordings and no zip file in it"):
        load(tmp_path / "empty")
    (tmp_path / "text.zip").write_text("nothing")
    with pytest.raises(InputError, match=r"text\.zip: corrupt: File is not a zip file"):
        load(tmp_path / "text.zip")


@pytest.mark.realdata
def test_reads_the_real_recordings(data_dir: Path) -> None:
    dataset = load(data_dir / "n-mnist", num_steps=20)
    assert np.bincount(dataset.train.labels).tolist() == [
        97,
        116,
        99,
        93,
        105,
        92,
        94,
        117,
        87,
        100,
    ]
    assert np.bincount(dataset.test.labels).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    for split, mean_events in ((dataset.train, 4133), (dataset.test, 3856)):
        records = split.read(np.arange(len(split)))
        events = int(spikes(records.bitmaps).sum()) + int(records.merged.sum())
        assert round(events / len(split)) == mean_events
    assert dataset.provenance["late_events"] == 147
