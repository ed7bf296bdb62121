"""Reading a NIR file from anywhere into plain nodes and edges.

The nir package's own reader builds each node's object while it reads, so that one node that it cannot build ends the reading without naming the node; HDF5 links to
other files are followed, and a damaged file can keep the HDF5 library busy for ever. Here the file is only taken apart, by `nir_tree` in a process of its own;
what its nodes mean is the business of `nir_layers` and `nir_import`.
"""

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from flipcore.chip.parse import one_line
from flipcore.errors import InputError, ToolError

TIME_LIMIT_SECONDS = 60.0  # the largest chip takes a few

Numbers = npt.NDArray[np.float64]
Tree = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """A node as the file has it.

    Attributes:
        type: name of the NIR primitive, `LIF` for example.
        numbers: its parameters by name, float64 of any shape.
    """

    type: str
    numbers: dict[str, Numbers] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A NIR graph; `metadata` is the graph's own, text and numbers in nested mappings."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: Tree


def read_graph(path: Path) -> Graph:
    """Read the graph of a NIR file; subgraphs become nodes of type NIRGraph, without what is in them.

    Raises:
        InputError: there is no such file, or it is damaged, or not NIR.
        ToolError: h5py is missing.
    """
    return graph_of(_read_tree(path), path)


def graph_of(tree: Tree, path: Path) -> Graph:
    """The graph in the tree of a NIR file; `path` names it in errors.

    Raises:
        InputError: the tree is not NIR.
    """
    node = tree.get("node")
    if not isinstance(node, dict):
        raise InputError(f"{path}: holds no group `node`: not a NIR file")
    kind = node.get("type")
    if kind != "NIRGraph":
        found = f"is a {one_line(kind)}" if isinstance(kind, str) else "has no type"
        raise InputError(f"{path}: node {found}: a network is a NIRGraph")
    nodes, metadata = node.get("nodes"), node.get("metadata", {})
    if not isinstance(nodes, dict) or not nodes:
        raise InputError(f"{path}: node.nodes: the graph has no nodes")
    return Graph(
        {name: _node(name, entry, path) for name, entry in nodes.items()},
        _edges(node.get("edges"), path),
        metadata if isinstance(metadata, dict) else {},
    )


def is_numbers(value: object) -> TypeGuard[Numbers]:
    """Whether a part of a tree holds numbers, and not text or further parts."""
    return isinstance(value, np.ndarray)


def _node(name: str, entry: object, path: Path) -> Node:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, str):
        raise InputError(f"{path}: node {one_line(name)}: has no type")
    return Node(kind, {key: value for key, value in entry.items() if is_numbers(value)})


def _edges(edges: object, path: Path) -> list[tuple[str, str]]:
    """Pairs of node names; a graph without edges is written as an empty array of numbers."""
    pairs = edges if isinstance(edges, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InputError(f"{path}: node.edges: must be a list of pairs of node names")
    return [(str(source), str(target)) for source, target in pairs]


def _read_tree(path: Path) -> Tree:
    if importlib.util.find_spec("h5py") is None:
        raise ToolError("h5py is missing: install it with `pip install 'flipcore[nir]'`")
    # Imported late, as it needs h5py.
    from flipcore.training.nir_tree import unpack_tree

    with tempfile.TemporaryDirectory(prefix="flipcore-nir-") as folder:
        out = Path(folder) / "tree.npz"
        command = [sys.executable, "-m", "flipcore.training.nir_worker", str(path), str(out)]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{path}: damaged: the HDF5 library does not come to an end with it"
            ) from None
        message = (answer.stderr.strip() or f"exit code {answer.returncode}").splitlines()[-1]
        if answer.returncode == InputError.exit_code:
            raise InputError(message)
        if answer.returncode:
            raise InputError(f"{path}: damaged: the HDF5 library breaks off with it: {message}")
        return unpack_tree(out.read_bytes())
