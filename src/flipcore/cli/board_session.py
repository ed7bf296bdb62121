"""A board learns a data set: samples to events, epochs, tests, and the same in the simulator beside it if asked."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.events import EventCounts
from flipcore.rtl.board import host
from flipcore.rtl.board.link import Link
from flipcore.rtl.board.state import BoardState, CoreState, first_difference
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.sim.data import Dataset, Records, Split
from flipcore.sim.encoding import encode_pixels
from flipcore.sim.engine import Engine
from flipcore.sim.layout import (
    ChipState,
    momentum_values,
    store_momentum,
    store_weights,
    weight_bits,
)
from flipcore.sim.run import Interrupted

CHUNK = 256  # samples read from the data set, or simulated, at a time

Indices = npt.NDArray[np.int64]
Bitmaps = npt.NDArray[np.uint8]


class Observer(Protocol):
    """Who is told how far it is, and asked whether to stop."""

    def begin(self, what: str, total: int) -> None:
        """Something begins that has so many parts."""

    def advance(self, done: int) -> None:
        """So many of them are done."""

    def should_stop(self) -> bool:
        """Whether to stop between two samples."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a board is to learn.

    Attributes:
        chip, dataset: they fit each other.
        epochs, seed: as in `simulate`.
        samples: so many of an epoch, and of the test split, at most; None: all.
        check: simulate the same, and compare.
    """

    chip: Chip
    dataset: Dataset
    epochs: int
    seed: int
    samples: int | None
    check: bool


@dataclass
class Figures:
    """What came of it; cycles are those that the SPEC counts, as the board says.

    Attributes:
        history: of each epoch.
        test_accuracy: after the last.
        train_samples, train_cycles, train_seconds: learnt so far, tests left out.
        test_samples, test_cycles: of the last test.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    test_accuracy: float = 0.0
    train_samples: int = 0
    train_cycles: int = 0
    train_seconds: float = 0.0
    test_samples: int = 0
    test_cycles: int = 0


def train_on_board(link: Link, plan: Plan, engine: Engine, observer: Observer) -> Figures:
    """Load a board with the state of an engine, have it learn, and take its state into the engine.

    Args:
        link: to a board that holds the plan's chip.
        plan: what to learn.
        engine: holds the state to begin with; learns beside the board if the plan says so.
        observer: sees and may stop it.

    Raises:
        CheckError: the board stops to answer, or ignored something, or differs from the simulator.
        Interrupted: the observer asked to stop; the board has finished the samples that it had.
    """
    total = host.state_bytes(plan.chip)
    observer.begin("load the weights", total)
    host.load_state(link, plan.chip, board_state(plan.chip, engine.state), observer.advance)
    figures = Figures()
    for epoch in range(plan.epochs):
        _learn_epoch(link, plan, engine, observer, figures, epoch)
    if not plan.epochs:
        figures.test_accuracy = _test(link, plan, engine, observer, figures)
    observer.begin("read the weights", total)
    found = host.read_state(link, plan.chip, observer.advance)
    status = host.read_status(link)
    if status:
        raise CheckError(f"the chip ignored something that was sent: status is {status:#07b}")
    if plan.check:
        difference = first_difference(board_state(plan.chip, engine.state), found)
        if difference is not None:
            raise CheckError(f"the board's state differs from the simulator's: {difference}")
    take_state(plan.chip, engine.state, found)
    return figures


def board_state(chip: Chip, state: ChipState) -> BoardState:
    """The simulator's state as a board holds it."""
    cores = []
    for c, core in enumerate(chip.layers):
        number = FlipUnit.of(core).generators
        cores.append(
            CoreState(
                weights=weight_bits(state, chip, c).astype(np.int64),
                momentum=momentum_values(state, chip, c).astype(np.int64),
                generators=[int(value) for value in state.generators[c, :number]],
                second_moment=state.second_moment[c].tolist() if core.rule == "tbso" else [],
            )
        )
    return BoardState(cores, state.sample_counter)


def take_state(chip: Chip, state: ChipState, found: BoardState) -> None:
    """Put a board's state into the simulator's."""
    for c, core in enumerate(found.cores):
        store_weights(state, chip, c, core.weights.astype(np.bool_))
        store_momentum(state, chip, c, core.momentum)
        state.generators[c, : len(core.generators)] = core.generators
        if core.second_moment:
            state.second_moment[c] = core.second_moment
    state.sample_counter = found.sample_counter


def bitmaps_of(chip: Chip, records: Records) -> Bitmaps:
    """Input events of samples as the board takes them, uint8 [samples, steps, ceil(inputs / 8)] (N2)."""
    if records.bitmaps.shape[1]:
        return records.bitmaps
    num_samples = len(records.pixels)
    axons = np.empty(num_samples * chip.steps * chip.inputs + 1, np.int32)
    starts = np.empty(num_samples * chip.steps + 1, np.int64)
    total = encode_pixels(records.pixels, chip.steps, axons, starts)  # type: ignore[no-untyped-call]
    flags = np.zeros((num_samples * chip.steps, chip.inputs), np.bool_)
    flags[np.repeat(np.arange(len(flags)), np.diff(starts)), axons[:total]] = True
    packed = np.packbits(flags, axis=1, bitorder="little")
    return packed.reshape(num_samples, chip.steps, -1)


def _learn_epoch(
    link: Link, plan: Plan, engine: Engine, observer: Observer, figures: Figures, epoch: int
) -> None:
    split = plan.dataset.train
    order = draws.sample_order(plan.seed, epoch, len(split))[: plan.samples]
    observer.begin(f"epoch {epoch + 1} of {plan.epochs}", len(order))
    start = time.perf_counter()
    predictions, cycles = _run(link, plan, split, order, observer, learn=True)
    seconds = time.perf_counter() - start
    if plan.check:
        counts = EventCounts.zeros(len(plan.chip.layers))
        expected = _simulated(
            order, lambda part: engine.train(split.read(part), split.labels[part], counts)
        )
        _compare(f"epoch {epoch + 1}", predictions, expected, cycles, counts)
    figures.train_samples += len(order)
    figures.train_cycles += cycles
    figures.train_seconds += seconds
    figures.test_accuracy = _test(link, plan, engine, observer, figures)
    figures.history.append(
        {
            "epoch": epoch,
            "train_accuracy": float(np.mean(predictions == split.labels[order])),
            "test_accuracy": figures.test_accuracy,
            "seconds": seconds,
        }
    )


def _test(link: Link, plan: Plan, engine: Engine, observer: Observer, figures: Figures) -> float:
    """Classify the test split; returns the share that is right."""
    split = plan.dataset.test
    indices = np.arange(len(split), dtype=np.int64)[: plan.samples]
    observer.begin("test", len(indices))
    predictions, cycles = _run(link, plan, split, indices, observer, learn=False)
    if plan.check:
        counts = EventCounts.zeros(len(plan.chip.layers))
        expected = _simulated(indices, lambda part: engine.infer(split.read(part), counts))
        _compare("test", predictions, expected, cycles, counts)
    figures.test_samples = len(indices)
    figures.test_cycles = cycles
    return float(np.mean(predictions == split.labels[indices]))


def _run(
    link: Link, plan: Plan, split: Split, indices: Indices, observer: Observer, *, learn: bool
) -> tuple[Indices, int]:
    """Have samples learnt or classified; returns their predictions and the cycles of all."""
    predictions = np.zeros(len(indices), np.int64)
    cycles = 0
    has_stopped = False

    def samples() -> Iterator[tuple[Bitmaps, int | None]]:
        nonlocal has_stopped
        for first in range(0, len(indices), CHUNK):
            part = indices[first : first + CHUNK]
            bitmaps = bitmaps_of(plan.chip, split.read(part))
            for bitmap, label in zip(bitmaps, split.labels[part].tolist(), strict=True):
                has_stopped = observer.should_stop()
                if has_stopped:
                    return
                yield bitmap, label if learn else None

    for k, answer in enumerate(host.run_samples(link, samples())):
        predictions[k] = answer.prediction
        cycles += answer.cycles
        observer.advance(k + 1)
    if has_stopped:
        raise Interrupted
    return predictions, cycles


def _simulated(
    indices: Indices, predict: Callable[[Indices], npt.NDArray[np.int32]]
) -> npt.NDArray[np.int32]:
    parts = [predict(indices[first : first + CHUNK]) for first in range(0, len(indices), CHUNK)]
    return np.concatenate(parts)


def _compare(
    what: str,
    predictions: Indices,
    expected: npt.NDArray[np.int32],
    cycles: int,
    counts: EventCounts,
) -> None:
    """Hold a board to the simulator.

    Raises:
        CheckError: a prediction or the cycles differ.
    """
    differing = np.flatnonzero(predictions != expected)
    if len(differing):
        k = int(differing[0])
        raise CheckError(
            f"{what}: {len(differing)} predictions differ from the simulator's, the first of sample {k}: "
            f"{predictions[k]}, expected {expected[k]}"
        )
    # A bitmap does not send the events that would be merged, each a cycle (T1).
    simulated = counts.cycles - counts.total("merged_events")
    if cycles != simulated:
        raise CheckError(f"{what}: {cycles} cycles, the simulator has {simulated}")
