"""The table of training state: bits needed and bytes allocated, part by part."""

from typing import Any

import pytest
import torch
from torch import nn

from flipcore.training.fused_flips import FusedFlips
from flipcore.training.mlp import MLP, mlp
from flipcore.training.models import binary_weights, float_parameters, reset_state
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.optimizers import BSO, TBSO
from flipcore.training.state_bits import PARTS, training_state
from flipcore.training.vgg import VGG

WEIGHTS = 40 * 24 + 24 * 10
BATCH = 3


def network(**choices: Any) -> MLP:
    return mlp((40, 24, 10), thresholds=(3,), spec=NetworkSpec(**choices))


def table(model: nn.Module, *optimizers: torch.optim.Optimizer) -> dict[str, tuple[int, int]]:
    """Bits and bytes of the parts that exist."""
    parts = training_state(model, optimizers)
    assert [part.name for part in parts] == list(PARTS)
    return {
        part.name: (part.bits, part.allocated_bytes)
        for part in parts
        if part.bits or part.allocated_bytes
    }


def learn(model: MLP) -> None:
    model(torch.ones(BATCH, 40)).square().sum().backward()


def test_latent_weights_under_adam_take_96_bits() -> None:
    model = network(kind="latent", trace=None, online=False)
    adam = torch.optim.Adam(model.parameters())
    learn(model)
    adam.step()
    counts = 2 * 32  # Adam counts its steps per tensor, in a float
    assert table(model, adam) == {
        "latent weights": (32 * WEIGHTS, 4 * WEIGHTS),
        "optimiser moments": (64 * WEIGHTS + counts, 8 * WEIGHTS + counts // 8),
        "gradients": (32 * WEIGHTS, 4 * WEIGHTS),
        "potentials": (32 * BATCH * 24, 4 * BATCH * 24),
    }


def test_dense_weights_need_a_bit_and_take_a_float() -> None:
    model = network(trace="sltt")
    bso = BSO([weight for _, weight in binary_weights(model)])
    learn(model)
    bso.step()
    model.zero_grad()
    reset_state(model)
    assert table(model, bso) == {
        "binary weights": (WEIGHTS, 4 * WEIGHTS),
        "momentum": (32 * WEIGHTS, 4 * WEIGHTS),
    }


def test_second_moment_of_dense_tbso_is_a_float_per_layer_and_step() -> None:
    model = network(trace="sltt")
    tbso = TBSO([weight for _, weight in binary_weights(model)])
    for time_step in range(3):
        tbso.time_step = time_step
        learn(model)
        tbso.step()
        model.zero_grad()
    assert table(model, tbso)["second moment"] == (2 * 3 * 32, 2 * 3 * 4)


@pytest.mark.parametrize(
    ("momentum_format", "bits"), [("float32", 32), ("bfloat16", 16), ("int8", 8), ("int4", 4)]
)
def test_packed_weights_take_what_they_need(momentum_format: str, bits: int) -> None:
    model = network(kind="packed", momentum_format=momentum_format)
    flips = FusedFlips(binary_weights(model), rule="tbso")
    learn(model)
    flips.step()
    model.zero_grad()
    found = table(model, flips)
    assert found == {
        "binary weights": (WEIGHTS, WEIGHTS // 8),
        "momentum": (bits * WEIGHTS, bits * WEIGHTS // 8),
        "second moment": (2 * 32, 2 * 4),
        "potentials": (32 * BATCH * 24, 4 * BATCH * 24),
        "traces": (32 * BATCH * (40 + 24), 4 * BATCH * (40 + 24)),
    }


def test_packed_weights_leave_no_gradients() -> None:
    model = network(kind="packed")
    flips = FusedFlips(binary_weights(model))
    learn(model)
    assert "gradients" not in table(model, flips)


def test_float_layers_norms_and_gates_are_parts_of_their_own() -> None:
    model = VGG((4, 6), 3, 1, NetworkSpec(gate=True, num_steps=2))
    floats = [parameter for _, parameter in float_parameters(model)]
    sgd = torch.optim.SGD(floats, lr=0.1, momentum=0.9)
    model(torch.randn(2, 1, 5, 5)).sum().backward()
    sgd.step()
    found = table(model, sgd)
    count = sum(parameter.numel() for parameter in floats)
    assert count == 36 + 2 * 4 + 2 * 6 + 2 + (6 * 3 + 3)
    assert found["float parameters"] == (32 * count, 4 * count)
    assert found["optimiser moments"] == (32 * count, 4 * count)
    assert found["gradients"] == (32 * (count + 216), 4 * (count + 216))
    # Mean and variance per channel, and an int64 counter per norm.
    assert found["normalisation statistics"] == (64 * 10 + 2 * 64, 8 * 10 + 16)
    pixels = 2 * 25 * (4 + 6)
    assert found["potentials"] == found["traces"] == (32 * pixels, 4 * pixels)


def test_full_precision_weights_are_float_parameters() -> None:
    assert table(network(kind="float")) == {"float parameters": (32 * WEIGHTS, 4 * WEIGHTS)}
