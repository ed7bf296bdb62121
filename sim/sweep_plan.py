"""What a sweep is: a chip, the fields that vary, and how each point is measured."""

import copy
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flipcore.chip import YAML_DAMAGE, Chip, parse_chip, set_field
from flipcore.errors import InputError
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.run import check_fit

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Variation:
    """A field of the chip description and the values to give it."""

    key: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Plan:
    """A sweep: a chip document, what varies, and how each point is measured."""

    document: dict[str, Any]
    variations: tuple[Variation, ...]
    seeds: int
    search_points: int
    dataset: str
    epochs: int
    validation: float
    out: Path

    @property
    def num_trials(self) -> int:
        """Trials in all: points of a search, or points times seeds of a grid."""
        if self.search_points:
            return self.search_points
        return math.prod(len(variation.values) for variation in self.variations) * self.seeds


def parse_variation(text: str) -> Variation:
    """Read `key=v1,v2,...` or `key=first..last`.

    Raises:
        InputError: the form is another.
    """
    key, equals, listed = text.partition("=")
    if not equals or not key or not listed:
        raise InputError(f"--vary {text}: write KEY=V1,V2,... or KEY=FIRST..LAST")
    span = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", listed)
    if span:
        first, last = int(span[1]), int(span[2])
        if last < first:
            raise InputError(f"--vary {text}: the range is empty")
        return Variation(key, tuple(range(first, last + 1)))
    try:
        values = tuple(yaml.safe_load(part) for part in listed.split(","))
    except YAML_DAMAGE:
        raise InputError(f"--vary {text}: a value is not valid YAML") from None
    if not all(isinstance(value, Value) for value in values):
        raise InputError(f"--vary {text}: values are numbers or words")
    if len(set(values)) != len(values):
        raise InputError(f"--vary {text}: a value stands there twice")
    return Variation(key, values)


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose first point is impossible, before anything runs.

    Other points may still be impossible; they fail alone and are reported.

    Raises:
        InputError: names field, value and rule, or an unknown data set.
    """
    if not plan.variations:
        raise InputError(
            "--vary: nothing varies: name at least one, such as core.momentum_bits=2,4,8"
        )
    keys = [variation.key for variation in plan.variations]
    if len(set(keys)) != len(keys):
        raise InputError("--vary: a key stands there twice")
    chip = varied_chip(plan, {variation.key: variation.values[0] for variation in plan.variations})
    check_fit(chip, load_data(plan, chip.steps))


def varied_chip(plan: Plan, values: dict[str, Value]) -> Chip:
    """Build the chip of one point.

    Raises:
        InputError: there is no such chip.
    """
    document = copy.deepcopy(plan.document)
    for key, value in values.items():
        set_field(document, key, value)
    return parse_chip(document, "sweep")


def load_data(plan: Plan, num_steps: int) -> Dataset:
    """Load the data set of a sweep for a chip of so many steps.

    Raises:
        InputError: it is unknown or cannot be read.
    """
    dataset = load_dataset(plan.dataset, num_steps=num_steps)
    # One split for all seeds, so that points differ by the chip alone.
    return split_validation(dataset, plan.validation, 0) if plan.validation else dataset
