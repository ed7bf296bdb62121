"""What a run is warned of, provoked by real tiny runs."""

import re
from typing import Any

import numpy as np
import pytest

from flipcore.chip import parse_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Dataset
from flipcore.sim.data.dataset import make_dataset
from flipcore.sim.diagnosis import diagnose
from flipcore.sim.layout import store_weights
from flipcore.sim.run import Run, Settings
from tests.datasets import pixel_split, tiny_dataset
from tests.unit.test_run import Watcher

HEALTHY = {
    "lanes": 4,
    "threshold": 2,
    "window": 6,
    "gradient_shift": 8,
    "momentum_bits": 8,
    "flip_threshold": 20,
    "potential_bits": 10,
}


def warnings_of(
    hidden: dict[str, Any] | None = None,
    readout: dict[str, Any] | None = None,
    *,
    dataset: Dataset | None = None,
    epochs: int = 1,
) -> list[str]:
    """Warnings of a run of a 12-10-3 chip, with these parameters changed."""
    chip = parse_chip(
        {
            "name": "sick",
            "inputs": 12,
            "steps": 3,
            "core": HEALTHY,
            "layers": [{"neurons": 10, **(hidden or {})}, {"neurons": 3, **(readout or {})}],
        },
        "sick",
    )
    data = tiny_dataset() if dataset is None else dataset
    run = Run(chip, data, Settings(dataset="tiny", epochs=epochs, seed=0))
    run.train(Watcher(), None)
    run.evaluate()
    return diagnose(chip, run.train_counts, run.inference_counts)


def test_a_healthy_run_is_not_warned() -> None:
    assert warnings_of() == []


def test_a_layer_that_never_spikes() -> None:
    silent = "layer 0 (10 neurons) never spikes in 15 samples: nothing reaches its threshold of 500"
    blind = (
        "layer 0 (10 neurons): no error reaches it from above: "
        "its window of 6 around the threshold is never hit"
    )
    assert warnings_of({"threshold": 500}) == [silent, blind]
    # As a run that only classifies is told.
    assert warnings_of({"threshold": 500}, epochs=0) == [silent]


def test_a_layer_that_spikes_all_the_time() -> None:
    chip = parse_chip(
        {"name": "busy", "inputs": 4, "steps": 3, "layers": [{"neurons": 5, "threshold": 4},
                                                             {"neurons": 3}]},
        "busy",
    )  # fmt: skip
    labels = (np.arange(6) % 3).astype(np.int32)
    bright = pixel_split(np.full((6, 4), 255, np.uint8), labels)
    dataset = make_dataset("bright", train=bright, test=bright, provenance={})
    run = Run(chip, dataset, Settings(dataset="bright", epochs=0, seed=0))
    store_weights(run.engine.state, chip, 0, np.ones((4, 5), np.bool_))
    run.evaluate()
    assert diagnose(chip, run.train_counts, run.inference_counts) == [
        "layer 0 (5 neurons) spikes in 100% of all steps: its threshold of 4 holds nothing back"
    ]


def test_potentials_that_saturate() -> None:
    (told,) = warnings_of({"potential_bits": 4, "threshold": 7, "window": 16})
    assert re.fullmatch(
        r"layer 0 \(10 neurons\): \d+\.\d% of its potentials saturate at 4 bits", told
    )


def test_momenta_that_saturate() -> None:
    (told,) = warnings_of({"momentum_bits": 3, "gradient_shift": 0, "flip_threshold": 2})
    assert re.fullmatch(
        r"layer 0 \(10 neurons\): \d+% of its momentum updates saturate at 3 bits", told
    )


def test_a_flip_threshold_that_nothing_reaches() -> None:
    (told,) = warnings_of({"momentum_bits": 16, "flip_threshold": 32766, "gradient_shift": 2})
    assert re.fullmatch(
        r"layer 0 \(10 neurons\): not one flip in \d{4,} momentum updates: "
        r"nothing reaches its flip threshold of 32766",
        told,
    )


def test_an_adaptive_flip_threshold_that_nothing_reaches() -> None:
    (told,) = warnings_of(
        {"rule": "tbso", "momentum_bits": 16, "threshold_gain": 65535, "gradient_shift": 2}
    )
    assert re.fullmatch(
        r"layer 0 \(10 neurons\): not one flip in \d{4,} momentum updates: "
        r"nothing reaches its adaptive flip threshold",
        told,
    )


def test_an_error_that_no_window_lets_through() -> None:
    told = warnings_of({"threshold": 12, "window": 1, "reset": "zero"})
    assert (
        "layer 0 (10 neurons): no error reaches it from above: "
        "its window of 1 around the threshold is never hit"
    ) in told


def test_samples_that_are_all_dark() -> None:
    labels = (np.arange(20) % 3).astype(np.int32)
    dark = pixel_split(np.zeros((20, 12), np.uint8), labels)
    dataset = make_dataset("dark", train=dark, test=dark, provenance={})
    told = warnings_of(dataset=dataset, epochs=0)
    assert told == [
        "the input never spikes: are all samples dark?",
        "layer 0 (10 neurons) never spikes in 20 samples: nothing reaches its threshold of 2",
    ]


def test_no_samples_no_warnings() -> None:
    chip = parse_chip({"name": "x", "inputs": 2, "layers": [{"neurons": 2}]}, "x")
    assert diagnose(chip, EventCounts.zeros(1), EventCounts.zeros(1)) == []


@pytest.mark.parametrize("updates", [999, 1000])
def test_few_updates_need_not_flip(updates: int) -> None:
    chip = parse_chip({"name": "x", "inputs": 2, "layers": [{"neurons": 2}]}, "x")
    train = EventCounts(5, EventCounts.zeros(1).cores)
    train.per_core("events")[0] = 1
    train.per_core("momentum_updates")[0] = updates
    assert len(diagnose(chip, train, EventCounts.zeros(1))) == (updates == 1000)
