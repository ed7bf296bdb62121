"""Tasks of comparisons: those of the package hold, and any other chip is compared as it is."""

from pathlib import Path

import pytest

from flipcore.chip import load_chip
from flipcore.comparison.contenders import parse_contenders
from flipcore.comparison.tasks import (
    contender_chip,
    load_task,
    software_recipe,
    task_names,
    task_recipe,
)
from flipcore.errors import InputError
from flipcore.training.recipe import load_recipe
from tests.trainings import chip_file


def test_the_tasks_of_the_package() -> None:
    assert task_names() == ["digits", "fashion-mnist", "mnist"]


@pytest.mark.parametrize("name", ["digits", "fashion-mnist", "mnist"])
def test_every_contender_and_every_change_of_a_task_holds(name: str) -> None:
    task = load_task(name)
    recipe = task_recipe(task)
    base = recipe.chip()
    for contender in parse_contenders([*task.contenders, *task.changes]):
        if contender.where == "software":
            software_recipe(task, contender)
            continue
        chip = contender_chip(task, recipe, contender)
        assert {core.momentum_bits for core in chip.layers} == {contender.momentum_bits}
        assert {core.rule for core in chip.layers} == {
            "tbso" if contender.head == "chip-tbso" else "bso"
        }
        # The same network, or they could not stand side by side.
        assert [core.neurons for core in chip.layers] == [core.neurons for core in base.layers]
        assert (chip.inputs, chip.steps) == (base.inputs, base.steps)
        assert [core.threshold for core in chip.layers] == [core.threshold for core in base.layers]
    texts = {contender.text for contender in parse_contenders(task.contenders)}
    assert {"bptt-adam", "bso", "chip:4", "chip:6", "chip:8", "chip-tbso:8"} <= texts


def test_the_settings_of_the_study_are_those_of_the_digits() -> None:
    task = load_task("digits")
    recipe = task_recipe(task)
    (four,) = parse_contenders(["chip:4"])
    chip = contender_chip(task, recipe, four)
    assert [core.gradient_shift for core in chip.layers] == [15, 15]
    assert chip.error.model_dump()["margin"] == 8


def test_changes_are_of_one_contender_alone() -> None:
    task = load_task("digits")
    plain, gated = parse_contenders(["bso", "bso+gate"])
    assert software_recipe(task, plain) == load_recipe("digits")
    assert software_recipe(task, gated).bso.rate == 0.001


def test_any_other_chip_is_compared_as_it_is(tmp_path: Path) -> None:
    path = chip_file(tmp_path)
    task = load_task(path)
    recipe = task_recipe(task)
    own, narrow = parse_contenders(["chip", "chip:4"])
    chip = load_chip(path)
    assert contender_chip(task, recipe, own) == chip
    assert contender_chip(task, recipe, narrow) == load_chip(path, ["core.momentum_bits=4"])
    assert parse_contenders(task.contenders)[-1] == own


def test_networks_without_a_chip_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        task_recipe(load_task("cifar10-vgg11"))
    assert str(caught.value) == (
        "cifar10-vgg11: vgg11 exists in software only: no chip has its network; train it with `flipcore train cifar10-vgg11`"
    )


def test_samples_that_a_chip_would_not_see_are_refused() -> None:
    with pytest.raises(InputError, match="augment=true: a chip learns the samples as they are"):
        task_recipe(load_task("digits"), ("augment=true",))


@pytest.mark.parametrize("text", ["chip:17", "chip-tbso:1"])
def test_widths_that_no_chip_has_are_refused(text: str) -> None:
    task = load_task("digits")
    (contender,) = parse_contenders([text])
    with pytest.raises(InputError) as caught:
        contender_chip(task, task_recipe(task), contender)
    told = str(caught.value)
    bits = text.partition(":")[2]
    assert told.startswith(f"algorithm {text}: layers.0.momentum_bits={bits}: input should be ")
    assert "\n" not in told
