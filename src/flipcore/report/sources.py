"""What a report is made from: folders of comparisons, of simulations and of trainings, each read as a comparison."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from flipcore.chip.parse import first_error
from flipcore.comparison.chip_rows import chip_row, momentum_width
from flipcore.comparison.contenders import CHIP, CHIP_TBSO, parse_contenders
from flipcore.comparison.jobs import RUNS
from flipcore.comparison.request import DEFAULT_TECHNOLOGY, network_of
from flipcore.comparison.rows import (
    COMPARISON_FILE,
    Comparison,
    Row,
    comparison_document,
    read_comparison,
)
from flipcore.comparison.run_files import read_run
from flipcore.comparison.software_rows import software_row
from flipcore.errors import InputError
from flipcore.hwmodel.estimate import RUN_FILE, run_workload
from flipcore.hwmodel.technology import load_technology

TRAINING_FILE = "train.json"
_ROW_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder that was read.

    Attributes:
        network: in words, such as "64-256-10"; names the model where it has no chip.
        run_dirs: of chip rows by name, the run directory that pictures are drawn from.
        command: makes the folder again.
        written: when its figures were.
    """

    folder: Path
    comparison: Comparison
    network: str
    run_dirs: dict[str, Path]
    command: str
    written: datetime


def read_source(folder: Path) -> Source:
    """Read the folder of a comparison, a simulation or a training.

    Raises:
        InputError: it is none of these, or damaged, or not finished.
    """
    for file, read in (
        (COMPARISON_FILE, _comparison),
        (TRAINING_FILE, _training),
        (RUN_FILE, _simulation),
    ):
        if (folder / file).is_file():
            source = read(folder)
            _check_finite(source.comparison, folder / file)
            return source
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    raise InputError(
        f"{folder}: no {COMPARISON_FILE}, {TRAINING_FILE} or {RUN_FILE}: not a finished folder of `flipcore compare`, `train` or `simulate`"
    )


def _check_finite(comparison: Comparison, path: Path) -> None:
    """Refuse NaN and infinity, which Python reads from JSON without a word."""
    try:
        json.dumps(comparison_document(comparison), allow_nan=False)
    except ValueError:
        raise InputError(f"{path}: damaged: holds a number that is none") from None


def _comparison(folder: Path) -> Source:
    comparison = read_comparison(folder)
    if not comparison.rows:
        raise InputError(f"{folder / COMPARISON_FILE}: damaged: has no rows")
    names = [row.name for row in comparison.rows]
    for name in names:
        if not _ROW_NAME.fullmatch(name) or names.count(name) > 1:
            raise InputError(f"{folder / COMPARISON_FILE}: damaged: row {name!r}: names are letters, digits and hyphens, each once")  # fmt: skip
    if comparison.headline_row and comparison.headline_row not in names:
        raise InputError(
            f"{folder / COMPARISON_FILE}: damaged: headline_row {comparison.headline_row} is none of its rows"
        )
    return Source(
        folder=folder,
        comparison=comparison,
        network="-".join(map(str, comparison.network)),
        run_dirs={
            row.name: folder / RUNS / _run_name(row.name, row.seeds[0])
            for row in comparison.rows
            if row.where == "chip" and row.seeds
        },
        command=f"flipcore compare --resume {_quoted(folder)}",
        written=_written(folder / COMPARISON_FILE),
    )


@checked_dataclass(frozen=True, kw_only=True)
class _Settings:
    """Of a simulation."""

    dataset: str
    epochs: int
    seed: int
    validation: float
    weights: str


def _simulation(folder: Path) -> Source:
    path = folder / RUN_FILE
    document = read_run(folder)
    if "chip" not in document:
        raise InputError(f"{path}: not of a simulation; of a training, give the folder with its {TRAINING_FILE}")  # fmt: skip
    workload = run_workload(folder)
    chip = workload.chip
    if workload.training is None:
        raise InputError(f"{folder}: this run has learnt nothing that could be reported")
    try:
        settings = TypeAdapter(_Settings).validate_python(document["settings"])
        if any("flip_ratio" not in epoch for epoch in document["history"]):
            raise InputError(f"{path}: of an older flipcore, which kept no flip ratios: simulate it again")  # fmt: skip
        head = CHIP_TBSO if chip.layers[0].rule == "tbso" else CHIP
        (contender,) = parse_contenders([f"{head}:{momentum_width(chip)}"])
        row = chip_row(
            contender, chip, [folder], [settings.seed], load_technology(DEFAULT_TECHNOLOGY)
        )  # fmt: skip
        comparison = Comparison(
            name=chip.name,
            dataset=settings.dataset,
            network=network_of(chip),
            steps=chip.steps,
            training_samples=workload.epoch_samples,
            test_split=document["test_split"],
            test_samples=document["test_samples"],
            headline_row=row.name,
            rows=(row,),
            versions=document["versions"],
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    words = ["flipcore", "simulate", str(folder / "chip.yaml"), "--dataset", settings.dataset]
    words += ["--epochs", str(settings.epochs), "--seed", str(settings.seed)]
    words += ["--validation", str(settings.validation)] if settings.validation else []
    words += ["--weights", settings.weights] if settings.weights else []
    return Source(
        folder=folder,
        comparison=comparison,
        network="-".join(map(str, comparison.network)),
        run_dirs={row.name: folder},
        command=shlex.join(words),
        written=_written(path),
    )


@checked_dataclass(frozen=True, kw_only=True)
class _TrainedRow:
    """What is needed of a row of `train.json`."""

    algorithm: str
    seeds: tuple[int, ...]


@checked_dataclass(frozen=True, kw_only=True)
class _Training:
    """What is needed of `train.json`."""

    name: str
    dataset: str
    rows: tuple[_TrainedRow, ...]


def _training(folder: Path) -> Source:
    path = folder / TRAINING_FILE
    try:
        training = TypeAdapter(_Training).validate_json(path.read_bytes())
        trained = [_trained_row(folder, row) for row in training.rows]
        document = read_run(folder / _run_name(training.rows[0].algorithm, training.rows[0].seeds[0]))  # fmt: skip
        network, sizes, steps = _trained_network(document)
        figures = document["figures"]
        comparison = Comparison(
            name=training.name,
            dataset=training.dataset,
            network=sizes,
            steps=steps,
            training_samples=document["dataset_provenance"]["train_samples"],
            test_split=figures["test_split"],
            test_samples=figures["test_samples"],
            headline_row="",
            rows=tuple(trained),
            versions=document["versions"],
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValidationError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, error) from None
    return Source(
        folder=folder,
        comparison=comparison,
        network=network,
        run_dirs={},
        command=f"flipcore train --resume {_quoted(folder)}",
        written=_written(path),
    )


def _trained_row(folder: Path, row: _TrainedRow) -> Row:
    run_dirs = [folder / _run_name(row.algorithm, seed) for seed in row.seeds]
    options = read_run(run_dirs[0])["options"]
    storage = f":{options['storage']}" if row.algorithm.endswith(options["storage"]) else ""
    gate = "+gate" if options["gate"] else ""
    (contender,) = parse_contenders([f"{options['algorithm']}{storage}{gate}"])
    return software_row(contender, run_dirs, row.seeds, {})


def _trained_network(document: dict[str, Any]) -> tuple[str, tuple[int, ...], int]:
    """Name, sizes and steps of a trained network; no sizes where no chip has it."""
    from flipcore.training.recipe import parse_recipe

    recipe = parse_recipe(document["recipe"], RUN_FILE)
    if recipe.network.model != "mlp":
        return f"{recipe.network.model}, which no chip has", (), recipe.network.steps
    chip = recipe.chip()
    sizes = network_of(chip)
    return "-".join(map(str, sizes)), sizes, chip.steps


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, ValidationError):
        if error.errors()[0]["type"] == "json_invalid":
            return InputError(f"{path}: damaged: not JSON")
        names = {name for one in error.errors() for name in one["loc"] if isinstance(name, str)}
        return InputError(f"{path}: damaged: {first_error(error, names)}")
    missing = isinstance(error, KeyError)
    return InputError(
        f"{path}: damaged: {f'{error.args[0]} is missing' if missing else ' '.join(str(error).split())}"
    )


def _run_name(row: str, seed: int) -> str:
    """As `rows.Row` says, and as `flipcore train` names its runs."""
    return f"{row}-seed{seed}"


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _quoted(folder: Path) -> str:
    return shlex.quote(str(folder))


def report_command(folders: Sequence[Path], out: Path) -> str:
    """The command that makes this report again."""
    return shlex.join(["flipcore", "report", *map(str, folders), "--out", str(out)])
