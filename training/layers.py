"""Layers of binary weights (or, to compare with, of float weights): spikes in, currents out."""

import math

from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.binary_weights import WeightKind, make_weight, seen_weight
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.signal import Signal
from flipcore.training.traced_weights import (
    packed_conv2d,
    packed_linear,
    traced_conv2d,
    traced_linear,
)


class BinaryLayer(nn.Module):
    """What binary layers share: a weight of one of four kinds.

    Attributes:
        kind: `float` (full precision), `latent` (float parameter whose sign is used), `dense` (parameter of exactly
            -1 and +1 for flip optimisers) or `packed` (one bit per weight, learnt by FusedFlips in the backward pass).
        weight: nn.Parameter, or PackedWeight for `packed`.
        channel_scale: see `seen_weight`.
    """

    weight: nn.Parameter | PackedWeight

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        kind: WeightKind,
        seed: int,
        layer: int,
        momentum_format: str,
        channel_scale: bool,
        bound: float | None,
    ) -> None:
        """Make the weight."""
        super().__init__()
        if channel_scale and kind != "latent":
            raise InputError(f"channel_scale: only latent weights have magnitudes, not kind={kind}")
        self.kind = kind
        self.channel_scale = channel_scale
        self.weight = make_weight(
            kind,
            shape,
            seed=seed,
            layer=layer,
            momentum_format=momentum_format,
            bound=bound if bound is not None else math.sqrt(3 / math.prod(shape[1:])),
        )

    def seen_weight(self) -> Tensor:
        """What products use of a weight that is not packed."""
        return seen_weight(self.weight, self.kind, channel_scale=self.channel_scale)


class BinaryLinear(BinaryLayer):
    """Fully connected layer without bias.

    Args:
        in_features: inputs.
        out_features: outputs.
        kind: see BinaryLayer.
        seed: seed of the network.
        layer: index of the layer in its network.
        momentum_format: of `packed`: float32, bfloat16, int8 or int4.
        channel_scale: see `seen_weight`; of `latent` only.
        bound: float and latent weights start uniform in -bound ... bound; None for variance 1 / in_features.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kind: WeightKind,
        seed: int = 0,
        layer: int = 0,
        momentum_format: str = "float32",
        channel_scale: bool = False,
        bound: float | None = None,
    ) -> None:
        """Make the layer with its initial weight."""
        super().__init__(
            (out_features, in_features),
            kind=kind,
            seed=seed,
            layer=layer,
            momentum_format=momentum_format,
            channel_scale=channel_scale,
            bound=bound,
        )

    def forward(self, signal: Signal) -> Tensor:
        """Currents [batch, out_features] of a signal [batch, in_features]."""
        if isinstance(self.weight, PackedWeight):
            return packed_linear(signal, self.weight)
        return traced_linear(signal, self.seen_weight())

    def extra_repr(self) -> str:
        """The parameters, for print(model)."""
        shape = tuple(self.weight.shape)
        in_features, out_features = shape if self.kind == "packed" else shape[::-1]
        return f"{in_features}, {out_features}, kind={self.kind}"


class BinaryConv2d(BinaryLayer):
    """Convolution without bias, padded with zeros (no spike).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        kind: see BinaryLayer.
        stride: in both directions.
        padding: on all four sides.
        seed: seed of the network.
        layer: index of the layer in its network.
        momentum_format: of `packed`: float32, bfloat16, int8 or int4.
        channel_scale: see `seen_weight`; of `latent` only.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        kind: WeightKind,
        stride: int = 1,
        padding: int = 0,
        seed: int = 0,
        layer: int = 0,
        momentum_format: str = "float32",
        channel_scale: bool = False,
    ) -> None:
        """Make the layer with its initial weight."""
        super().__init__(
            (out_channels, in_channels, kernel_size, kernel_size),
            kind=kind,
            seed=seed,
            layer=layer,
            momentum_format=momentum_format,
            channel_scale=channel_scale,
            bound=None,
        )
        self.stride = stride
        self.padding = padding

    def forward(self, signal: Signal) -> Tensor:
        """Currents [batch, out_channels, ...] of a signal [batch, in_channels, height, width]."""
        if isinstance(self.weight, PackedWeight):
            return packed_conv2d(signal, self.weight, self.stride, self.padding)
        return traced_conv2d(signal, self.seen_weight(), self.stride, self.padding)

    def extra_repr(self) -> str:
        """The parameters, for print(model)."""
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return (
            f"{in_channels}, {out_channels}, {kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, kind={self.kind}"
        )


class TracedLinear(nn.Linear):
    """Full-precision linear layer with bias whose weight gradient is taken with the trace: the classifier."""

    def forward(self, signal: Signal) -> Tensor:
        """Outputs [batch, out_features] of a signal [batch, in_features]."""
        return traced_linear(signal, self.weight) + self.bias
