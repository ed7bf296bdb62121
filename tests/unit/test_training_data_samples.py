"""Sample sets: specs, shapes, batches; the same records that the simulator reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flipcore.errors import InputError
from flipcore.sim.data import load_dataset, split_validation
from flipcore.sim.data.dataset import make_dataset
from flipcore.training.data import hold_out, load_samples
from flipcore.training.data.samples import as_sample_set
from tests.datasets import event_split, tiny_dataset

KNOWN = (
    "known are digits, mnist, fashion-mnist, kmnist, idx:DIR, npz:FILE, nmnist:PATH[,PATH...], "
    "cifar10:PATH, cifar100:PATH, events:PATH, speech:PATH"
)


def test_knows_all_that_the_simulator_knows() -> None:
    with pytest.raises(InputError) as error:
        load_dataset("", num_steps=4)
    assert KNOWN.startswith(str(error.value).partition("; ")[2])


def test_digits_have_their_shape_and_the_simulators_pixels() -> None:
    samples = load_samples("digits", num_steps=4)
    flat = load_dataset("digits", num_steps=4)
    assert (samples.name, samples.kind, samples.shape) == ("digits", "pixels", (1, 8, 8))
    assert samples.num_classes == 10
    assert samples.provenance == flat.provenance
    order = np.array([1436, 0, 7, 7])
    batch = samples.train.batch(order)
    assert (batch.dtype, batch.shape) == (torch.uint8, (4, 1, 8, 8))
    assert np.array_equal(batch.reshape(4, 64).numpy(), flat.train.read(order).pixels)
    assert samples.train.labels.dtype == torch.int64
    assert np.array_equal(samples.train.labels.numpy(), flat.train.labels)
    assert (len(samples.train), len(samples.test)) == (1437, 360)


def test_indices_come_as_tensors_arrays_or_lists() -> None:
    train = load_samples("digits", num_steps=4).train
    wanted = train.batch(np.array([5, 3]))
    assert torch.equal(train.batch(torch.tensor([5, 3])), wanted)
    assert torch.equal(train.batch([5, 3]), wanted)
    assert train.batch([]).shape == (0, 1, 8, 8)
    wanted[:] = 0  # its own memory, and writable
    assert train.batch([5]).any()


@pytest.mark.parametrize("index", [-1, 1437])
def test_refuses_an_index_beyond_the_split(index: int) -> None:
    with pytest.raises(IndexError, match=r"sample indices must be 0 \.\.\. 1436"):
        load_samples("digits", num_steps=4).train.batch([index])


def test_what_is_not_square_stays_flat(tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
    np.savez(tmp_path / "set.npz", x=x, y=np.arange(10) % 2)
    samples = load_samples(f"npz:{tmp_path / 'set.npz'}", num_steps=4)
    assert samples.shape == (1, 1, 6)
    assert samples.train.batch([0]).flatten().tolist() == x[0].ravel().tolist()


def test_events_are_unpacked_axon_by_axon() -> None:
    flags = np.random.default_rng(0).random((6, 3, 18)) < 0.3
    labels = np.arange(6, dtype=np.int32) % 2
    split = event_split(flags, np.zeros((6, 3), np.int32), labels)
    dataset = make_dataset("events", train=split, test=split, provenance={})
    samples = as_sample_set(dataset, (2, 3, 3))
    batch = samples.train.batch([4, 1])
    assert (samples.kind, batch.dtype, batch.shape) == ("events", torch.uint8, (2, 3, 2, 3, 3))
    assert np.array_equal(batch.numpy().reshape(2, 3, 18), flags[[4, 1]])
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\): must hold 18 axons"):
        as_sample_set(dataset, (2, 3, 4))


def test_holds_out_the_samples_that_the_simulator_holds_out() -> None:
    dataset = tiny_dataset(train=40, axons=9)
    held = hold_out(as_sample_set(dataset, (1, 3, 3)), 0.25, seed=3)
    wanted = split_validation(dataset, 0.25, 3)
    assert held.shape == (1, 3, 3)
    assert held.test.labels.tolist() == wanted.test.labels.tolist()
    everything = np.arange(len(wanted.test))
    assert np.array_equal(
        held.test.batch(everything).reshape(-1, 9).numpy(), wanted.test.read(everything).pixels
    )
    with pytest.raises(InputError, match="validation fraction: 1: must be above 0 and below 1"):
        hold_out(held, 1, seed=3)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("cifar", f"data set 'cifar': unknown, did you mean cifar10:PATH?; {KNOWN}"),
        ("cifar-10:a", f"data set 'cifar-10:a': unknown, did you mean cifar10:PATH?; {KNOWN}"),
        ("CIFAR100:a", f"data set 'CIFAR100:a': unknown, did you mean cifar100:PATH?; {KNOWN}"),
        ("speach:a", f"data set 'speach:a': unknown, did you mean speech:PATH?; {KNOWN}"),
        ("event:a", f"data set 'event:a': unknown, did you mean events:PATH?; {KNOWN}"),
        ("MNIST", f"data set 'MNIST': unknown, did you mean mnist?; {KNOWN}"),
        ("npy:a", f"data set 'npy:a': unknown, did you mean npz:FILE?; {KNOWN}"),
        ("imagenet", f"data set 'imagenet': unknown; {KNOWN}"),
        ("", f"data set '': unknown; {KNOWN}"),
        ("b/a.npz", f"data set 'b/a.npz': unknown, did you mean npz:b/a.npz?; {KNOWN}"),
        ("speech:", "data set 'speech:': nothing after the colon: write speech:PATH"),
        ("idx:", "data set 'idx:': nothing after the colon: write idx:DIR"),
        ("events:~nobody-here", "data set 'events:~nobody-here': Could not determine home directory."),
    ],
)  # fmt: skip
def test_refuses_an_unknown_spec_with_a_near_match(spec: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        load_samples(spec, num_steps=4)
    assert str(error.value) == told


@pytest.mark.parametrize("spec", ["digits", "cifar10:a"])
@pytest.mark.parametrize("num_steps", [0, 257])
def test_refuses_steps_that_no_chip_has(spec: str, num_steps: int) -> None:
    with pytest.raises(InputError, match=rf"^num_steps: {num_steps}: must be 1 \.\.\. 256 \(S3\)"):
        load_samples(spec, num_steps=num_steps)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"^{tmp_path}/a: no such file or folder"):
        load_samples("cifar10:~/a", num_steps=4)


@pytest.mark.realdata
def test_real_sets_of_the_simulator(data_dir: Path) -> None:
    mnist = load_samples(f"idx:{data_dir / 'mnist'}", num_steps=4)
    assert (mnist.shape, len(mnist.train), len(mnist.test)) == ((1, 28, 28), 60000, 10000)
    spec = f"nmnist:{data_dir / 'n-mnist'}"
    recordings = load_samples(spec, num_steps=7)
    assert (recordings.kind, recordings.shape) == ("events", (2, 34, 34))
    batch = recordings.test.batch([3])
    assert batch.shape == (1, 7, 2, 34, 34)
    flat = load_dataset(spec, num_steps=7).test.read(np.array([3])).bitmaps
    bits = np.unpackbits(flat, axis=-1, count=2312, bitorder="little")
    assert np.array_equal(batch.numpy().reshape(1, 7, 2312), bits)
