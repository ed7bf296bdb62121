"""IDX folders: both spellings, packed or not, and each way in which a file can be wrong."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.errors import InputError
from flipcore.sim.data import Dataset, load_dataset

RNG = np.random.default_rng(7)
IMAGES = {
    "train": RNG.integers(0, 256, (12, 5, 4), np.uint8),
    "t10k": RNG.integers(0, 256, (6, 5, 4), np.uint8),
}
LABELS = {"train": np.arange(12, dtype=np.uint8) % 3, "t10k": np.arange(6, dtype=np.uint8) % 3}


def idx(array: npt.NDArray[np.uint8], type_code: int = 8) -> bytes:
    header = bytes([0, 0, type_code, array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_set(folder: Path, *, packed: bool = False, dot: bool = False) -> None:
    for part in ("train", "t10k"):
        for what, dims, array in (("images", 3, IMAGES[part]), ("labels", 1, LABELS[part])):
            name = f"{part}-{what}{'.' if dot else '-'}idx{dims}-ubyte"
            content = idx(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def load(folder: Path) -> Dataset:
    return load_dataset(f"idx:{folder}", num_steps=4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", [False, True])
def test_loads_both_spellings_packed_or_not(tmp_path: Path, packed: bool, dot: bool) -> None:
    write_set(tmp_path, packed=packed, dot=dot)
    dataset = load(tmp_path)
    assert (dataset.kind, dataset.num_axons, dataset.num_classes) == ("pixels", 20, 3)
    assert dataset.name == tmp_path.name
    for split, part in ((dataset.train, "train"), (dataset.test, "t10k")):
        pixels = split.read(np.arange(len(split))).pixels
        assert np.array_equal(pixels, IMAGES[part].reshape(-1, 20))
        assert split.labels.dtype == np.int32
        assert np.array_equal(split.labels, LABELS[part])


def test_records_where_it_came_from(tmp_path: Path) -> None:
    write_set(tmp_path)
    provenance = load(tmp_path).provenance
    assert provenance["train_images"] == "train-images-idx3-ubyte"
    assert provenance["test_labels"] == "t10k-labels-idx1-ubyte"
    assert len(str(provenance["test_images_sha256"])) == 64
    assert (provenance["train_samples"], provenance["test_samples"]) == (12, 6)


def test_packed_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    write_set(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    pixels = load(tmp_path).train.read(np.array([3])).pixels
    assert np.array_equal(pixels[0], IMAGES["train"][3].ravel())


def test_tells_progress(tmp_path: Path) -> None:
    write_set(tmp_path)
    told: list[str] = []
    load_dataset(f"idx:{tmp_path}", num_steps=1, progress=told.append)
    assert told == ["reading train-images-idx3-ubyte", "reading t10k-images-idx3-ubyte"]


def cut(content: bytes) -> bytes:
    return content[:-3]


Damage = Callable[[bytes], bytes]
BAD_FILES: list[tuple[str, Damage, str]] = [
    ("train-images-idx3-ubyte", cut, "truncated: 237 bytes of data: its header says 240"),
    ("train-labels-idx1-ubyte", cut, "truncated: 9 bytes of data: its header says 12"),
    ("t10k-images-idx3-ubyte", lambda c: c + b"x", "has bytes after its data: its header says 120"),
    ("t10k-labels-idx1-ubyte", lambda c: c + b"x", "has bytes after its data: its header says 6"),
    ("train-images-idx3-ubyte", lambda c: b"", "0 bytes: too short for an IDX file"),
    ("train-images-idx3-ubyte", lambda c: c[:9], "ends within its header"),
    ("train-images-idx3-ubyte", lambda c: b"\x89PNG" + c[4:], "magic number 0x89504e47: not an IDX"),
    ("train-images-idx3-ubyte", lambda c: b"\0\0\x08\x01" + c[4:], "1 dimensions: must be 3"),
    ("train-labels-idx1-ubyte", lambda c: b"\0\0\x08\x03" + c[4:], "3 dimensions: must be 1"),
    ("train-images-idx3-ubyte", lambda c: b"\0\0\x0d\x03" + c[4:], "values of type float32: must be uint8"),
    ("train-labels-idx1-ubyte", lambda c: b"\0\0\x0c\x01" + c[4:], "values of type int32: must be uint8"),
    ("train-images-idx3-ubyte", lambda c: idx(IMAGES["train"][:0]), "holds no images"),
    ("train-images-idx3-ubyte", lambda c: idx(np.zeros((12, 65, 64), np.uint8)), "4160 pixels a sample: must be 1 ... 4096"),
    ("train-images-idx3-ubyte", lambda c: idx(np.zeros((12, 0, 64), np.uint8)), "0 pixels a sample: must be 1 ... 4096"),
    ("train-labels-idx1-ubyte", lambda c: idx(LABELS["train"][:11]), "11 labels: must be 12, as many as images in train-images-idx3-ubyte"),
    ("t10k-images-idx3-ubyte", lambda c: idx(IMAGES["t10k"].reshape(6, 4, 5)), "images of 4x5: must be 5x4 as the training"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "told"), BAD_FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_refuses_a_bad_file(
    tmp_path: Path, name: str, damage: Damage, told: str, packed: bool
) -> None:
    write_set(tmp_path)
    content = damage((tmp_path / name).read_bytes())
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InputError) as error:
        load(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / name}: {told}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda c: c[:-12], "corrupt: Compressed file ended before"),
        (lambda c: c[:-8] + bytes([c[-8] ^ 1]) + c[-7:], "corrupt: CRC check failed"),
        (lambda c: c + b"rest", "corrupt: Not a gzipped file"),
        (lambda c: c[:40] + bytes(40) + c[80:], "corrupt: "),
    ],
)
def test_refuses_a_corrupt_gzip(tmp_path: Path, damage: Damage, told: str) -> None:
    write_set(tmp_path, packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError) as error:
        load(tmp_path)
    assert str(error.value).startswith(f"{path}: {told}")


def test_refuses_a_test_label_beyond_the_training_labels(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([0, 1, 2, 9, 0, 1], np.uint8)))
    told = "test label 3: 9: must be 0 ... 2, the largest training label"
    with pytest.raises(InputError, match=told):
        load(tmp_path)


def test_names_what_it_looked_for(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    told = r"no file t10k-labels-idx1-ubyte\[.gz\] or t10k-labels.idx1-ubyte\[.gz\]"
    with pytest.raises(InputError, match=told):
        load(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "mean", "first_labels"),
    [("mnist", 33.318, [5, 0, 4, 1, 9]), ("fashion-mnist", 72.940, [9, 0, 0, 3, 0])],
)
def test_reads_the_real_sets(
    data_dir: Path, name: str, mean: float, first_labels: list[int]
) -> None:
    dataset = load_dataset(f"idx:{data_dir / name}", num_steps=8)
    assert (len(dataset.train), len(dataset.test)) == (60000, 10000)
    assert (dataset.num_axons, dataset.num_classes) == (784, 10)
    total = sum(
        int(dataset.train.read(np.arange(start, start + 1000)).pixels.sum())
        for start in range(0, 60000, 1000)
    )
    assert round(total / 60000 / 784, 3) == mean
    assert dataset.train.labels[:5].tolist() == first_labels
