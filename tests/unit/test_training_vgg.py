"""VGG-11: published shape and size, order of layers, the same learning for dense and packed weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flipcore.training.models import binary_weights, float_parameters, reset_state
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.vgg import POOL, VGG, vgg11
from tests.gradient_recorder import GradientRecorder

SMALL = (4, 6, POOL, 8, POOL, 8)


def small(**choices: Any) -> VGG:
    return VGG(SMALL, 3, 2, NetworkSpec(num_steps=3, **choices))


def images(seed: int = 0) -> Tensor:
    return torch.randn(5, 2, 12, 12, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("classes", "floats", "megabytes"), [(10, 12_362, 1.20), (100, 58_532, 1.39)]
)
def test_vgg11_has_the_published_size(classes: int, floats: int, megabytes: float) -> None:
    model = vgg11(classes, spec=NetworkSpec())
    sizes = [weight.numel() for _, weight in binary_weights(model)]
    assert sizes == [73_728, 294_912, 589_824, 1_179_648, 2_359_296, 2_359_296, 2_359_296]
    assert sum(sizes) == 9_216_000
    assert sum(parameter.numel() for _, parameter in float_parameters(model)) == floats
    assert (sum(sizes) / 8 + 4 * floats) / 1e6 == pytest.approx(megabytes, abs=0.005)


def test_vgg11_halves_the_image_three_times() -> None:
    model = vgg11(10, spec=NetworkSpec())
    shapes = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, signal: shapes.append(tuple(signal.spikes.shape)))
    with torch.no_grad():
        logits = model(torch.randn(1, 3, 32, 32))
    assert logits.shape == (1, 10)
    assert [shape[1:] for shape in shapes] == [
        (128, 32, 32), (128, 16, 16), (256, 16, 16), (256, 16, 16), (256, 8, 8),
        (512, 8, 8), (512, 8, 8), (512, 4, 4), (512, 4, 4), (512, 4, 4),
    ]  # fmt: skip


def test_blocks_are_convolution_norm_neurons() -> None:
    """The network once more, in plain PyTorch, for the first step."""
    model = small()
    x = images()
    current = nn.functional.conv2d(x, model.stem.conv.weight, padding=1)
    spikes = (nn.functional.batch_norm(current, None, None, training=True) >= 1).float()
    weights = iter(weight.detach() for _, weight in binary_weights(model))
    for channels in SMALL[1:]:
        if channels == POOL:
            spikes = nn.functional.avg_pool2d(spikes, 2)
        else:
            current = nn.functional.conv2d(spikes, next(weights), padding=1)
            spikes = (nn.functional.batch_norm(current, None, None, training=True) >= 1).float()
    wanted = model.classifier.weight @ spikes.mean((2, 3)).t()
    torch.testing.assert_close(model(x), wanted.t())


def test_norms_keep_each_steps_own_statistics() -> None:
    model = small()
    norm = model.stem.norm
    wanted = torch.zeros(SMALL[0])
    for step, seed in enumerate((1, 2), start=1):
        model(images(seed))
        assert int(norm.num_batches_tracked) == step
        current = nn.functional.conv2d(images(seed), model.stem.conv.weight, padding=1)
        last_mean = current.mean((0, 2, 3)).detach()
        wanted = 0.9 * wanted + 0.1 * last_mean
        torch.testing.assert_close(norm.running_mean, wanted)


@pytest.mark.parametrize("trace", ["ottt", "ndot", "sltt"])
@pytest.mark.parametrize("gate", [False, True])
def test_packed_weights_learn_from_the_dense_gradients_bit_for_bit(trace: str, gate: bool) -> None:
    dense, packed = small(trace=trace, gate=gate), small(trace=trace, gate=gate, kind="packed")
    recorder = GradientRecorder(packed)
    for step in range(3):
        for model in (dense, packed):
            model.zero_grad()
            (model(images(step)) ** 2).sum().backward()
        for name, weight in binary_weights(dense):
            assert torch.equal(recorder.gradients[name], weight.grad), name
            assert bool(weight.grad.any())
        packed_floats = dict(float_parameters(packed))
        for name, parameter in float_parameters(dense):
            assert torch.equal(packed_floats[name].grad, parameter.grad), name


def test_stem_learns_from_the_present_step_alone() -> None:
    """As in the released code, the full-precision first convolution has no trace."""
    model = small()
    model(images(0))
    currents: list[Tensor] = []
    model.stem.conv.register_forward_hook(lambda _, __, current: currents.append(current))
    x = images(1)
    logits = model(x)
    currents[0].retain_grad()
    logits.sum().backward()
    weight = model.stem.conv.weight
    wanted = nn.grad.conv2d_weight(x, weight.shape, currents[0].grad, padding=1)
    torch.testing.assert_close(weight.grad, wanted)
    assert bool(wanted.any())


def test_classifier_learns_from_the_trace() -> None:
    model = small(leak=0.5)
    x = images()
    model(x)
    first = model.blocks[-1].neurons.state_tensors()["trace"].mean((2, 3))
    model.zero_grad()
    model(x).sum().backward()
    trace = model.blocks[-1].neurons.state_tensors()["trace"].mean((2, 3))
    torch.testing.assert_close(model.classifier.weight.grad, trace.sum(0).expand(3, 8))
    assert not torch.equal(trace, first)


def test_seed_decides_all_initial_weights() -> None:
    torch.manual_seed(1)
    one = small(seed=4)
    torch.manual_seed(2)
    again, other = small(seed=4), small(seed=5)
    for name, value in one.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert not torch.equal(one.stem.conv.weight, other.stem.conv.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


def test_evaluation_uses_the_running_statistics() -> None:
    model = small()
    for step in range(3):
        model(images(step))
    model.eval()
    with torch.no_grad():
        reset_state(model)
        alone = model(images(7)[:1])
        reset_state(model)
        assert torch.allclose(model(images(7))[:1], alone, atol=1e-5)


@pytest.mark.slow
# Torch's own tracer instantiates autograd functions.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_dense_network_compiles() -> None:
    plain, compiled = small(trace="ndot"), small(trace="ndot")
    step = torch.compile(compiled, backend="aot_eager")
    for seed in range(2):
        plain.zero_grad()
        compiled.zero_grad()
        (plain(images(seed)) ** 2).sum().backward()
        (step(images(seed)) ** 2).sum().backward()
        for (name, weight), (_, other) in zip(
            binary_weights(plain), binary_weights(compiled), strict=True
        ):
            torch.testing.assert_close(other.grad, weight.grad, msg=name)


def test_autocast_takes_a_step() -> None:
    model = small(kind="packed", momentum_format="int8")
    recorder = GradientRecorder(model)
    for step in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images(step))
        logits.float().sum().backward()
    assert len(recorder.gradients) == 3
    assert all(bool(g.isfinite().all()) for g in recorder.gradients.values())
