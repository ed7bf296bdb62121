"""Recipes: those that come with the package, chips as recipes, and every refusal."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from flipcore.chip import load_chip, preset_names
from flipcore.errors import InputError
from flipcore.training.networks import network_steps
from flipcore.training.recipe import (
    Flips,
    Network,
    Recipe,
    load_recipe,
    parse_recipe,
    recipe_document,
    recipe_names,
)
from tests.trainings import chip_file, document

VGG = {"model": "vgg11", "steps": 2}


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def shipped_text(name: str) -> str:
    folder = resources.files("flipcore.training").joinpath("recipes")
    return folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load_under_their_name(name: str) -> None:
    loaded = load_recipe(name)
    assert loaded.name == name
    assert loaded.description
    assert parse_recipe(recipe_document(loaded), name) == loaded


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_set_what_there_is(name: str) -> None:
    """Each field that a file writes is the field of that name, with the value that stands there."""
    plain = recipe_document(load_recipe(name))
    written = yaml.safe_load(shipped_text(name))
    for field, value in written.items():
        inner = plain[field]
        if isinstance(value, dict):
            inner = {key: plain[field][key] for key in value}
        assert inner == value, field


@pytest.mark.parametrize(("name", "dataset"), [("cifar10", "cifar10"), ("cifar100", "cifar100")])
def test_the_published_schedule(name: str, dataset: str) -> None:
    """Liang et al. 2025: 400 epochs of batch 128, SGD at 0.1, rate 1e-3 and gamma 5e-7, both x 0.1 every 50 epochs."""
    vgg = load_recipe(f"{name}-vgg11")
    assert (vgg.epochs, vgg.batch_size, vgg.sgd, vgg.mse_share) == (400, 128, 0.1, 0.05)
    assert vgg.network == Network(model="vgg11", steps=2, leak=0.5, trace="ndot")
    assert vgg.augment
    assert vgg.logit_scale == 1
    assert vgg.dataset.startswith(f"{dataset}:")
    published = Flips(rate=1e-3, gamma=5e-7, square_rate=1e-5, momentum_at_flip="keep")
    assert published.model_copy(update={"decay_epochs": 50, "decay_factor": 0.1}) == published
    assert vgg.bso == vgg.tbso == published
    assert published.gamma_decay_factor is None  # gamma falls as the rate does
    assert published.temporal


def test_published_settings_are_the_defaults(tmp_path: Path) -> None:
    plain = document(tmp_path)
    for field in ("bso", "tbso", "bop", "logit_scale"):
        del plain[field]
    assert parse_recipe(plain, "x").tbso == load_recipe("cifar10-vgg11").tbso


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_recipes_of_presets_are_about_these_chips(name: str) -> None:
    loaded = load_recipe(name)
    assert loaded.chip() == load_chip(name)
    assert network_steps(loaded) == load_chip(name).steps


def test_presets_without_a_recipe_are_trained_as_they_are() -> None:
    others = sorted(set(preset_names()) - set(recipe_names()))
    assert others
    for name in others:
        loaded, chip = load_recipe(name), load_chip(name)
        assert loaded.network == Network(model="mlp", chip=name, trace="ottt")
        assert loaded.dataset == chip.workload.dataset


def test_a_file_that_describes_a_chip_is_a_recipe(tmp_path: Path) -> None:
    path = chip_file(tmp_path)
    loaded = load_recipe(path, ("batch_size=4",))
    assert (loaded.name, loaded.network.chip, loaded.dataset) == ("tiny", path, "digits")
    assert (loaded.epochs, loaded.batch_size) == (1, 4)


def test_a_chip_without_a_recipe_has_settings_that_suit_chips(tmp_path: Path) -> None:
    """The published ones, gamma 5e-7 above all, are for networks with BatchNorm: T-BSO hardly learns with them here."""
    loaded, digits = load_recipe(chip_file(tmp_path)), load_recipe("digits")
    for rule in ("bso", "tbso", "bop"):
        assert loaded.flips(rule) == digits.flips(rule)
    assert loaded.logit_scale == digits.logit_scale
    assert (loaded.adam, loaded.sgd) == (digits.adam, digits.sgd)


def test_a_file_that_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document(tmp_path)))
    assert load_recipe(str(path)) == parse_recipe(document(tmp_path), "x")


def test_numbers_with_an_exponent_alone_are_numbers() -> None:
    """YAML 1.1 takes 1e-3 for text."""
    assert load_recipe("digits", ("bso.rate=1e-3", "adam=3e-4")).bso.rate == 1e-3


def test_changes_from_the_command_line() -> None:
    changed = load_recipe(
        "digits",
        ("tbso.gamma=0.5", "batch_size=64", "network.trace=sltt", "tbso.temporal=false"),
    )
    assert (changed.tbso.gamma, changed.batch_size, changed.network.trace) == (0.5, 64, "sltt")
    assert not changed.tbso.temporal
    assert changed.tbso.rate == load_recipe("digits").tbso.rate
    assert changed.flips("tbso") is changed.tbso


CHANGES = {
    "unknown field": ("bso.gama=1", "digits: bso.gama: unknown field, did you mean `gamma`?"),
    "unknown section": ("tbos.rate=1", "digits: tbos: unknown field, did you mean `tbso`?"),
    "not a change": ("rate", "rate: "),
    "rate of 0": ("bso.rate=0", "digits: bso.rate=0: input should be greater than 0"),
    "rate above 1": ("bso.rate=2", "digits: bso.rate=2: input should be less than or equal to 1"),
    "gamma below 0": (
        "tbso.gamma=-1",
        "digits: tbso.gamma=-1: input should be greater than or equal to 0",
    ),
    "gamma of no size": ("tbso.gamma=.inf", "digits: tbso.gamma=inf: input should be a finite"),
    "square_rate": ("tbso.square_rate=0", "digits: tbso.square_rate=0: input should be greater"),
    "momentum": (
        "bso.momentum_at_flip=drop",
        "digits: bso.momentum_at_flip='drop': input should be 'keep' or 'reset'",
    ),
    "decay_epochs": ("bop.decay_epochs=0", "digits: bop.decay_epochs=0: input should be greater"),
    "decay_factor": ("bop.decay_factor=1.5", "digits: bop.decay_factor=1.5: input should be less"),
    "gamma_decay": ("bop.gamma_decay_factor=0", "digits: bop.gamma_decay_factor=0: input should"),
    "epochs": ("epochs=-1", "digits: epochs=-1: input should be greater than or equal to 0"),
    "batch_size": ("batch_size=0", "digits: batch_size=0: input should be greater than or equal"),
    "mse_share": ("mse_share=1.5", "digits: mse_share=1.5: input should be less than or equal to"),
    "logit_scale": ("logit_scale=0", "digits: logit_scale=0: input should be greater than 0"),
    "sgd": ("sgd=0", "digits: sgd=0: input should be greater than 0"),
    "adam": ("adam=no", "digits: adam="),
    "name": ("name=a/b", "digits: name='a/b': string should match pattern"),
    "model": ("network.model=vgg", "digits: network.model='vgg': input should be 'mlp', 'vgg11'"),
    "trace": ("network.trace=bptt", "digits: network.trace='bptt': input should be 'ottt', 'ndot'"),
    "reset": ("network.reset=zero", "digits: network.reset='zero': input should be 'soft' or"),
    "surrogate": ("network.surrogate=atan", "digits: network.surrogate='atan': input should be"),
    "leak": ("network.leak=1.5", "digits: network.leak=1.5: input should be less than or equal"),
    "steps": ("network.steps=0", "digits: network.steps=0: input should be greater than or equal"),
    "an mlp without a chip": (
        "network.chip=''",
        "digits: network.chip=none: an mlp takes one, other models none",
    ),
    "a convolutional network with a chip": (
        "network.model=vgg11",
        "digits: network.chip=digits: an mlp takes one, other models none",
    ),
    "a chip that does not exist": ("network.chip=digit", "digit: no such preset, did you mean"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_impossible_fields_are_refused(case: str) -> None:
    change, expected = CHANGES[case]
    message = refusal(load_recipe, "digits", (change,))
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_name_that_is_nearly_one_is_pointed_out() -> None:
    known = ", ".join(sorted({*recipe_names(), *preset_names()}))
    assert refusal(load_recipe, "cifar10-vgg") == (
        "cifar10-vgg: no such recipe, did you mean `cifar10-vgg11`? "
        f"(recipes: {known}; a file name ends in .yaml)"
    )
    assert refusal(load_recipe, "zzz").startswith("zzz: no such recipe (recipes: ")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    plain = document(tmp_path)
    del plain["epochs"]
    assert refusal(parse_recipe, plain, "mine.yaml") == "mine.yaml: epochs: is missing"
    plain = document(tmp_path)
    del plain["network"], plain["dataset"]
    assert (
        refusal(parse_recipe, plain, "mine.yaml") == "mine.yaml: network: is missing (and 1 more)"
    )


def test_files_that_are_no_recipe_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert refusal(load_recipe, str(path)).startswith(f"{path}: cannot be read: No such file")
    path.write_text("- 1\n")
    assert refusal(load_recipe, str(path)) == f"{path}: a recipe is a mapping of fields"
    path.write_text("a: [\n")
    assert refusal(load_recipe, str(path)).startswith(f"{path}: not valid YAML: ")
    assert refusal(parse_recipe, [1], "x").startswith("x: ")


def test_recipes_do_not_change(tmp_path: Path) -> None:
    loaded: Recipe = parse_recipe(document(tmp_path), "x")
    with pytest.raises(ValueError, match="frozen"):
        loaded.epochs = 3  # type: ignore[misc]
