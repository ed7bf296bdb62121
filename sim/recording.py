"""One sample with all that can be seen of it: phases, spikes, potentials, outputs, flips."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.sim.data import Split
from flipcore.sim.engine import Engine
from flipcore.sim.flip_map import changed_weights
from flipcore.sim.stepper import PhaseRecord, Stepper

UInt8s = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]

_FLIPS = COUNT_NAMES.index("flips")


@dataclass(frozen=True)
class Recording:
    """A sample that went through the chip.

    Attributes:
        index: which one of its split.
        label, prediction: its class, and what the chip took it for; of a sample that was learnt, before its last update.
        input_spikes: uint8 [steps, inputs], 1 where an axon has an event.
        spikes: uint8 [steps, neurons] of each core but the readout.
        potentials: int32 [steps, neurons] of each core but the readout, as stored: after reset and leak (N4).
        outputs: int32 [steps, classes] of the readout (N6).
        flips: int32 [flips, 4]: core, axon, neuron, step, in the order of the updates.
        phases: every phase in its order, with its cycles and counts.
    """

    index: int
    label: int
    prediction: int
    input_spikes: UInt8s
    spikes: tuple[UInt8s, ...]
    potentials: tuple[Int32s, ...]
    outputs: Int32s
    flips: Int32s
    phases: tuple[PhaseRecord, ...]


def copy_engine(engine: Engine) -> Engine:
    """A chip in the same state that learns without changing the first."""
    state = engine.state
    copied = replace(
        state,
        weights=state.weights.copy(),
        momentum=state.momentum.copy(),
        generators=state.generators.copy(),
        second_moment=state.second_moment.copy(),
    )
    return Engine(engine.chip, 0, copied)  # with a state, no seed is drawn from


def record_sample(engine: Engine, split: Split, index: int, *, learn: bool) -> Recording:
    """Run one sample phase by phase and keep what each left; `learn` changes the engine's state as `Engine.train` would.

    Raises:
        IndexError: there is no such sample.
    """
    chip = engine.chip
    last = len(chip.layers) - 1
    label = int(split.labels[index])
    events, offered = _input_events(engine, split, index)
    stepper = Stepper(engine)
    spikes, potentials, outputs = _empty_arrays(chip)
    flips: list[Int32s] = []
    phases = []
    before = engine.state.weights.copy()
    for record in stepper.run(events, offered, label if learn else None):
        phases.append(record)
        c, step = record.core, record.step
        if record.phase == "forward" and c < last:
            potentials[c][step] = stepper.potentials(c)
        elif record.phase == "forward":
            outputs[step] = stepper.outputs()
        elif record.phase == "spikes":
            spikes[c][step, stepper.spikes(c)] = 1
        elif record.phase == "update" and record.counts[_FLIPS]:
            places = np.argwhere(changed_weights(before, engine.state, chip, c))
            flips.append(_flip_rows(c, places, step))
            before[:] = engine.state.weights
    assert stepper.prediction is not None
    input_spikes = np.zeros((chip.steps, chip.inputs), np.uint8)
    for step, axons in enumerate(events):
        input_spikes[step, axons] = 1
    return Recording(
        index=index,
        label=label,
        prediction=stepper.prediction,
        input_spikes=input_spikes,
        spikes=spikes,
        potentials=potentials,
        outputs=outputs,
        flips=np.concatenate(flips) if flips else np.zeros((0, 4), np.int32),
        phases=tuple(phases),
    )


def recording_arrays(recording: Recording) -> dict[str, npt.NDArray[np.integer]]:
    """The sample by name: `label`, `prediction`, `input_spikes`, `outputs`, and `spikes_c`, `potentials_c` of every core c but the readout."""
    arrays: dict[str, npt.NDArray[np.integer]] = {
        "label": np.array(recording.label),
        "prediction": np.array(recording.prediction),
        "input_spikes": recording.input_spikes,
        "outputs": recording.outputs.astype(np.int64),
    }
    for c, (spikes, potentials) in enumerate(
        zip(recording.spikes, recording.potentials, strict=True)
    ):
        arrays[f"spikes_{c}"] = spikes
        arrays[f"potentials_{c}"] = potentials.astype(np.int64)
    return arrays


def _input_events(engine: Engine, split: Split, index: int) -> tuple[list[list[int]], list[int]]:
    """Axons with an event and events offered, for each step of a sample (N2)."""
    events = engine._encode(split.read(np.array([index], np.int64)))
    starts = events.starts
    axons = [events.axons[starts[t] : starts[t + 1]].tolist() for t in range(engine.chip.steps)]
    return axons, events.offered[0].tolist()


def _empty_arrays(chip: Chip) -> tuple[tuple[UInt8s, ...], tuple[Int32s, ...], Int32s]:
    hidden = chip.layers[:-1]
    spikes = tuple(np.zeros((chip.steps, core.neurons), np.uint8) for core in hidden)
    potentials = tuple(np.zeros((chip.steps, core.neurons), np.int32) for core in hidden)
    return spikes, potentials, np.zeros((chip.steps, chip.classes), np.int32)


def _flip_rows(c: int, places: npt.NDArray[np.int64], step: int) -> Int32s:
    """Core, axon, neuron and step of the flips at these places, [n, 2]."""
    rows = np.empty((len(places), 4), np.int32)
    rows[:, 0] = c
    rows[:, 1:3] = places
    rows[:, 3] = step
    return rows
