"""Tiny trainings of the tests: recipes, data sets, observers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from flipcore.sim.data.dataset import make_dataset
from flipcore.training.algorithms import find_algorithm
from flipcore.training.data import SampleSet
from flipcore.training.data.samples import Shape, as_sample_set
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.options import Options
from flipcore.training.recipe import Recipe, parse_recipe
from flipcore.training.training_run import Epoch, Progress, TrainingRun
from flipcore.training.vgg import POOL, VGG
from tests.datasets import event_split, tiny_dataset

CPU = torch.device("cpu")
SHAPE: Shape = (1, 3, 4)  # of the pixels that the tiny chip sees
STEPS = 3
CHIP = """
name: tiny
inputs: 12
steps: 3
core: {neuron: if, threshold: 3, window: 4}
layers: [{neurons: 16}, {neurons: 3}]
workload: {dataset: digits, epochs: 1}
"""
# Thresholds and rates at which signs of so small a network flip.
FLIPS = {"rate": 0.05, "gamma": 1e-4, "square_rate": 0.01, "momentum_at_flip": "reset"}


def chip_file(folder: Path, text: str = CHIP) -> str:
    """Path of a file that describes the tiny chip."""
    path = folder / "tiny.yaml"
    path.write_text(text)
    return str(path)


def document(folder: Path, **changes: Any) -> dict[str, Any]:
    """The recipe of the tiny chip as plain data."""
    return {
        "name": "tiny",
        "network": {"model": "mlp", "chip": chip_file(folder), "trace": "ottt"},
        "dataset": "tiny",
        "epochs": 2,
        "batch_size": 8,
        "logit_scale": 2.0,
        "bso": FLIPS,
        "tbso": FLIPS | {"gamma": 0.3},
        "bop": FLIPS,
        **changes,
    }


def recipe(folder: Path, **changes: Any) -> Recipe:
    """The recipe of the tiny chip."""
    return parse_recipe(document(folder, **changes), "tiny")


def images(shape: Shape = SHAPE, train: int = 40) -> SampleSet:
    """Pixels that a tiny network can learn."""
    dataset = tiny_dataset(train=train, axons=int(np.prod(shape)))
    return as_sample_set(dataset, shape)


def recordings(steps: int = STEPS, shape: Shape = (2, 2, 3), count: int = 6) -> SampleSet:
    """Random events."""
    dice = np.random.default_rng(0)
    axons = int(np.prod(shape))
    splits = [
        event_split(
            dice.random((count, steps, axons)) < 0.3,
            np.zeros((count, steps), np.int64),
            (np.arange(count) % 3).astype(np.int32),
        )
        for _ in range(2)
    ]
    dataset = make_dataset("clips", train=splits[0], test=splits[1], provenance={"spec": "clips"})
    return as_sample_set(dataset, shape)


def options(algorithm: str = "bso", **choices: Any) -> Options:
    """Options of an algorithm; weights that flip are packed, as by default."""
    if "storage" not in choices and algorithm == "bop-bptt":
        choices["storage"] = "dense"
    return Options(algorithm=find_algorithm(algorithm), **choices)


def training(folder: Path, chosen: Options | None = None, **changes: Any) -> TrainingRun:
    """A training of the tiny chip on pixels, not begun."""
    return TrainingRun(recipe(folder, **changes), chosen or options(), images(), CPU)


def small_vgg(num_classes: int, *, in_channels: int, spec: NetworkSpec) -> VGG:
    """Stands in for VGG-11: two binary convolutions."""
    return VGG((8, 8, POOL, 8), num_classes, in_channels, spec)


class Watch:
    """An observer that counts batches, keeps epochs, and asks for a stop after so many batches."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.batches = 0
        self.epochs: list[Epoch] = []
        self._stop_after = stop_after

    def on_batch(self, progress: Progress, batches: int) -> None:
        """Count."""
        self.batches += 1

    def on_epoch(self, epoch: Epoch) -> None:
        """Keep."""
        self.epochs.append(epoch)

    def should_stop(self) -> bool:
        """Whether so many batches were learnt."""
        return self._stop_after is not None and self.batches >= self._stop_after
