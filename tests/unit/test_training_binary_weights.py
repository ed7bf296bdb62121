"""Kinds of weight: initial signs are the chip's, sign(0) is +1, straight-through gradients stop outside -1 ... 1."""

import math

import numpy as np
import pytest
import torch

from flipcore.draws import initial_weights
from flipcore.errors import InputError
from flipcore.training.binary_weights import initial_signs, make_weight, seen_weight, signs_of
from flipcore.training.packed_weight import PackedWeight

KINDS = ("float", "latent", "dense", "packed")


def test_initial_signs_are_those_of_a_chip() -> None:
    bits = initial_weights(5, 1, 12, 7)  # [axons, neurons]
    np.testing.assert_array_equal(initial_signs(5, 1, (7, 12)).numpy(), 2.0 * bits.T - 1)


def test_initial_signs_are_contiguous() -> None:
    assert initial_signs(5, 1, (4, 2, 3, 3)).is_contiguous()


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_start_with_the_same_signs(kind: str) -> None:
    shape = (6, 5, 3, 3)
    weight = make_weight(kind, shape, seed=2, layer=3, momentum_format="int4", bound=0.5)
    values = weight.unpacked() if isinstance(weight, PackedWeight) else weight.detach()
    assert torch.equal(signs_of(values), initial_signs(2, 3, shape) > 0)
    largest = values.abs().max().item()
    assert largest == 1 if kind in ("dense", "packed") else 0.45 < largest <= 0.5


def test_seed_and_layer_choose_the_weights() -> None:
    drawn = {
        (seed, layer): tuple(
            make_weight("float", (3, 8), seed=seed, layer=layer, momentum_format="int8", bound=1.0)
            .flatten()
            .tolist()
        )
        for seed in (0, 1, 2**63, -1)
        for layer in (0, 1)
    }
    assert len(set(drawn.values())) == len(drawn)


def test_sign_of_zero_is_plus_one() -> None:
    latent = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 2.0, -2.0]], requires_grad=True)
    assert seen_weight(latent, "latent", channel_scale=False).tolist() == [[1, 1, 1, -1, 1, -1]]


def test_straight_through_gradients_stop_outside_one() -> None:
    latent = torch.tensor([[0.0, 1.0, -1.0, 1.001, -1.001, 0.3]], requires_grad=True)
    seen_weight(latent, "latent", channel_scale=False).backward(torch.full((1, 6), 3.0))
    assert latent.grad.tolist() == [[3, 3, 3, 0, 0, 3]]


def test_channel_scale_is_the_mean_magnitude_and_a_constant() -> None:
    latent = torch.tensor([[0.5, -0.25], [-2.0, 1.0]], requires_grad=True)
    seen = seen_weight(latent, "latent", channel_scale=True)
    assert seen.tolist() == [[0.375, -0.375], [-1.5, 1.5]]
    seen.sum().backward()
    assert latent.grad.tolist() == [[0.375, 0.375], [0.0, 1.5]]


def test_channel_scale_of_a_kernel() -> None:
    latent = torch.randn(4, 3, 3, 3)
    seen = seen_weight(latent, "latent", channel_scale=True)
    for channel in range(4):
        magnitude = latent[channel].abs().mean()
        torch.testing.assert_close(seen[channel].abs(), magnitude.expand(3, 3, 3))


@pytest.mark.parametrize("kind", ["float", "dense"])
def test_other_weights_are_seen_as_they_are(kind: str) -> None:
    weight = torch.tensor([[0.25, -4.0]])
    assert seen_weight(weight, kind, channel_scale=False) is weight


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        make_weight("ternary", (2, 2), seed=0, layer=0, momentum_format="int8", bound=1.0)
    assert str(caught.value) == "kind=ternary: must be one of float, latent, dense, packed"


def test_float_weights_are_uniform_up_to_the_bound() -> None:
    bound = math.sqrt(3)
    weight = make_weight(
        "float", (100, 200), seed=7, layer=0, momentum_format="int8", bound=bound
    ).detach()
    assert weight.std().item() == pytest.approx(1.0, abs=0.02)
    assert weight.mean().item() == pytest.approx(0.0, abs=0.02)
