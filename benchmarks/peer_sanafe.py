"""The other peer of the speed benchmark: the inference job on SANA-FE, one group of neurons on each of three cores.

Inputs are its `input` units, one per axon; neurons its `truenorth` units, which fire at V >= threshold and subtract it, as the chip does (N4).
Its spikes reach the next layer one step later, so that the job needs two steps more than the chip takes.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sanafe
import yaml

INPUT, HIDDEN, READOUT = "input", "hidden", "readout"
LAYERS_BEHIND = 2  # steps that the last input spikes take to the readout
NEVER = 1e9  # a threshold that nothing reaches
COST = 1e-9  # of any action: the figures mean nothing here, but it computes with them


def _unit(name: str, model: str, *actions: str) -> dict[str, Any]:
    costs = {f"{kind}_{action}": COST for action in actions for kind in ("energy", "latency")}
    return {"name": name, "attributes": {"model": model, **costs}}


def _architecture(num_inputs: int) -> dict[str, Any]:
    soma = ("access_neuron", "update_neuron", "spike_out")
    hops = [f"{direction}_hop" for direction in ("north", "east", "south", "west")]
    core = {
        "name": "core[0..2]",
        "attributes": {"buffer_position": "soma", "max_neurons_supported": 1024},
        "axon_in": [{"name": "axons", "attributes": {"energy_message_in": COST, "latency_message_in": COST}}],
        "synapse": [_unit("synapses", "current_based", "process_spike")],
        "dendrite": [_unit("dendrites", "accumulator", "update")],
        "soma": [_unit("neurons", "truenorth", *soma), _unit(f"inputs[0..{num_inputs - 1}]", "input", *soma)],
        "axon_out": [{"name": "out", "attributes": {"energy_message_out": COST, "latency_message_out": COST}}],
    }  # fmt: skip
    tile = {
        "name": "tile",
        "attributes": {f"{kind}_{hop}": COST for hop in hops for kind in ("energy", "latency")},
        "core": [core],
    }
    attributes = {"link_buffer_size": 16, "width": 1, "height": 1}
    return {"architecture": {"name": "peer", "attributes": attributes, "tile": [tile]}}


@contextmanager
def _silence() -> Iterator[None]:
    """Its C++ writes a line for every call to standard output; thousands of them."""
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class SanaFe:
    """A network with given weights [axons, neurons] of two layers on SANA-FE."""

    def __init__(self, weights: list[npt.NDArray[np.float64]], threshold: float) -> None:
        """Build and map it."""
        num_inputs = len(weights[0])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "architecture.yaml"
            path.write_text(yaml.safe_dump(_architecture(num_inputs)))
            architecture = sanafe.load_arch(str(path))
        network = sanafe.Network()
        inputs = network.create_neuron_group(INPUT, num_inputs)
        for i in range(num_inputs):
            inputs[i].set_attributes(soma_hw_name=f"inputs[{i}]", log_spikes=True)
        neuron = {"reset_mode": "soft", "leak": 0.0, "reverse_threshold": -NEVER}
        hidden = network.create_neuron_group(
            HIDDEN, len(weights[1]), {**neuron, "threshold": float(threshold)},
            soma_hw_name="neurons", log_spikes=True,
        )  # fmt: skip
        readout = network.create_neuron_group(
            READOUT, weights[1].shape[1], {**neuron, "threshold": NEVER},
            soma_hw_name="neurons", log_potential=True,
        )  # fmt: skip
        inputs.connect_neurons_dense(hidden, {"w": weights[0].flatten()})
        hidden.connect_neurons_dense(readout, {"w": weights[1].flatten()})
        for group, core in zip((inputs, hidden, readout), architecture.cores(), strict=True):
            group.map_to_core(core)
        self._chip = sanafe.SpikingChip(architecture)
        self._chip.load(network)
        self._inputs = self._chip.mapped_neuron_groups[INPUT]

    def give(self, spikes: npt.NDArray[np.bool_]) -> None:
        """Forget the sample before, and take the spikes of the next, bool [steps, axons]."""
        self._chip.reset()
        for neuron, train in zip(self._inputs, spikes.T.tolist(), strict=True):
            neuron.set_attributes(model_attributes={"spikes": train})

    def run(self, steps: int, timing: str, *, trace: bool = False) -> dict[str, Any]:
        """Simulate until the last input spike has reached the readout, on one thread, with energy and latency."""
        with _silence():
            result: dict[str, Any] = self._chip.sim(
                steps + LAYERS_BEHIND, timing_model=timing, processing_threads=1,
                spike_trace=True if trace else None, potential_trace=True if trace else None,
            )  # fmt: skip
        return result


def readout_and_spikes(result: dict[str, Any], steps: int) -> tuple[list[int], int]:
    """Potentials of the readout at the end of a traced run, and the hidden spikes that it could see."""
    totals = [round(value) for value in result["potential_trace"][-1]]
    seen = result["spike_trace"][1 : steps + 1]  # the hidden layer is one step behind the input
    return totals, sum(address.group_name == HIDDEN for step in seen for address in step)
