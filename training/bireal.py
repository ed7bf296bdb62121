"""Spiking Bi-Real ResNet-18 with binary weights, BSO's network for ImageNet (Liu et al., ECCV 2018; Liang et al., ICML 2025).

The published code leaves this network out. What is built here is Bi-Real's block with neurons in the place of its sign function:
every 3x3 convolution has a shortcut of its own, which carries real numbers. Full-precision stem, 1x1 downsampling
convolutions and classifier give 4.2 MB, the published model size.
"""

from torch import Tensor, nn
from torch.nn import functional

from flipcore.training.agmm import GradientGate
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.vgg import classifier, pool_globally

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, stride of the first convolution
CONVOLUTIONS_PER_STAGE = 4


class BiRealBlock(nn.Module):
    """Neurons, (gate,) binary 3x3 convolution, BatchNorm; plus the shortcut.

    The shortcut is the input itself, or its 2x2 means through a full-precision 1x1 convolution and BatchNorm
    where the shape changes; that convolution has no trace, as its input is not spikes.
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: NetworkSpec, *, stride: int, layer: int
    ) -> None:
        """Make the block; `layer` is its index in the network."""
        super().__init__()
        self.neurons = spec.neurons()
        self.gate = GradientGate(spec.num_steps) if spec.gate else nn.Identity()
        self.conv = spec.conv2d(in_channels, out_channels, layer=layer, stride=stride)
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            nn.Identity()
            if (in_channels, stride) == (out_channels, 1)
            else _downsampling(in_channels, out_channels, spec, stride=stride, layer=layer)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One time step: [batch, in_channels, height, width] to [batch, out_channels, height/stride, width/stride]."""
        current: Tensor = self.norm(self.conv(self.gate(self.neurons(x))))
        return current + self.shortcut(x)


def _downsampling(
    in_channels: int, out_channels: int, spec: NetworkSpec, *, stride: int, layer: int
) -> nn.Sequential:
    convolution = spec.float_conv2d(in_channels, out_channels, 1, layer=layer)
    return nn.Sequential(
        nn.AvgPool2d(stride, ceil_mode=True), convolution, nn.BatchNorm2d(out_channels)
    )


class Stem(nn.Module):
    """Full-precision convolution and BatchNorm of an image; no neurons, as each block begins with its own.

    Args:
        small_input: 3x3 at stride 1 (images of 32x32) in place of 7x7 at stride 2 and max pooling.
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: NetworkSpec, *, small_input: bool
    ) -> None:
        """Make the stem."""
        super().__init__()
        self.small_input = small_input
        kernel_size, stride = (3, 1) if small_input else (7, 2)
        self.conv = spec.float_conv2d(
            in_channels, out_channels, kernel_size, layer=0, stride=stride
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """One time step of images [batch, in_channels, height, width]."""
        features: Tensor = self.norm(self.conv(x))
        return (
            features
            if self.small_input
            else functional.max_pool2d(features, 3, stride=2, padding=1)
        )


class BiRealResNet18(nn.Module):
    """Stem, sixteen binary convolutions with a shortcut each, neurons, one linear layer on the mean of their spikes.

    Args:
        num_classes: classes.
        in_channels: of the input image.
        small_input: for images of 32x32, see Stem.
        spec: what all layers share.
    """

    def __init__(
        self, num_classes: int, in_channels: int, spec: NetworkSpec, *, small_input: bool
    ) -> None:
        """Make the network with its initial weights."""
        super().__init__()
        channels = STAGES[0][0]
        self.stem = Stem(in_channels, channels, spec, small_input=small_input)
        blocks: list[nn.Module] = []
        for out_channels, first_stride in STAGES:
            for position in range(CONVOLUTIONS_PER_STAGE):
                stride = first_stride if position == 0 else 1
                layer = len(blocks) + 1
                blocks.append(BiRealBlock(channels, out_channels, spec, stride=stride, layer=layer))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.neurons = spec.neurons()
        self.classifier = classifier(channels, num_classes, spec, layer=len(blocks) + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of one time step, float [batch, classes], of images float [batch, in_channels, height, width]."""
        logits: Tensor = self.classifier(pool_globally(self.neurons(self.blocks(self.stem(x)))))
        return logits


def bireal_resnet18(
    num_classes: int, in_channels: int = 3, *, small_input: bool, spec: NetworkSpec
) -> BiRealResNet18:
    """Bi-Real ResNet-18 for images of 224x224, or with `small_input` of 32x32. See BiRealResNet18."""
    return BiRealResNet18(num_classes, in_channels, spec, small_input=small_input)
