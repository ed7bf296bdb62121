"""Spiking VGG-11 with binary weights, as published with BSO (Liang et al., ICML 2025)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from flipcore.training.agmm import GradientGate
from flipcore.training.binary_weights import layer_generator
from flipcore.training.layers import TracedLinear
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.signal import Signal

POOL = 0
VGG11 = (64, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512)


class BinaryBlock(nn.Module):
    """(Gate,) 3x3 convolution of binary weights, BatchNorm, neurons."""

    def __init__(self, in_channels: int, out_channels: int, spec: NetworkSpec, layer: int) -> None:
        """Make the block; `layer` is its index in the network."""
        super().__init__()
        self.gate = GradientGate(spec.num_steps) if spec.gate else nn.Identity()
        self.conv = spec.conv2d(in_channels, out_channels, layer=layer)
        self.norm = nn.BatchNorm2d(out_channels)
        self.neurons = spec.neurons()

    def forward(self, signal: Signal) -> Signal:
        """One time step: [batch, in_channels, height, width] to [batch, out_channels, height, width]."""
        after: Signal = self.neurons(self.norm(self.conv(self.gate(signal))))
        return after


class InputBlock(nn.Module):
    """Full-precision convolution of an image, BatchNorm, neurons: the image becomes spikes (direct coding).

    Its gradient is that of the current step, without a trace, as in the released code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spec: NetworkSpec,
        *,
        kernel_size: int = 3,
        stride: int = 1,
    ) -> None:
        """Make the block with its initial weights."""
        super().__init__()
        self.conv = spec.float_conv2d(
            in_channels, out_channels, kernel_size, layer=0, stride=stride
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.neurons = spec.neurons()

    def forward(self, x: Tensor) -> Signal:
        """One time step of images [batch, in_channels, height, width]."""
        after: Signal = self.neurons(self.norm(self.conv(x)))
        return after


class AveragePool(nn.Module):
    """Mean of 2x2 neighbours, of spikes and trace alike."""

    def forward(self, signal: Signal) -> Signal:
        """[batch, channels, height, width] to half the height and width."""
        return signal.map(lambda tensor: functional.avg_pool2d(tensor, 2))


def pool_globally(signal: Signal) -> Signal:
    """Mean over all pixels: [batch, channels, height, width] to [batch, channels]."""
    return signal.map(lambda tensor: tensor.mean(dim=(2, 3)))


def classifier(features: int, num_classes: int, spec: NetworkSpec, layer: int) -> TracedLinear:
    """The full-precision last layer, initialised as in the released code."""
    linear = TracedLinear(features, num_classes)
    nn.init.normal_(linear.weight, std=0.01, generator=layer_generator(spec.seed, layer))
    nn.init.zeros_(linear.bias)
    return linear


class VGG(nn.Module):
    """Convolutions and average pooling, then one linear layer on the mean of the last spikes.

    First convolution and classifier are full precision; BatchNorm takes each time step's own statistics.

    Args:
        plan: output channels of each 3x3 convolution, POOL for average pooling; begins with a convolution.
        num_classes: classes.
        in_channels: of the input image or event frame.
        spec: what all layers share.
    """

    def __init__(
        self, plan: Sequence[int], num_classes: int, in_channels: int, spec: NetworkSpec
    ) -> None:
        """Make the network with its initial weights."""
        super().__init__()
        channels = plan[0]
        self.stem = InputBlock(in_channels, channels, spec)
        blocks: list[nn.Module] = []
        for layer, out_channels in enumerate(plan[1:], start=1):
            if out_channels == POOL:
                blocks.append(AveragePool())
            else:
                blocks.append(BinaryBlock(channels, out_channels, spec, layer))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = classifier(channels, num_classes, spec, layer=len(plan))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of one time step, float [batch, classes], of images float [batch, in_channels, height, width]."""
        logits: Tensor = self.classifier(pool_globally(self.blocks(self.stem(x))))
        return logits


def vgg11(num_classes: int, in_channels: int = 3, *, spec: NetworkSpec) -> VGG:
    """64C3-128C3-AP2-256C3-256C3-AP2-512C3-512C3-AP2-512C3-512C3-GAP-FC. See VGG."""
    return VGG(VGG11, num_classes, in_channels, spec)
