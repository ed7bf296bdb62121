"""What a comparison was asked for, resolved to the last setting; it lies in the folder, so that `--resume` needs nothing else."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flipcore import draws
from flipcore.chip import Chip, chip_document, parse_chip
from flipcore.chip.parse import first_error
from flipcore.comparison.contenders import Contender, parse_contenders
from flipcore.comparison.tasks import contender_chip, load_task, software_recipe, task_recipe
from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.hwmodel.area import chip_area
from flipcore.hwmodel.energy import action_costs
from flipcore.hwmodel.technology import load_technology
from flipcore.session import Tell
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.results import create_run_dir
from flipcore.sim.run import check_fit, fingerprint
from flipcore.training.recipe import Recipe, parse_recipe, recipe_document

REQUEST_FILE = "request.json"
FORMAT = 1  # of that file
DEFAULT_TECHNOLOGY = "ihp-sg13g2"
TAG_SUBSET = 17  # of the streams of SPEC R2: beyond those that the SPEC names


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contender with its settings.

    Attributes:
        settings: of software its recipe, of a chip its description, every field written out.
    """

    contender: str
    settings: dict[str, Any]

    @property
    def parsed(self) -> Contender:
        """The contender itself."""
        return parse_contenders([self.contender])[0]

    def recipe(self) -> Recipe:
        """The recipe of software."""
        return parse_recipe(self.settings, f"{REQUEST_FILE}: {self.contender}")

    def chip(self) -> Chip:
        """The chip."""
        return parse_chip(self.settings, f"{REQUEST_FILE}: {self.contender}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A comparison as it was asked for.

    Attributes:
        task: the preset, recipe or file that was named.
        chip: description of the chip whose network it is, without any contender's changes.
        samples: training samples that were asked for; None for all.
        training_samples: that every row learns from.
        data: digest of the data set.
    """

    format: int = FORMAT
    task: str
    dataset: str
    data: str
    chip: dict[str, Any]
    entries: Annotated[tuple[Entry, ...], Field(min_length=1)]
    first_seed: Annotated[int, Field(ge=0)]
    num_seeds: Annotated[int, Field(ge=1)]
    samples: Annotated[int | None, Field(ge=1)]
    training_samples: Annotated[int, Field(ge=1)]
    validation: Annotated[float, Field(ge=0, lt=1)]
    technology: str

    @property
    def seeds(self) -> range:
        """The seed of each run of a row."""
        return range(self.first_seed, self.first_seed + self.num_seeds)

    def base_chip(self) -> Chip:
        """The chip whose network it is."""
        return parse_chip(self.chip, f"{REQUEST_FILE}: chip")


_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
_FIELD_NAMES = frozenset((*Request.__dataclass_fields__, *Entry.__dataclass_fields__))


def make_request(
    task_name: str = "digits",
    *,
    algorithms: Iterable[str] = (),
    seeds: int | None = None,
    first_seed: int = 0,
    epochs: int | None = None,
    samples: int | None = None,
    dataset: str | None = None,
    validation: float = 0.0,
    technology: str = DEFAULT_TECHNOLOGY,
    tell: Tell | None = None,
) -> Request:
    """Settle what is to be compared and check all of it before anything is written.

    Args:
        task_name: a preset, a recipe, or a YAML file of either.
        algorithms: contenders, such as `bso+gate` or `chip:4`; also as comma lists. None: the task's own.
        seeds: runs of a row; by default the task's.
        first_seed: the others follow it.
        epochs: of every row; by default each has its recipe's or its chip's.
        samples: learn only so many training samples, chosen by the first seed, the same for every row.
        dataset: in place of the recipe's.
        validation: share of the training split that is held out and tested on.
        technology: chips are priced in, a name or a file of coefficients.
        tell: hears of downloads.

    Raises:
        InputError: names what is wrong, in one line.
    """
    _check_numbers(seeds=seeds, epochs=epochs, samples=samples)
    task = load_task(task_name)
    contenders = parse_contenders(algorithms or task.contenders)
    recipe = task_recipe(task)
    chip = recipe.chip()
    dataset_name = dataset or recipe.dataset
    entries = []
    for contender in contenders:
        if contender.where == "software":
            own = software_recipe(task, contender)
            settled = own.model_copy(
                update={"dataset": dataset_name, "epochs": epochs or max(own.epochs, 1)}
            )
            settings = recipe_document(settled)
        else:
            settings = chip_document(
                _with_epochs(contender_chip(task, recipe, contender), dataset_name, epochs)
            )
        entries.append(Entry(contender=contender.text, settings=settings))
    _check_chips(entries, chip, technology)
    loaded = load_dataset(dataset_name, num_steps=chip.steps, progress=tell)
    request = Request(
        task=task_name,
        dataset=dataset_name,
        data=fingerprint(loaded),
        chip=chip_document(chip),
        entries=tuple(entries),
        first_seed=first_seed,
        num_seeds=task.seeds if seeds is None else seeds,
        samples=samples,
        training_samples=len(loaded.train),
        validation=validation,
        technology=technology,
    )
    learnt = data_of_seed(request, loaded, first_seed)
    check_fit(chip, learnt)
    return replace(request, training_samples=len(learnt.train))


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: must be 1 or more")


def _with_epochs(chip: Chip, dataset: str, epochs: int | None) -> Chip:
    chosen = epochs or max(chip.workload.epochs, 1)
    workload = chip.workload.model_copy(update={"dataset": dataset, "epochs": chosen})
    return chip.model_copy(update={"workload": workload})


def _check_chips(entries: Iterable[Entry], chip: Chip, technology_name: str) -> None:
    """Refuse chips of another network, and those that the technology cannot price."""
    technology = load_technology(technology_name)
    for entry in entries:
        if entry.parsed.where == "chip":
            own = entry.chip()
            if network_of(own) != network_of(chip) or own.steps != chip.steps:
                raise InputError(f"algorithm {entry.contender}: its chip has another network")
            action_costs(own, technology)
            chip_area(own, technology)


def network_of(chip: Chip) -> tuple[int, ...]:
    """Sizes of a chip's network, inputs first."""
    return (chip.inputs, *(core.neurons for core in chip.layers))


def load_request_data(request: Request, tell: Tell | None = None) -> Dataset:
    """The data set of a comparison, whole.

    Raises:
        InputError: it cannot be read, or is not the one that the comparison began with.
    """
    steps = request.base_chip().steps
    dataset = load_dataset(request.dataset, num_steps=steps, progress=tell)
    if fingerprint(dataset) != request.data:
        raise InputError(f"{request.dataset}: is not the data set that the comparison began with")
    return dataset


def data_of_seed(request: Request, dataset: Dataset, seed: int) -> Dataset:
    """What the runs of a seed learn from and are tested on: the same for every row.

    Raises:
        InputError: fewer training samples are there than were asked for.
    """
    if request.validation:
        dataset = split_validation(dataset, request.validation, seed)
    if request.samples is None:
        return dataset
    available = len(dataset.train)
    if request.samples > available:
        raise InputError(
            f"--samples {request.samples}: {dataset.name} has {available} training samples"
        )
    keys = draws.stream(request.first_seed, TAG_SUBSET, count=available)
    chosen = np.sort(np.argsort(keys, kind="stable")[: request.samples]).astype(np.int64)
    provenance = dataset.provenance | {
        "train_subset_seed": request.first_seed,
        "train_samples": request.samples,
    }
    return replace(dataset, train=dataset.train.subset(chosen), provenance=provenance)


def create_folder(folder: Path, request: Request) -> None:
    """Begin a comparison in a new folder.

    Raises:
        InputError: it exists and is not empty, or cannot be created.
    """
    create_run_dir(folder, REQUEST_FILE)
    write_whole(folder / REQUEST_FILE, (json.dumps(asdict(request), indent=1) + "\n").encode())


def read_request(folder: Path) -> Request:
    """Read what a folder was begun for.

    Raises:
        InputError: no comparison was begun there, the file is damaged, or a chip that it names has changed.
    """
    path = folder / REQUEST_FILE
    try:
        request = _REQUEST.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: no comparison began here: {REQUEST_FILE} is missing") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(
            f"{path}: damaged or not a request: {first_error(error, _FIELD_NAMES)}"
        ) from None
    if request.format != FORMAT:
        raise InputError(f"{path}: format {request.format}: this version reads {FORMAT}")
    try:
        _check_entries(request)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return request


def _check_entries(request: Request) -> None:
    for entry in request.entries:
        if entry.parsed.where == "chip":
            entry.chip()
            continue
        named = entry.recipe().network.chip
        if chip_document(entry.recipe().chip()) != request.chip:
            raise InputError(f"{entry.contender}: the chip description {named} is another by now")
