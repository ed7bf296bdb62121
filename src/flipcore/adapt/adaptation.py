"""One adaptation: a trained chip in a disturbed world, its accuracy before, after, and while it learns on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.adapt.base import Base, Schedule
from flipcore.adapt.disturbances import Disturbance
from flipcore.adapt.images import disturbed_images
from flipcore.chip import Chip
from flipcore.events import EventCounts
from flipcore.sim import faults
from flipcore.sim.data import Dataset, Records
from flipcore.sim.engine import Engine, Predictions
from flipcore.sim.run import Interrupted, accuracy

CHUNK = (
    64  # samples between two looks at the interrupt flag: a fifth of a second on a chip with faults
)
NUM_POINTS = 16  # of the curve, besides the start
FIRST_POINT = 0.01  # of all samples

_FAULTS = {
    "dead-synapses": faults.draw_dead_synapses,
    "stuck-bits": faults.draw_stuck_bits,
    "momentum-stuck": faults.draw_stuck_momentum,
    "dead-neurons": faults.draw_dead_neurons,
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """How far an adaptation was.

    Attributes:
        samples: learnt so far.
        accuracy: share of the disturbed test split that was classified right.
        counts: events of the adaptation so far, as `EventCounts.as_dict` gives them.
    """

    samples: int
    accuracy: float
    counts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """One disturbance with one seed.

    Attributes:
        before: accuracy of the trained chip in the world it was trained in.
        points: the curve; the first is of the disturbed world before anything was learnt.
        undisturbed: accuracy in the former world after the adaptation; None where it has no meaning, as for a broken chip.
        samples_per_second: of this computer.
    """

    disturbance: str
    seed: int
    before: float
    points: tuple[Point, ...]
    undisturbed: float | None
    samples_per_second: float


class Watcher(Protocol):
    """Who is told how an adaptation goes, and asked whether to stop."""

    def on_samples(self, number: int) -> None:
        """So many more samples were learnt."""

    def should_stop(self) -> bool:
        """Whether to stop."""


class _Learner(NamedTuple):
    """A chip that learns, and the engine that classifies as it does."""

    train: Callable[[Records, npt.NDArray[np.int32], EventCounts], Predictions]
    classifier: Callable[[], Engine]


def _learner(engine: Engine, disturbance: Disturbance, seed: int) -> _Learner:
    if disturbance.of != "chip":
        return _Learner(engine.train, lambda: engine)
    draw = _FAULTS[disturbance.kind]
    chip = faults.FaultyChip(engine, draw(engine.chip, disturbance.amount, seed))
    return _Learner(chip.train, chip.classifier)


def curve_samples(samples: int) -> list[int]:
    """After how many samples the accuracy is measured: dense at first, where it changes most; ends with all."""
    first = max(1.0, FIRST_POINT * samples)
    spread = np.geomspace(first, max(first, samples), NUM_POINTS)
    return sorted({*np.rint(spread).astype(int).tolist(), samples} - {0})


def disturbed_world(known: Dataset, whole: Dataset, disturbance: Disturbance, seed: int) -> Dataset:
    """The data that the chip meets after the disturbance.

    Args:
        known: what the chip was trained on.
        whole: all classes; the same as `known` but for a class that is new.
        disturbance: what changes.
        seed: of noise.
    """
    if disturbance.of == "classes":
        return whole
    return disturbed_images(known, disturbance, seed) if disturbance.of == "images" else known


def adapt(
    base: Base, known: Dataset, world: Dataset, disturbance: Disturbance, *, seed: int,
    samples: int, schedule: Schedule, watcher: Watcher,
) -> Adaptation:  # fmt: skip
    """Disturb a trained chip or its world, and let it learn on.

    Args:
        base: the trained chip.
        known: what it was trained on.
        world: what it meets now (`disturbed_world`).
        disturbance: one that is of the chip breaks it here.
        seed: of the faults, of the order of the samples and of the chip's generators.
        samples: learnt in the disturbed world: epochs that follow those of the training (R4), the last one cut off.
        schedule: where the chip's schedule of gradient shifts (O6) stands: `Base.engine`.
        watcher: told and asked after every few samples.

    Raises:
        Interrupted: the watcher said so.
    """
    engine = base.engine(seed, schedule, samples)
    before = _accuracy(engine, known)
    learner = _learner(engine, disturbance, seed)
    counts = EventCounts.zeros(len(base.chip.layers))
    points = [_point(learner, world, counts)]
    order = _order(base, world, seed, samples)
    seconds = 0.0
    for number in curve_samples(samples):
        while counts.samples < number:
            if watcher.should_stop():
                raise Interrupted
            part = order[counts.samples : min(counts.samples + CHUNK, number)]
            started = time.perf_counter()
            learner.train(world.train.read(part), world.train.labels[part], counts)
            seconds += time.perf_counter() - started
            watcher.on_samples(len(part))
        points.append(_point(learner, world, counts))
    return Adaptation(
        disturbance=disturbance.name,
        seed=seed,
        before=before,
        points=tuple(points),
        undisturbed=None if disturbance.of == "chip" else _accuracy(engine, known),
        samples_per_second=samples / seconds if seconds else 0.0,
    )


def _order(base: Base, world: Dataset, seed: int, samples: int) -> npt.NDArray[np.int64]:
    size = len(world.train)
    first = base.settings.epochs
    epochs = [draws.sample_order(seed, first + e, size) for e in range(-(-samples // size))]
    return np.concatenate([*epochs, np.zeros(0, np.int64)])[:samples]


def _point(learner: _Learner, world: Dataset, counts: EventCounts) -> Point:
    shown = _accuracy(learner.classifier(), world)
    return Point(samples=counts.samples, accuracy=shown, counts=counts.as_dict())


def _accuracy(engine: Engine, dataset: Dataset) -> float:
    return accuracy(engine, dataset.test, _uncounted(engine.chip))


def _uncounted(chip: Chip) -> EventCounts:
    """Counts of evaluations, which are no part of what the adaptation costs."""
    return EventCounts.zeros(len(chip.layers))
