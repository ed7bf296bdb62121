"""CIFAR in each of its forms gives the same samples; what is wrong with a file is told in a line."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.data import SampleSet, load_samples, normalization

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (36, 3, 32, 32), np.uint8)
LABELS10 = np.arange(36) % 10
LABELS100 = np.arange(36) * 7 % 100
TEST = slice(30, 36)


def load(spec: str) -> SampleSet:
    return load_samples(spec, num_steps=4)


def parts(name: str) -> dict[str, slice]:
    """Which images are in which file."""
    if name == "cifar100":
        return {"train": slice(0, 30), "test": TEST}
    return {f"data_batch_{k + 1}": slice(6 * k, 6 * k + 6) for k in range(5)} | {"test_batch": TEST}


def labels(name: str) -> np.ndarray:
    return LABELS10 if name == "cifar10" else LABELS100


def binary(name: str, part: slice) -> bytes:
    columns = [labels(name)[part, None].astype(np.uint8), IMAGES[part].reshape(-1, 3072)]
    if name == "cifar100":
        columns.insert(0, columns[0] // 5)  # the coarse label comes first
    return np.concatenate(columns, axis=1).tobytes()


def python(name: str, part: slice) -> bytes:
    key = "labels" if name == "cifar10" else "fine_labels"
    data = IMAGES[part].reshape(-1, 3072)
    return pickle.dumps({"data": data, key: labels(name)[part].tolist()}, 4)


def write(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, part in parts(name).items():
        if version == "binary":
            (folder / f"{file}.bin").write_bytes(binary(name, part))
        else:
            (folder / file).write_bytes(python(name, part))
    return folder


def check(samples: SampleSet, name: str) -> None:
    assert (samples.name, samples.kind, samples.shape) == (name, "pixels", (3, 32, 32))
    assert samples.num_classes == labels(name)[:30].max() + 1
    for split, part in ((samples.train, slice(0, 30)), (samples.test, TEST)):
        assert split.labels.tolist() == labels(name)[part].tolist()
        batch = split.batch(torch.arange(len(split)))
        assert batch.dtype == torch.uint8
        assert np.array_equal(batch.numpy(), IMAGES[part])


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("version", ["binary", "python"])
def test_reads_a_folder_and_an_archive(tmp_path: Path, name: str, version: str) -> None:
    folder = write(tmp_path / "set" / "batches", name, version)
    samples = load(f"{name}:{folder}")
    check(samples, name)
    check(load(f"{name}:{folder.parent}"), name)
    assert samples.provenance["version"] == version
    file = next(iter(sorted(folder.iterdir())))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert samples.provenance[f"{file.name}_sha256"] == digest
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as tar:
        tar.add(folder, "batches")
    check(load(f"{name}:{tmp_path / 'set.tar.gz'}"), name)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"batches/{path.name}")
    check(load(f"{name}:{tmp_path / 'set.zip'}"), name)


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_archives_of_numpy(tmp_path: Path, by_row: bool, packed: bool) -> None:
    x = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)) if by_row else IMAGES
    y = LABELS10.astype(np.uint8)
    save = np.savez_compressed if packed else np.savez
    save(tmp_path / "cifar10_train.npz", x=x[:30], y=y[:30], names=np.array(["a", "b"]))
    save(tmp_path / "cifar10_test.npz", x=x[30:], y=y[30:])
    check(load(f"cifar10:{tmp_path}"), "cifar10")
    (tmp_path / "one").mkdir()
    one = tmp_path / "one" / "subset.npz"
    save(one, x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    check(load(f"cifar10:{one}"), "cifar10")
    check(load(f"cifar10:{one.parent}"), "cifar10")


def test_tells_progress(tmp_path: Path) -> None:
    told: list[str] = []
    folder = write(tmp_path, "cifar100", "binary")
    load_samples(f"cifar100:{folder}", num_steps=1, progress=told.append)
    assert told == ["reading train.bin", "reading test.bin"]


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


ONE = slice(0, 6)
BAD_FILES: list[tuple[str, str, bytes, str]] = [
    ("cifar10", "data_batch_3.bin", b"", "0 bytes: must be a positive multiple of 3073"),
    ("cifar10", "data_batch_3.bin", binary("cifar10", ONE)[:-1], "18437 bytes: must be a positive multiple of 3073"),
    ("cifar10", "test_batch.bin", changed(binary("cifar10", TEST), 3073, 10), "label 1: 10: must be 0 ... 9"),
    ("cifar100", "train.bin", binary("cifar10", ONE), "18438 bytes: must be a positive multiple of 3074"),
    ("cifar100", "train.bin", changed(binary("cifar100", ONE), 1, 100), "label 0: 100: must be 0 ... 99"),
    ("cifar10", "data_batch_1", b"\x80\x02}.", "no entry data; it holds nothing"),
    ("cifar10", "data_batch_1", python("cifar100", ONE), "no entry labels; it holds data, fine_labels"),
    ("cifar10", "data_batch_1", python("cifar10", ONE)[:5000], "not a pickle: "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "content", "told"), BAD_FILES)
def test_refuses_a_bad_file(
    tmp_path: Path, name: str, file: str, content: bytes, told: str
) -> None:
    write(tmp_path, name, "binary" if file.endswith(".bin") else "python")
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError) as error:
        load(f"{name}:{tmp_path}")
    assert str(error.value).startswith(f"{tmp_path}: {file}: {told}")
    assert "\n" not in str(error.value)


def entries(**changes: Any) -> dict[str, Any]:
    return {"data": IMAGES[:6].reshape(6, 3072), "labels": [0, 1, 2, 3, 4, 5]} | changes


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (entries(data=[1, 2]), "data: a list: must be an array"),
        (entries(data=IMAGES[:6, 0].reshape(6, 1024)), "data: shape (6, 1024): must be [n, 3072]"),
        (entries(data=np.zeros((0, 3072), np.uint8), labels=[]), "data: shape (0, 3072): must be"),
        (entries(data=np.zeros((6, 3072))), "data: values of type 'f8': must be uint8"),
        (entries(labels=(0,) * 6), "labels: a tuple: must be a list"),
        (entries(labels=[0, 1]), "2 labels: must be 6, as many as images"),
        (entries(labels=[0, 1, 2, 3, 4, -1]), "label 5: -1: must be 0 ... 9"),
        (entries(labels=[0, 1, 2, 3.0, 4, 5]), "labels 3: 3.0: must be an integer label"),
        (entries(labels=[True] * 6), "labels 0: True: must be an integer label"),
        (entries(labels=[2**70] * 6), "labels 0: 1180591620717411303424: must be an integer label"),
    ],
)
def test_refuses_bad_entries_of_a_batch(tmp_path: Path, batch: dict[str, Any], told: str) -> None:
    write(tmp_path, "cifar10", "python")
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch, 4))
    with pytest.raises(InputError) as error:
        load(f"cifar10:{tmp_path}")
    assert str(error.value).startswith(f"{tmp_path}: data_batch_2: {told}")


def arrays(**changes: Any) -> dict[str, Any]:
    x, y = IMAGES[:6], LABELS10[:6]
    whole = {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes
    return {name: array for name, array in whole.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (arrays(x_test=None), "no array x_test; it holds x_train, y_test, y_train"),
        (arrays(x_train=IMAGES[:6, 0]), "x_train: shape (6, 32, 32): must be [n, 32, 32, 3] or"),
        (arrays(x_train=IMAGES[:0], y_train=LABELS10[:0]), "x_train: shape (0, 3, 32, 32): must"),
        (arrays(x_train=IMAGES[:6] / 255.0), "x_train: values of type float64: must be uint8"),
        (arrays(y_train=LABELS10[:5]), "y_train: shape (5,): must be (6,), a label an image"),
        (arrays(y_train=LABELS10[:6] / 2), "y_train: values of type float64: labels must be int"),
        (arrays(y_test=LABELS10[:6] + 6), "y_test: label 4: 10: must be 0 ... 9"),
        (arrays(x_train=np.array([{}] * 6)), "x_train: values of type object: must be bool"),
    ],
)
def test_refuses_bad_archives_of_numpy(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError) as error:
        load(f"cifar10:{path}")
    assert str(error.value).startswith(f"{path}: {told}")


def test_refuses_what_is_missing_or_there_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path}/gone: no such file or folder$"):
        load(f"cifar10:{tmp_path}/gone")
    with pytest.raises(InputError) as error:
        load(f"cifar10:{tmp_path}")
    assert str(error.value) == (
        f"{tmp_path}: no cifar10 in it: looked for data_batch_1.bin, data_batch_1 (python version),"
        " and *train*.npz with *test*.npz"
    )
    write(tmp_path / "a", "cifar10", "binary")
    (tmp_path / "a" / "data_batch_4.bin").rename(tmp_path / "a" / "data_batch_9.bin")
    with pytest.raises(InputError, match=r"a: no file data_batch_4\.bin, but others of the set$"):
        load(f"cifar10:{tmp_path / 'a'}")
    write(tmp_path / "a", "cifar10", "binary")
    write(tmp_path / "b", "cifar10", "binary")
    with pytest.raises(InputError, match=r"b/data_batch_1.bin: is there twice, the other is a/dat"):
        load(f"cifar10:{tmp_path}")
    (tmp_path / "text").write_text("nothing")
    with pytest.raises(InputError, match="text: neither a folder nor a zip or tar file: "):
        load(f"cifar10:{tmp_path / 'text'}")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(InputError, match=r"text.npz: corrupt: File is not a zip file"):
        load(f"cifar10:{tmp_path / 'text.npz'}")


def test_a_bomb_in_an_archive_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flipcore.training.data.cifar.MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train.bin", "test.bin"):
            archive.writestr(name, bytes(1 << 22))
    told = "set.zip: train.bin: more than 1048576 bytes: larger than any file of its kind"
    with pytest.raises(InputError, match=told):
        load(f"cifar100:{path}")


@pytest.mark.parametrize("cut", [300, 40_000])
def test_a_cut_off_archive_is_told(tmp_path: Path, cut: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, part in parts("cifar100").items():
            content = binary("cifar100", part)
            entry = tarfile.TarInfo(f"{name}.bin")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    path = tmp_path / "set.tar.gz"
    path.write_bytes(stream.getvalue()[:cut])
    with pytest.raises(InputError, match=r"set\.tar\.gz: ") as error:
        load(f"cifar100:{path}")
    assert "\n" not in str(error.value)


@pytest.mark.realdata
def test_reads_the_real_images(data_dir: Path) -> None:
    samples = load(f"cifar10:{data_dir / 'cifar10'}")
    assert torch.bincount(samples.train.labels).tolist() == [1000] * 10
    assert torch.bincount(samples.test.labels).tolist() == [1000] * 10
    with np.load(data_dir / "cifar10" / "cifar10_test.npz", allow_pickle=False) as archive:
        image = archive["x"][123]
        assert samples.test.labels[123] == archive["y"][123]
    assert np.array_equal(samples.test.batch([123])[0].permute(1, 2, 0).numpy(), image)
    # Close to the published figures of the whole training set, of which this is a fifth.
    mean, std = normalization(samples)
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.003)
    assert torch.allclose(std, torch.tensor([0.2470, 0.2435, 0.2616]), atol=0.003)


@pytest.mark.realdata
def test_reads_the_real_hundred_classes(data_dir: Path) -> None:
    samples = load(f"cifar100:{data_dir / 'cifar100'}")
    assert samples.num_classes == 100
    assert torch.bincount(samples.train.labels).tolist() == [50] * 100
    assert torch.bincount(samples.test.labels).tolist() == [20] * 100
