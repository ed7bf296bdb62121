"""A few samples of a finished run phase by phase: when each core works and waits, what spikes and what flips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import CYCLE_NAMES, EventCounts
from flipcore.sim.recording import Recording, copy_engine, record_sample
from flipcore.sim.run import Run

# Of each side, so that a trace stays a few megabytes, and some tens for the longest and deepest chips.
MAX_SAMPLES = 64
MAX_CORE_STEPS = 1 << 14  # steps of all cores and samples together

SideName = Literal["training", "inference"]
Summary = dict[str, Any]

FLIP_COLUMNS = ("core", "axon", "neuron", "sample", "step")


@dataclass(frozen=True)
class Side:
    """Samples that the chip learnt, or classified, one after the other.

    Attributes:
        name: which of the two.
        recordings: the samples in their order.
    """

    name: SideName
    recordings: tuple[Recording, ...]

    def counts(self, num_cores: int) -> EventCounts:
        """Event counts of all samples, as the engine counts them."""
        counts = EventCounts.zeros(num_cores)
        counts.samples = len(self.recordings)
        for recording in self.recordings:
            for record in recording.phases:
                counts.cores[record.core] += record.counts
        return counts


@dataclass(frozen=True)
class Timeline:
    """What a chip does with a few samples after a run; each side begins with the chip as the run left it.

    Attributes:
        chip: what it ran on.
        dataset, seed, epochs: of the run.
        sides: training (not of a run that only classified), inference.
    """

    chip: Chip
    dataset: str
    seed: int
    epochs: int
    sides: tuple[Side, ...]


def check_samples(run: Run, num_samples: int) -> None:
    """Refuse a number of samples that a trace of this run cannot have.

    Raises:
        InputError: it is not 1 ... MAX_SAMPLES, or less where the chip is long and deep, or a split has fewer.
    """
    steps, num_cores = run.chip.steps, len(run.chip.layers)
    most = min(MAX_SAMPLES, MAX_CORE_STEPS // (steps * num_cores))
    if not 1 <= num_samples <= most:
        why = f" with {steps} steps and {num_cores} layers" if most < MAX_SAMPLES else ""
        raise InputError(f"--trace-samples {num_samples}: must be 1 ... {most}{why}")
    splits = {"test": run.dataset.test}
    if _learns(run):
        splits["training"] = run.dataset.train
    for name, split in splits.items():
        if num_samples > len(split):
            raise InputError(
                f"--trace-samples {num_samples}: {run.dataset.name} has {len(split)} {name} samples"
            )


def trace_run(run: Run, num_samples: int) -> Timeline:
    """Learn the first samples of the run's next epoch and classify the first test samples, on copies of the chip: the run goes on as if nothing had been.

    Raises:
        InputError: it cannot be that many samples.
    """
    check_samples(run, num_samples)
    sides = []
    if _learns(run):
        order = draws.sample_order(run.settings.seed, run.progress.epoch, len(run.dataset.train))
        sides.append(_side(run, "training", order[:num_samples].tolist()))
    sides.append(_side(run, "inference", range(num_samples)))
    return Timeline(
        chip=run.chip,
        dataset=run.settings.dataset,
        seed=run.settings.seed,
        epochs=run.progress.epoch,
        sides=tuple(sides),
    )


def _learns(run: Run) -> bool:
    return run.settings.epochs > 0


def _side(run: Run, name: SideName, indices: Sequence[int]) -> Side:
    learn = name == "training"
    split = run.dataset.train if learn else run.dataset.test
    engine = copy_engine(run.engine)
    return Side(name, tuple(record_sample(engine, split, index, learn=learn) for index in indices))


def summarise(timeline: Timeline) -> Summary:
    """What each core does with its time, for JSON: by side its cycles, and per core those by phase, busy, waiting, and the busy share.

    One phase runs at a time over the whole chip (SPEC section 5): a core waits whenever another one works.
    """
    summary: Summary = {}
    for side in timeline.sides:
        counts = side.counts(len(timeline.chip.layers))
        cycles = counts.cycles
        cores = []
        for c in range(len(timeline.chip.layers)):
            by_phase = {
                name.removesuffix("_cycles"): int(counts.per_core(name)[c]) for name in CYCLE_NAMES
            }
            busy = sum(by_phase.values())
            cores.append(
                {
                    "busy_cycles": busy,
                    "waiting_cycles": cycles - busy,
                    "busy_share": busy / cycles,
                    "cycles_by_phase": by_phase,
                }
            )
        right = sum(recording.prediction == recording.label for recording in side.recordings)
        summary[side.name] = {
            "samples": counts.samples,
            "right": right,
            "cycles": cycles,
            "duration_us": cycles / timeline.chip.clock_mhz,
            "flips": counts.total("flips"),
            "cores": cores,
        }
    return summary


def trace_arrays(timeline: Timeline) -> dict[str, npt.NDArray[Any]]:
    """Everything that was recorded, by name; a side's names begin with its own.

    `SIDE_samples` int64 [samples], which of the split; `SIDE_labels` and `SIDE_predictions` int64 [samples]; `SIDE_input_spikes` uint8 [samples, steps, inputs];
    of every core c but the readout `SIDE_spikes_c` uint8 and `SIDE_potentials_c` int32 [samples, steps, neurons]; `SIDE_outputs` int32 [samples, steps, classes];
    `flips` int32 [flips, 5] of the training samples, columns as `flip_columns` names them, sample counted from 0.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    flips = [np.zeros((0, len(FLIP_COLUMNS)), np.int32)]
    for side in timeline.sides:
        recordings = side.recordings
        by_name = {
            "samples": np.array([recording.index for recording in recordings]),
            "labels": np.array([recording.label for recording in recordings]),
            "predictions": np.array([recording.prediction for recording in recordings]),
            "input_spikes": np.stack([recording.input_spikes for recording in recordings]),
            "outputs": np.stack([recording.outputs for recording in recordings]),
        }
        for c in range(len(timeline.chip.layers) - 1):
            by_name[f"spikes_{c}"] = np.stack([one.spikes[c] for one in recordings])
            by_name[f"potentials_{c}"] = np.stack([one.potentials[c] for one in recordings])
        arrays |= {f"{side.name}_{name}": array for name, array in by_name.items()}
        flips += [
            np.insert(recording.flips, 3, sample, axis=1)
            for sample, recording in enumerate(recordings)
        ]
    arrays["flips"] = np.concatenate(flips)
    arrays["flip_columns"] = np.array(FLIP_COLUMNS)
    return arrays
