"""What is compared by default: a recipe, its contenders, and what each of them needs to do well."""

from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flipcore.chip import Chip, apply_change, parse_chip, read_chip_document, read_mapping
from flipcore.chip.parse import first_error
from flipcore.comparison.contenders import CHIP_TBSO, Contender
from flipcore.errors import InputError
from flipcore.training.recipe import Recipe, load_recipe


class Task(BaseModel):
    """A task as its file describes it.

    Attributes:
        recipe: name of a recipe or chip; the network is its chip's, and so are data set and epochs.
        seeds: how many runs a row has.
        contenders: those compared by default.
        changes: by contender, of its recipe or, for chips, of its chip description, applied first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    seeds: int = Field(ge=1)
    contenders: tuple[str, ...] = Field(min_length=1)
    changes: dict[str, tuple[str, ...]] = {}


GENERIC_CONTENDERS = ("bptt-adam", "ottt-adam", "bop", "bso", "tbso", "chip")
GENERIC_SEEDS = 3


def task_names() -> list[str]:
    """Names of the tasks that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_task(name: str) -> Task:
    """The task of this name; a chip or recipe without one is compared as it is.

    Raises:
        InputError: the file of the task is broken.
    """
    if name not in task_names():
        return Task(recipe=name, seeds=GENERIC_SEEDS, contenders=GENERIC_CONTENDERS)
    source = f"task {name}"
    document = read_mapping(
        name,
        lambda shipped: _folder().joinpath(f"{shipped}.yaml").read_text(encoding="utf-8"),
        "a task is",
    )
    try:
        return Task.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {first_error(error, set(Task.model_fields))}") from None


def task_recipe(task: Task, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe of a task with changes applied.

    Raises:
        InputError: there is no such recipe, or its network exists in software only, or its samples are not the chip's.
    """
    recipe = load_recipe(task.recipe, changes)
    if recipe.network.model != "mlp":
        raise InputError(
            f"{task.recipe}: {recipe.network.model} exists in software only: no chip has its network; train it with `flipcore train {task.recipe}`"
        )
    if recipe.augment:
        raise InputError(
            f"{task.recipe}: augment=true: a chip learns the samples as they are; set augment to false to compare"
        )
    return recipe


def software_recipe(task: Task, contender: Contender) -> Recipe:
    """The recipe with what the task changes for a contender.

    Raises:
        InputError: names the field, its value and the rule that it breaks.
    """
    return task_recipe(task, task.changes.get(contender.text, ()))


def contender_chip(task: Task, recipe: Recipe, contender: Contender) -> Chip:
    """The chip of the recipe with what a contender asks for, and what the task changes for it.

    Raises:
        InputError: begins with the contender, and names the field, its value and the rule that it breaks.
    """
    document, _ = read_chip_document(recipe.network.chip)
    changes = list(task.changes.get(contender.text, ()))
    if contender.momentum_bits is not None:
        changes.insert(0, f"core.momentum_bits={contender.momentum_bits}")
    if contender.head == CHIP_TBSO:
        changes.insert(0, "core.rule=tbso")
    for change in changes:
        apply_change(document, change)
    return parse_chip(document, f"algorithm {contender.text}")


def _folder() -> Any:
    return resources.files("flipcore.comparison").joinpath("tasks")
