"""Which graphs are a chip's chain of layers, and in which words the others are refused."""

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from flipcore.errors import InputError
from flipcore.training.nir_file import Graph, graph_of
from flipcore.training.nir_layers import find_layers
from flipcore.training.nir_tree import read_tree
from tests.nir_graphs import (
    AXONS,
    CLASSES,
    NEURONS,
    chain,
    each,
    integrators,
    lif,
    plain_nodes,
    signs,
    write_graph,
)

Nodes = dict[str, Any]
Edges = list[tuple[str, str]]


@pytest.fixture
def graph(tmp_path: Path) -> Any:
    """A function that gives nodes, by default in a chain, as a graph read from a file."""

    def build(nodes: Nodes, edges: Edges | None = None) -> Graph:
        path = write_graph(tmp_path / "net.nir", nodes, edges)
        return graph_of(read_tree(path), path)

    return build


def refusal(graph: Graph) -> str:
    with pytest.raises(InputError) as caught:
        find_layers(graph, "net.nir")
    text = str(caught.value)
    assert text.startswith("net.nir: ")
    return text.removeprefix("net.nir: ")


def between(name: str, node: Any, before: str) -> Nodes:
    """The plain network with one node more."""
    nodes: Nodes = {}
    for key, value in plain_nodes().items():
        if key == before:
            nodes[name] = node
        nodes[key] = value
    return nodes


def test_plain_chain(graph: Any) -> None:
    hidden, readout = find_layers(graph(plain_nodes()), "net.nir")
    assert (hidden.weights.bits == (signs(NEURONS, AXONS) > 0).T).all()
    assert hidden.weights.scale.tolist() == [1] * NEURONS
    assert hidden.neurons is not None
    assert hidden.neurons[0] == "node lif1 (LIF)"
    assert readout.weights.bits.shape == (NEURONS, CLASSES)
    assert readout.neurons is None


def test_edges_may_come_in_any_order(graph: Any) -> None:
    layers = find_layers(graph(plain_nodes(), chain(plain_nodes())[::-1]), "net.nir")
    assert [layer.weights.name for layer in layers] == ["node fc1 (Linear)", "node fc2 (Linear)"]


def test_readout_alone_is_a_network(graph: Any) -> None:
    nodes = plain_nodes()
    (layer,) = find_layers(
        graph({"input": nodes["input"], "fc": nir.Linear(signs(CLASSES, AXONS)), "output": nodes["output"]}),
        "net.nir",
    )  # fmt: skip
    assert layer.weights.bits.shape == (AXONS, CLASSES)


def test_weights_of_any_magnitude_and_of_one_sign(graph: Any) -> None:
    scales = np.array([0.3, 0.1, 7, 0.25], np.float32)[:, None]
    positive = np.full((CLASSES, NEURONS), 0.5, np.float32)
    nodes = plain_nodes() | {
        "fc1": nir.Affine(signs(NEURONS, AXONS) * scales, np.zeros(NEURONS, np.float32)),
        "fc2": nir.Linear(positive),
    }
    hidden, readout = find_layers(graph(nodes), "net.nir")
    assert (hidden.weights.bits == (signs(NEURONS, AXONS) > 0).T).all()
    assert hidden.weights.scale == pytest.approx(scales[:, 0])
    assert readout.weights.bits.all()


def test_flatten_lists_the_axons_of_an_image_and_does_nothing_to_a_row(graph: Any) -> None:
    image = plain_nodes() | {"input": nir.Input({"input": np.array([1, 2, 3])})}
    flatten = nir.Flatten({"input": np.array([1, 2, 3])}, 0, -1)
    nodes = {"input": image.pop("input"), "flatten": flatten, **image}
    assert find_layers(graph(nodes), "net.nir")[0].weights.bits.shape[0] == AXONS
    row = nir.Flatten({"input": np.array([NEURONS])}, 0, -1)
    assert len(find_layers(graph(between("flat", row, "fc2")), "net.nir")) == 2
    assert refusal(graph({"input": nodes["input"], **image})) == (
        "node input (Input): shape [1, 2, 3]: the axons of a chip are one row: "
        "a Flatten node must follow"
    )


UNFIT = {
    "Conv2d": (
        nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1)),
        "a core of a chip is fully connected",
    ),
    "SumPool2d": (
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "a chip does not pool",
    ),
    "CubaLIF": (
        nir.CubaLIF(each(1), each(1), each(1), each(0), each(1)),
        "its synaptic current keeps a memory of its own (tau_syn); a chip adds events to the potential at once",
    ),
    "LI": (nir.LI(each(1), each(1), each(0)), "a chip has no neurons that leak and do not fire"),
    "Delay": (nir.Delay(each(1)), "a chip has no delays"),
    "Scale": (nir.Scale(each(2)), "what passes between a chip's layers are events, 0 or 1"),
    "NIRGraph": (
        nir.NIRGraph(plain_nodes(), chain(plain_nodes())),
        "a subgraph; a chip is one plain chain of layers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNFIT)
def test_nodes_that_no_chip_has(graph: Any, kind: str) -> None:
    node, reason = UNFIT[kind]
    assert refusal(graph(between("extra", node, "fc2"))) == f"node extra ({kind}): {reason}"


def test_unknown_kind(graph: Any) -> None:
    read = graph(plain_nodes())
    read.nodes["lif1"] = type(read.nodes["lif1"])("Izhikevich")
    assert refusal(read) == "node lif1 (Izhikevich): a chip has nothing like it"


def weights(value: Any) -> Nodes:
    return plain_nodes() | {"fc1": value}


def analog() -> Any:
    return nir.Linear(np.linspace(-1, 2, NEURONS * AXONS).reshape(NEURONS, AXONS))


def with_zero() -> Any:
    weight = signs(NEURONS, AXONS)
    weight[2, 5] = 0
    return nir.Linear(weight)


BAD_WEIGHTS = {
    "analog": (
        analog,
        "node fc1 (Linear): weight: 24 magnitudes from 0.0434783 to 2: a synapse of one bit has two "
        "values, +c and -c",
    ),
    "zero": (
        with_zero,
        "node fc1 (Linear): weight[2, 5]=0: a synapse of one bit is +c or -c, never 0",
    ),
    "bias": (
        lambda: nir.Affine(signs(NEURONS, AXONS), each(-0.25)),
        "node fc1 (Affine): bias=-0.25: must be 0: it would be added in every step, which neither a "
        "chip's potential nor its threshold can do",
    ),
    "three axes": (
        lambda: nir.Linear(np.ones((2, NEURONS, AXONS))),
        "node fc1 (Linear): weight: [2, 4, 6]: must be [neurons, axons]",
    ),
    "too few axons": (
        lambda: nir.Linear(signs(NEURONS, AXONS - 1)),
        "node fc1 (Linear): weight: [4, 5]: the layer before has 6 outputs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_weights_that_are_not_of_one_bit(graph: Any, case: str) -> None:
    make, reason = BAD_WEIGHTS[case]
    assert refusal(graph(weights(make()))) == reason


def test_weight_that_is_missing(graph: Any) -> None:
    read = graph(plain_nodes())
    del read.nodes["fc1"].numbers["weight"]
    assert refusal(read) == "node fc1 (Linear): weight: missing: must be [neurons, axons]"


def without(*names: str) -> Nodes:
    return {name: node for name, node in plain_nodes().items() if name not in names}


RECURRENT = [*chain(plain_nodes()), ("w_rec", "lif1"), ("lif1", "w_rec")]
STRUCTURES: dict[str, tuple[Nodes, Edges | None, str]] = {
    "neurons last": (
        without("fc2") | {"output": nir.Output({"output": np.array([NEURONS])})},
        None,
        "node lif1 (LIF): is the last before the Output, but a chip ends in a readout that adds up and "
        "does not fire: a Linear or Affine node",
    ),
    "nothing at all": (
        without("fc1", "lif1", "fc2"),
        None,
        "node input (Input): is the last before the Output, but a chip ends in a readout that adds up "
        "and does not fire: a Linear or Affine node",
    ),
    "neurons first": (
        without("fc1"),
        None,
        "node lif1 (LIF): has no weights before it: Linear or Affine",
    ),
    "neurons twice": (
        between("if2", integrators(), "fc2"),
        None,
        "node if2 (IF): has no weights before it: Linear or Affine",
    ),
    "no neurons between": (
        without("lif1"),
        None,
        "node fc1 (Linear): node fc2 (Linear) follows: between two layers of weights a chip has neurons",
    ),
    "recurrent": (
        plain_nodes() | {"w_rec": nir.Linear(signs(NEURONS, NEURONS))},
        RECURRENT,
        "node lif1 (LIF): is fed by fc1, w_rec: a chip is one chain of layers, without branches or "
        "recurrence",
    ),
    "skip": (
        plain_nodes(),
        [*chain(plain_nodes()), ("input", "fc2")],
        "node fc2 (Linear): is fed by lif1, input: a chip is one chain of layers, without branches or "
        "recurrence",
    ),
    "apart": (
        plain_nodes() | {"alone": lif()},
        chain(plain_nodes()),
        "node alone (LIF): is not on the way from the Input to the Output",
    ),
    "open end": (
        plain_nodes(),
        chain(plain_nodes())[:-1],
        "node output (Output): is not on the way from the Input to the Output",
    ),
    "loop": (
        plain_nodes(),
        [*chain(plain_nodes()), ("output", "input")],
        "node input (Input): is part of a loop",
    ),
    "no such node": (
        plain_nodes(),
        [*chain(plain_nodes()), ("fc2", "lif9")],
        "edge fc2 -> lif9: there is no node lif9 in the graph",
    ),
    "edge twice": (
        plain_nodes(),
        [*chain(plain_nodes()), ("fc1", "lif1")],
        "edge fc1 -> lif1: is given twice",
    ),
    "no input": (
        without("input"),
        None,
        "Input nodes: none: a chip has one",
    ),
    "no output": (
        without("output"),
        None,
        "Output nodes: none: a chip has one",
    ),
    "two inputs": (
        plain_nodes() | {"more": plain_nodes()["input"]},
        chain(plain_nodes()),
        "Input nodes: 2 (input, more): a chip has one",
    ),
    "output of another size": (
        plain_nodes() | {"output": nir.Output({"output": np.array([9])})},
        None,
        "node output (Output): shape [9]: the layer before has 3 neurons",
    ),
    "input of no size": (
        plain_nodes() | {"input": nir.Input({"input": np.array([-6])})},
        None,
        "node input (Input): shape: must be a list of sizes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STRUCTURES)
def test_structures_that_no_chip_has(graph: Any, case: str) -> None:
    nodes, edges, reason = STRUCTURES[case]
    assert refusal(graph(nodes, edges)) == reason
