"""State of many chips of one description as tensors, and its way to and from the simulator's `ChipState`, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.sim.layout import (
    ChipState,
    empty_state,
    initial_state,
    momentum_values,
    store_momentum,
    store_weights,
    weight_bits,
)


@dataclass
class CoreState:
    """One core of every chip.

    Attributes:
        weights: float32 [chips, axons, neurons], -1 or +1 (N1): the form that a matrix product takes, without a copy per step.
        momentum: int8 or int16 [chips, axons, neurons].
        generators: int64 [chips, 1] (`shared`) or [chips, lanes] (`per_lane`), R5.
        second_moment: int64 [chips, steps], v of N14.
    """

    weights: Tensor
    momentum: Tensor
    generators: Tensor
    second_moment: Tensor


@dataclass
class ChipsState:
    """All that the chips keep between samples.

    Attributes:
        cores: input side first.
        sample_counter: int64 [chips], finished training samples (O5).
    """

    cores: list[CoreState]
    sample_counter: Tensor


def open_device(name: str | torch.device) -> torch.device:
    """The device of this name, once a number has been there and back.

    Raises:
        InputError: there is none.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.int64, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device={name}: cannot be used here: {reason}") from None
    return device


def initial_chips(chip: Chip, seeds: Sequence[int], device: torch.device) -> ChipsState:
    """State of chips after power-up, each with the initial weights of its seed (R3, R5).

    Raises:
        InputError: there is no seed.
    """
    if len(seeds) == 0:
        raise InputError("seeds=[]: at least one chip is needed")
    return from_chip_states(chip, [initial_state(chip, seed) for seed in seeds], device)


def from_chip_states(chip: Chip, states: Sequence[ChipState], device: torch.device) -> ChipsState:
    """Take over chips of the simulator, in their order.

    Raises:
        InputError: there is none, or one is of another chip.
    """
    if not states:
        raise InputError("states=[]: at least one chip is needed")
    for k, state in enumerate(states):
        _check_fits(chip, state, k)
    cores = []
    for c, core in enumerate(chip.layers):
        bits = np.stack([weight_bits(state, chip, c) for state in states])
        momentum = np.stack([momentum_values(state, chip, c) for state in states])
        num_generators = core.lanes if core.random_source == "per_lane" else 1
        generators = np.stack([state.generators[c, :num_generators] for state in states])
        second_moment = np.stack([state.second_moment[c] for state in states])
        cores.append(
            CoreState(
                weights=_tensor(bits, device).to(torch.float32) * 2 - 1,
                momentum=_tensor(momentum, device),
                generators=_tensor(generators, device),
                second_moment=_tensor(second_moment, device),
            )
        )
    counters = [state.sample_counter for state in states]
    return ChipsState(cores, torch.tensor(counters, dtype=torch.int64, device=device))


def to_chip_state(chip: Chip, chips: ChipsState, index: int) -> ChipState:
    """Copy the chip of this index into the simulator's form, from which it goes on bit for bit."""
    state = empty_state(chip)
    for c, core in enumerate(chips.cores):
        store_weights(state, chip, c, (core.weights[index] > 0).cpu().numpy())
        store_momentum(state, chip, c, core.momentum[index].cpu().numpy())
        generators = core.generators[index].cpu().numpy()
        state.generators[c, : len(generators)] = generators
        state.second_moment[c] = core.second_moment[index].cpu().numpy()
    state.sample_counter = int(chips.sample_counter[index])
    return state


def _tensor(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    """A tensor of its own, in the order of its indices, as learning views it flat."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def _check_fits(chip: Chip, state: ChipState, index: int) -> None:
    """Refuse a state whose arrays are not those of the chip."""
    expected = empty_state(chip)
    for name in ("weights", "momentum", "generators", "second_moment"):
        found, needed = getattr(state, name), getattr(expected, name)
        if found.shape != needed.shape or found.dtype != needed.dtype:
            raise InputError(
                f"states[{index}].{name}: {found.dtype} {list(found.shape)}: "
                f"chip {chip.name} has {needed.dtype} {list(needed.shape)}"
            )
