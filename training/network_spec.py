"""What the networks have in common whatever their shape: weights, neurons, gradients."""

from dataclasses import dataclass, field

from torch import nn

from flipcore.errors import InputError
from flipcore.training.binary_weights import WEIGHT_KINDS, WeightKind, layer_generator
from flipcore.training.layers import BinaryConv2d
from flipcore.training.neurons import LIF, Reset, TraceRule, check_leak, check_trace
from flipcore.training.surrogate import Surrogate


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Choices that hold for all layers of a network.

    Attributes:
        kind: of the binary weights, see BinaryLayer.
        momentum_format: of `packed` weights: float32, bfloat16, int8 or int4.
        trace: rule of the presynaptic trace, see LIF; None for none.
        online: gradients step by step, see LIF; otherwise back-propagation through time.
        threshold: of convolutional networks; an MLP has one per layer.
        leak, reset, surrogate: see LIF.
        gate: scale the input of every binary layer (AGMM), see GradientGate.
        channel_scale: of `latent` weights, see `seen_weight`.
        num_steps: time steps per sample.
        seed: of the initial weights.

    Raises:
        InputError: names the field, its value and the rule that it breaks.
    """

    kind: WeightKind = "dense"
    momentum_format: str = "float32"
    trace: TraceRule | None = "ottt"
    online: bool = True
    threshold: float = 1.0
    leak: float = 0.5
    reset: Reset = "soft"
    surrogate: Surrogate = field(default_factory=Surrogate)
    gate: bool = False
    channel_scale: bool = False
    num_steps: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not go together; the rest is refused by the layers."""
        if self.kind not in WEIGHT_KINDS:
            raise InputError(f"kind={self.kind}: must be one of {', '.join(WEIGHT_KINDS)}")
        if self.kind == "packed" and not self.online:
            raise InputError(
                "kind=packed: learns in the backward pass of each step, which online=False has not"
            )
        check_trace(self.trace)
        if self.trace is not None and not self.online:
            raise InputError(
                f"trace={self.trace}: back-propagation through time (online=False) has none"
            )
        check_leak(self.leak)
        if self.channel_scale and self.kind != "latent":
            raise InputError(
                f"channel_scale: only latent weights have magnitudes, not kind={self.kind}"
            )
        if self.num_steps < 1:
            raise InputError(f"num_steps={self.num_steps}: must be at least 1")

    def neurons(self, threshold: float | None = None) -> LIF:
        """A layer of neurons; `threshold` None for that of the network."""
        return LIF(
            threshold=self.threshold if threshold is None else threshold,
            leak=self.leak,
            reset=self.reset,
            surrogate=self.surrogate,
            trace=self.trace,
            online=self.online,
        )

    def conv2d(
        self, in_channels: int, out_channels: int, *, layer: int, stride: int = 1
    ) -> BinaryConv2d:
        """A 3x3 convolution of binary weights that keeps the image size at stride 1."""
        return BinaryConv2d(
            in_channels,
            out_channels,
            3,
            kind=self.kind,
            stride=stride,
            padding=1,
            seed=self.seed,
            layer=layer,
            momentum_format=self.momentum_format,
            channel_scale=self.channel_scale,
        )

    def float_conv2d(
        self, in_channels: int, out_channels: int, kernel_size: int, *, layer: int, stride: int = 1
    ) -> nn.Conv2d:
        """A full-precision convolution that keeps the image size at stride 1, initialised as in the released code of BSO (He et al. 2015)."""
        convolution = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=False,
        )
        nn.init.kaiming_normal_(
            convolution.weight,
            mode="fan_out",
            nonlinearity="relu",
            generator=layer_generator(self.seed, layer),
        )
        return convolution
