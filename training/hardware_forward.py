"""Forward phases of many chips at once: input spikes, integrate, fire, readout, trace (N2-N6), in integers of torch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flipcore import numerics
from flipcore.chip import Chip, Core
from flipcore.training.data import input_spikes


class Fired(NamedTuple):
    """What a step of a spiking core leaves, each [chips, samples, neurons].

    Attributes:
        potential: int32, V after reset and leak (N4).
        window: bool, h.
        spike: bool, s.
    """

    potential: Tensor
    window: Tensor
    spike: Tensor


def encode_pixels(pixels: Tensor, num_steps: int) -> Tensor:
    """Sigma-delta spikes of pixels (N2).

    Args:
        pixels: uint8 [..., axons].
        num_steps: steps of the network.

    Returns:
        bool [..., steps, axons], on the pixels' device.
    """
    *samples, axons = pixels.shape
    spikes = input_spikes(pixels.reshape(-1, axons), num_steps).bool()
    return spikes.movedim(0, 1).reshape(*samples, num_steps, axons)


def synaptic_input(events: Tensor, weights: Tensor) -> Tensor:
    """I of N3, exact: a float sum of at most 4096 terms of -1, 0 and +1, whatever precision torch is set to.

    Args:
        events: bool [chips, samples, axons].
        weights: float32 [chips, axons, neurons], -1 or +1.

    Returns:
        int32 [chips, samples, neurons].
    """
    return torch.bmm(events.to(torch.float32), weights).to(torch.int32)


def fire(core: Core, potential: Tensor | None, current: Tensor) -> Fired:
    """Integrate and fire (N3, N4); a potential of None is that of a sample's start, 0."""
    summed = current if potential is None else potential + current
    held = numerics.clip_potential(summed, core.potential_bits)
    window = numerics.in_window(held, core.threshold, core.window)
    spike = numerics.fires(held, core.threshold)
    after = numerics.reset_potential(held, spike, core.threshold, int(core.reset == "subtract"))
    if core.neuron == "lif":
        after = numerics.leak_potential(after, core.leak_shift)
    return Fired(after, window, spike)


def raise_traces(core: Core, trace: Tensor | None, events: Tensor) -> Tensor:
    """Traces after a step (N5), int32 [chips, axons]; a trace of None is that of a sample's start, 0."""
    unit_events = events.to(torch.int32)
    if trace is None or core.trace_decay_shift == "none":
        decayed = torch.zeros_like(unit_events)
    else:
        decayed = numerics.decay_trace(trace, core.trace_decay_shift)
    return numerics.raise_trace(decayed, unit_events, core.trace_unit, core.trace_bits)


class Step(NamedTuple):
    """What a step leaves for learning and counting.

    Attributes:
        events: for each core, bool [chips, samples, axons].
        windows: for each core but the last, bool [chips, samples, neurons].
        output: int32 [chips, samples, classes], out of N6.
        total: int32 [chips, samples, classes], of all steps so far.
    """

    events: list[Tensor]
    windows: list[Tensor]
    output: Tensor
    total: Tensor


class ForwardPass:
    """The steps of one sample, or of several side by side, through every chip (O1)."""

    def __init__(self, chip: Chip, weights: Sequence[Tensor]) -> None:
        """Begin a sample; `weights` of each core, float32 [chips, axons, neurons], may change from step to step in place."""
        self._layers = list(zip(chip.layers, weights, strict=True))
        self._potentials: list[Tensor | None] = [None] * len(self._layers)
        self._total: Tensor | None = None

    def step(self, events: Tensor) -> Step:
        """One step of input events, bool [chips, samples, inputs]."""
        arrived, windows = [], []
        for c, (core, weights) in enumerate(self._layers[:-1]):
            arrived.append(events)
            fired = fire(core, self._potentials[c], synaptic_input(events, weights))
            self._potentials[c] = fired.potential
            windows.append(fired.window)
            events = fired.spike
        arrived.append(events)
        output = synaptic_input(events, self._layers[-1][1])
        self._total = output if self._total is None else self._total + output
        return Step(arrived, windows, output, self._total)
