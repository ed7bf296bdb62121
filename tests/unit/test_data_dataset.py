"""Splits, record layouts and the labels of both splits."""

import numpy as np
import pytest

from flipcore.errors import InputError
from flipcore.sim.data.dataset import Dataset, EventLayout, PixelLayout, Split, make_dataset
from flipcore.sim.data.store import Spool


def split_of(labels: list[int], num_axons: int = 3) -> Split:
    pixels = np.arange(len(labels) * num_axons, dtype=np.uint8)
    spool = Spool("test")
    if labels:
        spool.write(pixels.data)
    return Split(np.array(labels, np.int32), PixelLayout(num_axons), spool.store(num_axons))


def made(train: list[int], test: list[int]) -> Dataset:
    return make_dataset("set", train=split_of(train), test=split_of(test), provenance={"spec": "s"})


def test_reads_pixels_and_leaves_the_event_arrays_empty() -> None:
    split = split_of([0, 1, 2, 3])
    records = split.read(np.array([2, 0]))
    assert records.pixels.tolist() == [[6, 7, 8], [0, 1, 2]]
    assert records.bitmaps.shape == (2, 0, 0)
    assert records.merged.shape == (2, 0)


def test_subsets_of_subsets_keep_labels_and_records_together() -> None:
    split = split_of([5, 6, 7, 8, 9])
    inner = split.subset(np.array([4, 2, 0])).subset(np.array([2, 0]))
    assert len(inner) == 2
    assert inner.labels.tolist() == [5, 9]
    assert inner.read(np.array([1, 0])).pixels.tolist() == [[12, 13, 14], [0, 1, 2]]
    assert inner.store is split.store


@pytest.mark.parametrize("indices", [[-1], [5], [0, 7]])
def test_refuses_indices_out_of_range(indices: list[int]) -> None:
    split = split_of([0] * 5)
    with pytest.raises(IndexError, match=r"sample indices must be 0 \.\.\. 4"):
        split.read(np.array(indices))
    with pytest.raises(IndexError):
        split.subset(np.array(indices))


def test_event_records_survive_packing() -> None:
    layout = EventLayout(num_axons=19, num_steps=5)
    rng = np.random.default_rng(1)
    flags = rng.random((4, 5, 19)) < 0.3
    merged = rng.integers(0, 1 << 20, size=(4, 5))
    raw = b"".join(layout.encode(flags[k], merged[k]) for k in range(4))
    assert len(raw) == 4 * layout.record_bytes
    records = layout.decode(np.frombuffer(raw, np.uint8).reshape(4, -1))
    assert records.merged.dtype == np.int32
    assert np.array_equal(records.merged, merged)
    assert records.bitmaps.shape == (4, 5, 3)
    # The documented bit order, axon by axon.
    for axon in range(19):
        bits = records.bitmaps[:, :, axon // 8] >> (axon % 8) & 1
        assert np.array_equal(bits, flags[:, :, axon])
    assert records.pixels.shape == (4, 0)


def test_counts_classes_and_records_those_without_training_samples() -> None:
    dataset = made([0, 3, 3, 5], [3, 1])
    assert (dataset.kind, dataset.num_axons, dataset.num_classes) == ("pixels", 3, 6)
    assert dataset.provenance == {
        "spec": "s",
        "train_samples": 4,
        "test_samples": 2,
        "num_classes": 6,
        "classes_without_training_samples": "1,2,4",
    }
    assert "classes_without_training_samples" not in made([0, 1], [1]).provenance


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        ([], [0], "set: the training split is empty"),
        ([0], [], "set: the test split is empty"),
        ([0, 2], [0, 3], "set: test label 1: 3: must be 0 ... 2, the largest training label"),
        ([0, 2], [-1], "set: test label 0: -1: must be 0 ... 2, the largest training label"),
        ([0, 4096], [0], "set: training label 1: 4096: must be 0 ... 4095"),
        ([-7], [0], "set: training label 0: -7: must be 0 ... 4095"),
    ],
)
def test_refuses_labels_that_do_not_fit(train: list[int], test: list[int], told: str) -> None:
    with pytest.raises(InputError) as error:
        made(train, test)
    assert str(error.value) == told
