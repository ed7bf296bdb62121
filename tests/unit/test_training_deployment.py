"""A trained network on its chip: the very signs, the same answers, files that the simulator reads."""

from pathlib import Path

import numpy as np
import pytest

from flipcore.chip import load_chip
from flipcore.events import EventCounts
from flipcore.sim.engine import Engine
from flipcore.sim.layout import initial_state
from flipcore.sim.storage import load_weights
from flipcore.training.deployment import accuracy_on_chip, chip_state, write_deployment
from flipcore.training.frames import make_coder
from flipcore.training.models import binary_weights
from flipcore.training.packed_weight import PackedWeight
from tests.trainings import Watch, images, options, training

ALGORITHMS = [
    ("bso", {}),
    ("tbso", {"storage": "dense"}),
    ("ottt-adam", {}),
    ("bptt-sgd", {}),
    ("bop", {"storage": "packed-int4"}),
]


@pytest.mark.parametrize(("algorithm", "choices"), ALGORITHMS)
def test_an_integrate_and_fire_chip_answers_as_torch_does(
    algorithm: str, choices: dict[str, str], tmp_path: Path
) -> None:
    """Nothing rounds without a leak: N3, N4 and N6 are the network's own arithmetic."""
    run = training(tmp_path, options(algorithm, **choices))
    run.train(Watch(), None)
    chip = run.recipe.chip()
    state = chip_state(run.learner.model, chip, seed=0)
    samples = images()
    assert accuracy_on_chip(state, chip, samples, seed=0) == run.evaluate()


def test_predictions_agree_sample_by_sample(tmp_path: Path) -> None:
    run = training(tmp_path, options("tbso"))
    run.train(Watch(), None)
    chip, samples = run.recipe.chip(), images()
    everything = samples.test.batch(np.arange(len(samples.test)))
    coder = make_coder(run.recipe, samples, chip.steps)
    expected = run.learner.classify(coder(everything)).numpy()
    engine = Engine(chip, 0, chip_state(run.learner.model, chip, seed=0))
    split = samples.dataset.test
    records = split.read(np.arange(len(split)))
    predictions = engine.infer(records, EventCounts.zeros(len(chip.layers)))
    assert predictions.tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 1


def test_files_are_what_the_simulator_reads(tmp_path: Path) -> None:
    run = training(tmp_path, options())
    run.train(Watch(), None)
    chip = run.recipe.chip()
    state = chip_state(run.learner.model, chip, seed=3)
    write_deployment(tmp_path, state, chip)
    assert load_chip(str(tmp_path / "chip.yaml")) == chip
    read = initial_state(chip, 3)
    load_weights(tmp_path / "weights.npz", chip, read)
    assert np.array_equal(read.weights, state.weights)
    assert not read.momentum.any()


def test_axons_are_rows_whatever_the_kind(tmp_path: Path) -> None:
    packed = training(tmp_path, options("bso")).learner.model
    dense = training(tmp_path, options("bso", storage="dense")).learner.model
    assert all(isinstance(weight, PackedWeight) for _, weight in binary_weights(packed))
    chip = training(tmp_path).recipe.chip()
    first, second = (chip_state(model, chip, seed=0) for model in (packed, dense))
    born = initial_state(chip, 0)
    assert np.array_equal(first.weights, second.weights)
    # Before it learns, a network is the chip of its seed (R3).
    assert np.array_equal(first.weights, born.weights)
