"""Where the simulator's time goes, phase by phase, and how far that is from what this processor can do.

The loops of a sample are run up to one phase, then up to the next; differences are the phases' times. Learning: samples of the first epoch of the mnist preset
(`--samples`, from `--skip` on); inference: the job of the speed benchmarks. One processor, one thread. Limits are counts times measured rates: docs/BENCHMARKS.md.
Run: python -m benchmarks.phases
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from benchmarks.inference_job import RATE, STEPS, make_job
from flipcore import draws, numerics
from flipcore.chip import load_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Records, load_dataset
from flipcore.sim.engine import Engine
from flipcore.sim.forward import forward, predict, read_out, take_input
from flipcore.sim.learning import list_live_words, make_error, trace, update

PHASES = ("input", "forward", "readout", "trace", "error", "update output", "update hidden")
FORWARD_PHASES = 3  # the first ones are those of inference
CHUNK = 256
MOMENTUM_BYTES = 1  # of 8 bits
OPERATE_TIMES = 400_000

# The fewest operations that one lane, one bit or one neuron needs, on the narrowest lanes that hold the numbers (counted by hand from SPEC N3, N4, N9-N12).
LEARN_OPS = (
    24  # g, noise, q, m, clip, flip test, reset, counts, with loads and the store; 16-bit lanes
)
ADD_OPS = 5  # a full adder for every two rows, carries included: 5 a row; 64-bit lanes
FIRE_OPS = 14  # N3, N4 of a neuron; 16-bit lanes
PLANE_OPS = 3  # of each bit of the sum of a neuron; 16-bit lanes

Int64s = npt.NDArray[np.int64]


@numba.njit(nogil=True, _nrt=False)  # type: ignore[untyped-decorator, call-overload]
def _run_up_to(
    phase, learn, cores, positions, state, scratch, events, starts, offered, labels, rule, counts
):  # type: ignore[no-untyped-def]  # fmt: skip
    """`kernels.run_samples` without decay and schedule, cut off after a phase."""
    last = len(cores) - 1
    num_steps = offered.shape[1]
    for sample in range(len(offered)):
        for t in range(num_steps):
            k = sample * num_steps + t
            axons = events[starts[k] : starts[k + 1]]
            take_input(axons, offered[sample, t], learn and t == 0, scratch, counts)
            if phase >= 1:
                for c in range(last):
                    forward(c, cores, state[0], positions, scratch, t == 0, counts)
            if phase >= 2:
                read_out(cores, state[0], positions, scratch, t == 0, counts)
            if phase >= 3:
                for c in range(last + 1):
                    trace(c, cores, scratch, t == 0, counts)
            if phase >= 4:
                num_live = make_error(cores, positions, scratch, labels[sample], rule, counts)
            for c in range(last, -1, -1):
                if phase >= 5 and (c == last or phase >= 6):
                    if c < last:
                        num_live = list_live_words(cores[c], scratch)
                    shift, threshold = cores[c].gradient_shift, cores[c].flip_threshold
                    update(c, cores, state, positions, scratch, num_live, shift, threshold, counts)
        predict(cores, scratch, counts)


@dataclass(frozen=True)
class Measured:
    """Microseconds a sample by phase, the counts of the samples, and the chip's lanes."""

    times: dict[str, float]
    counts: EventCounts
    engine: Engine

    def total(self, name: str) -> float:
        """A count, all cores together, of one sample."""
        return self.counts.total(name) / self.counts.samples


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """Median processor time of one call."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


def _state(engine: Engine) -> tuple[Any, Any, Any]:
    return engine.state.weights, engine.state.momentum, engine.state.generators


def _measure(
    engine: Engine, records: list[Records], labels: list[npt.NDArray[np.int32]], learn: bool, rounds: int
) -> Measured:  # fmt: skip
    """Time the phases of these samples, each run from the same state: what is learnt changes how much there is to learn."""
    encoded = [engine._encode(record) for record in records]
    saved = [array.copy() for array in _state(engine)]
    counts = EventCounts.zeros(len(engine.chip.layers))
    counts.samples = sum(len(part.offered) for part in encoded)

    def run(phase: int) -> float:
        for array, value in zip(_state(engine), saved, strict=True):
            array[...] = value
        counts.cores[...] = 0
        started = time.process_time()
        for part, part_labels in zip(encoded, labels, strict=True):
            _run_up_to(
                phase, learn, engine._cores, engine._positions, _state(engine), engine._scratch,
                part.axons, part.starts, part.offered, part_labels, engine._rule, counts.cores,
            )  # fmt: skip
        return time.process_time() - started

    names = PHASES if learn else PHASES[:FORWARD_PHASES]
    for phase in range(len(names)):
        run(phase)  # compiles
    table = [[run(phase) for phase in range(len(names))] for _ in range(rounds)]
    medians = [0.0, *(statistics.median(column) for column in zip(*table, strict=True))]
    seconds = {"encode": _seconds(lambda: [engine._encode(record) for record in records], rounds)}
    for k, name in enumerate(names):
        seconds[name] = medians[k + 1] - medians[k]
    times = {name: value / counts.samples * 1e6 for name, value in seconds.items()}
    return Measured(times, counts, engine)


def measure_learning(skip: int, samples: int, rounds: int) -> Measured:
    """Phases of learning, some way into the first epoch."""
    chip = load_chip("mnist")
    split = load_dataset("mnist", num_steps=chip.steps).train
    order = draws.sample_order(0, 0, len(split))[: skip + samples]
    engine = Engine(chip, 0)
    for first in range(0, skip, CHUNK):
        chunk = order[first : min(first + CHUNK, skip)]
        engine.train(split.read(chunk), split.labels[chunk], EventCounts.zeros(2))
    chunks = np.split(order[skip:], range(CHUNK, samples, CHUNK))
    labels = [split.labels[chunk] for chunk in chunks]
    return _measure(engine, [split.read(chunk) for chunk in chunks], labels, True, rounds)


def measure_inference(rounds: int) -> Measured:
    """Phases of the inference job."""
    job = make_job()
    labels = [np.zeros(len(job.spikes), np.int32)]
    return _measure(job.engine, [job.records], labels, False, rounds)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _stream(source, target, repeats):  # type: ignore[no-untyped-def]
    """Add the source to the target, over and over: two loads and a store."""
    for _ in range(repeats):
        for i in range(len(source)):
            target[i] += source[i]


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _operate(values, a, b, repeats):  # type: ignore[no-untyped-def]
    """Eight operations for every load and store."""
    for _ in range(repeats):
        for i in range(len(values)):
            v = values[i]
            v = (((v + a) ^ b) - a) & b
            values[i] = (((v ^ a) + b) ^ a) - b


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _draw(state, repeats):  # type: ignore[no-untyped-def]
    """Step the shared generator: each step needs the one before."""
    for _ in range(repeats):
        state = numerics.xorshift32(state)
    return state


def machine_rates(rounds: int) -> dict[str, float]:
    """Bytes, lane operations and generator steps a second, measured on this processor."""
    rates = {}
    for name, kib in (("L1", 16), ("L2", 384)):
        source = np.ones(kib * 1024 // 16, np.int64)
        target = source.copy()
        repeats = (1 << 18) // kib
        _stream(source, target, 1)
        seconds = _seconds(lambda s=source, t=target, r=repeats: _stream(s, t, r), rounds)  # type: ignore[misc]
        rates[f"bytes from {name}"] = 3 * source.nbytes * repeats / seconds
    for bits, kind in ((16, np.int16), (64, np.int64)):
        values = np.ones(8192 // bits, kind)
        a, b = kind(12345), kind(2345)
        _operate(values, a, b, 1)
        seconds = _seconds(lambda v=values, a=a, b=b: _operate(v, a, b, OPERATE_TIMES), rounds)  # type: ignore[misc]
        rates[f"operations on lanes of {bits} bits"] = 8 * len(values) * OPERATE_TIMES / seconds
    _draw(1, 1)
    rates["generator steps"] = 1_000_000 / _seconds(lambda: _draw(1, 1_000_000), rounds)
    return rates


def learning_limits(measured: Measured, rates: dict[str, float]) -> dict[str, float]:
    """Microseconds a sample that learning cannot do without, one resource at a time."""
    core = measured.engine.chip.layers[0]
    momentum = measured.total("momentum_reads") + measured.total("momentum_writes")
    weights = measured.total("weight_reads") + measured.total("weight_writes")
    moved = momentum * core.lanes * MOMENTUM_BYTES + weights * core.lanes / 8
    drawn = measured.total("words_drawn")
    operations = drawn * LEARN_OPS * core.lanes
    seconds = {
        "memory (weights and momentum, L2)": moved / rates["bytes from L2"],
        "update: lane operations": operations / rates["operations on lanes of 16 bits"],
        "update: generator": drawn / rates["generator steps"],
    }
    return {name: value * 1e6 for name, value in seconds.items()}


def inference_limits(measured: Measured, rates: dict[str, float]) -> dict[str, float]:
    """Microseconds a sample that inference cannot do without, one resource at a time."""
    layers = measured.engine.chip.layers
    hidden = layers[0]
    bits = measured.total("weight_reads") * hidden.lanes
    planes = int(RATE * hidden.axons).bit_length()
    adding = bits / 64 * ADD_OPS
    neurons = STEPS * hidden.neurons * (FIRE_OPS + planes * PLANE_OPS)
    seconds = {
        "memory (weights, L2)": bits / 8 / rates["bytes from L2"],
        "adding weights": adding / rates["operations on lanes of 64 bits"],
        "neurons": neurons / rates["operations on lanes of 16 bits"],
    }
    return {name: value * 1e6 for name, value in seconds.items()}


def _show(title: str, measured: Measured, limits: dict[str, float]) -> None:
    whole = sum(measured.times.values())
    print(f"\n{title}, {measured.counts.samples:,} samples")
    for name, value in measured.times.items():
        print(f"  {name:36} {value:8.2f} us a sample  {value / whole:6.1%}")
    print(f"  {'sum':36} {whole:8.2f} us a sample")
    for name, value in limits.items():
        print(f"  limit: {name:29} {value:8.2f} us a sample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip", type=int, default=12_000)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rates = machine_rates(arguments.rounds)
    for name, value in rates.items():
        print(f"{name:38} {value / 1e9:8.2f} G/s")
    learning = measure_learning(arguments.skip, arguments.samples, arguments.rounds)
    _show("learning", learning, learning_limits(learning, rates))
    for name in (
        "words_visited",
        "words_drawn",
        "words_updated",
        "momentum_updates",
        "weight_reads",
    ):
        print(f"  {name:36} {learning.total(name):8,.0f} a sample")
    inference = measure_inference(arguments.rounds)
    _show("inference", inference, inference_limits(inference, rates))
    print(f"  {'weight_reads':36} {inference.total('weight_reads'):8,.0f} a sample")


if __name__ == "__main__":
    main()
