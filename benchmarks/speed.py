"""Speed of the simulator beside PyTorch on one processor, turn by turn in one run; docs/BENCHMARKS.md has the method.

Needs the extra `train` (torch, pinned by constraints.txt) and MNIST (`--dataset`). Run: python -m benchmarks.speed
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.inference_job import SAMPLES, cpu_rate, make_job
from benchmarks.peer_torch import OnlineBso, infer
from flipcore import draws
from flipcore.chip import load_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Dataset, load_dataset
from flipcore.sim.engine import Engine

PEER_SAMPLES = 300


def _learn(dataset: Dataset) -> Callable[[], object]:
    """First epoch of the mnist preset from random weights, compiled before the clock starts."""
    chip = load_chip("mnist")
    engine = Engine(chip, 0)
    counts = EventCounts.zeros(len(chip.layers))
    nothing = np.zeros(0, np.int64)
    engine.train(dataset.train.read(nothing), dataset.train.labels[nothing], counts)
    order = draws.sample_order(0, 0, len(dataset.train))

    def work() -> None:
        for first in range(0, len(order), 256):
            chunk = order[first : first + 256]
            engine.train(dataset.train.read(chunk), dataset.train.labels[chunk], counts)

    return work


def _spike_trains(dataset: Dataset, steps: int, count: int) -> list[torch.Tensor]:
    """Sigma-delta spikes of the first training samples, float [steps, axons] each."""
    pixels = dataset.train.read(np.arange(count, dtype=np.int64)).pixels.astype(np.int64)
    times = np.arange(1, steps + 1)[:, None, None]
    level = (128 + times * pixels) // 256
    spikes = np.diff(level, axis=0, prepend=np.zeros_like(level[:1]))
    return [torch.tensor(spikes[:, k], dtype=torch.float32) for k in range(count)]


def _inference_pair() -> tuple[Callable[[], object], Callable[[], object]]:
    """The same weights and random input in both; their predictions must agree."""
    job = make_job()
    weights = [torch.tensor(weight, dtype=torch.float32) for weight in job.weights]
    trains = [torch.tensor(job.spikes[k], dtype=torch.float32) for k in range(PEER_SAMPLES)]
    theirs = [infer(weights, train, float(job.threshold)) for train in trains]
    if theirs != job.infer()[:PEER_SAMPLES].tolist():
        raise SystemExit("the peer's predictions differ from the chip's: nothing was compared")
    return job.infer, lambda: [infer(weights, train, float(job.threshold)) for train in trains]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    dataset = load_dataset(arguments.dataset, num_steps=4)
    trains = _spike_trains(dataset, 4, PEER_SAMPLES)
    labels = dataset.train.labels[:PEER_SAMPLES].tolist()
    chip_infer, peer_infer = _inference_pair()
    rows = []
    for _ in range(arguments.rounds):
        peer = OnlineBso((784, 512, 10), 0, 1e-3, 5e-7)
        learn = _learn(dataset)
        row = {
            "learning": cpu_rate(len(dataset.train), learn),
            "learning_torch": cpu_rate(
                PEER_SAMPLES,
                lambda peer=peer: [peer.learn(t, y) for t, y in zip(trains, labels, strict=True)],
            ),
            "inference": cpu_rate(SAMPLES, chip_infer),
            "inference_torch": cpu_rate(PEER_SAMPLES, peer_infer),
        }
        row["learning_ratio"] = row["learning"] / row["learning_torch"]
        row["inference_ratio"] = row["inference"] / row["inference_torch"]
        rows.append(row)
    summary = {
        name: {
            "min": min(row[name] for row in rows),
            "median": statistics.median(row[name] for row in rows),
            "max": max(row[name] for row in rows),
        }
        for name in rows[0]
    }
    if arguments.json:
        print(json.dumps(summary))
        return
    for name, values in summary.items():
        spread = f"{values['min']:,.1f} ... {values['max']:,.1f}"
        print(f"{name:16} {values['median']:10,.1f}   ({spread})")


if __name__ == "__main__":
    main()
