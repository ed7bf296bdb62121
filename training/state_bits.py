"""What training keeps, part by part: the bits that it needs, and the bytes that are allocated for it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from flipcore.training.layers import BinaryLayer
from flipcore.training.models import float_parameters
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.step_state import StepState

WEIGHTS = "binary weights"
LATENT = "latent weights"
MOMENTUM = "momentum"
SECOND_MOMENT = "second moment"
FLOATS = "float parameters"
MOMENTS = "optimiser moments"
GRADIENTS = "gradients"
STATISTICS = "normalisation statistics"
POTENTIALS = "potentials"
TRACES = "traces"
PARTS = (
    WEIGHTS,
    LATENT,
    MOMENTUM,
    SECOND_MOMENT,
    FLOATS,
    MOMENTS,
    GRADIENTS,
    STATISTICS,
    POTENTIALS,
    TRACES,
)

# Parts of PackedWeight.state_bits(), and the names under which flip optimisers keep their state.
_FLIP_STATE = {"weight": WEIGHTS, "momentum": MOMENTUM, "second_moment": SECOND_MOMENT}
_STEP_STATE = {"potential": POTENTIALS, "trace": TRACES}


@dataclass(frozen=True)
class StatePart:
    """One part of the training state.

    Attributes:
        name: one of PARTS.
        bits: that it needs: one per binary weight, what the format takes per momentum, the width of the dtype for the rest.
        allocated_bytes: of the tensors that hold it now.
    """

    name: str
    bits: int
    allocated_bytes: int


class _Share(NamedTuple):
    part: str
    bits: int
    allocated_bytes: int


def training_state(model: nn.Module, optimizers: Iterable[Optimizer] = ()) -> list[StatePart]:
    """The parts of a model's and its optimisers' state as they are at this moment, in the order of PARTS.

    Activations that autograd keeps for the backward pass are no state: LiveTensors counts those. Gradients are
    counted where they exist (after the backward pass, until `zero_grad`), potentials and traces likewise
    (between the first step and `reset_state`).
    """
    bits = dict.fromkeys(PARTS, 0)
    allocated = dict.fromkeys(PARTS, 0)
    for share in (*_model_shares(model), *_optimizer_shares(optimizers)):
        bits[share.part] += share.bits
        allocated[share.part] += share.allocated_bytes
    return [StatePart(part, bits[part], allocated[part]) for part in PARTS]


def _model_shares(model: nn.Module) -> Iterator[_Share]:
    for module in model.modules():
        if isinstance(module, BinaryLayer):
            yield from _weight_shares(module)
        elif isinstance(module, StepState):
            for name, tensor in module.state_tensors().items():
                yield _whole(_STEP_STATE[name], tensor)
        elif isinstance(module, nn.BatchNorm2d):
            for buffer in module.buffers(recurse=False):
                yield _whole(STATISTICS, buffer)
    for _, parameter in float_parameters(model):
        yield _whole(FLOATS, parameter)
    for parameter in model.parameters():
        if parameter.grad is not None:
            yield _whole(GRADIENTS, parameter.grad)


def _weight_shares(layer: BinaryLayer) -> Iterator[_Share]:
    weight = layer.weight
    if isinstance(weight, PackedWeight):
        yield from _packed_shares(weight)
    elif layer.kind == "dense":
        yield _Share(WEIGHTS, weight.numel(), weight.nbytes)
    elif layer.kind == "latent":
        yield _whole(LATENT, weight)
    else:
        yield _whole(FLOATS, weight)


def _packed_shares(weight: PackedWeight) -> Iterator[_Share]:
    allocated = {
        "weight": weight.bits.nbytes,
        "momentum": sum(buffer.nbytes for buffer in weight.momentum.buffers()),
        "second_moment": weight.second_moment.nbytes,
    }
    for name, bits in weight.state_bits().items():
        yield _Share(_FLIP_STATE[name], bits, allocated[name])


def _optimizer_shares(optimizers: Iterable[Optimizer]) -> Iterator[_Share]:
    for optimizer in optimizers:
        for state in optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    yield _whole(_FLIP_STATE.get(name, MOMENTS), value)


def _whole(part: str, tensor: Tensor) -> _Share:
    """A tensor of which every bit counts."""
    return _Share(part, 8 * tensor.nbytes, tensor.nbytes)
