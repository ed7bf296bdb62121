"""What a NIR graph is as a chip: thresholds, leaks, widths; and the real files of other tools, each read or refused in a line."""

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from flipcore.chip import Chip, chip_document, parse_chip
from flipcore.errors import InputError
from flipcore.training.nir_export import export_network
from flipcore.training.nir_file import graph_of
from flipcore.training.nir_import import ImportedNetwork, import_graph, import_network
from flipcore.training.nir_tree import read_tree
from tests.nir_graphs import (
    AXONS,
    CLASSES,
    NEURONS,
    each,
    integrators,
    lif,
    plain_nodes,
    signs,
    write_graph,
)


def read(path: Path, *changes: str, step_seconds: float | None = None) -> ImportedNetwork:
    """Import in this process, which is quicker."""
    return import_graph(graph_of(read_tree(path), path), path, changes, step_seconds)


def network(folder: Path, neurons: Any, *changes: str, **options: Any) -> ImportedNetwork:
    path = write_graph(folder / "net.nir", plain_nodes() | {"lif1": neurons})
    return read(path, *changes, **options)


def refusal(folder: Path, neurons: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        network(folder, neurons, **options)
    return str(caught.value).removeprefix(f"{folder / 'net.nir'}: ")


def test_plain_network(tmp_path: Path) -> None:
    imported = network(tmp_path, lif())
    hidden, readout = imported.chip.layers
    assert imported.chip.name == "net"
    assert [imported.chip.inputs, hidden.neurons, readout.neurons] == [AXONS, NEURONS, CLASSES]
    assert (hidden.neuron, hidden.leak_shift, hidden.threshold) == ("lif", 2, 5)
    assert hidden.reset == "zero"
    # 4 steps of 6 axons reach 24: 6 bits with the sign.
    assert hidden.potential_bits == 6
    assert (imported.weights[0] == (signs(NEURONS, AXONS) > 0).T).all()
    assert (imported.weights[1] == (signs(CLASSES, NEURONS, seed=1) > 0).T).all()
    assert imported.notes == ()


def test_name_of_a_file_becomes_the_name_of_a_chip(tmp_path: Path) -> None:
    for stem, name in (("my net (2)", "my-net-2"), ("_.", "network"), ("x" * 150, "x" * 100)):
        assert read(write_graph(tmp_path / f"{stem}.nir", plain_nodes())).chip.name == name


@pytest.mark.parametrize(
    ("neurons", "found"),
    [
        (lif(v_threshold=each(1.1)), ("lif", 2, 5)),  # 4.4 units
        (lif(v_threshold=each(0)), ("lif", 2, 1)),  # fires above 0
        (lif(tau=each(1e-4 * 2**15), v_threshold=each(4 / 2**15)), ("lif", 15, 5)),
        (lif(r=each(4), v_threshold=each(4)), ("lif", 2, 5)),  # as snnTorch writes it: r = tau / dt
        (lif(tau=each(1e14), v_threshold=each(4.5e-18)), ("if", 2, 5)),
        (integrators(), ("if", 2, 5)),
        (integrators(v_threshold=each(15.5)), ("if", 2, 16)),
        (integrators(r=each(0.5), v_threshold=each(2)), ("if", 2, 5)),
        (integrators(r=each(1, 1), v_threshold=each(4, 1)), ("if", 2, 5)),  # one for all
    ],
)
def test_thresholds_and_leaks(tmp_path: Path, neurons: Any, found: tuple[str, int, int]) -> None:
    core = network(tmp_path, neurons).chip.layers[0]
    assert (core.neuron, core.leak_shift, core.threshold) == found


def test_scalars_of_older_files_stand_for_all_neurons(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "net.nir", plain_nodes())
    graph = graph_of(read_tree(path), path)
    numbers = graph.nodes["lif1"].numbers
    numbers |= {key: value[0] for key, value in numbers.items()}
    assert numbers["tau"].shape == ()
    core = import_graph(graph, path).chip.layers[0]
    assert (core.leak_shift, core.threshold) == (2, 5)


def test_scale_of_the_weights_goes_into_the_threshold(tmp_path: Path) -> None:
    """Also where each neuron has its own, as long as all have the same threshold in units of it."""
    scale = np.array([0.3, 0.5, 1, 8], np.float32)
    nodes = plain_nodes() | {
        "fc1": nir.Linear(signs(NEURONS, AXONS) * scale[:, None]),
        "lif1": integrators(v_threshold=scale * np.float32(4.5)),
    }
    imported = read(write_graph(tmp_path / "net.nir", nodes))
    assert imported.chip.layers[0].threshold == 5
    assert (imported.weights[0] == (signs(NEURONS, AXONS) > 0).T).all()


def test_length_of_a_step_decides_the_leak(tmp_path: Path) -> None:
    core = network(tmp_path, lif(v_threshold=each(2)), step_seconds=2e-4).chip.layers[0]
    assert (core.leak_shift, core.threshold) == (1, 5)


REFUSED = {
    "leak between": (
        lif(tau=each(0.0025)),
        "node lif1 (LIF): tau=0.0025 s: leaks 0.04 a step of 0.0001 s (--step-seconds); a chip leaks "
        "1/2**k, k of 1 to 15: the nearest is k = 5, tau=0.0032 s",
    ),
    "leak of all": (
        lif(tau=each(1e-4)),
        "node lif1 (LIF): tau=0.0001 s: leaks 1 a step of 0.0001 s (--step-seconds); a chip leaks "
        "1/2**k, k of 1 to 15: the nearest is k = 1, tau=0.0002 s",
    ),
    "leak too slow": (
        lif(tau=each(1e-4 * 2**16)),
        "node lif1 (LIF): tau=6.5536 s: leaks 1.52588e-05 a step of 0.0001 s (--step-seconds); a chip "
        "leaks 1/2**k, k of 1 to 15: the nearest is k = 15, tau=3.2768 s",
    ),
    "leak beyond numbers": (
        lif(tau=np.full(NEURONS, 1e-320)),
        "node lif1 (LIF): tau=9.99989e-321 s: leaks inf a step of 0.0001 s (--step-seconds); a chip "
        "leaks 1/2**k, k of 1 to 15: the nearest is k = 1, tau=0.0002 s",
    ),
    "several leaks": (
        lif(tau=np.array([2e-4, 2e-4, 4e-4, 2e-4])),
        "node lif1 (LIF): tau: 0.0002 to 0.0004 s: must be above 0 and the same for all neurons of a core",
    ),
    "tau of 0": (
        lif(tau=each(0)),
        "node lif1 (LIF): tau: 0 to 0 s: must be above 0 and the same for all neurons of a core",
    ),
    "rest": (
        lif(v_leak=each(0.5)),
        "node lif1 (LIF): v_leak=0.5: must be 0, where a chip's potentials rest and are reset to",
    ),
    "reset": (
        integrators(v_reset=np.array([0, 0, -1.5, 0])),
        "node lif1 (IF): v_reset=-1.5: must be 0, where a chip's potentials rest and are reset to",
    ),
    "resistance": (
        integrators(r=np.array([1, 1, 1, -1.0])),
        "node lif1 (IF): r=-1: must be above 0",
    ),
    "several thresholds": (
        integrators(v_threshold=np.array([4, 4, 5.5, 4])),
        "node lif1 (IF): v_threshold: from 4 to 5.5 in units of the weights: the neurons of a core "
        "share one threshold",
    ),
    "negative threshold": (
        integrators(v_threshold=each(-0.5)),
        "node lif1 (IF): v_threshold: -0.5 in units of the weights: a chip's is 0 to 8388606",
    ),
    "huge threshold": (
        integrators(v_threshold=np.full(NEURONS, 1e300)),
        "node lif1 (IF): v_threshold: 1e+300 in units of the weights: a chip's is 0 to 8388606",
    ),
    "infinite threshold": (
        integrators(r=np.full(NEURONS, 1e-300), v_threshold=np.full(NEURONS, 1e300)),
        "node lif1 (IF): v_threshold: inf in units of the weights: a chip's is 0 to 8388606",
    ),
    "another size": (
        integrators(r=each(1, 3), v_threshold=each(4, 3)),
        "node lif1 (IF): v_reset: [3]: the layer has 4 neurons",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_neurons_that_no_chip_has(tmp_path: Path, case: str) -> None:
    neurons, reason = REFUSED[case]
    assert refusal(tmp_path, neurons) == reason


def test_missing_parameter(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "net.nir", plain_nodes())
    graph = graph_of(read_tree(path), path)
    del graph.nodes["lif1"].numbers["tau"]
    with pytest.raises(InputError, match=r"node lif1 \(LIF\): tau: is missing"):
        import_graph(graph, path)


def test_readout_with_scales_of_its_own(tmp_path: Path) -> None:
    weight = signs(CLASSES, NEURONS) * np.array([1, 1, 2], np.float32)[:, None]
    path = write_graph(tmp_path / "net.nir", plain_nodes() | {"fc2": nir.Linear(weight)})
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).endswith(
        "node fc2 (Linear): weight: magnitudes from 1 to 2: the readout compares its neurons, so that "
        "all must have the same"
    )  # fmt: skip


def test_changes_say_what_nir_does_not(tmp_path: Path) -> None:
    chip = network(tmp_path, lif(), "steps=16", "core.momentum_bits=4", "name=mine").chip
    assert (chip.name, chip.steps, chip.layers[0].momentum_bits) == ("mine", 16, 4)
    assert chip.layers[0].potential_bits == 8  # 16 * 6 = 96
    assert network(tmp_path, lif(), "core.potential_bits=7").chip.layers[0].potential_bits == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("core.leek_shift=3", "core.leek_shift: unknown field, did you mean `leak_shift`?"),
        ("steps=0", "steps=0: input should be greater than or equal to 1"),
        ("layers=3", "layers: must be a list with one entry per layer, input side first"),
        ("core=5", "core=5: must be a mapping of core parameters"),
    ],
)
def test_changes_that_cannot_be(tmp_path: Path, change: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        network(tmp_path, lif(), change)
    assert str(caught.value) == f"{tmp_path / 'net.nir'}: {reason}"


def test_one_class_is_no_readout(tmp_path: Path) -> None:
    nodes = plain_nodes() | {
        "fc2": nir.Linear(signs(1, NEURONS)),
        "output": nir.Output({"output": np.array([1])}),
    }
    with pytest.raises(InputError, match="the readout needs at least 2 neurons"):
        read(write_graph(tmp_path / "net.nir", nodes))


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Chip, Path]:
    """A chip with parameters that NIR does not carry, and its file."""
    layers = [{"neurons": NEURONS, "threshold": 3}, {"neurons": CLASSES}]
    core = {"reset": "subtract", "leak_shift": 3, "potential_bits": 9, "momentum_bits": 5}
    document = {"name": "told", "inputs": AXONS, "steps": 7, "core": core, "layers": layers}
    chip = parse_chip(document, "told")
    bits = [signs(NEURONS, AXONS).T > 0, signs(CLASSES, NEURONS).T > 0]
    path = tmp_path / "told.nir"
    path.write_bytes(export_network(chip, bits))
    return chip, path


def with_metadata(path: Path, **changes: Any) -> Path:
    graph = nir.read(path)
    graph.metadata["flipcore"].update(changes)
    nir.write(path, graph)
    return path


def test_metadata_give_what_nir_does_not_carry(exported: tuple[Chip, Path]) -> None:
    chip, path = exported
    imported = read(path)
    assert imported.chip == chip
    assert imported.notes == ()
    assert read(path, "core.momentum_bits=6").chip.layers[0].momentum_bits == 6


def test_graph_wins_over_metadata_and_says_so(exported: tuple[Chip, Path]) -> None:
    chip, path = exported
    graph = nir.read(path)
    graph.nodes["neurons_0"].v_threshold = each(1)  # 8 units at a leak of 1/8
    nir.write(path, graph)
    imported = read(path)
    assert imported.notes == (
        "node neurons_0 (LIF): threshold 9 of the graph, not 3 of the metadata",
    )
    assert imported.chip.layers[0] == chip.layers[0].model_copy(update={"threshold": 9})


def test_metadata_of_another_network_are_not_used(exported: tuple[Chip, Path]) -> None:
    chip, path = exported
    graph = nir.read(path)
    nodes = plain_nodes() | {"fc2": nir.Linear(signs(2, NEURONS))}
    nodes["output"] = nir.Output({"output": np.array([2])})
    write_graph(path, nodes, metadata=graph.metadata)
    imported = read(path)
    assert imported.notes == (
        "the metadata describe a chip of 6-4-3, the graph is 6-4-2: metadata not used",
    )
    assert imported.chip.layers[0].momentum_bits != chip.layers[0].momentum_bits


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"chip": "{"}, "metadata.flipcore.chip: not JSON"),
        ({"chip": "[1]"}, "metadata.flipcore.chip: a chip description is a mapping of fields, not list"),
        ({"step_seconds": 0.0}, "metadata.flipcore.step_seconds: must be a positive number"),
        ({"step_seconds": "soon"}, "metadata.flipcore.step_seconds: must be a positive number"),
    ],
)  # fmt: skip
def test_damaged_metadata(
    exported: tuple[Chip, Path], metadata: dict[str, Any], reason: str
) -> None:
    path = with_metadata(exported[1], **metadata)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {reason}"


def test_chip_in_the_metadata_is_checked_as_any(exported: tuple[Chip, Path]) -> None:
    chip, path = exported
    document = chip_document(chip) | {"steps": 1000}
    with pytest.raises(InputError, match=r"metadata\.flipcore\.chip: steps=1000: "):
        read(with_metadata(path, chip=json.dumps(document)))


CUBA = "node lif1.lif (CubaLIF): its synaptic current keeps a memory of its own (tau_syn); a chip adds events to the potential at once"
READOUT = "node 1 (LIF): is the last before the Output, but a chip ends in a readout that adds up and does not fire: a Linear or Affine node"
CONVOLUTION = "node 0 (Conv2d): a core of a chip is fully connected"
REAL_FILES = {
    "lif_norse.nir": READOUT,
    "lif_norse__old2.nir": READOUT,
    "lif_norse__old1.nir": "node lif (LIF): has no weights before it: Linear or Affine",
    "cnn_sinabs.nir": CONVOLUTION,
    "scnn_mnist__old_schema.nir": CONVOLUTION,
    "scnn_mnist__old_shapes.nir": CONVOLUTION,
    "braille_noDelay_bias_zero.nir": CUBA,
    "braille_noDelay_bias_zero_subgraph.nir": "node lif1 (NIRGraph): a subgraph; a chip is one plain chain of layers",
    "braille__v_047410e9.nir": CUBA,
    "braille_v2a.nir": CUBA,
    "braille_v2__50b2fc28.nir": "edge lif1 -> fc2: there is no node lif1 in the graph",
    "braille_v2__c777885b.nir": "edge fc1 -> lif1: there is no node lif1 in the graph",
    "braille_subtract.nir": CUBA,
    "braille__v_f4edd0a1.nir": "edge lif1 -> fc2: there is no node lif1 in the graph",
    "braille_subgraph.nir": "node hidden (NIRGraph): a subgraph; a chip is one plain chain of layers",
    "braille_zero_subgraph.nir": "node lif1 (NIRGraph): a subgraph; a chip is one plain chain of layers",
    "norse_test_braille.nir": "node hidden (NIRGraph): a subgraph; a chip is one plain chain of layers",
}  # fmt: skip


@pytest.mark.realdata
def test_real_files_are_read_or_refused_in_a_line(data_dir: Path) -> None:
    """None of them is a chip's network; each is refused for what it is, also those that the nir package cannot build."""
    index = json.loads((data_dir / "nir" / "index.json").read_text())
    assert {entry["file"] for entry in index} == REAL_FILES.keys()
    for name, reason in REAL_FILES.items():
        path = data_dir / "nir" / name
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {reason}"


@pytest.mark.realdata
def test_real_files_are_taken_apart_as_the_index_says(data_dir: Path) -> None:
    """Node types, shapes and edges of all that the nir package reads."""
    for entry in json.loads((data_dir / "nir" / "index.json").read_text()):
        if entry["nir_1_0_8"] != "reads":
            continue
        path = data_dir / "nir" / entry["file"]
        graph = graph_of(read_tree(path), path)
        assert graph.edges == [tuple(edge) for edge in entry["edges"]]
        assert {name: node.type for name, node in graph.nodes.items()} == {
            name: node["type"] for name, node in entry["nodes"].items()
        }
        for name, node in entry["nodes"].items():
            for key in ("weight", "bias", "tau", "v_threshold", "r", "w_in"):
                if key in node and key in graph.nodes[name].numbers:
                    assert list(graph.nodes[name].numbers[key].shape) == node[key]


@pytest.mark.realdata
def test_the_process_that_reads_refuses_a_real_file_alike(data_dir: Path) -> None:
    path = data_dir / "nir" / "cnn_sinabs.nir"
    with pytest.raises(InputError) as caught:
        import_network(path)
    assert str(caught.value) == f"{path}: {CONVOLUTION}"
