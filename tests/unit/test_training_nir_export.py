"""A chip's network as NIR: what the file says, what other tools are told, and that it comes back the same, bit for bit."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore import draws
from flipcore.chip import Chip, chip_document, load_chip, parse_chip
from flipcore.errors import ToolError
from flipcore.training.nir_dynamics import STEP_SECONDS
from flipcore.training.nir_export import Integrators, export_network, export_notes
from flipcore.training.nir_file import graph_of
from flipcore.training.nir_import import ImportedNetwork, import_graph
from flipcore.training.nir_tree import read_tree
from tests.random_chips import chip_documents


def weights_of(chip: Chip, seed: int = 0) -> list[npt.NDArray[np.bool_]]:
    return [
        draws.initial_weights(seed, c, core.axons, core.neurons)
        for c, core in enumerate(chip.layers)
    ]


def exported(folder: Path, chip: Chip, integrators: Integrators = "if") -> Path:
    path = folder / "net.nir"
    path.write_bytes(export_network(chip, weights_of(chip), integrators))
    return path


def read_back(path: Path) -> ImportedNetwork:
    return import_graph(graph_of(read_tree(path), path), path)


def small(**core: Any) -> Chip:
    layers = [{"neurons": 5}, {"neurons": 4}, {"neurons": 3}]
    return parse_chip({"name": "small", "inputs": 6, "core": core, "layers": layers}, "small")


def test_package_reads_it_and_its_types_fit(tmp_path: Path) -> None:
    chip = small(threshold=7, leak_shift=3, reset="zero")
    graph = nir.read(exported(tmp_path, chip))  # checks types and edges
    assert set(graph.edges) == {
        ("input", "weights_0"), ("weights_0", "neurons_0"), ("neurons_0", "weights_1"),
        ("weights_1", "neurons_1"), ("neurons_1", "weights_2"), ("weights_2", "output"),
    }  # fmt: skip
    assert graph.nodes["input"].input_type["input"].tolist() == [6]
    assert graph.nodes["output"].output_type["output"].tolist() == [3]
    for c, bits in enumerate(weights_of(chip)):
        weight = graph.nodes[f"weights_{c}"].weight
        assert weight.dtype == np.float32
        assert (weight == np.where(bits.T, 1, -1)).all()


def test_neurons_have_a_parameter_each(tmp_path: Path) -> None:
    chip = small(threshold=7, leak_shift=3, reset="zero", potential_bits=10)
    neurons = nir.read(exported(tmp_path, chip)).nodes["neurons_1"]
    assert isinstance(neurons, nir.LIF)
    for key, value in {
        "tau": STEP_SECONDS * 8, "r": 1, "v_leak": 0, "v_reset": 0, "v_threshold": 6.5 / 8,
    }.items():  # fmt: skip
        parameter = getattr(neurons, key)
        assert parameter.dtype == np.float32
        assert (parameter == np.full(4, value, np.float32)).all()
    assert neurons.metadata == {
        "threshold": 7, "leak_shift": 3, "reset": "zero", "potential_bits": 10,
        "fires": "potential >= threshold",
    }  # fmt: skip


def test_neurons_without_leak_go_out_in_two_forms(tmp_path: Path) -> None:
    chip = small(neuron="if", threshold=7, reset="zero")
    neurons = nir.read(exported(tmp_path, chip)).nodes["neurons_0"]
    assert isinstance(neurons, nir.IF)
    assert (neurons.v_threshold == 6.5).all()
    neurons = nir.read(exported(tmp_path, chip, "lif")).nodes["neurons_0"]
    assert isinstance(neurons, nir.LIF)
    assert (neurons.tau == np.float32(STEP_SECONDS * 2.0**60)).all()
    assert (neurons.v_threshold == np.float32(6.5 * 2.0**-60)).all()


def test_reset_by_subtraction_has_a_small_margin(tmp_path: Path) -> None:
    chip = small(neuron="if", threshold=7, reset="subtract")  # of 4 steps
    neurons = nir.read(exported(tmp_path, chip)).nodes["neurons_0"]
    assert (neurons.v_threshold == 7 - 1 / 16).all()
    assert neurons.metadata["reset"] == "subtract"


def test_graph_tells_of_the_chip(tmp_path: Path) -> None:
    chip = small()
    told = nir.read(exported(tmp_path, chip)).metadata["flipcore"]
    assert told["step_seconds"] == STEP_SECONDS
    assert told["steps"] == 4
    assert json.loads(told["chip"]) == chip_document(chip)


def test_same_chip_same_bytes() -> None:
    chip = small()
    assert export_network(chip, weights_of(chip)) == export_network(chip, weights_of(chip))


def test_notes_say_what_other_tools_do_otherwise() -> None:
    assert export_notes(small(neuron="if", reset="zero"), "lif") == ()
    assert export_notes(small(neuron="if", reset="zero"), "if") == (
        "neurons: snnTorch 1.0 does not run NIR's IF; --integrators lif suits it",
    )
    assert export_notes(small(leak_shift=3, reset="subtract"), "if") == (
        "reset: NIR resets to 0; the reset by subtraction is in the metadata alone and must be set "
        "in the other tool",
        "leak: the chip rounds what leaks down to an integer, other tools do not: a potential can "
        "stand up to 7 higher on the chip, and spikes differ",
    )
    huge = {"potential_bits": 24, "threshold": (1 << 23) - 1}
    assert export_notes(small(neuron="if", reset="subtract", **huge), "lif")[1] == (
        "core 0: threshold 8388607: in single precision the closest value below it is 0.5 away: "
        "resets by subtraction add up to another potential"
    )


def test_notes_leave_the_readout_out() -> None:
    layers = [{"neurons": 5, "neuron": "if", "reset": "zero"}, {"neurons": 3, "neuron": "lif"}]
    chip = parse_chip({"name": "mixed", "inputs": 6, "layers": layers}, "mixed")
    assert export_notes(chip, "lif") == ()


@settings(max_examples=25)
@given(
    document=chip_documents(), integrators=st.sampled_from(("if", "lif")), seed=st.integers(0, 9)
)
def test_any_chip_comes_back_the_same(
    document: dict[str, Any],
    integrators: Integrators,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    chip = parse_chip(document, "random")
    weights = weights_of(chip, seed)
    path = tmp_path_factory.mktemp("round") / "net.nir"
    path.write_bytes(export_network(chip, weights, integrators))
    imported = read_back(path)
    assert imported.chip == chip
    assert imported.notes == ()
    for mine, back in zip(weights, imported.weights, strict=True):
        assert back.dtype == np.bool_
        assert (mine == back).all()


@pytest.mark.parametrize("preset", ("digits", "mnist", "nmnist"))
def test_presets_come_back_without_metadata_but_for_what_nir_does_not_say(
    preset: str, tmp_path: Path
) -> None:
    chip = load_chip(preset)
    path = exported(tmp_path, chip)
    graph = graph_of(read_tree(path), path)
    graph.metadata.clear()
    imported = import_graph(graph, path)
    for core, found in zip(chip.layers[:-1], imported.chip.layers, strict=False):
        for key in ("axons", "neurons", "neuron", "threshold", "leak_shift"):
            assert getattr(found, key) == getattr(core, key)
        assert found.reset == "zero"  # all that NIR knows
    for mine, back in zip(weights_of(chip), imported.weights, strict=True):
        assert (mine == back).all()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    chip = small()
    with pytest.raises(ToolError, match=r"^nir is missing: .*'flipcore\[nir\]'"):
        export_network(chip, weights_of(chip))


def test_file_is_hdf5() -> None:
    chip = small()
    assert io.BytesIO(export_network(chip, weights_of(chip))).read(8) == b"\x89HDF\r\n\x1a\n"
