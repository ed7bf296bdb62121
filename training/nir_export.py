"""From a chip and its weights to a NIR graph; docs/NIR.md says what of the chip NIR can say and what it cannot."""

import io
import itertools
import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, Core, chip_document
from flipcore.errors import ToolError
from flipcore.training import nir_dynamics as dynamics

Integrators = Literal["if", "lif"]
Bits = npt.NDArray[np.bool_]


def export_network(chip: Chip, weights: Sequence[Bits], integrators: Integrators = "if") -> bytes:
    """Write a chip's network as a NIR file (HDF5).

    The graph is Input, then Linear and LIF or IF for each core, a last Linear for the readout, Output. Weights are float32 [neurons, axons], -1 or +1;
    parameters float32 [neurons], r = 1, v_leak = v_reset = 0, tau in seconds. The prediction is the output neuron with the largest sum over the steps (N6).

    Args:
        chip: the chip.
        weights: weight bits of each core, bool [axons, neurons].
        integrators: how neurons without leak go out: as IF, or as LIF so slow that nothing leaks, for tools that do not run IF.

    Raises:
        ToolError: the nir package is missing.
    """
    nir = _load_nir()
    nodes = {"input": nir.Input({"input": np.array([chip.inputs])})}
    for c, (core, bits) in enumerate(zip(chip.layers, weights, strict=True)):
        nodes[f"weights_{c}"] = nir.Linear(np.where(bits.T, 1, -1).astype(np.float32))
        if c < len(chip.layers) - 1:
            nodes[f"neurons_{c}"] = _neurons(nir, core, chip.steps, integrators)
    nodes["output"] = nir.Output({"output": np.array([chip.classes])})
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    graph = nir.NIRGraph(nodes, edges, metadata={"flipcore": _metadata(chip)})
    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer.getvalue()


def export_notes(chip: Chip, integrators: Integrators) -> tuple[str, ...]:
    """What another tool has to be told, or does otherwise, in words."""
    notes = []
    hidden = chip.layers[:-1]
    if any(core.reset == "subtract" for core in hidden):
        notes.append(
            "reset: NIR resets to 0; the reset by subtraction is in the metadata alone and must be "
            "set in the other tool"
        )
    leaks = sorted({core.leak_shift for core in hidden if core.neuron == "lif"})
    if leaks:
        largest = (1 << leaks[-1]) - 1
        notes.append(
            "leak: the chip rounds what leaks down to an integer, other tools do not: a potential can "
            f"stand up to {largest} higher on the chip, and spikes differ"
        )
    if integrators == "if" and any(core.neuron == "if" for core in hidden):
        notes.append("neurons: snnTorch 1.0 does not run NIR's IF; --integrators lif suits it")
    for c, core in enumerate(hidden):
        margin = core.threshold - float(dynamics.nir_threshold(core, chip.steps))
        if margin > dynamics.threshold_margin(core, chip.steps):
            notes.append(
                f"core {c}: threshold {core.threshold}: in single precision the closest value below it "
                f"is {margin:g} away: resets by subtraction add up to another potential"
            )
    return tuple(notes)


def _neurons(nir: Any, core: Core, steps: int, integrators: Integrators) -> Any:
    def same(value: float) -> npt.NDArray[np.float32]:
        return np.full(core.neurons, value, np.float32)

    threshold = float(dynamics.nir_threshold(core, steps))
    metadata = {
        "threshold": core.threshold,
        "fires": "potential >= threshold",
        "reset": core.reset,
        "potential_bits": core.potential_bits,
    }
    if core.neuron == "if" and integrators == "if":
        return nir.IF(r=same(1), v_threshold=same(threshold), v_reset=same(0), metadata=metadata)
    shift = dynamics.NO_LEAK_SHIFT
    if core.neuron == "lif":
        shift = metadata["leak_shift"] = core.leak_shift
    return nir.LIF(
        tau=same(dynamics.time_constant(shift, dynamics.STEP_SECONDS)),
        r=same(1),
        v_leak=same(0),
        v_threshold=same(threshold * 2.0**-shift),
        v_reset=same(0),
        metadata=metadata,
    )


def _metadata(chip: Chip) -> dict[str, Any]:
    return {
        "version": version("flipcore"),
        "step_seconds": dynamics.STEP_SECONDS,
        "steps": chip.steps,
        "readout": "sum of the output over the steps; the lowest of the largest is the prediction",
        "chip": json.dumps(chip_document(chip)),
    }


def _load_nir() -> Any:
    try:
        import nir
    except ImportError:
        raise ToolError("nir is missing: install it with `pip install 'flipcore[nir]'`") from None
    return nir
