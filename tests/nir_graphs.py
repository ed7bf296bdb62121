"""NIR files of the tests: small networks that fit a chip, to be broken one part at a time."""

import itertools
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

AXONS, NEURONS, CLASSES = 6, 4, 3
Weights = npt.NDArray[np.float32]


def signs(neurons: int, axons: int, seed: int = 0) -> Weights:
    """Random weights of -1 and +1, float32 [neurons, axons]."""
    dice = np.random.default_rng(seed)
    return (dice.integers(0, 2, (neurons, axons)) * 2 - 1).astype(np.float32)


def each(value: float, neurons: int = NEURONS) -> Weights:
    """The same parameter for each neuron."""
    return np.full(neurons, value, np.float32)


def lif(**changes: Any) -> nir.LIF:
    """Neurons that lose a quarter each step of 0.1 ms and, of weights of 1, need more than 4 units (v_threshold 4 / 4)."""
    parameters = {"tau": each(4e-4), "r": each(1), "v_leak": each(0), "v_threshold": each(1)}
    return nir.LIF(**(parameters | changes))


def integrators(**changes: Any) -> nir.IF:
    """Neurons without leak that, of weights of 1, need more than 4 units."""
    return nir.IF(**({"r": each(1), "v_threshold": each(4)} | changes))


def plain_nodes() -> dict[str, Any]:
    """A network of one hidden layer, as another tool might write it."""
    return {
        "input": nir.Input({"input": np.array([AXONS])}),
        "fc1": nir.Linear(signs(NEURONS, AXONS)),
        "lif1": lif(),
        "fc2": nir.Linear(signs(CLASSES, NEURONS, seed=1)),
        "output": nir.Output({"output": np.array([CLASSES])}),
    }


def chain(nodes: dict[str, Any]) -> list[tuple[str, str]]:
    """Edges from each node to the next."""
    names = list(nodes)
    return list(itertools.pairwise(names))


def write_graph(
    path: Path,
    nodes: dict[str, Any],
    edges: list[tuple[str, str]] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """Write nodes, by default one after the other, without the package's own type check."""
    edges = chain(nodes) if edges is None else edges
    graph = nir.NIRGraph(nodes, edges, metadata=metadata or {}, type_check=False)
    nir.write(path, graph)
    return path
