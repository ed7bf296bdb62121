"""The inference job of the speed benchmarks: 784-512-10 with random weights, random input at a fixed rate, everything counted."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore.chip import load_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import weight_bits

STEPS = 8
RATE = 0.15
SAMPLES = 4000


def cpu_rate(samples: int, work: Callable[[], object]) -> float:
    """Samples per processor second of this process, all its threads together."""
    started = time.process_time()
    work()
    return samples / (time.process_time() - started)


@dataclass(frozen=True)
class InferenceJob:
    """What both sides compute.

    Attributes:
        engine: the chip of the mnist preset, with the initial weights of seed 0.
        spikes: bool [samples, steps, axons].
        weights: -1 and +1, float [axons, neurons] of each layer.
        threshold: of the hidden neurons, which integrate and fire without leak.
    """

    engine: Engine
    records: Records
    spikes: npt.NDArray[np.bool_]
    weights: list[npt.NDArray[np.float64]]
    threshold: int

    def infer(self) -> npt.NDArray[np.int32]:
        """Classify every sample on one thread, cycles and events counted."""
        counts = EventCounts.zeros(len(self.weights))
        return self.engine.infer(self.records, counts, num_threads=1)

    def totals(self, sample: int) -> tuple[list[int], int]:
        """Totals of the readout for one sample, and the spikes of the hidden layer."""
        counts = EventCounts.zeros(len(self.weights))
        records = self.records
        one = slice(sample, sample + 1)
        record = Records(records.pixels[one], records.bitmaps[one], records.merged[one])
        self.engine.infer(record, counts, num_threads=1)
        return self.engine._scratch.totals.tolist(), counts.total("spikes")


def make_job() -> InferenceJob:
    """Draw the input and compile the loops."""
    chip = load_chip("mnist", [f"steps={STEPS}"])
    engine = Engine(chip, 0)
    shape = (SAMPLES, STEPS, chip.inputs)
    spikes = np.random.default_rng(0).random(shape) < RATE
    records = Records(
        np.empty((SAMPLES, 0), np.uint8),
        np.packbits(spikes, axis=2, bitorder="little"),
        np.zeros(shape[:2], np.int32),
    )
    weights = [2.0 * weight_bits(engine.state, chip, c) - 1 for c in range(len(chip.layers))]
    job = InferenceJob(engine, records, spikes, weights, chip.layers[0].threshold)
    job.infer()
    return job
