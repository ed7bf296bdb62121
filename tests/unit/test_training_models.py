"""Parts of a network: binary weights, the rest, and what reset forgets."""

import pytest
import torch
from torch import nn

from flipcore.training.mlp import mlp
from flipcore.training.models import binary_weights, float_parameters, reset_state
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.step_state import StepState
from flipcore.training.vgg import VGG

KINDS = ("float", "latent", "dense", "packed")


def network(kind: str, *, gate: bool = False) -> VGG:
    return VGG((4, 6, 8), 3, 1, NetworkSpec(kind=kind, gate=gate))


@pytest.mark.parametrize("kind", KINDS)
def test_binary_weights_are_named_from_the_input_on(kind: str) -> None:
    model = network(kind)
    found = binary_weights(model)
    assert [name for name, _ in found] == ["blocks.0.conv.weight", "blocks.1.conv.weight"]
    assert [tuple(weight.shape) for _, weight in found] == [(6, 4, 3, 3), (8, 6, 3, 3)]
    assert all(isinstance(weight, PackedWeight) == (kind == "packed") for _, weight in found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_on_one_side(kind: str) -> None:
    model = network(kind, gate=True)
    floats = [name for name, _ in float_parameters(model)]
    assert floats == [
        "stem.conv.weight", "stem.norm.weight", "stem.norm.bias",
        "blocks.0.gate.alpha", "blocks.0.norm.weight", "blocks.0.norm.bias",
        "blocks.1.gate.alpha", "blocks.1.norm.weight", "blocks.1.norm.bias",
        "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    total = sum(1 for _ in model.parameters())
    assert total == len(floats) + len(binary_weights(model))


def test_a_fully_connected_network_is_binary_throughout() -> None:
    model = mlp((8, 6, 4), thresholds=(2,), spec=NetworkSpec())
    assert float_parameters(model) == []
    assert [name for name, _ in binary_weights(model)] == ["layers.0.weight", "layers.1.weight"]


def test_reset_forgets_everywhere() -> None:
    model = network("dense", gate=True)
    for _ in range(4):
        model(torch.randn(2, 1, 5, 5))
    states = [module for module in model.modules() if isinstance(module, StepState)]
    assert sum(len(state.state_tensors()) for state in states) == 6
    reset_state(model)
    assert sum(len(state.state_tensors()) for state in states) == 0
    model(torch.randn(7, 1, 5, 5))  # another batch, and the gates are at their first step


def test_state_of_a_step_is_not_saved() -> None:
    model = network("dense")
    names = set(model.state_dict())
    model(torch.randn(2, 1, 5, 5))
    assert set(model.state_dict()) == names


def test_a_model_without_spikes_has_nothing_to_forget() -> None:
    model = nn.Linear(2, 2)
    reset_state(model)
    assert binary_weights(model) == []
