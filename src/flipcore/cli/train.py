"""`flipcore train`: train a recipe by one algorithm or several, over seeds; show how it goes, print and keep the figures."""

import json as json_format
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flipcore.cli.display import RunDisplay, leave_interrupted
from flipcore.cli.train_table import print_rows
from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.logbook import Logbook
from flipcore.sim.results import create_run_dir, free_folder
from flipcore.training import training_run as runs
from flipcore.training.algorithms import find_algorithm
from flipcore.training.data import SampleSet, hold_out, load_samples
from flipcore.training.distributed import (
    Device,
    local_device,
    made_by_first,
    process_group,
    rank,
    world_size,
)
from flipcore.training.networks import network_steps
from flipcore.training.options import Options, Storage
from flipcore.training.recipe import Recipe, load_recipe, parse_recipe, recipe_document
from flipcore.training.torch_settings import configure_torch
from flipcore.training.training_folder import logged_values, train_in_folder
from flipcore.training.training_results import rows_of

REQUEST = "request.json"
RESULTS = "train.json"


@dataclass(frozen=True)
class Request:
    """What the command line asks for; it is kept in the folder of results, so that `--resume` needs nothing else."""

    recipe: dict[str, Any]
    algorithms: Annotated[tuple[str, ...], Field(min_length=1)]
    storage: Storage
    gate: bool
    amp: bool
    first_seed: Annotated[int, Field(ge=0)]
    seeds: Annotated[int, Field(ge=1)]
    epochs: Annotated[int | None, Field(ge=0)]
    validation: Annotated[float, Field(ge=0, lt=1)]
    device: str
    deterministic: bool


def make_request(
    model: str,
    dataset: str | None,
    changes: tuple[str, ...],
    *,
    algorithms: tuple[str, ...],
    storage: str,
    gate: bool,
    amp: bool,
    first_seed: int,
    seeds: int,
    epochs: int | None,
    validation: float,
    device: str,
    deterministic: bool,
) -> Request:
    """Check what the command line says before anything is loaded or written.

    Raises:
        InputError: names the option or field, its value and the rule that it breaks.
    """
    if dataset is not None:
        changes = (*changes, f"dataset={json_format.dumps(dataset)}")
    recipe = load_recipe(model, changes)
    for name in algorithms:
        Options(algorithm=find_algorithm(name), storage=storage)  # type: ignore[arg-type]
    return Request(
        recipe=recipe_document(recipe),
        algorithms=algorithms,
        storage=storage,  # type: ignore[arg-type]
        gate=gate,
        amp=amp,
        first_seed=first_seed,
        seeds=seeds,
        epochs=epochs,
        validation=validation,
        device=device,
        deterministic=deterministic,
    )


def start(request: Request, out: Path | None, *, as_json: bool) -> None:
    """Train in a new folder of results."""
    device = local_device(request.device)
    with process_group(device):
        folder = Path(made_by_first(lambda: str(_create(request, out))))
        _train_all(request, folder, device, as_json=as_json)


def resume(folder: Path, *, as_json: bool) -> None:
    """Continue what a folder of results began; what is finished there is not trained again."""
    request = _read_request(folder)
    device = local_device(request.device)
    with process_group(device):
        _train_all(request, folder, device, as_json=as_json)


def _train_all(request: Request, folder: Path, device: Device, *, as_json: bool) -> None:
    recipe = parse_recipe(request.recipe, str(folder / REQUEST))
    configure_torch(recipe, deterministic=request.deterministic)
    console = Console(stderr=True, quiet=rank() > 0)
    samples = _load_data(recipe, console)
    # Only one process keeps the lock: the others share its folder.
    with folder_lock(folder) if rank() == 0 else nullcontext():
        finished = [
            _train_one(recipe, _options(request, name, seed), samples, folder, device, console)
            for name in request.algorithms
            for seed in range(request.first_seed, request.first_seed + request.seeds)
        ]
    results = {
        "name": recipe.name,
        "dataset": recipe.dataset,
        "device": str(device),
        "processes": world_size(),
        "rows": rows_of(finished),
        "run_dir": str(folder),
    }
    if rank():
        return
    write_whole(folder / RESULTS, (json_format.dumps(results, indent=1) + "\n").encode())
    if as_json:
        print(json_format.dumps(results))
    else:
        print_rows(results)


def _options(request: Request, algorithm: str, seed: int) -> Options:
    return Options(
        algorithm=find_algorithm(algorithm),
        storage=request.storage,
        gate=request.gate,
        amp=request.amp,
        seed=seed,
        epochs=request.epochs,
        validation=request.validation,
    )


def _train_one(
    recipe: Recipe,
    options: Options,
    samples: SampleSet,
    folder: Path,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train one algorithm with one seed, or read what it gave if it is finished."""
    held_out = (
        hold_out(samples, options.validation, options.seed) if options.validation else samples
    )
    run_dir = folder / options.title
    run_dir.mkdir(exist_ok=True)
    try:
        return train_in_folder(
            lambda: runs.TrainingRun(recipe, options, held_out, device),
            run_dir,
            lambda run: _Display(run, run_dir, console),
        )
    except runs.Interrupted:
        leave_interrupted(console, f"flipcore train --resume {folder}")


def _read_request(folder: Path) -> Request:
    path = folder / REQUEST
    try:
        return TypeAdapter(Request).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: no training began here: {REQUEST} is missing") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise InputError(f"{path}: damaged or not a request: {place}: {first['msg']}") from None


def _load_data(recipe: Recipe, console: Console) -> SampleSet:
    def tell(line: str) -> None:
        console.print(line, highlight=False)

    progress = tell if console.is_terminal else None
    return load_samples(recipe.dataset, num_steps=network_steps(recipe), progress=progress)


def _create(request: Request, out: Path | None) -> Path:
    """The folder of results, new and with the request in it."""
    folder = out or free_folder(f"train-{request.recipe['name']}")
    create_run_dir(folder, REQUEST)
    write_whole(folder / REQUEST, json_format.dumps(asdict(request), indent=1).encode())
    return folder


class _Display(RunDisplay):
    """Progress bar on a terminal, TensorBoard log, and the ear for Ctrl-C."""

    def __init__(self, run: runs.TrainingRun, run_dir: Path, console: Console) -> None:
        bar = Progress(
            TextColumn(run.options.title),
            TextColumn("{task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[rate]} samples/s"),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("correct {task.fields[accuracy]}"),
            TextColumn("test {task.fields[test]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        super().__init__(bar, Logbook(run_dir, run.progress.epoch) if rank() == 0 else None)
        self._run = run
        self._task = bar.add_task(
            "train",
            total=run.epochs * run.batches,
            epoch="",
            rate="-",
            loss="-",
            accuracy="-",
            test="-",
        )

    def on_batch(self, progress: runs.Progress, batches: int) -> None:
        """Move the bar."""
        size = self._run.batch_samples
        seen = progress.batch * size
        all_seen = progress.epoch * batches * size + seen
        self._bar.update(
            self._task,
            completed=progress.epoch * batches + progress.batch,
            epoch=f"epoch {progress.epoch + 1}/{self._run.epochs}",
            rate=f"{all_seen / max(progress.seconds, 1e-9):,.0f}",
            loss=f"{progress.loss / progress.batch:.3f}",
            accuracy=f"{progress.correct * world_size() / seen:.1%}",
        )

    def on_epoch(self, epoch: runs.Epoch) -> None:
        """Log the epoch."""
        self._bar.update(self._task, test=f"{epoch.test_accuracy:.2%}")
        if self._logbook is not None:
            self._logbook.write_values(epoch.epoch, logged_values(epoch))
