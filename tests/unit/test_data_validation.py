"""The validation split: stratified, the same everywhere, and never from the test split."""

from pathlib import Path

import numpy as np
import pytest

from flipcore.draws import TAG_VALIDATION, stream
from flipcore.errors import InputError
from flipcore.sim.data import Dataset, load_dataset, split_validation


def saved(folder: Path, labels: list[int]) -> Dataset:
    count = len(labels)
    # A sample's two pixels are its number, so that records can be told apart.
    x = np.stack([np.arange(count) // 256, np.arange(count) % 256], 1).astype(np.uint8)
    y = np.array(labels)
    np.savez(folder / "set.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    return load_dataset(f"npz:{folder / 'set.npz'}", num_steps=1)


LABELS = [0] * 200 + [1] * 7 + [2] + [3, 4] * 50 + [4]


def numbers(dataset: Dataset, part: str) -> list[int]:
    split = dataset.train if part == "train" else dataset.test
    pixels = split.read(np.arange(len(split))).pixels.astype(int)
    found = (pixels[:, 0] * 256 + pixels[:, 1]).tolist()
    assert [LABELS[number] for number in found] == split.labels.tolist()
    return [int(number) for number in found]


def test_holds_out_those_with_the_smallest_keys_of_each_class(tmp_path: Path) -> None:
    dataset = split_validation(saved(tmp_path, LABELS), 0.1, 42)
    keys = [int(key) for key in stream(42, TAG_VALIDATION, count=len(LABELS))]
    expected: list[int] = []
    for label, take in ((0, 20), (1, 1), (2, 0), (3, 5), (4, 5)):
        members = [index for index, other in enumerate(LABELS) if other == label]
        expected += sorted(members, key=lambda index: keys[index])[:take]
    assert numbers(dataset, "test") == sorted(expected)
    assert numbers(dataset, "train") == sorted(set(range(len(LABELS))) - set(expected))


def test_takes_at_least_one_and_leaves_at_least_one(tmp_path: Path) -> None:
    whole = saved(tmp_path, LABELS)
    assert np.bincount(split_validation(whole, 1e-9, 0).test.labels).tolist() == [1, 1, 0, 1, 1]
    assert np.bincount(split_validation(whole, 0.999, 0).train.labels).tolist() == [1] * 5


def test_depends_on_the_seed_alone(tmp_path: Path) -> None:
    whole = saved(tmp_path, LABELS)
    first, again, other = (numbers(split_validation(whole, 0.3, s), "test") for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_digits_held_out_are_pinned() -> None:
    dataset = split_validation(load_dataset("digits", num_steps=1), 0.2, 0)
    positions = dataset.test.positions
    assert positions is not None
    assert (len(dataset.train), len(dataset.test)) == (1148, 289)
    assert positions[:8].tolist() == [2, 11, 19, 23, 24, 53, 64, 72]
    assert (positions % 5 != 0).all()  # none of the real test split


def test_keeps_the_rest_and_says_what_it_did(tmp_path: Path) -> None:
    whole = saved(tmp_path, LABELS)
    dataset = split_validation(whole, 0.25, 9)
    assert (dataset.name, dataset.num_classes, dataset.num_axons) == ("set", 5, 2)
    assert dataset.train.store is whole.train.store
    changed = {key: v for key, v in dataset.provenance.items() if whole.provenance.get(key) != v}
    assert changed == {
        "test_split": "held out from the training split",
        "validation_fraction": "0.25",
        "validation_seed": 9,
        "train_samples": len(dataset.train),
        "test_samples": len(dataset.test),
    }


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_refuses_a_fraction_that_is_none(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError) as error:
        split_validation(saved(tmp_path, LABELS), fraction, 0)
    told = f"validation fraction: {fraction}: must be above 0 and below 1"
    assert str(error.value) == told


def test_refuses_a_set_with_nothing_to_hold_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set: no class has two training samples"):
        split_validation(saved(tmp_path, [0, 1, 2]), 0.5, 0)
