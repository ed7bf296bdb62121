"""From a recipe and data to a network: the chip's own sizes and neurons, the algorithm's weights, and what does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.bireal import BiRealResNet18
from flipcore.training.mlp import MLP
from flipcore.training.models import binary_weights
from flipcore.training.networks import build_network, network_steps
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.recipe import Recipe, parse_recipe
from flipcore.training.vgg import VGG
from tests.trainings import CHIP, chip_file, document, images, options, recipe, recordings

LIF = CHIP.replace("neuron: if,", "neuron: lif, leak_shift: 2, reset: zero,")


def of_chip(folder: Path, text: str) -> Recipe:
    return parse_recipe(
        document(folder) | {"network": {"model": "mlp", "chip": chip_file(folder, text)}}, "tiny"
    )


def convolutional(model: str, **network: Any) -> Recipe:
    plain = {"name": "conv", "dataset": "x", "epochs": 1, "batch_size": 4}
    return parse_recipe({**plain, "network": {"model": model, **network}}, "conv")


def refusal(*arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        build_network(*arguments)
    return str(caught.value)


def test_an_mlp_is_its_chips_network(tmp_path: Path) -> None:
    chosen = recipe(tmp_path)
    model = build_network(chosen, options("bso", storage="dense"), images())
    assert isinstance(model, MLP)
    assert [tuple(weight.shape) for _, weight in binary_weights(model)] == [(16, 12), (3, 16)]
    (neurons,) = model.neurons
    assert (neurons.threshold, neurons.leak, neurons.reset) == (3, 1.0, "soft")
    assert (neurons.surrogate.name, neurons.surrogate.width) == ("rectangle", 8 / 3)
    assert (neurons.trace, neurons.online) == ("ottt", True)
    assert network_steps(chosen) == 3


def test_a_leaking_chip_that_resets_to_zero(tmp_path: Path) -> None:
    model = build_network(of_chip(tmp_path, LIF), options("bso"), images())
    (neurons,) = model.neurons
    assert (neurons.leak, neurons.reset) == (0.75, "hard")


KINDS = {
    "bso": PackedWeight,
    "bop-bptt": torch.nn.Parameter,
    "ottt-sgd": torch.nn.Parameter,
    "bptt-adam": torch.nn.Parameter,
    "float": torch.nn.Parameter,
}


@pytest.mark.parametrize("algorithm", KINDS)
def test_weights_are_the_algorithms(algorithm: str, tmp_path: Path) -> None:
    chosen = options(algorithm)
    model = build_network(recipe(tmp_path), chosen, images())
    for layer, (_, weight) in zip(model.layers, binary_weights(model), strict=True):
        assert type(weight) is KINDS[algorithm]
        expected = "packed" if chosen.packed else "dense"
        assert layer.kind == (expected if chosen.algorithm.flips else chosen.algorithm.weights)
    assert model.neurons[0].online == chosen.algorithm.online
    assert (model.neurons[0].trace is None) != chosen.algorithm.online


@pytest.mark.parametrize("momentum", ["float32", "bfloat16", "int8", "int4"])
def test_momentum_has_the_chosen_format(momentum: str, tmp_path: Path) -> None:
    model = build_network(recipe(tmp_path), options(storage=f"packed-{momentum}"), images())
    assert {weight.momentum_format for _, weight in binary_weights(model)} == {momentum}


def test_seed_and_gate_reach_the_network(tmp_path: Path) -> None:
    chosen = recipe(tmp_path)
    first, same, other = (
        build_network(chosen, options(seed=seed, gate=True), images()) for seed in (1, 1, 2)
    )
    bits = [[weight.bits for _, weight in binary_weights(one)] for one in (first, same, other)]
    assert all(map(torch.equal, bits[0], bits[1]))
    assert not all(map(torch.equal, bits[0], bits[2]))
    assert [len(gate.alpha) for gate in first.gates] == [3, 3]


def test_convolutional_networks_follow_data_and_recipe() -> None:
    chosen = convolutional("vgg11", steps=5, leak=0.25, reset="hard", trace="sltt")
    model = build_network(chosen, options("tbso"), images((2, 8, 8)))
    assert isinstance(model, VGG)
    assert model.stem.conv.in_channels == 2
    assert model.classifier.out_features == 3
    neurons = model.stem.neurons
    assert (neurons.leak, neurons.reset, neurons.trace) == (0.25, "hard", "sltt")
    assert neurons.surrogate.name == "sigmoid"
    assert network_steps(chosen) == 5


@pytest.mark.parametrize(("side", "small"), [(64, True), (65, False)])
def test_the_stem_suits_the_images(side: int, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def remember(num_classes: int, **choices: Any) -> torch.nn.Module:
        asked.update(choices, num_classes=num_classes)
        return torch.nn.Identity()

    monkeypatch.setattr("flipcore.training.networks.bireal_resnet18", remember)
    build_network(convolutional("bireal18"), options(), images((1, 4, side)))
    assert (asked["small_input"], asked["num_classes"], asked["in_channels"]) == (small, 3, 1)


def test_the_other_published_network() -> None:
    model = build_network(convolutional("bireal18"), options(), images((1, 8, 8)))
    assert isinstance(model, BiRealResNet18)


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    chosen = recipe(tmp_path)
    assert refusal(chosen, options(), images((1, 4, 4))) == (
        "tiny: 16 inputs a sample: the chip tiny has inputs=12"
    )
    two = of_chip(tmp_path, CHIP.replace("{neurons: 3}", "{neurons: 2}"))
    assert refusal(two, options(), images()) == (
        "tiny: 3 classes: the readout of tiny has 2 neurons"
    )


def test_recordings_fit_by_their_axons(tmp_path: Path) -> None:
    model = build_network(recipe(tmp_path), options(), recordings())
    assert binary_weights(model)[0][1].shape == (12, 16)


def test_images_that_a_vgg_cannot_halve_are_refused() -> None:
    assert refusal(convolutional("vgg11"), options(), images((1, 8, 7))) == (
        "tiny: images of 8x7: vgg11 halves them three times: at least 8 pixels a side"
    )


LAYERS = "layers: [{neurons: 16}, {neurons: 8%s}, {neurons: 3}]"
DIFFERENT = {
    "leak": (", neuron: lif, leak_shift: 2", "[0.75, 1.0]"),
    "reset": (", reset: zero", "['subtract', 'zero']"),
    "window / threshold": (", window: 6", f"[{8 / 3}, 4.0]"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_layers_of_different_neurons_are_refused(case: str, tmp_path: Path) -> None:
    change, values = DIFFERENT[case]
    text = CHIP.replace("layers: [{neurons: 16}, {neurons: 3}]", LAYERS % change)
    assert refusal(of_chip(tmp_path, text), options(), images()) == (
        f"tiny: {case}: layers with {values}: training needs one for all layers"
    )


def test_the_readout_may_be_another(tmp_path: Path) -> None:
    """It does not spike."""
    text = CHIP.replace("{neurons: 3}", "{neurons: 3, neuron: lif, leak_shift: 2}")
    build_network(of_chip(tmp_path, text), options(), images())


def test_a_chip_of_a_readout_alone(tmp_path: Path) -> None:
    text = CHIP.replace("{neurons: 16}, ", "")
    model = build_network(of_chip(tmp_path, text), options(), images())
    assert [weight.shape for _, weight in binary_weights(model)] == [(12, 3)]
