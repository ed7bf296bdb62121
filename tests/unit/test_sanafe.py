"""The chip and its network for SANA-FE: the files by themselves, and in SANA-FE, where it is installed."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from flipcore.chip import Chip, load_chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.sanafe import sanafe_files
from flipcore.hwmodel.technology import load_technology
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import weight_bits
from tests.technologies import write_technology

RATE = 0.2
Spikes = npt.NDArray[np.bool_]


def classified(chip: Chip) -> tuple[Engine, Spikes, EventCounts]:
    """One sample of random events on a chip with the weights of seed 0: its spikes [steps, axons] and counts."""
    engine = Engine(chip, 0)
    spikes = np.random.default_rng(0).random((1, chip.steps, chip.inputs)) < RATE
    records = Records(
        np.empty((1, 0), np.uint8),
        np.packbits(spikes, axis=2, bitorder="little"),
        np.zeros((1, chip.steps), np.int32),
    )
    counts = EventCounts.zeros(len(chip.layers))
    engine.infer(records, counts, num_threads=1)
    return engine, spikes[0], counts


def weights_of(engine: Engine, chip: Chip) -> list[npt.NDArray[np.bool_]]:
    return [weight_bits(engine.state, chip, c).astype(np.bool_) for c in range(len(chip.layers))]


def files_of(chip: Chip, folder: Path) -> tuple[dict[str, str], Spikes, EventCounts, float]:
    """The files, and the dynamic energy of FORWARD, SPIKES and INPUT that they must account for."""
    engine, spikes, counts = classified(chip)
    energy = price(chip, counts, load_technology(str(write_technology(folder))))
    dynamic_pj = sum(
        row.energy_pj.value
        for row in energy.rows
        if row.cost.what == "dynamic" and row.phase in ("input", "forward", "spikes")
    )
    files = sanafe_files(chip, energy, counts, weights_of(engine, chip))
    return files, spikes, counts, dynamic_pj


def test_energies_of_events_are_those_of_the_price(tmp_path: Path) -> None:
    chip = load_chip("digits")
    files, _, counts, dynamic_pj = files_of(chip, tmp_path)
    document = yaml.safe_load(files["sanafe_arch.yaml"])["architecture"]
    (tile,) = document["tile"]
    inputs, *cores = tile["core"]
    assert [core["name"] for core in cores] == ["core0", "core1"]
    spent = inputs["soma"][0]["attributes"]["energy_spike_out"] * counts.per_core("events")[0]
    for c, (core, layer) in enumerate(zip(cores, chip.layers, strict=True)):
        soma = core["soma"][0]["attributes"]
        synapse = core["synapse"][0]["attributes"]
        assert core["attributes"]["max_neurons_supported"] == layer.neurons
        spent += synapse["energy_process_spike"] * counts.per_core("sops")[c]
        spent += soma["energy_update_neuron"] * layer.neurons * chip.steps
        spent += soma["energy_spike_out"] * counts.per_core("spikes")[c]
        # A word of 16 synapses is read in a cycle of 10 ns.
        assert synapse["latency_process_spike"] == pytest.approx(
            10e-9 * layer.words / layer.neurons
        )
    assert spent == pytest.approx(dynamic_pj * 1e-12)


def test_a_network_holds_every_weight(tmp_path: Path) -> None:
    chip = parse_chip({"name": "x", "inputs": 3, "layers": [{"neurons": 2}, {"neurons": 2}]}, "x")
    files, _, _, _ = files_of(chip, tmp_path)
    network = yaml.safe_load(files["sanafe_network.yaml"])
    first, second = network["network"]["edges"]
    weights = weights_of(Engine(chip, 0), chip)
    (entries,) = first.values()
    assert entries[1]["weight"] == [1 if bit else -1 for bit in weights[0].ravel()]
    assert list(second) == ["layer0 -> layer1"]
    assert {key for row in network["mappings"] for key in row} == {
        "input.0", "input.1", "input.2", "layer0.0..1", "layer1.0..1",
    }  # fmt: skip


def test_without_weights_there_is_no_network(tmp_path: Path) -> None:
    chip = load_chip("digits")
    _, _, counts = classified(chip)
    energy = price(chip, counts, load_technology(str(write_technology(tmp_path))))
    assert list(sanafe_files(chip, energy, counts, None)) == ["sanafe_arch.yaml"]
    with pytest.raises(InputError, match="weights of 1 cores: digits has 2"):
        sanafe_files(chip, energy, counts, [np.zeros((64, 256), np.bool_)])
    with pytest.raises(InputError, match=r"weights of core 1: \[10, 256\]: needs \[256, 10\]"):
        wrong = [np.zeros((64, 256), np.bool_), np.zeros((10, 256), np.bool_)]
        sanafe_files(chip, energy, counts, wrong)


@pytest.mark.parametrize(
    ("preset", "changes", "tolerance"),
    [
        ("mnist", ["layers.0.neurons=64"], 0.0),
        ("digits", ["core.neuron=if", "core.reset=zero"], 0.0),
        # Leaks are not rounded there: some spikes come earlier or later.
        ("digits", [], 0.05),
    ],
)
def test_sana_fe_counts_the_same_sops(
    tmp_path: Path, preset: str, changes: list[str], tolerance: float
) -> None:
    sanafe = pytest.importorskip("sanafe", reason="the PyPI package `sanafe` is not installed")
    chip = load_chip(preset, changes)
    files, spikes, counts, dynamic_pj = files_of(chip, tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    architecture = sanafe.load_arch(str(tmp_path / "sanafe_arch.yaml"))
    network = sanafe.load_net(str(tmp_path / "sanafe_network.yaml"), architecture)
    peer = sanafe.SpikingChip(architecture)
    peer.load(network)
    inputs = peer.mapped_neuron_groups["input"]
    for neuron, train in zip(inputs, spikes.T.tolist(), strict=True):
        neuron.set_attributes(model_attributes={"spikes": train})
    # The spikes of the hidden layer arrive a step later than on the chip.
    result = peer.sim(chip.steps + 1, timing_model="simple", processing_threads=1)
    assert result["spikes"] == pytest.approx(counts.total("sops"), rel=tolerance)
    # The readout is updated once less: the first step brings it nothing there.
    assert result["energy"]["total"] == pytest.approx(dynamic_pj * 1e-12, rel=0.003 + tolerance)
