"""The parts of a network that trainers tell apart."""

from torch import Tensor, nn

from flipcore.training.layers import BinaryLayer
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.step_state import reset_state

__all__ = ["binary_weights", "float_parameters", "reset_state"]


def binary_weights(model: nn.Module) -> list[tuple[str, nn.Parameter | PackedWeight]]:
    """Name and weight of every binary layer, from the input on, whatever the kind of the weight."""
    return [
        (f"{name}.weight", layer.weight)
        for name, layer in model.named_modules()
        if isinstance(layer, BinaryLayer)
    ]


def float_parameters(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Name and tensor of every other parameter: full-precision layers, BatchNorm, gates."""
    anchors_and_weights = {
        id(weight.anchor if isinstance(weight, PackedWeight) else weight)
        for _, weight in binary_weights(model)
    }
    return [
        (name, parameter)
        for name, parameter in model.named_parameters()
        if id(parameter) not in anchors_and_weights
    ]
