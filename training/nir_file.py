"""Reading a NIR file: HDF5 from anywhere into plain nodes and edges, every number finite, nothing outside the file touched.

The nir package's own reader builds each node's object while it reads, so that one node that it cannot build ends the reading without naming the node, and HDF5 links
to other files are followed. Here the file is only taken apart; what its nodes mean is the business of `nir_layers` and `nir_import`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import MAX_LAYERS, MAX_SYNAPSES
from flipcore.chip.parse import one_line
from flipcore.errors import InputError, ToolError

# A chip's weights in double precision; what is larger is none, whatever a damaged header says.
MAX_DATASET_BYTES = MAX_SYNAPSES * 8
MAX_FILE_BYTES = MAX_DATASET_BYTES * MAX_LAYERS
MAX_OBJECTS = 4096
MAX_DEPTH = 16

Numbers = npt.NDArray[np.float64]
Tree = dict[str, Any]  # of str, Numbers and further trees

# What h5py raises on damaged files, by the call that meets the damage.
_DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    AttributeError,
)


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
    tree = _read_tree(path)
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


def _node(name: str, entry: object, path: Path) -> Node:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, str):
        raise InputError(f"{path}: node {one_line(name)}: has no type")
    numbers = {key: value for key, value in entry.items() if isinstance(value, np.ndarray)}
    return Node(kind, numbers)


def _edges(edges: object, path: Path) -> list[tuple[str, str]]:
    # h5py gives texts as an array of Python's; a graph without edges is written as an empty array of numbers.
    if not isinstance(edges, np.ndarray) or edges.dtype != object or edges.shape[1:] != (2,):
        raise InputError(f"{path}: node.edges: must be a list of pairs of node names")
    return [(str(source), str(target)) for source, target in edges]


def _read_tree(path: Path) -> Tree:
    h5py = load_h5py()
    try:
        with path.open("rb") as stream, h5py.File(stream, "r") as file:
            return _Reader(h5py, path).group(file, "", 0)
    except FileNotFoundError:
        raise InputError(f"{path}: no such NIR file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a NIR file") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or not a NIR file: {reason}") from None


def load_h5py() -> Any:
    """The h5py package.

    Raises:
        ToolError: it is missing.
    """
    try:
        import h5py
    except ImportError:
        raise ToolError("h5py is missing: install it with `pip install 'flipcore[nir]'`") from None
    return h5py


class _Reader:
    """Takes a file apart within bounds on depth, number and size."""

    def __init__(self, h5py: Any, path: Path) -> None:
        self._h5py = h5py
        self._path = path
        self._objects = 0
        self._bytes = 0

    def group(self, group: Any, where: str, depth: int) -> Tree:
        """Groups as mappings, texts as str (arrays of them: object), numbers as float64."""
        if depth > MAX_DEPTH:
            self._refuse(where, f"groups are nested more than {MAX_DEPTH} deep")
        tree: Tree = {}
        for name in group:
            place = f"{where}.{one_line(name)}" if where else one_line(name)
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                self._refuse(place, f"the file holds more than {MAX_OBJECTS} objects")
            if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
                self._refuse(place, "is a link to elsewhere, which is not followed")
            item = group[name]
            if isinstance(item, self._h5py.Group):
                tree[name] = self.group(item, place, depth + 1)
            elif isinstance(item, self._h5py.Dataset):
                tree[name] = self._dataset(item, place)
        return tree

    def _dataset(self, dataset: Any, place: str) -> str | npt.NDArray[Any]:
        if dataset.shape is None:
            self._refuse(place, "is empty")
        if dataset.is_virtual or dataset.external:
            self._refuse(place, "lies in another file, which is not read")
        self._bytes += dataset.nbytes
        if dataset.nbytes > MAX_DATASET_BYTES or self._bytes > MAX_FILE_BYTES:
            self._refuse(
                place, f"{list(dataset.shape)} of {dataset.dtype}: more than any chip holds"
            )
        if self._h5py.check_string_dtype(dataset.dtype) is not None:
            text = dataset.asstr()[()]
            return str(text) if dataset.shape == () else np.asarray(text, object)
        if dataset.dtype.kind not in "biuf":
            self._refuse(place, f"{dataset.dtype}: neither numbers nor text")
        numbers = np.asarray(dataset[()], np.float64)
        if not np.isfinite(numbers).all():
            self._refuse(place, f"{numbers[~np.isfinite(numbers)][0]}: every number must be finite")
        return numbers

    def _refuse(self, place: str, reason: str) -> None:
        raise InputError(f"{self._path}: {place}: {reason}")
