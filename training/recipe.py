"""What is trained and how: a network, a data set and the settings of every algorithm, in one YAML file."""

from importlib import resources
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flipcore.chip import Chip, apply_change, load_chip, preset_names, read_mapping
from flipcore.chip.parse import first_error, near
from flipcore.errors import InputError


class _Model(BaseModel):
    # Numbers such as 1e-3 are text to YAML 1.1: they are read as numbers here.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(_Model):
    """The network: a chip's own, layer by layer, or a published one."""

    model: Literal["mlp", "vgg11", "bireal18"]
    chip: str = Field(default="", description="mlp: preset or YAML file whose network it is")
    steps: int = Field(default=4, ge=1, le=256, description="time steps; an mlp has its chip's")
    leak: float = Field(
        default=0.5, ge=0.0, le=1.0, description="lambda: what of a potential stays"
    )
    reset: Literal["soft", "hard"] = "soft"
    surrogate: Literal["sigmoid", "rectangle"] = "sigmoid"
    trace: Literal["ottt", "ndot", "sltt"] = "ndot"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.model == "mlp") != bool(self.chip):
            raise ValueError(f"chip={self.chip or 'none'}: an mlp takes one, other models none")
        return self


class Flips(_Model):
    """Settings of a rule that flips weights.

    Attributes:
        rate: 1 - beta, the share of a new gradient in the momentum.
        gamma: flip threshold; of T-BSO relative to the gradient's root mean square.
        square_rate: 1 - beta2 of T-BSO.
        temporal: whether T-BSO keeps a second moment per time step, as published, or one for all steps.
        decay_epochs, decay_factor: the rate, and gamma if it has no factor of its own, are multiplied by the factor every so many epochs.
        gamma_decay_factor: of gamma.
    """

    rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    gamma: float = Field(default=5e-7, ge=0.0)
    square_rate: float = Field(default=1e-5, gt=0.0, le=1.0)
    momentum_at_flip: Literal["keep", "reset"] = "keep"
    decay_epochs: int = Field(default=50, ge=1)
    decay_factor: float = Field(default=0.1, gt=0.0, le=1.0)
    gamma_decay_factor: float | None = Field(default=None, gt=0.0)
    temporal: bool = True


class Recipe(_Model):
    """A training task with the settings of every algorithm.

    Attributes:
        mse_share: of the loss per step, the share of the squared error to the one-hot label; the rest is cross-entropy.
        logit_scale: what outputs are multiplied by before the loss.
        sgd, adam: learning rates of latent and full-precision weights; they fall to 0 along a cosine.
    """

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    network: Network
    dataset: str
    epochs: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    augment: bool = False
    mse_share: float = Field(default=0.05, ge=0.0, le=1.0)
    logit_scale: float = Field(default=1.0, gt=0.0)
    sgd: float = Field(default=0.1, gt=0.0)
    adam: float = Field(default=1e-3, gt=0.0)
    bso: Flips = Flips()
    tbso: Flips = Flips()
    bop: Flips = Flips()

    def flips(self, rule: str) -> Flips:
        """Settings of the rule `bso`, `tbso` or `bop`."""
        return {"bso": self.bso, "tbso": self.tbso, "bop": self.bop}[rule]

    def chip(self) -> Chip:
        """The chip whose network an mlp is."""
        return load_chip(self.network.chip)


SETTINGS_OF_CHIPS = "digits"

_FIELD_NAMES = frozenset(name for model in (Network, Flips, Recipe) for name in model.model_fields)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("flipcore.training").joinpath("recipes")
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_recipe(name: str, changes: tuple[str, ...] = ()) -> Recipe:
    """Load a recipe by name or from a YAML file, with changes such as `bso.gamma=1e-6` applied first.

    A chip preset without a recipe of its own, or a YAML file that describes a chip, is trained as the mlp of that chip
    with the settings of the recipe `digits`: those published are for networks with BatchNorm, which a chip has not.

    Raises:
        InputError: names the field, its value and the rule that it breaks.
    """
    document = _read(name)
    for change in changes:
        apply_change(document, change)
    return parse_recipe(document, name)


def parse_recipe(document: object, source: str) -> Recipe:
    """Build a recipe from a parsed document; `source` names it in errors.

    Raises:
        InputError: names the field, its value and the rule that it breaks.
    """
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {first_error(error, _FIELD_NAMES)}") from None
    if recipe.network.model == "mlp":
        recipe.chip()
    return recipe


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data, every field written out."""
    return recipe.model_dump()


def _read(name: str) -> dict[str, Any]:
    if name not in recipe_names() and name in preset_names():
        return _of_chip(name, load_chip(name))
    document = read_mapping(name, _shipped, "a recipe is")
    return _of_chip(name, load_chip(name)) if "layers" in document else document


def _of_chip(name: str, chip: Chip) -> dict[str, Any]:
    settings = read_mapping(SETTINGS_OF_CHIPS, _shipped, "a recipe is")
    return {
        **settings,
        "name": chip.name,
        "description": chip.description,
        "network": {**settings["network"], "chip": name},
        "dataset": chip.workload.dataset,
        "epochs": max(chip.workload.epochs, 1),
    }


def _shipped(name: str) -> str:
    if name not in recipe_names():
        known = sorted({*recipe_names(), *preset_names()})
        raise InputError(
            f"{name}: no such recipe{near(name, known)} (recipes: {', '.join(known)}; a file name ends in .yaml)"
        )
    folder = resources.files("flipcore.training").joinpath("recipes")
    return folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
