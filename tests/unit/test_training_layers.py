"""Binary layers: each kind computes the product of its signs, and learns what its kind learns."""

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.layers import BinaryConv2d, BinaryLinear, TracedLinear
from flipcore.training.signal import Signal
from tests.gradient_recorder import GradientRecorder

KINDS = ("float", "latent", "dense", "packed")


def linear(kind: str) -> BinaryLinear:
    return BinaryLinear(16, 6, kind=kind, seed=1, layer=2)


def convolution(kind: str) -> BinaryConv2d:
    return BinaryConv2d(3, 4, 3, kind=kind, stride=2, padding=1, seed=1, layer=2)


def signal(*shape: int) -> Signal:
    spikes = torch.bernoulli(torch.full(shape, 0.5)).requires_grad_()
    return Signal(spikes, torch.rand(shape))


@pytest.mark.parametrize("kind", ["latent", "packed"])
@pytest.mark.parametrize("make", [linear, convolution])
def test_binary_kinds_compute_the_same_currents(make: object, kind: str) -> None:
    shape = (5, 16) if make is linear else (5, 3, 8, 8)
    spikes = torch.bernoulli(torch.full(shape, 0.5))
    assert torch.equal(make(kind)(Signal(spikes, None)), make("dense")(Signal(spikes, None)))


@pytest.mark.parametrize("make", [linear, convolution])
def test_packed_layers_hand_over_the_dense_gradient(make: object) -> None:
    """Latent weights, too, have it where |w| <= 1."""
    given = signal(5, 16) if make is linear else signal(5, 3, 8, 8)
    dense, latent, packed = make("dense"), make("latent"), make("packed")
    recorder = GradientRecorder(packed)
    errors = []
    for layer in (dense, latent, packed):
        current = layer(given)
        current.backward(torch.linspace(-1, 1, current.numel()).view(current.shape))
        errors.append(given.spikes.grad)
        given.spikes.grad = None
    assert torch.equal(errors[0], errors[1])
    assert torch.equal(errors[0], errors[2])
    gradient = recorder.gradients[".weight"]
    if gradient.dim() == 2:  # packed matrices have axons as rows, and sum in another order
        torch.testing.assert_close(gradient.t(), dense.weight.grad, rtol=1e-6, atol=1e-6)
    else:
        assert torch.equal(gradient, dense.weight.grad)
    assert torch.equal(latent.weight.grad, dense.weight.grad)


def test_packed_layers_have_no_parameter_of_any_size() -> None:
    assert [parameter.numel() for parameter in linear("packed").parameters()] == [0]


def test_convolution_pads_and_strides() -> None:
    assert convolution("dense")(signal(2, 3, 9, 9)).shape == (2, 4, 5, 5)


def test_float_weights_start_with_variance_one_over_fan_in() -> None:
    layer = BinaryLinear(300, 200, kind="float")
    assert layer.weight.detach().std().item() == pytest.approx(300**-0.5, rel=0.02)


def test_traced_linear_adds_its_bias() -> None:
    layer = TracedLinear(4, 2)
    given = signal(3, 4)
    outputs = layer(given)
    torch.testing.assert_close(
        outputs, torch.nn.functional.linear(given.spikes, layer.weight, layer.bias)
    )
    error = torch.randn(3, 2)
    outputs.backward(error)
    torch.testing.assert_close(layer.weight.grad, error.t() @ given.trace)
    torch.testing.assert_close(layer.bias.grad, error.sum(0))


@pytest.mark.parametrize("kind", ["float", "dense", "packed"])
def test_scales_are_of_latent_weights_alone(kind: str) -> None:
    with pytest.raises(InputError) as caught:
        BinaryLinear(4, 2, kind=kind, channel_scale=True)
    assert str(caught.value) == (
        f"channel_scale: only latent weights have magnitudes, not kind={kind}"
    )


def test_printed_form_names_sizes_and_kind() -> None:
    assert repr(linear("dense")) == "BinaryLinear(16, 6, kind=dense)"
    assert repr(convolution("dense")) == ("BinaryConv2d(3, 4, 3, stride=2, padding=1, kind=dense)")
