"""What a comparison was asked for: settled and checked before anything is written, read back, refused if damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flipcore.comparison.request import (
    REQUEST_FILE,
    create_folder,
    data_of_seed,
    load_request_data,
    make_request,
    read_request,
)
from flipcore.errors import InputError
from flipcore.sim.data import load_dataset

TINY = """
name: tiny
inputs: 64
steps: 2
core: {neuron: if, threshold: 6, window: 9}
layers: [{neurons: 12}, {neurons: 10}]
workload: {dataset: digits, epochs: 2}
"""


@pytest.fixture
def chip(tmp_path: Path) -> str:
    """A tiny chip for the digits."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    told = str(caught.value)
    assert "\n" not in told
    return told


def test_a_request_comes_back(chip: str, tmp_path: Path) -> None:
    request = make_request(chip, algorithms=["bso,chip:4"], seeds=2, first_seed=5, epochs=3, samples=70)  # fmt: skip
    create_folder(tmp_path / "c", request)
    assert read_request(tmp_path / "c") == request
    assert list(request.seeds) == [5, 6]
    software, on_chip = request.entries
    assert software.recipe().epochs == 3
    assert on_chip.chip().workload.epochs == 3
    assert {core.momentum_bits for core in on_chip.chip().layers} == {4}


def test_epochs_are_by_default_those_of_recipe_and_chip() -> None:
    request = make_request("digits", algorithms=["bso", "chip:8"])
    assert [request.entries[0].settings["epochs"], request.entries[1].chip().workload.epochs] == [12, 30]  # fmt: skip
    assert request.num_seeds == 3


def test_every_row_learns_the_same_samples(chip: str) -> None:
    request = make_request(chip, algorithms=["chip"], samples=100, validation=0.25)
    dataset = load_dataset("digits", num_steps=2)
    one, again, other = (data_of_seed(request, dataset, seed) for seed in (0, 0, 1))
    assert len(one.train) == len(other.train) == 100
    np.testing.assert_array_equal(one.train.positions, again.train.positions)
    # Another seed holds out other samples; none is learnt and tested at once.
    assert one.test.positions is not None
    assert one.train.positions is not None
    assert not set(one.train.positions) & set(one.test.positions)
    whole = data_of_seed(make_request(chip, algorithms=["chip"]), dataset, 0)
    assert whole is dataset


def test_the_samples_are_a_permutations_first(chip: str) -> None:
    """More samples are the fewer ones and others."""
    dataset = load_dataset("digits", num_steps=2)
    few, many, others = (
        data_of_seed(
            make_request(chip, algorithms=["chip"], samples=count, first_seed=seed), dataset, seed
        ).train.positions
        for count, seed in ((50, 0), (200, 0), (50, 1))
    )
    assert few is not None
    assert many is not None
    assert others is not None
    assert set(few) < set(many)
    assert set(few) != set(others)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"samples": 1438}, "--samples 1438: digits has 1437 training samples"),
        ({"seeds": 0}, "--seeds 0: must be 1 or more"),
        ({"epochs": 0}, "--epochs 0: must be 1 or more"),
        ({"technology": "ihp"}, "ihp: no such technology"),
        ({"dataset": "digit"}, "data set 'digit': unknown, did you mean digits?"),
        ({"algorithms": ["chip:17"]}, "algorithm chip:17: layers.0.momentum_bits=17: "),
    ],
)
def test_bad_words_are_refused(chip: str, words: dict[str, object], told: str) -> None:
    assert refusal(lambda: make_request(chip, **words)).startswith(told)  # type: ignore[arg-type]


def test_unknown_presets_are_refused_with_a_near_one() -> None:
    assert refusal(lambda: make_request("digit")).startswith("digit: no such recipe, did you mean `digits`?")  # fmt: skip


def test_data_that_do_not_fit_are_refused(chip: str, tmp_path: Path) -> None:
    Path(chip).write_text(TINY.replace("inputs: 64", "inputs: 65"))
    told = refusal(lambda: make_request(chip, algorithms=["chip"]))
    assert told == "digits: 64 inputs a sample: the chip tiny has inputs=65"


def test_what_is_damaged_is_refused(chip: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    assert refusal(lambda: read_request(folder)) == f"{folder}: no comparison began here: request.json is missing"  # fmt: skip
    create_folder(folder, make_request(chip, algorithms=["bso", "chip"]))
    assert refusal(lambda: create_folder(folder, read_request(folder))) == (
        f"{folder}: this run directory exists and is not empty; continue it with --resume {folder}"
    )
    path = folder / REQUEST_FILE
    whole = json.loads(path.read_text())
    for change, told in (
        ({"format": 2}, "format 2: this version reads 1"),
        ({"num_seeds": 0}, "damaged or not a request: num_seeds=0: "),
        ({"entries": []}, "damaged or not a request: entries="),
        ({"entries": [{"contender": "bsoo", "settings": {}}]}, "algorithm bsoo: unknown"),
        ({"entries": [{"contender": "chip", "settings": {}}]}, "request.json: chip: layers: must be a list"),
        ({"validation": None}, "damaged or not a request: validation"),
    ):  # fmt: skip
        path.write_text(json.dumps(whole | change))
        assert refusal(lambda: read_request(folder)).startswith(f"{path}: {told}")
    path.write_text("{")
    assert refusal(lambda: read_request(folder)).startswith(f"{path}: damaged or not a request: ")


def test_a_chip_that_has_changed_meanwhile_is_refused(chip: str, tmp_path: Path) -> None:
    create_folder(tmp_path / "c", make_request(chip, algorithms=["bso"]))
    Path(chip).write_text(TINY.replace("neurons: 12", "neurons: 13"))
    assert refusal(lambda: read_request(tmp_path / "c")).endswith(
        f"bso: the chip description {chip} is another by now"
    )


def test_data_that_have_changed_meanwhile_are_refused(tmp_path: Path) -> None:
    def write(seed: int) -> None:
        dice = np.random.default_rng(seed)
        arrays = {
            f"{name}_{part}": dice.integers(0, limit, shape).astype(np.uint8)
            for part in ("train", "test")
            for name, limit, shape in (("x", 256, (20, 64)), ("y", 3, (20,)))
        }
        np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]

    write(0)
    request = make_request("digits", algorithms=["chip"], dataset=f"npz:{tmp_path}/data.npz")
    load_request_data(request)
    write(1)
    assert "is not the data set that the comparison began with" in refusal(
        lambda: load_request_data(request)
    )
