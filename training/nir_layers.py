"""From a NIR graph to the layers of a chip's network: one chain of weights and neurons, from the input to a readout of weights alone."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore.chip.parse import one_line
from flipcore.errors import InputError
from flipcore.training.nir_dynamics import RELATIVE_ERROR
from flipcore.training.nir_file import Graph, Node, Numbers

WEIGHT_TYPES = ("Linear", "Affine")
NEURON_TYPES = ("LIF", "IF")
_FULLY_CONNECTED = "a core of a chip is fully connected"
_CURRENT = "its synaptic current keeps a memory of its own (tau_syn); a chip adds events to the potential at once"
_UNFIT = {
    "Conv1d": _FULLY_CONNECTED,
    "Conv2d": _FULLY_CONNECTED,
    "AvgPool2d": "a chip does not pool",
    "SumPool2d": "a chip does not pool",
    "CubaLIF": _CURRENT,
    "CubaLI": _CURRENT,
    "LI": "a chip has no neurons that leak and do not fire",
    "I": "a chip adds up its last layer's outputs by itself, without a node for it",
    "Delay": "a chip has no delays",
    "Scale": "what passes between a chip's layers are events, 0 or 1",
    "Threshold": "a chip's neurons have a potential (LIF, IF)",
    "NIRGraph": "a subgraph; a chip is one plain chain of layers",
}


@dataclass(frozen=True)
class Weights:
    """A weight node.

    Attributes:
        name: of the node, with its type, as errors call it.
        bits: bool [axons, neurons], True for the positive value.
        scale: float64 [neurons], the magnitude of each neuron's weights.
    """

    name: str
    bits: npt.NDArray[np.bool_]
    scale: Numbers


@dataclass(frozen=True)
class Layer:
    """A layer: its weights, and the node of its neurons with its name, None in the readout."""

    weights: Weights
    neurons: tuple[str, Node] | None


def find_layers(graph: Graph, source: str) -> tuple[Layer, ...]:
    """The layers of a graph, input side first; sizes fit together.

    Raises:
        InputError: the graph is not such a chain; names the node and the reason. `source` names the file.
    """
    _check_edges(graph, source)
    for name, node in graph.nodes.items():
        if node.type not in ("Input", "Output", "Flatten", *WEIGHT_TYPES, *NEURON_TYPES):
            reason = _UNFIT.get(node.type, "a chip has nothing like it")
            raise InputError(f"{source}: {_label(name, node)}: {reason}")
    first, *inner, last = _chain(graph, source)
    inner = [name for name in inner if graph.nodes[name].type != "Flatten"]
    size = _input_size(first, graph, source)
    layers: list[Layer] = []
    while inner:
        weights = _weights(inner.pop(0), size, graph, source)
        size = weights.bits.shape[1]
        neurons = None
        if inner and graph.nodes[inner[0]].type in NEURON_TYPES:
            name = inner.pop(0)
            neurons = _label(name, graph.nodes[name]), graph.nodes[name]
        elif inner:
            raise InputError(
                f"{source}: {weights.name}: {_label(inner[0], graph.nodes[inner[0]])} follows: "
                "between two layers of weights a chip has neurons"
            )
        layers.append(Layer(weights, neurons))
    if not layers or layers[-1].neurons is not None:
        where = layers[-1].neurons[0] if layers and layers[-1].neurons else _label(first, graph.nodes[first])  # fmt: skip
        raise InputError(
            f"{source}: {where}: is the last before the Output, but a chip ends in a readout that adds "
            "up and does not fire: a Linear or Affine node"
        )
    _check_size(_shape(last, graph, source), size, _label(last, graph.nodes[last]), source)
    return tuple(layers)


def per_neuron(
    node: Node, label: str, key: str, size: int, source: str, default: float | None = None
) -> Numbers:
    """A parameter of a neuron node, float64 [size]; one number stands for all neurons.

    Raises:
        InputError: it is missing without a default, or of another size.
    """
    value = node.numbers.get(key)
    if value is None:
        if default is None:
            raise InputError(f"{source}: {label}: {key}: is missing")
        return np.full(size, default)
    if value.size not in (1, size):
        raise InputError(
            f"{source}: {label}: {key}: {list(value.shape)}: the layer has {size} neurons"
        )
    return np.broadcast_to(value.reshape(-1), (size,))


def _label(name: str, node: Node) -> str:
    return f"node {one_line(name)} ({one_line(node.type)})"


def _check_edges(graph: Graph, source: str) -> None:
    seen = set()
    for edge in graph.edges:
        text = " -> ".join(map(one_line, edge))
        for name in edge:
            if name not in graph.nodes:
                raise InputError(
                    f"{source}: edge {text}: there is no node {one_line(name)} in the graph"
                )
        if edge in seen:
            raise InputError(f"{source}: edge {text}: is given twice")
        seen.add(edge)


def _chain(graph: Graph, source: str) -> list[str]:
    """Names of all nodes from the Input to the Output, each fed by the one before it alone."""
    inputs = _only(graph, "Input", source)
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for origin, target in graph.edges:
        sources[target].append(origin)
        targets[origin].append(target)
    for name, node in graph.nodes.items():
        for direction, others in (("is fed by", sources[name]), ("feeds", targets[name])):
            if len(others) > 1:
                names = ", ".join(map(one_line, others))
                raise InputError(
                    f"{source}: {_label(name, node)}: {direction} {names}: a chip is one chain of "
                    "layers, without branches or recurrence"
                )
    chain = [inputs]
    while targets[chain[-1]]:
        chain.append(targets[chain[-1]][0])
        if len(chain) > len(graph.nodes):
            raise InputError(f"{source}: {_label(inputs, graph.nodes[inputs])}: is part of a loop")
    output = _only(graph, "Output", source)
    for name, node in graph.nodes.items():
        if name not in chain or (chain[-1] != output and name == output):
            raise InputError(
                f"{source}: {_label(name, node)}: is not on the way from the Input to the Output"
            )
    return chain


def _only(graph: Graph, kind: str, source: str) -> str:
    names = [name for name, node in graph.nodes.items() if node.type == kind]
    if len(names) != 1:
        found = f"{len(names)} ({', '.join(map(one_line, names))})" if names else "none"
        raise InputError(f"{source}: {kind} nodes: {found}: a chip has one")
    return names[0]


def _shape(name: str, graph: Graph, source: str) -> list[int]:
    node = graph.nodes[name]
    shape = node.numbers.get("shape")
    if shape is None or shape.size == 0 or (shape != np.floor(shape)).any() or (shape < 1).any():
        raise InputError(f"{source}: {_label(name, node)}: shape: must be a list of sizes")
    return [int(size) for size in shape.reshape(-1)]


def _input_size(name: str, graph: Graph, source: str) -> int:
    """Axons of the chip: an image that is flattened lists them row by row."""
    shape = _shape(name, graph, source)
    size = math.prod(shape)
    next_node = next(target for origin, target in graph.edges if origin == name)
    if size != max(shape) and graph.nodes[next_node].type != "Flatten":
        raise InputError(
            f"{source}: {_label(name, graph.nodes[name])}: shape {shape}: the axons of a chip are "
            "one row: a Flatten node must follow"
        )
    return size


def _check_size(shape: list[int], size: int, label: str, source: str) -> None:
    if math.prod(shape) != size:
        raise InputError(f"{source}: {label}: shape {shape}: the layer before has {size} neurons")


def _weights(name: str, axons: int, graph: Graph, source: str) -> Weights:
    node = graph.nodes[name]
    label = _label(name, node)
    if node.type not in WEIGHT_TYPES:
        raise InputError(f"{source}: {label}: has no weights before it: Linear or Affine")
    weight = node.numbers.get("weight")
    if weight is None or weight.ndim != 2 or weight.size == 0:
        found = "missing" if weight is None else str(list(weight.shape))
        raise InputError(f"{source}: {label}: weight: {found}: must be [neurons, axons]")
    if weight.shape[1] != axons:
        raise InputError(
            f"{source}: {label}: weight: {list(weight.shape)}: the layer before has {axons} outputs"
        )
    _check_bias(node, label, source)
    magnitude = np.abs(weight)
    scale = magnitude.max(axis=1)
    if not magnitude.all():
        neuron, axon = np.argwhere(magnitude == 0)[0]
        raise InputError(
            f"{source}: {label}: weight[{neuron}, {axon}]=0: a synapse of one bit is +c or -c, never 0"
        )
    if (magnitude < scale[:, None] * (1 - RELATIVE_ERROR)).any():
        raise InputError(
            f"{source}: {label}: weight: {len(np.unique(magnitude))} magnitudes from "
            f"{magnitude.min():.6g} to {magnitude.max():.6g}: a synapse of one bit has two values, "
            "+c and -c"
        )
    return Weights(label, weight.T > 0, scale)


def _check_bias(node: Node, label: str, source: str) -> None:
    bias = node.numbers.get("bias")
    if bias is not None and bias.any():
        worst = bias.reshape(-1)[np.abs(bias).argmax()]
        raise InputError(
            f"{source}: {label}: bias={worst:.6g}: must be 0: it would be added in every step, which "
            "neither a chip's potential nor its threshold can do"
        )
