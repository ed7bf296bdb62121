"""A trained network on its chip: the signs of its weights, in the files that the simulator reads."""

from pathlib import Path

import numpy as np
from torch import nn

from flipcore.chip import Chip, chip_yaml
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState, initial_state, store_weights
from flipcore.sim.run import accuracy
from flipcore.sim.storage import write_weights
from flipcore.training.binary_weights import signs_of
from flipcore.training.data import SampleSet
from flipcore.training.models import binary_weights
from flipcore.training.packed_weight import PackedWeight


def chip_state(model: nn.Module, chip: Chip, seed: int) -> ChipState:
    """The state of a chip that holds the signs of an mlp's weights, momentum 0 and random numbers of this seed."""
    state = initial_state(chip, seed)
    for c, (_, weight) in enumerate(binary_weights(model)):
        # A core has axons as rows, and so have packed weights.
        values = weight.unpacked() if isinstance(weight, PackedWeight) else weight.detach().t()
        signs = signs_of(values).cpu().numpy()
        store_weights(state, chip, c, np.ascontiguousarray(signs))
    return state


def accuracy_on_chip(state: ChipState, chip: Chip, samples: SampleSet, seed: int) -> float:
    """Share of the test samples that the chip classifies right, in the simulator."""
    engine = Engine(chip, seed, state)
    return accuracy(engine, samples.dataset.test, EventCounts.zeros(len(chip.layers)))


def write_deployment(folder: Path, state: ChipState, chip: Chip) -> None:
    """Write `chip.yaml` and `weights.npz`, which `flipcore simulate chip.yaml --weights weights.npz` takes.

    Raises:
        InputError: the folder cannot be written.
    """
    write_whole(folder / "chip.yaml", chip_yaml(chip).encode())
    write_weights(folder / "weights.npz", chip, state)
