"""Figures of a training and rows of several: keys that scripts read, means and spreads, bits that add up."""

import json
from pathlib import Path
from typing import Any

import pytest

from flipcore.training.recipe import load_recipe, parse_recipe
from flipcore.training.training_results import deployed_chip, figures, rows_of, run_document
from flipcore.training.training_run import TrainingRun
from tests.trainings import CPU, Watch, images, options, recipe, small_vgg, training

WEIGHTS = 12 * 16 + 16 * 3
ROW = {
    *("algorithm", "where", "accuracy_mean", "accuracy_std", "accuracies"),
    *("accuracy_on_chip_mean", "seeds", "test_split", "test_samples", "epochs", "samples_seen"),
    *("batch_size", "training_state_bits", "training_state_bits_by_part", "training_state_bytes"),
    *("training_peak_bytes", "seconds_per_sample", "last_flip_ratio", "accuracy_by_epoch"),
}


def trained(folder: Path, algorithm: str = "bso", **choices: Any) -> TrainingRun:
    run = training(folder, options(algorithm, **choices))
    run.train(Watch(), None)
    return run


def of_run(algorithm: str, seed: int, accuracy: float, **more: Any) -> dict[str, Any]:
    """Figures as `figures` gives them."""
    history = [
        {"test_accuracy": accuracy - 0.1, "flip_ratio": 0.5},
        {"test_accuracy": accuracy, "flip_ratio": 0.1 * (seed + 1)},
    ]
    return {
        "algorithm": algorithm,
        "seed": seed,
        "accuracy": accuracy,
        "accuracy_on_chip": accuracy - 0.02,
        "test_split": "test",
        "test_samples": 15,
        "epochs": 2,
        "samples_seen": 80,
        "seconds_per_sample": 0.001 * (seed + 1),
        "batch_size": 8,
        "state_bits": {"binary weights": 240, "momentum": 1920},
        "state_bytes": {"binary weights": 30, "momentum": 240},
        "peak_bytes": 1000 + seed,
        "history": history,
        **more,
    }


def test_figures_of_a_training(tmp_path: Path) -> None:
    run = trained(tmp_path, seed=3)
    found = figures(run)
    assert json.loads(json.dumps(found)) == found
    assert (found["algorithm"], found["seed"]) == ("bso-packed-int8", 3)
    assert found["accuracy"] == run.progress.history[-1].test_accuracy
    assert found["accuracy_on_chip"] == found["accuracy"]  # neurons without a leak
    assert (found["epochs"], found["samples_seen"], found["batch_size"]) == (2, 80, 8)
    assert (found["test_split"], found["test_samples"]) == ("test", 15)
    assert found["seconds_per_sample"] == pytest.approx(run.progress.seconds / 80)
    assert found["state_bits"]["binary weights"] >= WEIGHTS
    assert found["state_bits"]["momentum"] >= 8 * WEIGHTS
    assert found["peak_bytes"] > sum(found["state_bytes"].values())
    assert len(found["history"]) == 2


def test_bits_are_those_of_the_storage(tmp_path: Path) -> None:
    """Bits that are needed: a sign and the momentum's format; latent weights and Adam take three floats."""
    bits = {}
    for name, algorithm, choices in (
        ("int4", "bso", {"storage": "packed-int4"}),
        ("int8", "bso", {"storage": "packed-int8"}),
        ("float32", "bso", {"storage": "packed-float32"}),
        ("dense", "bso", {"storage": "dense"}),
        ("adam", "bptt-adam", {}),
        ("sgd", "bptt-sgd", {}),
    ):
        found = figures(trained(tmp_path, algorithm, **choices))
        bits[name] = sum(found["state_bits"].values()) / WEIGHTS
    assert bits["int4"] == pytest.approx(5, abs=0.6)
    assert bits["int8"] == pytest.approx(9, abs=0.6)
    assert bits["float32"] == pytest.approx(33, abs=0.6)
    assert bits["dense"] == bits["float32"]
    assert bits["adam"] == pytest.approx(96, abs=0.6)
    assert bits["sgd"] == pytest.approx(32, abs=0.6)


def test_bytes_are_those_that_are_held(tmp_path: Path) -> None:
    for storage, expected in (("dense", 8), ("packed-float32", 4 + 1 / 8), ("packed-int8", 9 / 8)):
        found = figures(trained(tmp_path, storage=storage))
        held = sum(found["state_bytes"].values()) / WEIGHTS
        assert held == pytest.approx(expected, abs=0.1), storage


def test_a_training_of_no_epoch(tmp_path: Path) -> None:
    run = training(tmp_path, options(epochs=0))
    found = figures(run)
    assert (found["epochs"], found["samples_seen"], found["seconds_per_sample"]) == (0, 0, 0.0)
    assert found["accuracy"] == run.evaluate()
    (row,) = rows_of([found])
    assert (row["last_flip_ratio"], row["accuracy_by_epoch"]) == (0.0, [])


def test_samples_seen_of_batches_larger_than_the_split(tmp_path: Path) -> None:
    run = training(tmp_path, options(epochs=1), batch_size=64)
    run.train(Watch(), None)
    assert figures(run)["samples_seen"] == 40


def test_only_networks_of_a_chip_are_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = recipe(tmp_path).chip()
    assert deployed_chip(training(tmp_path, options("bso"))) == chip
    assert deployed_chip(training(tmp_path, options("bptt-adam"))) == chip
    assert deployed_chip(training(tmp_path, options("float"))) is None
    assert deployed_chip(training(tmp_path, options("bso", gate=True))) is None  # no gate on a chip
    assert figures(training(tmp_path, options("float")))["accuracy_on_chip"] is None
    monkeypatch.setattr("flipcore.training.networks.vgg11", small_vgg)
    plain = {"name": "v", "dataset": "x", "epochs": 1, "batch_size": 4}
    vgg = parse_recipe({**plain, "network": {"model": "vgg11"}}, "v")
    assert deployed_chip(TrainingRun(vgg, options(), images((1, 8, 8)), CPU)) is None


def test_a_row_is_the_mean_over_seeds() -> None:
    runs = [of_run("bso-dense", seed, accuracy) for seed, accuracy in enumerate((0.8, 0.9, 1.0))]
    (row,) = rows_of(runs)
    assert set(row) == ROW
    assert row["accuracy_mean"] == pytest.approx(0.9)
    assert row["accuracy_std"] == pytest.approx(0.1)  # of the sample, n - 1
    assert row["accuracies"] == [0.8, 0.9, 1.0]
    assert row["accuracy_on_chip_mean"] == pytest.approx(0.88)
    assert row["seeds"] == [0, 1, 2]
    assert row["last_flip_ratio"] == pytest.approx(0.2)
    assert row["accuracy_by_epoch"] == pytest.approx([0.8, 0.9])
    assert row["seconds_per_sample"] == pytest.approx(0.002)
    assert row["training_peak_bytes"] == 1002
    assert (row["training_state_bits"], row["training_state_bytes"]) == (2160, 270)
    assert row["where"] == "software"


def test_algorithms_are_rows_in_the_order_they_came() -> None:
    names = ("tbso-dense", "bptt-adam", "bso-dense")
    runs = [of_run(name, seed, 0.5) for seed in range(2) for name in names]
    rows = rows_of(runs)
    assert [row["algorithm"] for row in rows] == list(names)
    assert all(row["seeds"] == [0, 1] for row in rows)


def test_one_seed_has_no_spread() -> None:
    (row,) = rows_of([of_run("float", 0, 0.7, accuracy_on_chip=None)])
    assert row["accuracy_std"] == 0.0
    assert row["accuracy_on_chip_mean"] is None


def test_what_is_kept_beside_the_weights(tmp_path: Path) -> None:
    run = trained(tmp_path, "tbso", seed=2, validation=0.0)
    document = json.loads(json.dumps(run_document(run, figures(run))))
    assert document["options"]["algorithm"] == "tbso"
    assert document["options"]["seed"] == 2
    assert parse_recipe(document["recipe"], "run.json") == run.recipe
    assert (document["device"], document["processes"]) == ("cpu", 1)
    assert document["dataset_provenance"]["spec"] == "tiny"
    assert set(document["versions"]) == {"flipcore", "torch", "numpy", "python"}


def test_a_held_out_share_is_called_so(tmp_path: Path) -> None:
    found = figures(training(tmp_path, options(epochs=0, validation=0.3)))
    assert found["test_split"] == "validation"
    assert load_recipe("digits").epochs > 0
