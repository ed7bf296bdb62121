"""Fully connected network of binary weights: the chip's own, layer by layer."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.agmm import GradientGate
from flipcore.training.layers import BinaryLinear
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.neurons import InputTrace


class MLP(nn.Module):
    """Binary layers without bias or normalisation, spiking neurons between them, a readout that does not spike.

    With weights of -1 and +1, integer thresholds and leak = 1 - 2**-leak_shift it is the chip's network (N3, N4, N6) but for the
    rounding of the leak and the saturation of potentials, so that the signs of a trained network are a chip's weights. Its
    initial signs are those of a chip with the same seed (R3). Float weights start uniform with
    variance 1, the scale that the thresholds are meant for.

    Args:
        sizes: inputs, hidden layers, classes.
        thresholds: of the hidden layers, one each.
        spec: what all layers share; its `threshold` is not used.

    Raises:
        InputError: fewer than two sizes, a size below 1, another number of thresholds than hidden layers, or scaled weights.
    """

    def __init__(
        self, sizes: Sequence[int], thresholds: Sequence[float], spec: NetworkSpec
    ) -> None:
        """Make the network with its initial weights."""
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise InputError(f"sizes={list(sizes)}: at least inputs and classes, each at least 1")
        if len(thresholds) != len(sizes) - 2:
            raise InputError(
                f"thresholds={list(thresholds)}: one for each of {len(sizes) - 2} hidden layers"
            )
        if spec.channel_scale:
            raise InputError("channel_scale: an MLP has a chip's weights, which have no scale")
        self.input_trace = InputTrace(leak=spec.leak, trace=spec.trace)
        self.layers = nn.ModuleList(
            BinaryLinear(
                fan_in,
                fan_out,
                kind=spec.kind,
                seed=spec.seed,
                layer=layer,
                momentum_format=spec.momentum_format,
                bound=math.sqrt(3) if spec.kind == "float" else None,
            )
            for layer, (fan_in, fan_out) in enumerate(pairwise(sizes))
        )
        self.neurons = nn.ModuleList(spec.neurons(threshold) for threshold in thresholds)
        self.gates = nn.ModuleList(
            GradientGate(spec.num_steps) if spec.gate else nn.Identity() for _ in self.layers
        )
        self.logit_scale = 1 / math.sqrt(sizes[-2])

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of one time step.

        Args:
            x: input spikes 0 and 1, float [batch, inputs].

        Returns:
            float [batch, classes]: the readout's sums, whole numbers with binary weights, so that their sums
            over the steps are exact and tie as the chip's do. Times `logit_scale` they have about variance 1 at random weights.
        """
        signal = self.input_trace(x)
        for gate, layer, neurons in zip(self.gates, self.layers, self.neurons, strict=False):
            signal = neurons(layer(gate(signal)))
        readout: Tensor = self.layers[-1](self.gates[-1](signal))
        return readout


def mlp(sizes: Sequence[int], *, thresholds: Sequence[float], spec: NetworkSpec) -> MLP:
    """The fully connected network of a chip: inputs, hidden layers, classes. See MLP."""
    return MLP(sizes, thresholds, spec)
