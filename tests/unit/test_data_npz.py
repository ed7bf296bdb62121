"""NumPy archives: scaling, splits, and each way in which an array can be wrong."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.errors import InputError
from flipcore.sim.data import Dataset, Split, load_dataset

RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (40, 2, 3), np.uint8)
Y = np.arange(40) % 4


def load(path: Path) -> Dataset:
    return load_dataset(f"npz:{path}", num_steps=4)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def pixels(split: Split) -> npt.NDArray[np.uint8]:
    return split.read(np.arange(len(split))).pixels


def four(
    x_train: npt.ArrayLike, x_test: npt.ArrayLike, dtype: npt.DTypeLike | None = None
) -> dict[str, npt.NDArray[Any]]:
    train, test = np.asarray(x_train, dtype), np.asarray(x_test, dtype)
    return {
        "x_train": train,
        "y_train": np.zeros(len(train), np.int64),
        "x_test": test,
        "y_test": np.zeros(len(test), np.int64),
    }


@pytest.mark.parametrize("packed", [False, True])
def test_keeps_uint8_and_the_given_split(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "set.npz"
    save = np.savez_compressed if packed else np.savez
    save(path, x_train=X[:30], y_train=Y[:30], x_test=X[30:], y_test=Y[30:], notes=np.zeros(3))
    dataset = load(path)
    assert (dataset.name, dataset.kind) == ("set", "pixels")
    assert (dataset.num_axons, dataset.num_classes) == (6, 4)
    assert np.array_equal(pixels(dataset.train), X[:30].reshape(30, 6))
    assert np.array_equal(pixels(dataset.test), X[30:].reshape(10, 6))
    assert np.array_equal(dataset.train.labels, Y[:30])
    assert dataset.train.labels.dtype == np.int32
    assert dataset.provenance["scaled_from"] == "as it is"


@pytest.mark.parametrize("order", ["interleaved", "sorted"])
def test_every_fifth_of_each_class_is_test_in_any_order_of_classes(
    tmp_path: Path, order: str
) -> None:
    labels = Y if order == "interleaved" else np.sort(Y)
    dataset = load(saved(tmp_path / "set.npz", x=X, y=labels))
    assert np.bincount(dataset.train.labels).tolist() == [8, 8, 8, 8]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2, 2]
    is_test = np.zeros(40, bool)
    for label in range(4):
        is_test[np.flatnonzero(labels == label)[4::5]] = True
    assert np.array_equal(pixels(dataset.train), X[~is_test].reshape(-1, 6))
    assert np.array_equal(pixels(dataset.test), X[is_test].reshape(-1, 6))
    assert np.array_equal(dataset.test.labels, labels[is_test])
    assert dataset.provenance["test_split"] == "every fifth sample of each class"


def test_scales_integers_rounded_half_up_by_the_training_maximum(tmp_path: Path) -> None:
    arrays = four([[0], [1], [2], [3], [510]], [[5], [510], [9999]], np.int32)
    dataset = load(saved(tmp_path / "set.npz", **arrays))
    assert pixels(dataset.train).ravel().tolist() == [0, 1, 1, 2, 255]  # 0.5 -> 1, 1.5 -> 2
    assert pixels(dataset.test).ravel().tolist() == [3, 255, 255]
    assert dataset.provenance["scaled_from"] == "0 ... 510"


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "u2", ">i2", "i8", "u8"])
def test_scales_each_number_type_the_same(tmp_path: Path, dtype: str) -> None:
    values = np.arange(0, 1021, 5).reshape(-1, 5)
    dataset = load(saved(tmp_path / "set.npz", **four(values, values[:3], dtype)))
    expected = (values * 510 + 1020) // 2040
    assert np.array_equal(pixels(dataset.train), expected)


def test_the_largest_integers_do_not_overflow(tmp_path: Path) -> None:
    arrays = four([[0, 2**53]], [[2**52, 2**53]], np.uint64)
    dataset = load(saved(tmp_path / "set.npz", **arrays))
    assert pixels(dataset.train).tolist() == [[0, 255]]
    assert pixels(dataset.test).tolist() == [[128, 255]]


def test_bool_becomes_black_and_white(tmp_path: Path) -> None:
    arrays = four([[True, False]], [[False, True]])
    dataset = load(saved(tmp_path / "set.npz", **arrays))
    assert pixels(dataset.train).tolist() == [[255, 0]]
    assert pixels(dataset.test).tolist() == [[0, 255]]


def test_takes_a_column_of_labels_and_flat_samples(tmp_path: Path) -> None:
    arrays = four(np.arange(4, dtype=np.uint8), np.arange(4, dtype=np.uint8))
    arrays["y_train"] = arrays["y_train"].reshape(-1, 1)
    dataset = load(saved(tmp_path / "set.npz", **arrays))
    assert dataset.num_axons == 1
    assert pixels(dataset.train).tolist() == [[0], [1], [2], [3]]


def test_blocks_join_without_a_seam(tmp_path: Path) -> None:
    large = RNG.random((3000, 500)).astype(np.float32)  # 6 MB, six blocks
    dataset = load(saved(tmp_path / "set.npz", **four(large, large[:10])))
    scaled = np.floor(large.astype(np.float64) * 255 / float(large.max()) + 0.5)
    assert np.array_equal(pixels(dataset.train), scaled)


def replaced(**changes: Any) -> dict[str, Any]:
    return four(X[:4].copy(), X[4:6].copy()) | changes


NAN = np.ones((4, 2, 3))
NAN[2, 1, 0] = np.nan
SPLIT_RULE = "must hold x, y or x_train, y_train, x_test, y_test; it holds"
BAD_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"x": X}, f": no array y: {SPLIT_RULE} x"),
    ({"images": X}, f": no array x: {SPLIT_RULE} images"),
    ({"x_train": X, "y_train": Y}, f": no array x_test: {SPLIT_RULE} x_train, y_train"),
    ({"x": X, "y": Y[:39]}, ": y: 39 labels: must be 40, as many as samples in"),
    ({"x": X[:0], "y": Y[:0]}, ": x: holds no samples"),
    ({"x": X, "y": np.arange(40)}, ": no class has 5 samples"),
    ({"x": X, "y": Y * 0.5}, ": y: values of type float64: labels must be integers"),
    ({"x": X, "y": Y > 1}, ": y: values of type bool: labels must be integers"),
    ({"x": X, "y": np.stack([Y, Y], 1)}, ": y: shape (40, 2): must be [n] or [n, 1]"),
    ({"x": X, "y": Y - 1}, ": y: label 0: -1: must be 0 ... 4095"),
    ({"x": X, "y": Y * 2000}, ": y: label 3: 6000: must be 0 ... 4095"),
    ({"x": X, "y": 7}, ": y: a single value: must be an array of samples"),
    ({"x": X * 1j, "y": Y}, ": x: values of type complex128: must be bool, integer or float"),
    ({"x": X.astype("S"), "y": Y}, ": x: values of type |S3: must be bool, integer or float"),
    ({"x": np.asfortranarray(X), "y": Y}, ": x: stored column by column: save it through"),
    ({"x": np.zeros((40, 5000), np.uint8), "y": Y}, ": x: 5000 pixels a sample: must be 1 ... 4096"),
    ({"x": np.zeros((40, 0), np.uint8), "y": Y}, ": x: 0 pixels a sample: must be 1 ... 4096"),
    ({"x": X * 0.0, "y": Y}, ": x: all training pixels are 0: there is nothing to scale by"),
    (replaced(x_train=NAN), ": x_test: samples of shape (2, 3) and type uint8: must be (2, 3) and float64"),
    (four(NAN, NAN[:1]), ": x_train[2, 1, 0]: nan: pixels must be finite and 0 ... 2**53"),
    (four(NAN[:1], NAN), ": x_test[2, 1, 0]: nan: pixels must be finite and 0 ... 2**53"),
    (four([[1.0, np.inf]], [[1.0, 1.0]]), ": x_train[0, 1]: inf: pixels must be finite"),
    (four([[1, np.inf]], [[1, 1]], np.float16), ": x_train[0, 1]: inf: pixels must be finite"),
    (four([[1, 2], [3, -4]], [[1, 1]]), ": x_train[1, 1]: -4: pixels must be finite and 0 ..."),
    (four([[1, 2**60]], [[1, 1]]), f": x_train[0, 1]: {2**60}: pixels must be finite and 0 ..."),
    (four(X, X.reshape(-1, 6)), ": x_test: samples of shape (6,) and type uint8: must be (2, 3)"),
    (replaced(y_test=np.array([0, 3])), "set: test label 1: 3: must be 0 ... 0, the largest"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "told"), BAD_ARRAYS)
def test_refuses_bad_arrays(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    path = saved(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError) as error:
        load(path)
    assert told in str(error.value)
    assert str(path) in str(error.value) or told.startswith("set: ")
    assert "\n" not in str(error.value)


def test_refuses_objects_without_unpickling(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x=np.array([[{}], [[]]], dtype=object), y=np.array([0, 1]))
    with pytest.raises(InputError, match="x: values of type object: must be bool, integer"):
        load(path)


def with_npy(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", content)
    return path


def npy(header: bytes, version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "x: not a .npy array: "),
        (b"not an array at all", "x: not a .npy array: the magic string is not correct"),
        (npy(b"{'descr': '|u1'}"), "x: not a .npy array: "),
        (npy(b"__import__('os').abort()"), "x: not a .npy array: "),
        (npy(b"", version=3), "x: .npy version (3, 0): must be 1.0 or 2.0"),
        (
            npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 9)}") + b"abc",
            "x: 76 bytes: its header says 90000064",
        ),
    ],
)
def test_refuses_what_is_no_array(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(InputError) as error:
        load(with_npy(tmp_path / "set.npz", content))
    assert told in str(error.value)


def test_refuses_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(b"PK but not really")
    with pytest.raises(InputError, match=r"set.npz: corrupt: File is not a zip file"):
        load(path)
    with pytest.raises(InputError, match=r"gone.npz: no such file"):
        load(tmp_path / "gone.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("from_end", [1_000_000, 500])
def test_a_flipped_bit_in_the_pixels_is_found(tmp_path: Path, method: int, from_end: int) -> None:
    path = tmp_path / "set.npz"
    large = RNG.integers(0, 256, (3000, 1000), np.uint8)
    with zipfile.ZipFile(path, "w", method, compresslevel=0) as archive:  # as it is, in blocks
        for name, array in (("y", np.arange(3000) % 3), ("x", large)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
    load(path)
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"set\.npz: x: corrupt: Bad CRC-32"):
        load(path)


def test_any_damage_is_told_as_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged[: int(rng.integers(len(whole) // 2, 2 * len(whole)))])
        try:
            load(path)
        except InputError:
            refused += 1
    assert refused > 200


@pytest.mark.realdata
def test_reads_the_real_photos(data_dir: Path) -> None:
    given = load(data_dir / "cifar100" / "cifar100_subset.npz")
    assert (len(given.train), len(given.test), given.num_classes) == (5000, 2000, 100)
    dataset = load(data_dir / "cifar10" / "cifar10_test.npz")
    assert np.bincount(dataset.train.labels).tolist() == [800] * 10
    assert np.bincount(dataset.test.labels).tolist() == [200] * 10
    with np.load(data_dir / "cifar10" / "cifar10_test.npz", allow_pickle=False) as archive:
        # Interleaved by class: sample 40 is the fifth of class 0, the first of the test split.
        assert np.array_equal(dataset.test.read(np.array([0])).pixels[0], archive["x"][40].ravel())
