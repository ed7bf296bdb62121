"""Speed of the hardware-exact mode in torch beside the simulator: learning the digits on 1, 16 and 128 chips at once.

Both sides learn the same samples in the same order, and their weights must agree at the end or nothing is printed. Rates are
per processor second on a processor (one thread), per second on any other device. Run: python -m benchmarks.hardware_torch
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from flipcore import draws
from flipcore.chip import Chip, load_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Split, load_dataset
from flipcore.sim.engine import Engine
from flipcore.training.hardware import HardwareChips
from flipcore.training.hardware_input import record_spikes

Orders = npt.NDArray[np.int64]  # [chips, samples]
CHIPS = (1, 16, 128)


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Processor time of work on a processor, elapsed time on another device."""
    if device.type == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    started = time.perf_counter()
    work()
    torch.accelerator.synchronize(device)
    return time.perf_counter() - started


def _learn(chips: HardwareChips, split: Split, orders: Orders) -> None:
    for indices in orders.T:
        spikes = record_spikes(split.read(indices), chips.chip, chips.device)
        chips.learn(spikes, torch.from_numpy(split.labels[indices]))


def _torch_rate(chips: HardwareChips, split: Split, orders: Orders) -> float:
    """Chip-samples per second, the first sample as a warm-up."""
    _learn(chips, split, orders[:, :1])
    rest = orders[:, 1:]
    return rest.size / _seconds(chips.device, lambda: _learn(chips, split, rest))


def _simulator_rate(engine: Engine, split: Split, order: Orders) -> float:
    """Samples per processor second of one chip, its loops compiled before."""
    counts = EventCounts.zeros(len(engine.chip.layers))
    nothing = order[:0]
    engine.train(split.read(nothing), split.labels[nothing], counts)
    work = lambda: engine.train(split.read(order), split.labels[order], counts)  # noqa: E731
    return len(order) / _seconds(torch.device("cpu"), work)


def _compare(chip: Chip, chips: HardwareChips, split: Split, orders: Orders) -> float:
    """The simulator's rate on the first chip's samples; refuses if its weights then differ."""
    engine = Engine(chip, 0)
    rate = _simulator_rate(engine, split, orders[0])
    if not np.array_equal(engine.state.weights, chips.to_chip_state(0).weights):
        raise SystemExit("the weights differ from the simulator's: nothing was compared")
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", default="digits", help="preset or file (default: digits)")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument("--samples", type=int, default=50, help="per chip (default: 50)")
    parser.add_argument("--chips", type=int, nargs="+", default=CHIPS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chip = load_chip(arguments.chip)
    split = load_dataset(arguments.dataset, num_steps=chip.steps).train
    print(f"{'chips':>6} {'samples/s':>10} {'chips x samples/s':>18} {'simulator, one chip':>20}")
    for count in arguments.chips:
        chips = HardwareChips.with_seeds(chip, range(count), arguments.device)
        orders = np.stack([draws.sample_order(seed, 0, len(split)) for seed in range(count)])
        orders = orders[:, : arguments.samples + 1]
        rate = _torch_rate(chips, split, orders)
        simulator = _compare(chip, chips, split, orders)
        print(f"{count:6} {rate / count:10,.1f} {rate:18,.0f} {simulator:20,.0f}")


if __name__ == "__main__":
    main()
