"""Reading NIR files from anywhere: what is there comes through, what is damaged or lies elsewhere is refused in a line."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from flipcore.errors import InputError, ToolError
from flipcore.training import nir_file, nir_tree
from flipcore.training.nir_file import Graph, graph_of, read_graph
from flipcore.training.nir_tree import MAX_DATASET_BYTES, pack_tree, read_tree, unpack_tree
from tests.nir_graphs import chain, plain_nodes, signs, write_graph

Break = Callable[[h5py.File], None]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that is as it should be."""
    metadata = {"tool": "test", "deep": {"number": 3, "text": "words"}}
    return write_graph(tmp_path / "good.nir", plain_nodes(), metadata=metadata)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        graph_of(read_tree(path), path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_nodes_edges_and_metadata_come_through(good: Path) -> None:
    graph = read_graph(good)
    assert {name: node.type for name, node in graph.nodes.items()} == {
        "input": "Input", "fc1": "Linear", "lif1": "LIF", "fc2": "Linear", "output": "Output",
    }  # fmt: skip
    assert graph.edges == chain(plain_nodes())
    assert (graph.nodes["fc1"].numbers["weight"] == signs(4, 6)).all()
    assert graph.nodes["input"].numbers["shape"].tolist() == [6]
    assert graph.metadata["tool"] == "test"
    assert graph.metadata["deep"]["text"] == "words"
    assert graph.metadata["deep"]["number"] == 3


def test_subgraph_is_a_node_whose_parts_are_left_alone(tmp_path: Path) -> None:
    nodes = plain_nodes()
    nodes["lif1"] = nir.NIRGraph(plain_nodes(), chain(plain_nodes()))
    path = write_graph(tmp_path / "sub.nir", nodes)
    graph = graph_of(read_tree(path), path)
    assert graph.nodes["lif1"].type == "NIRGraph"
    assert graph.nodes["lif1"].numbers == {}


def test_refusals_pass_from_the_process_that_reads(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_graph(tmp_path / "none.nir")
    assert str(caught.value) == f"{tmp_path / 'none.nir'}: no such NIR file"


def test_what_is_no_file_of_its_kind(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.nir") == "no such NIR file"
    assert refusal(tmp_path) == "is a folder, not a NIR file"
    text = tmp_path / "text.nir"
    text.write_text("node: {}\n")
    assert refusal(text).startswith("damaged or not a NIR file: ")
    empty = tmp_path / "empty.nir"
    empty.touch()
    assert refusal(empty).startswith("damaged or not a NIR file: ")


def _replace(file: h5py.File, name: str, value: object) -> None:
    del file[name]
    file[name] = value


def _group_of_itself(file: h5py.File) -> None:
    file["node/nodes/again"] = file["node"]


def _compound(file: h5py.File) -> None:
    _replace(file, "node/nodes/fc1/weight", np.zeros(3, [("a", "f4"), ("b", "f4")]))


def _virtual(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    layout = h5py.VirtualLayout((4, 6), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "weight", (4, 6))
    file.create_virtual_dataset("node/nodes/fc1/weight", layout)


def _huge(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", (1 << 20, 1 << 20), "f4", chunks=(64, 64))


def _linked(link: object) -> Break:
    def change(file: h5py.File) -> None:
        _replace(file, "node/nodes/fc1/weight", link)

    return change


DAMAGE: dict[str, tuple[Break, str]] = {
    "no node": (lambda file: file.move("node", "graph"), "holds no group `node`: not a NIR file"),
    "node is data": (
        lambda file: _replace(file, "node", 3),
        "holds no group `node`: not a NIR file",
    ),
    "no type": (
        lambda file: file.__delitem__("node/type"),
        "node has no type: a network is a NIRGraph",
    ),
    "one neuron alone": (
        lambda file: _replace(file, "node/type", "LIF"),
        "node is a LIF: a network is a NIRGraph",
    ),
    "no nodes": (
        lambda file: file.__delitem__("node/nodes"),
        "node.nodes: the graph has no nodes",
    ),
    "node without type": (
        lambda file: file.__delitem__("node/nodes/lif1/type"),
        "node lif1: has no type",
    ),
    "type is a number": (
        lambda file: _replace(file, "node/nodes/lif1/type", 7),
        "node lif1: has no type",
    ),
    "no edges": (
        lambda file: file.__delitem__("node/edges"),
        "node.edges: must be a list of pairs of node names",
    ),
    "edges of numbers": (
        lambda file: _replace(file, "node/edges", np.zeros((2, 2))),
        "node.edges: must be a list of pairs of node names",
    ),
    "edges of three": (
        lambda file: _replace(file, "node/edges", [["a", "b", "c"]]),
        "node.edges: must be a list of pairs of node names",
    ),
    "not a number": (
        lambda file: _replace(file, "node/nodes/fc1/weight", np.full((4, 6), np.nan)),
        "node.nodes.fc1.weight: nan: every number must be finite",
    ),
    "infinite": (
        lambda file: _replace(file, "node/nodes/lif1/tau", np.array([1, -np.inf])),
        "node.nodes.lif1.tau: -inf: every number must be finite",
    ),
    "nothing": (
        lambda file: _replace(file, "node/nodes/fc1/weight", h5py.Empty("f4")),
        "node.nodes.fc1.weight: is empty",
    ),
    "records": (
        _compound,
        "node.nodes.fc1.weight: [('a', '<f4'), ('b', '<f4')]: neither numbers nor text",
    ),
    "beyond any chip": (
        _huge,
        "node.nodes.fc1.weight: [1048576, 1048576] of float32: more than any chip holds",
    ),
    "in another file": (
        _virtual,
        "node.nodes.fc1.weight: lies in another file, which is not read",
    ),
    "link to a file": (
        _linked(h5py.ExternalLink("other.h5", "weight")),
        "node.nodes.fc1.weight: is a link to elsewhere, which is not followed",
    ),
    "link to nowhere": (
        _linked(h5py.SoftLink("/nowhere")),
        "node.nodes.fc1.weight: is a link to elsewhere, which is not followed",
    ),
    "a group in itself": (_group_of_itself, "groups are nested more than 16 deep"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_with_its_place(good: Path, damage: str) -> None:
    change, reason = DAMAGE[damage]
    with h5py.File(good, "r+") as file:
        change(file)
    assert refusal(good).endswith(reason)


def test_number_of_objects_is_bounded(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nir_tree, "MAX_OBJECTS", 12)
    assert refusal(good).endswith("the file holds more than 12 objects")


def test_dataset_of_the_largest_chip_is_within_the_bound() -> None:
    assert MAX_DATASET_BYTES == 4096 * 1024 * 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_damaged_bytes_are_read_or_refused(
    good: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nir_file, "TIME_LIMIT_SECONDS", 20.0)
    dice = np.random.default_rng(seed)
    damaged = np.frombuffer(good.read_bytes(), np.uint8).copy()
    places = dice.integers(0, len(damaged), 6)
    damaged[places] = dice.integers(0, 256, 6)
    end = len(damaged) if seed % 2 else int(dice.integers(0, len(damaged)))
    good.write_bytes(damaged[:end].tobytes())
    try:
        assert isinstance(read_graph(good), Graph)
    except InputError as error:
        assert str(error).startswith(f"{good}: ")
        assert "\n" not in str(error)


def test_a_library_that_never_returns_is_given_up(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nir_file, "TIME_LIMIT_SECONDS", 0.001)
    with pytest.raises(InputError) as caught:
        read_graph(good)
    assert str(caught.value) == (
        f"{good}: damaged: the HDF5 library does not come to an end with it"
    )


def test_a_library_that_crashes_is_told(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\necho 'Segmentation fault' >&2\nexit 139\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    with pytest.raises(InputError) as caught:
        read_graph(good)
    assert str(caught.value) == (
        f"{good}: damaged: the HDF5 library breaks off with it: Segmentation fault"
    )


def test_without_h5py_the_extra_is_named(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ToolError, match=r"^h5py is missing: .*'flipcore\[nir\]'"):
        read_graph(good)


def test_packing_keeps_a_tree() -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    tree = {"a": {"b": {}, "text": "words"}, "numbers": numbers, "texts": [["a", "b"]]}
    back = unpack_tree(pack_tree(tree))
    assert (back.pop("numbers") == numbers).all()
    del tree["numbers"]
    assert back == tree
