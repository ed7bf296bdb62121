"""From a NIR graph to a chip and its weights: what NIR says is taken from the graph, the rest from flipcore's metadata where it is there."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, apply_change, chip_document, parse_chip
from flipcore.errors import InputError
from flipcore.training import nir_dynamics as dynamics
from flipcore.training.nir_file import Graph, Numbers, Tree, is_numbers, read_graph
from flipcore.training.nir_layers import Layer, Weights, find_layers, per_neuron

METADATA = "flipcore"  # flipcore's part of a graph's metadata
MIN_POTENTIAL_BITS, MAX_POTENTIAL_BITS = 4, 24  # S4
LARGEST_THRESHOLD = (1 << (MAX_POTENTIAL_BITS - 1)) - 1  # S4


@dataclass(frozen=True)
class ImportedNetwork:
    """A chip with its weights.

    Attributes:
        chip: the description.
        weights: weight bits of each core, bool [axons, neurons].
        notes: what was decided that the file does not say.
    """

    chip: Chip
    weights: tuple[npt.NDArray[np.bool_], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Neurons:
    """What a graph says of the neurons of a core, as chip parameters; `leak_shift` is None without a leak."""

    neuron: str
    threshold: int
    leak_shift: int | None


def import_network(
    path: Path, changes: Sequence[str] = (), step_seconds: float | None = None
) -> ImportedNetwork:
    """Read a NIR file as a chip; what the arguments mean stands at `import_graph`.

    Raises:
        InputError: the file cannot be read, or its network fits no chip.
        ToolError: h5py is missing.
    """
    return import_graph(read_graph(path), path, changes, step_seconds)


def import_graph(
    graph: Graph, path: Path, changes: Sequence[str] = (), step_seconds: float | None = None
) -> ImportedNetwork:
    """Make a chip of a graph.

    Args:
        graph: the graph.
        path: its file, which names it in errors, and the chip where no metadata do.
        changes: changes of the chip description such as `steps=8`.
        step_seconds: NIR's dt; by default the metadata's, or 0.0001.

    Raises:
        InputError: the network fits no chip: names the node, the value and the reason.
    """
    source = str(path)
    layers = find_layers(graph, source)
    metadata = graph.metadata.get(METADATA)
    told = metadata if isinstance(metadata, dict) else {}
    step = _step_seconds(told, source) if step_seconds is None else step_seconds
    neurons = [_neurons(layer, step, source) for layer in layers if layer.neurons]
    _check_readout(layers[-1].weights, source)
    notes: list[str] = []
    document = _told_document(told, layers, notes, source)
    is_plain = document is None
    if document is None:
        document = _plain_document(path, layers)
    _apply_neurons(document, neurons, layers, notes)
    for change in changes:
        apply_change(document, change)
    chip = parse_chip(document, source)
    if is_plain and not any("potential_bits" in change for change in changes):
        chip = _fit_potentials(chip, source)
    weights = tuple(layer.weights.bits for layer in layers)
    return ImportedNetwork(chip, weights, tuple(notes))


def _step_seconds(told: Tree, source: str) -> float:
    value = told.get("step_seconds")
    if value is None:
        return dynamics.STEP_SECONDS
    if not is_numbers(value) or value.size != 1 or value.item() <= 0:
        raise InputError(f"{source}: metadata.{METADATA}.step_seconds: must be a positive number")
    return float(value.item())


def _neurons(layer: Layer, step_seconds: float, source: str) -> _Neurons:
    """What a neuron node is on a chip: threshold and leak, the same for all neurons of the layer."""
    assert layer.neurons is not None
    label, node = layer.neurons
    size = len(layer.weights.scale)

    def parameter(key: str, default: float | None = None) -> Numbers:
        return per_neuron(node, label, key, size, source, default)

    for key in ("v_leak", "v_reset"):
        value = parameter(key, 0.0 if key == "v_reset" or node.type == "IF" else None)
        if value.any():
            raise InputError(
                f"{source}: {label}: {key}={value[np.abs(value).argmax()]:.6g}: must be 0, where a "
                "chip's potentials rest and are reset to"
            )
    gain = parameter("r")
    if (gain <= 0).any():
        raise InputError(f"{source}: {label}: r={gain.min():.6g}: must be above 0")
    leak_shift = None
    if node.type == "LIF":
        tau = _time_constant(parameter("tau"), label, source)
        leak_shift = _leak_shift(tau, step_seconds, label, source)
        gain = gain * (step_seconds / tau)
    with np.errstate(over="ignore", divide="ignore"):
        ratios = parameter("v_threshold") / (layer.weights.scale * gain)
    return _Neurons(
        "if" if leak_shift is None else "lif", _threshold(ratios, label, source), leak_shift
    )


def _time_constant(tau: Numbers, label: str, source: str) -> float:
    lowest, highest = float(tau.min()), float(tau.max())
    if lowest <= 0 or highest > lowest * (1 + dynamics.RELATIVE_ERROR):
        raise InputError(
            f"{source}: {label}: tau: {lowest:.6g} to {highest:.6g} s: must be above 0 and the same "
            "for all neurons of a core"
        )
    return lowest


def _leak_shift(tau: float, step_seconds: float, label: str, source: str) -> int | None:
    leak = step_seconds / tau
    if dynamics.is_leakless(leak):
        return None
    shift = dynamics.nearest_leak_shift(leak)
    if not dynamics.is_power_leak(leak, shift):
        raise InputError(
            f"{source}: {label}: tau={tau:.6g} s: leaks {leak:.6g} a step of {step_seconds:g} s "
            f"(--step-seconds); a chip leaks 1/2**k, k of 1 to {dynamics.MAX_LEAK_SHIFT}: the nearest "
            f"is k = {shift}, tau={dynamics.time_constant(shift, step_seconds):.6g} s"
        )
    return shift


def _threshold(ratios: Numbers, label: str, source: str) -> int:
    """Threshold of a core from NIR's thresholds of its neurons, in units of their weights."""
    lowest, highest = float(ratios.min()), float(ratios.max())
    if not 0 <= lowest <= highest < LARGEST_THRESHOLD:
        worst = lowest if lowest < 0 else highest
        raise InputError(
            f"{source}: {label}: v_threshold: {worst:.6g} in units of the weights: a chip's is 0 to "
            f"{LARGEST_THRESHOLD - 1}"
        )
    least, most = dynamics.smallest_firing(lowest), dynamics.smallest_firing(highest)
    if least != most:
        raise InputError(
            f"{source}: {label}: v_threshold: from {lowest:.6g} to {highest:.6g} in units of the "
            "weights: the neurons of a core share one threshold"
        )
    return least


def _check_readout(weights: Weights, source: str) -> None:
    scale = weights.scale
    if scale.max() > scale.min() * (1 + dynamics.RELATIVE_ERROR):
        raise InputError(
            f"{source}: {weights.name}: weight: magnitudes from {scale.min():.6g} to {scale.max():.6g}"
            ": the readout compares its neurons, so that all must have the same"
        )


def _told_document(
    told: Tree, layers: tuple[Layer, ...], notes: list[str], source: str
) -> dict[str, Any] | None:
    """The chip description in flipcore's metadata, if it is there and of a network of this size."""
    text = told.get("chip")
    if not isinstance(text, str):
        return None
    place = f"{source}: metadata.{METADATA}.chip"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{place}: not JSON") from None
    chip = parse_chip(document, place)
    described = [chip.inputs, *(core.neurons for core in chip.layers)]
    found = [layers[0].weights.bits.shape[0], *(layer.weights.bits.shape[1] for layer in layers)]
    if described != found:
        notes.append(
            f"the metadata describe a chip of {_sizes(described)}, the graph is {_sizes(found)}: "
            "metadata not used"
        )
        return None
    assert isinstance(document, dict)
    return document


def _sizes(sizes: Iterable[int]) -> str:
    return "-".join(map(str, sizes))


def _plain_document(path: Path, layers: tuple[Layer, ...]) -> dict[str, Any]:
    """A description with the network alone; the rest are the defaults of a chip. NIR resets to v_reset, here 0."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-")[:100]
    return {
        "name": name or "network",
        "inputs": layers[0].weights.bits.shape[0],
        "core": {"reset": "zero", "potential_bits": MAX_POTENTIAL_BITS},
        "layers": [{"neurons": layer.weights.bits.shape[1]} for layer in layers],
    }


def _apply_neurons(
    document: dict[str, Any],
    neurons: list[_Neurons],
    layers: tuple[Layer, ...],
    notes: list[str],
) -> None:
    """Give a description what the graph says of its neurons; noted where metadata say otherwise."""
    shared = document.get("core", {})
    for entry, found, layer in zip(document["layers"], neurons, layers, strict=False):
        assert layer.neurons is not None
        values = {"neuron": found.neuron, "threshold": found.threshold}
        if found.leak_shift is not None:
            values["leak_shift"] = found.leak_shift
        for key, value in values.items():
            told = entry.get(key, shared.get(key))
            if told is not None and told != value:
                notes.append(
                    f"{layer.neurons[0]}: {key} {value} of the graph, not {told} of the metadata"
                )
            if told != value:
                entry[key] = value


def _fit_potentials(chip: Chip, source: str) -> Chip:
    """The chip with potentials so wide that nothing can fill them: NIR's have no end. All axons can be active in all steps."""
    document = chip_document(chip)
    document["core"].pop("potential_bits", None)
    for entry, core in zip(document["layers"], chip.layers, strict=True):
        reach = max(core.axons * chip.steps, core.threshold)
        entry["potential_bits"] = max(reach.bit_length() + 1, MIN_POTENTIAL_BITS)
    return parse_chip(document, source)
