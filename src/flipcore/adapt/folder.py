"""The folder of adaptations: what fixes them all, the trained chips, and a file for each disturbance and seed."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from flipcore.adapt.adaptation import Adaptation, Watcher, adapt, curve_samples, disturbed_world
from flipcore.adapt.base import (
    Base,
    Schedule,
    read_base,
    train_base,
    without_class,
)
from flipcore.adapt.disturbances import Disturbance
from flipcore.chip import Chip, chip_document
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.sim.data import Dataset
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.run import Observer, Settings, check_fit

FORMAT = 1  # of the files here
REQUEST_FILE = "request.json"
_ADAPTATION = TypeAdapter(Adaptation)


@dataclass(frozen=True)
class Plan:
    """What is to be done: this fixes every figure.

    Attributes:
        run_dir: of the finished run whose chip adapts; None to train the chip in the folder first.
        chip, settings: of that run, or of the training.
        samples: learnt in each disturbed world; None for one epoch of it.
        schedule: where the chip's schedule stands when it goes on (`Base.engine`).
    """

    run_dir: Path | None
    chip: Chip
    settings: Settings
    samples: int | None
    schedule: Schedule
    disturbances: tuple[Disturbance, ...]
    seeds: int
    out: Path


class Ear(Observer, Watcher, Protocol):
    """Who is told how trainings and adaptations go, and asked whether to stop."""

    def on_training(self, samples: int) -> None:
        """A chip is trained first, with so many samples."""

    def on_notice(self, line: str) -> None:
        """Something that takes long goes on, in words."""

    def on_pair(self, disturbance: Disturbance, seed: int, samples: int) -> None:
        """An adaptation with so many samples begins."""


def _claim_folder(plan: Plan) -> None:
    """Create the folder, or make sure that what it holds fits this plan; disturbances and seeds may be others.

    Raises:
        InputError: it holds what another request left, or cannot be used.
    """
    request = {
        "format": FORMAT,
        "chip": chip_document(plan.chip),
        "settings": asdict(plan.settings),
        "weights_sha256": read_base(plan.run_dir).digest() if plan.run_dir else None,
        "samples": plan.samples,
        "schedule": plan.schedule,
    }
    text = json.dumps(request, indent=1) + "\n"
    path = plan.out / REQUEST_FILE
    try:
        (plan.out / "pairs").mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        others = [
            entry.name
            for entry in plan.out.iterdir()
            if entry.name != "pairs" and not entry.name.startswith(".")
        ]
    except OSError as error:
        raise InputError(f"{plan.out}: cannot be used: {error.strerror}") from None
    if before is None:
        if others:
            raise InputError(f"{plan.out}: holds other files: choose another --out")
        write_whole(path, text.encode())
    elif before != text:
        raise InputError(
            f"{plan.out}: holds adaptations of another request (see {REQUEST_FILE} there): choose another --out"
        )


@dataclass(frozen=True)
class Trained:
    """A trained chip, what it was trained on, and all that there is."""

    base: Base
    known: Dataset
    whole: Dataset


@dataclass(frozen=True)
class Finished:
    """What a plan gave.

    Attributes:
        adaptations: the seeds of each disturbance.
        training: counts of the training of the chip, the first if there are several.
    """

    adaptations: dict[Disturbance, list[Adaptation]]
    training: EventCounts


def run_plan(plan: Plan, whole: Dataset, ear: Ear) -> Finished:
    """Do what is left of a plan; each finished adaptation is a file of its own.

    Args:
        plan: at least one disturbance.
        whole: data of the chip's training, all classes.
        ear: told and asked.

    Raises:
        Interrupted: the ear said so; what was finished stays.
        InputError: the data do not fit the chip, or a file is damaged or cannot be written.
    """
    check_fit(plan.chip, whole)
    _claim_folder(plan)
    found: dict[Disturbance, list[Adaptation]] = {}
    trained: dict[float | None, Trained] = {}
    with folder_lock(plan.out):
        for disturbance in plan.disturbances:
            label = disturbance.amount if disturbance.of == "classes" else None
            if label not in trained:
                trained[label] = _trained(plan, whole, label, ear)
            found[disturbance] = list(_pairs(plan, trained[label], disturbance, ear))
    return Finished(found, next(iter(trained.values())).base.training)


def _trained(plan: Plan, whole: Dataset, label: float | None, ear: Ear) -> Trained:
    known = whole if label is None else without_class(whole, int(label))
    if label is None and plan.run_dir is not None:
        return Trained(read_base(plan.run_dir), known, whole)
    folder = plan.out / ("trained" if label is None else f"trained-without-{label:g}")
    ear.on_training(len(known.train) * plan.settings.epochs)
    # Weights that a run started from may know the class that is to be new.
    settings = replace(plan.settings, weights="")
    base = train_base(plan.chip, known, settings, folder, ear, ear.on_notice)
    return Trained(base, known, whole)


def _pairs(
    plan: Plan, trained: Trained, disturbance: Disturbance, ear: Ear
) -> Iterator[Adaptation]:
    """The seeds of a disturbance, read or made; the disturbed data are made for the first that needs them."""
    world: Dataset | None = None
    for seed in range(plan.seeds):
        path = plan.out / "pairs" / f"{disturbance.name.replace(':', '-')}-seed{seed}.json"
        samples = plan.samples or len(trained.whole.train)
        ear.on_pair(disturbance, seed, samples)
        if path.exists():
            yield _read(path, disturbance, seed, samples)
            ear.on_samples(samples)
            continue
        if world is None or disturbance.kind == "noise":
            world = disturbed_world(trained.known, trained.whole, disturbance, seed)
        made = adapt(
            trained.base, trained.known, world, disturbance, seed=seed, samples=samples,
            schedule=plan.schedule, watcher=ear,
        )  # fmt: skip
        write_whole(path, _ADAPTATION.dump_json(made))
        yield made


def _read(path: Path, disturbance: Disturbance, seed: int, samples: int) -> Adaptation:
    try:
        read = _ADAPTATION.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise InputError(
            f"{path}: damaged or cannot be read: delete it to have it made again"
        ) from None
    expected = (disturbance.name, seed, [0, *curve_samples(samples)])
    if (read.disturbance, read.seed, [point.samples for point in read.points]) != expected:
        raise InputError(f"{path}: is of another adaptation: delete it to have it made again")
    return read
