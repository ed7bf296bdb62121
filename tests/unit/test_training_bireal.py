"""Bi-Real ResNet-18: published size, a shortcut round every binary convolution."""

from typing import Any

import pytest
import torch
from torch import nn

from flipcore.training.bireal import BiRealBlock, bireal_resnet18
from flipcore.training.models import binary_weights, float_parameters
from flipcore.training.network_spec import NetworkSpec
from tests.gradient_recorder import GradientRecorder


def block(in_channels: int, out_channels: int, stride: int, **choices: Any) -> BiRealBlock:
    return BiRealBlock(in_channels, out_channels, NetworkSpec(**choices), stride=stride, layer=1)


def test_imagenet_network_has_the_published_size() -> None:
    model = bireal_resnet18(1000, small_input=False, spec=NetworkSpec())
    sizes = [weight.numel() for _, weight in binary_weights(model)]
    assert len(sizes) == 16
    assert sum(sizes) == 10_985_472
    floats = sum(parameter.numel() for _, parameter in float_parameters(model))
    statistics = sum(buffer.numel() for buffer in model.buffers())
    assert floats == 704_040
    # Published: 4.22 MB (Liang et al. 2025).
    assert (sum(sizes) / 8 + 4 * (floats + statistics)) / 1e6 == pytest.approx(4.22, abs=0.01)


@pytest.mark.parametrize(
    ("small_input", "size", "sides"), [(False, 64, [16, 8, 4, 2]), (True, 16, [16, 8, 4, 2])]
)
def test_stages_halve_the_image(small_input: bool, size: int, sides: list[int]) -> None:
    model = bireal_resnet18(7, in_channels=2, small_input=small_input, spec=NetworkSpec())
    shapes = []
    for one in model.blocks:
        one.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        assert model(torch.randn(2, 2, size, size)).shape == (2, 7)
    channels = (64, 128, 256, 512)
    wanted = [(c, side, side) for c, side in zip(channels, sides, strict=True) for _ in range(4)]
    assert shapes == wanted


def test_block_is_neurons_convolution_norm_plus_the_input() -> None:
    layer = block(4, 4, 1)
    x = torch.randn(3, 4, 6, 6)
    current = nn.functional.conv2d((x >= 1).float(), layer.conv.weight, padding=1)
    wanted = nn.functional.batch_norm(current, None, None, training=True) + x
    torch.testing.assert_close(layer(x), wanted)


def test_block_that_changes_the_shape_downsamples_its_shortcut() -> None:
    layer = block(4, 6, 2)
    x = torch.randn(3, 4, 6, 6)
    current = nn.functional.conv2d((x >= 1).float(), layer.conv.weight, stride=2, padding=1)
    means = nn.functional.conv2d(nn.functional.avg_pool2d(x, 2), layer.shortcut[1].weight)
    norm = [nn.functional.batch_norm(y, None, None, training=True) for y in (current, means)]
    torch.testing.assert_close(layer(x), norm[0] + norm[1])


def test_odd_images_fit() -> None:
    assert block(2, 4, 2)(torch.randn(2, 2, 7, 7)).shape == (2, 4, 4, 4)


@pytest.mark.parametrize("trace", ["ottt", "ndot", "sltt"])
def test_packed_blocks_learn_from_the_dense_gradients_bit_for_bit(trace: str) -> None:
    dense = block(3, 5, 2, trace=trace)
    packed = block(3, 5, 2, trace=trace, kind="packed")
    recorder = GradientRecorder(packed)
    for seed in range(3):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        error = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(seed))
        dense.zero_grad()
        dense(x).backward(error)
        packed(x).backward(error)
        assert torch.equal(recorder.gradients["conv.weight"], dense.conv.weight.grad)
        assert bool(dense.conv.weight.grad.any())


def test_seed_decides_all_initial_weights() -> None:
    torch.manual_seed(1)
    one = bireal_resnet18(3, small_input=True, spec=NetworkSpec(seed=9))
    torch.manual_seed(2)
    again = bireal_resnet18(3, small_input=True, spec=NetworkSpec(seed=9))
    for name, value in one.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
