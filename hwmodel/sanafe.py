"""Interchange with SANA-FE: the chip as an architecture file, and a network with its weights, for `sanafe.load_arch` and `sanafe.load_net`.

SANA-FE has no cores that take turns, no clock and no learning: what it gets is the energy of an inference that events cost (synapses, neurons, spikes)
and the time of each event in its phase. Leakage, clock and the prediction stay out. Inputs are a core of their own.
It delivers spikes one step later per layer. `if` neurons are exact, but for potentials beyond their width; of `lif` it does not round the leak.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from flipcore.chip import Chip, Core
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.energy import Energy, EnergyRow

J_PER_PJ = 1e-12
S_PER_US = 1e-6
DRAIN_CYCLES = 3  # T2: per word, to drain, clip and fire
NEVER = 1e9  # a threshold that nothing reaches
HALF = 0.5  # SANA-FE's leaky neurons fire above their threshold, the chip's at it
NEURON_COMPONENTS = ("potential", "total", "fire", "readout")  # the rest of FORWARD is synapses
HOPS = ("north", "east", "south", "west")


def sanafe_files(
    chip: Chip,
    energy: Energy,
    counts: EventCounts,
    weights: Sequence[npt.NDArray[np.bool_]] | None,
) -> dict[str, str]:
    """YAML of the files by name; the network is left out without weights.

    Args:
        chip: the chip.
        energy: of inferences, as `price` gives it.
        counts: the counts that it is of.
        weights: of each core, bool [axons, neurons], set where the weight is +1 (N1).

    Raises:
        InputError: the weights are of another network.
    """
    files = {"sanafe_arch.yaml": _architecture(chip, energy, counts)}
    if weights is not None:
        files["sanafe_network.yaml"] = _network(chip, weights)
    return files


def _architecture(chip: Chip, energy: Energy, counts: EventCounts) -> str:
    cores = [_input_core(chip, energy, counts)]
    cores += [_core(chip, c, energy, counts) for c in range(len(chip.layers))]
    no_cost = {f"{kind}_{hop}_hop": 0.0 for hop in HOPS for kind in ("energy", "latency")}
    document = {
        "architecture": {
            "name": chip.name,
            "attributes": {"link_buffer_size": 16, "width": 1, "height": 1},
            "tile": [{"name": "tile", "attributes": no_cost, "core": cores}],
        }
    }
    return yaml.safe_dump(document, sort_keys=False)


def _mean(energy: Energy, holds: Callable[[EnergyRow], bool], number: int) -> float:
    """Dynamic energy of some rows per event, in J."""
    rows = (row for row in energy.rows if row.cost.what == "dynamic" and holds(row))
    return sum(row.energy_pj.value for row in rows) / max(number, 1) * J_PER_PJ


def _input_core(chip: Chip, energy: Energy, counts: EventCounts) -> dict[str, Any]:
    events = int(counts.per_core("events")[0])
    spike = _mean(energy, lambda row: row.phase == "input", events)
    soma = _soma(f"inputs[0..{chip.inputs - 1}]", "input", 0.0, 0.0, spike, _cycle_s(chip))
    return _core_document("input", chip.inputs, 0.0, 0.0, soma)


def _cycle_s(chip: Chip) -> float:
    return S_PER_US / chip.clock_mhz


def _core(chip: Chip, c: int, energy: Energy, counts: EventCounts) -> dict[str, Any]:
    core = chip.layers[c]

    def in_forward(row: EnergyRow) -> bool:
        return row.phase == "forward" and row.cost.core == c

    def sends(row: EnergyRow) -> bool:  # into the event list of the next core
        own = row.cost.core == c and row.cost.component == "spike_output"
        return row.phase == "spikes" and (own or row.cost.core == c + 1)

    sops = int(counts.per_core("sops")[c])
    updates = core.neurons * chip.steps * counts.samples
    per_synapse = _mean(
        energy,
        lambda row: in_forward(row) and row.cost.component not in NEURON_COMPONENTS,
        sops,
    )
    per_neuron = _mean(
        energy, lambda row: in_forward(row) and row.cost.component in NEURON_COMPONENTS, updates
    )
    per_spike = _mean(energy, sends, int(counts.per_core("spikes")[c]))
    word_s = core.words / core.neurons * _cycle_s(chip)
    model = "truenorth" if _integrates(chip, c) else "leaky_integrate_fire"
    soma = _soma(
        "neurons", model, per_neuron, DRAIN_CYCLES * word_s, per_spike, _cycle_s(chip)
    )  # fmt: skip
    return _core_document(f"core{c}", core.neurons, per_synapse, word_s, soma)


def _integrates(chip: Chip, c: int) -> bool:
    """Whether core c does not leak: an `if` core, and the readout, which only adds up."""
    return chip.layers[c].neuron == "if" or c == len(chip.layers) - 1


def _soma(
    name: str, model: str, update_j: float, update_s: float, spike_j: float, spike_s: float
) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": {
            "model": model,
            "energy_access_neuron": 0.0,
            "latency_access_neuron": 0.0,
            "energy_update_neuron": update_j,
            "latency_update_neuron": update_s,
            "energy_spike_out": spike_j,
            "latency_spike_out": spike_s,
        },
    }


def _core_document(
    name: str, neurons: int, synapse_j: float, synapse_s: float, soma: dict[str, Any]
) -> dict[str, Any]:
    def free(unit: str, action: str, **more: Any) -> dict[str, Any]:
        costs = {f"{kind}_{action}": 0.0 for kind in ("energy", "latency")}
        return {"name": unit, "attributes": {**more, **costs}}

    return {
        "name": name,
        "attributes": {"buffer_position": "soma", "max_neurons_supported": neurons},
        "axon_in": [free("axons", "message_in")],
        "synapse": [
            {
                "name": "synapses",
                "attributes": {
                    "model": "current_based",
                    "energy_process_spike": synapse_j,
                    "latency_process_spike": synapse_s,
                },
            }
        ],
        "dendrite": [free("dendrites", "update", model="accumulator")],
        "soma": [soma],
        "axon_out": [free("out", "message_out")],
    }


def _network(chip: Chip, weights: Sequence[npt.NDArray[np.bool_]]) -> str:
    """The network in flow style where lists are long, one line per layer of weights."""
    if len(weights) != len(chip.layers):
        raise InputError(f"weights of {len(weights)} cores: {chip.name} has {len(chip.layers)}")
    for c, (core, bits) in enumerate(zip(chip.layers, weights, strict=True)):
        if bits.shape != (core.axons, core.neurons):
            raise InputError(
                f"weights of core {c}: {list(bits.shape)}: needs [{core.axons}, {core.neurons}]"
            )
    return "\n".join(_network_lines(chip, weights)) + "\n"


def _network_lines(chip: Chip, weights: Sequence[npt.NDArray[np.bool_]]) -> Iterator[str]:
    yield "network:"
    yield f"  name: {chip.name}"
    yield "  groups:"
    yield "    - name: input"
    yield "      attributes: [log_spikes: true]"
    yield "      neurons:"
    yield f"        - 0..{chip.inputs - 1}: []"
    for c, core in enumerate(chip.layers):
        yield f"    - name: layer{c}"
        attributes = ", ".join(f"{key}: {value}" for key, value in _neuron(chip, c, core))
        yield f"      attributes: [{attributes}]"
        yield "      neurons:"
        yield f"        - 0..{core.neurons - 1}: []"
    yield "  edges:"
    for c, bits in enumerate(weights):
        source = "input" if c == 0 else f"layer{c - 1}"
        signs = ", ".join("1" if bit else "-1" for bit in bits.ravel().tolist())
        yield f"    - {source} -> layer{c}: [type: dense, weight: [{signs}]]"
    yield "mappings:"
    for i in range(chip.inputs):
        yield f"  - input.{i}: [core: 0.0, soma: 'inputs[{i}]']"
    for c, core in enumerate(chip.layers):
        yield f"  - layer{c}.0..{core.neurons - 1}: [core: 0.{c + 1}, soma: neurons]"


def _neuron(chip: Chip, c: int, core: Core) -> Iterator[tuple[str, str]]:
    is_readout = c == len(chip.layers) - 1
    yield "log_potential" if is_readout else "log_spikes", "true"
    yield "reset_mode", "soft" if core.reset == "subtract" else "hard"
    if _integrates(chip, c):
        yield "threshold", f"{NEVER if is_readout else core.threshold:.1f}"
        yield "leak", "0.0"
        yield "reverse_threshold", f"{-NEVER:.1f}"
    else:
        yield "threshold", f"{core.threshold - HALF:.1f}"
        yield "leak_decay", f"{1 - 2**-core.leak_shift}"
        yield "reverse_threshold", f"{-NEVER:.1f}"
        yield "reverse_reset_mode", "none"
