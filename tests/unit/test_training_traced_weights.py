"""Products with traced weight gradients: against NumPy, and packed against dense bit for bit."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.binary_weights import initial_signs
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.signal import Signal
from flipcore.training.traced_weights import (
    packed_conv2d,
    packed_linear,
    traced_conv2d,
    traced_linear,
)


class Kept:
    """A learner that keeps what it is given, and flips all weights, as late as it can."""

    def __init__(self, weight: PackedWeight) -> None:
        self.gradient: Tensor | None = None
        weight.learner = self  # type: ignore[assignment]

    def learn(self, weight: PackedWeight, gradient: Tensor) -> None:
        """Keep a copy of the gradient, and flip."""
        self.gradient = gradient.clone()
        weight.bits ^= 0xFF


def linear_case(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes [5, 7], trace [5, 7], weight [3, 7], error [5, 3]."""
    dice = torch.Generator().manual_seed(3)
    spikes = torch.bernoulli(torch.full((5, 7), 0.4, dtype=dtype), generator=dice)
    trace = spikes + torch.rand((5, 7), generator=dice, dtype=dtype)
    error = torch.randn((5, 3), generator=dice, dtype=dtype)
    return spikes, trace, initial_signs(1, 0, (3, 7)).to(dtype), error


def conv_case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes and trace [2, 3, 6, 6], kernel [4, 3, 3, 3], error [2, 4, 3, 3] at stride 2 and padding 1."""
    dice = torch.Generator().manual_seed(4)
    spikes = torch.bernoulli(torch.full((2, 3, 6, 6), 0.4), generator=dice)
    trace = spikes + torch.rand((2, 3, 6, 6), generator=dice)
    return (
        spikes,
        trace,
        initial_signs(1, 0, (4, 3, 3, 3)),
        torch.randn((2, 4, 3, 3), generator=dice),
    )


def plain_convolution(
    x: np.ndarray, kernel: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, and gradients of input and kernel, of a 3x3 convolution (stride 2, padding 1) pixel by pixel."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    output = np.zeros(error.shape)
    grad_padded, grad_kernel = np.zeros(padded.shape), np.zeros(kernel.shape)
    for row in range(error.shape[2]):
        for column in range(error.shape[3]):
            place = np.s_[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            here = error[:, :, row, column]
            output[:, :, row, column] = np.einsum("bchw,ochw->bo", padded[place], kernel)
            grad_padded[place] += np.einsum("bo,ochw->bchw", here, kernel)
            grad_kernel += np.einsum("bo,bchw->ochw", here, padded[place])
    return output, grad_padded[:, :, 1:-1, 1:-1], grad_kernel


def test_linear_against_numpy() -> None:
    spikes, trace, signs, error = linear_case(torch.float64)
    spikes.requires_grad_()
    weight = nn.Parameter(signs)
    current = traced_linear(Signal(spikes, trace), weight)
    current.backward(error)
    s, a, w, delta = (tensor.detach().numpy() for tensor in (spikes, trace, weight, error))
    np.testing.assert_allclose(current.detach().numpy(), s @ w.T, rtol=1e-12)
    np.testing.assert_allclose(spikes.grad.numpy(), delta @ w, rtol=1e-12)
    outer = sum(np.outer(delta[b], a[b]) for b in range(5))
    np.testing.assert_allclose(weight.grad.numpy(), outer, rtol=1e-12)


def test_convolution_against_numpy() -> None:
    spikes, trace, signs, error = conv_case()
    spikes.requires_grad_()
    weight = nn.Parameter(signs)
    current = traced_conv2d(Signal(spikes, trace), weight, 2, 1)
    current.backward(error)
    s, a, w, delta = (tensor.detach().double().numpy() for tensor in (spikes, trace, weight, error))
    output, grad_spikes, _ = plain_convolution(s, w, delta)
    _, _, grad_kernel = plain_convolution(a, w, delta)
    np.testing.assert_allclose(current.detach().numpy(), output, atol=1e-5)
    np.testing.assert_allclose(spikes.grad.numpy(), grad_spikes, atol=1e-5)
    np.testing.assert_allclose(weight.grad.numpy(), grad_kernel, atol=1e-5)


def test_packed_linear_is_the_dense_one_bit_for_bit() -> None:
    spikes, trace, signs, error = linear_case()
    dense_spikes, packed_spikes = spikes.clone().requires_grad_(), spikes.clone().requires_grad_()
    dense = nn.Parameter(signs.clone())
    packed = PackedWeight(signs.t(), "int8", 0)
    kept = Kept(packed)
    dense_current = traced_linear(Signal(dense_spikes, trace), dense)
    packed_current = packed_linear(Signal(packed_spikes, trace), packed)
    assert torch.equal(packed_current, dense_current)
    dense_current.backward(error)
    packed_current.backward(error)
    assert torch.equal(packed_spikes.grad, dense_spikes.grad)
    assert torch.equal(kept.gradient, dense.grad.t())


def test_packed_convolution_is_the_dense_one_bit_for_bit() -> None:
    spikes, trace, signs, error = conv_case()
    dense_spikes, packed_spikes = spikes.clone().requires_grad_(), spikes.clone().requires_grad_()
    dense = nn.Parameter(signs.clone())
    packed = PackedWeight(signs, "int8", 0)
    kept = Kept(packed)
    dense_current = traced_conv2d(Signal(dense_spikes, trace), dense, 2, 1)
    packed_current = packed_conv2d(Signal(packed_spikes, trace), packed, 2, 1)
    assert torch.equal(packed_current, dense_current)
    dense_current.backward(error)
    packed_current.backward(error)
    assert torch.equal(packed_spikes.grad, dense_spikes.grad)
    assert torch.equal(kept.gradient, dense.grad)


def test_packed_weights_learn_where_the_input_needs_no_gradient() -> None:
    spikes, trace, signs, error = linear_case()
    packed = PackedWeight(signs.t(), "float32", 0)
    kept = Kept(packed)
    packed_linear(Signal(spikes, trace), packed).backward(error)
    assert torch.equal(kept.gradient, trace.t() @ error)
    assert packed.anchor.grad.numel() == 0


def test_packed_weights_use_the_spikes_where_there_is_no_trace() -> None:
    spikes, _, signs, error = linear_case()
    packed = PackedWeight(signs.t(), "float32", 0)
    kept = Kept(packed)
    packed_linear(Signal(spikes, None), packed).backward(error)
    assert torch.equal(kept.gradient, spikes.t() @ error)


def test_frozen_packed_weights_do_not_learn() -> None:
    spikes, trace, signs, error = conv_case()
    spikes.requires_grad_()
    packed = PackedWeight(signs, "float32", 0)
    packed.anchor.requires_grad_(False)
    packed_conv2d(Signal(spikes, trace), packed, 2, 1).backward(error)  # would raise: no learner
    assert spikes.grad is not None


def test_without_a_trace_gradients_are_autograds() -> None:
    spikes, _, signs, error = conv_case()
    weight, plain = nn.Parameter(signs.clone()), nn.Parameter(signs.clone())
    traced_conv2d(Signal(spikes, None), weight, 2, 1).backward(error)
    torch.nn.functional.conv2d(spikes, plain, stride=2, padding=1).backward(error)
    assert torch.equal(weight.grad, plain.grad)


def test_a_packed_weight_without_optimiser_is_refused() -> None:
    spikes, trace, signs, error = linear_case()
    current = packed_linear(Signal(spikes, trace), PackedWeight(signs.t(), "float32", 0))
    with pytest.raises(InputError) as caught:
        current.backward(error)
    assert str(caught.value) == (
        "a packed weight has no optimiser: give it to FusedFlips before the backward pass"
    )


def test_autocast_multiplies_in_bfloat16_and_leaves_float32_gradients() -> None:
    spikes, trace, signs, error = linear_case()
    spikes.requires_grad_()
    weight = nn.Parameter(signs)
    packed = PackedWeight(signs.detach().t(), "float32", 0)
    kept = Kept(packed)
    with torch.autocast("cpu", torch.bfloat16):
        dense_current = traced_linear(Signal(spikes, trace), weight)
        packed_current = packed_linear(Signal(spikes, trace), packed)
    assert dense_current.dtype == packed_current.dtype == torch.bfloat16
    assert torch.equal(packed_current, dense_current)
    (dense_current + packed_current).backward(error.bfloat16())
    assert weight.grad.dtype == spikes.grad.dtype == torch.float32
    assert torch.equal(weight.grad, kept.gradient.float().t())
    torch.testing.assert_close(weight.grad, error.t() @ trace, rtol=0.05, atol=0.05)


@pytest.mark.slow
# Torch's own tracer instantiates autograd functions.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_dense_products_compile() -> None:
    spikes, trace, signs, error = conv_case()
    plain, compiled = nn.Parameter(signs.clone()), nn.Parameter(signs.clone())
    traced_conv2d(Signal(spikes, trace), plain, 2, 1).backward(error)
    product = torch.compile(traced_conv2d, backend="aot_eager", fullgraph=True)
    product(Signal(spikes, trace), compiled, 2, 1).backward(error)
    assert torch.equal(compiled.grad, plain.grad)
