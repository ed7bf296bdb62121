"""Many variants of a chip over several seeds: a grid or a search, in several processes, continued after a kill."""

import csv
import io
import math
import multiprocessing
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.samplers import BaseSampler, GridSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from scipy import stats

from flipcore.chip import Chip, apply_change, parse_chip
from flipcore.errors import InputError
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.run import Epoch, Progress, Run, Settings, check_fit
from flipcore.sim.storage import write_whole

DATABASE = "sweep.db"
SEED = "seed"
METRICS = ("test_accuracy", "cycles_per_sample", "updates_per_sample", "flips", "seconds")
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


@dataclass(frozen=True)
class Point:
    """Figures of one point: means over the seeds, and the half width of the 95 % confidence interval of the accuracy."""

    values: dict[str, Value]
    runs: int
    accuracy_mean: float
    accuracy_std: float
    accuracy_ci95: float
    cycles_per_sample: float
    updates_per_sample: float
    flips: float
    seconds: float


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
    except yaml.YAMLError:
        raise InputError(f"--vary {text}: a value is not valid YAML") from None
    if any(isinstance(value, list | dict) for value in values):
        raise InputError(f"--vary {text}: values are numbers or words")
    if len(set(values)) != len(values):
        raise InputError(f"--vary {text}: a value stands there twice")
    return Variation(key, values)


def check_plan(plan: Plan) -> None:
    """Refuse a plan in which a value alone already makes an impossible chip, before anything runs.

    Combinations may still be impossible; those points fail alone and are reported.

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
    chip = _varied(plan, {variation.key: variation.values[0] for variation in plan.variations})
    check_fit(chip, _load(plan, chip.steps))


def _varied(plan: Plan, values: dict[str, Value]) -> Chip:
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(plan.document))
    for key, value in values.items():
        apply_change(document, f"{key}={yaml.safe_dump(value).splitlines()[0]}")
    return parse_chip(document, "sweep")


def _load(plan: Plan, num_steps: int) -> Dataset:
    dataset = load_dataset(plan.dataset, num_steps=num_steps)
    # One split for all seeds, so that points differ by the chip alone.
    return split_validation(dataset, plan.validation, 0) if plan.validation else dataset


class _Silent:
    """Observer of runs that nobody watches."""

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing to show."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing to log."""

    def should_stop(self) -> bool:
        """Runs of a sweep end by themselves."""
        return False


def measure(plan: Plan, values: dict[str, Value], seed: int, dataset: Dataset) -> dict[str, float]:
    """Train one variant with one seed; returns METRICS, of training where the name does not say otherwise."""
    chip = _varied(plan, values)
    run = Run(chip, dataset, Settings(plan.dataset, plan.epochs, seed, plan.validation))
    run.train(_Silent(), None)
    counts = run.train_counts
    samples = max(counts.samples, 1)
    accuracy = run.progress.history[-1].test_accuracy if run.progress.history else run.evaluate()
    return {
        "test_accuracy": accuracy,
        "cycles_per_sample": counts.cycles / samples,
        "updates_per_sample": counts.total("momentum_updates") / samples,
        "flips": float(counts.total("flips")),
        "seconds": run.progress.seconds,
    }


def _study(plan: Plan, sampler_seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = RDBStorage(
        f"sqlite:///{plan.out / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    sampler: BaseSampler
    if plan.search_points:
        sampler = TPESampler(seed=sampler_seed, n_startup_trials=max(10, plan.search_points // 4))
    else:
        space: dict[str, Sequence[Value]] = {v.key: list(v.values) for v in plan.variations}
        space[SEED] = list(range(plan.seeds))
        sampler = GridSampler(space, seed=0)
    return optuna.create_study(
        storage=storage,
        study_name="sweep",
        direction="maximize",
        sampler=sampler,
        load_if_exists=True,
    )


def _is_done(study: optuna.Study, plan: Plan) -> bool:
    return num_finished(study) >= plan.num_trials


def num_finished(study: optuna.Study) -> int:
    """Trials that have ended, well or with an impossible chip."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=ended))


def _work(plan: Plan, worker: int) -> None:
    """Run trials until none is left; one process of a sweep."""
    study = _study(plan, worker)
    datasets: dict[int, Dataset] = {}

    def objective(trial: optuna.Trial) -> float:
        values = {v.key: trial.suggest_categorical(v.key, v.values) for v in plan.variations}
        seeds = (
            range(plan.seeds)
            if plan.search_points
            else [trial.suggest_categorical(SEED, range(plan.seeds))]
        )
        try:
            steps = _varied(plan, values).steps
            if steps not in datasets:
                datasets[steps] = _load(plan, steps)
            runs = {str(seed): measure(plan, values, int(seed), datasets[steps]) for seed in seeds}
        except InputError as error:
            trial.set_user_attr("refused", str(error))
            raise optuna.TrialPruned from None
        trial.set_user_attr("runs", runs)
        return statistics.fmean(run["test_accuracy"] for run in runs.values())

    while not _is_done(study, plan):
        study.optimize(objective, n_trials=1)


def run_sweep(
    plan: Plan, processes: int, tell: Callable[[int, int], None]
) -> tuple[list[Point], list[str]]:
    """Run what is left of a sweep; returns its points, the best first, and what was refused.

    Args:
        plan: the sweep; started again with the same plan it goes on where it was.
        processes: how many run at once.
        tell: told now and then how many trials of how many have ended.

    Raises:
        InputError: the folder holds another sweep, or cannot be written.
    """
    check_plan(plan)
    _claim_folder(plan)
    study = _study(plan, 0)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Left over from a killed process: nobody works on it any more.
        study.tell(trial.number, state=TrialState.FAIL)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(plan, worker), daemon=True)
        for worker in range(min(processes, max(1, plan.num_trials - num_finished(study))))
    ]
    for process in workers:
        process.start()
    try:
        for process in workers:
            while process.is_alive():
                process.join(timeout=0.5)
                tell(num_finished(study), plan.num_trials)
    finally:
        for process in workers:
            process.terminate()
    if any(process.exitcode for process in workers) and not _is_done(study, plan):
        raise InputError(f"{plan.out}: a process of the sweep died; start the sweep again to go on")
    points, refused = read_points(study)
    write_whole(plan.out / "sweep.csv", _csv(points).encode())
    return points, refused


def _claim_folder(plan: Plan) -> None:
    """Create the folder, or make sure that it holds this very sweep."""
    described = yaml.safe_dump(
        {
            "chip": plan.document,
            "vary": {v.key: list(v.values) for v in plan.variations},
            "seeds": plan.seeds,
            "search": plan.search_points,
            "dataset": plan.dataset,
            "epochs": plan.epochs,
            "validation": plan.validation,
        },
        sort_keys=True,
    )
    path = plan.out / "plan.yaml"
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else None
    except OSError as error:
        raise InputError(f"{plan.out}: cannot be used: {error.strerror}") from None
    if before is None:
        write_whole(path, described.encode())
    elif before != described:
        raise InputError(
            f"{plan.out}: holds another sweep (see plan.yaml there): choose another --out"
        )


def read_points(study: optuna.Study) -> tuple[list[Point], list[str]]:
    """Points of a study, the most accurate first, and what was refused."""
    grouped: dict[tuple[tuple[str, Value], ...], dict[str, dict[str, float]]] = {}
    refused = set()
    for trial in study.get_trials(deepcopy=False):
        values = {key: value for key, value in trial.params.items() if key != SEED}
        if trial.state == TrialState.COMPLETE:
            runs = grouped.setdefault(tuple(values.items()), {})
            runs.update(trial.user_attrs["runs"])
        elif "refused" in trial.user_attrs:
            refused.add(f"{values}: {trial.user_attrs['refused']}")
    points = [_point(dict(values), list(runs.values())) for values, runs in grouped.items()]
    return sorted(points, key=lambda point: -point.accuracy_mean), sorted(refused)


def _point(values: dict[str, Value], runs: list[dict[str, float]]) -> Point:
    accuracies = [run["test_accuracy"] for run in runs]
    means = {name: statistics.fmean(run[name] for run in runs) for name in METRICS}
    spread = statistics.stdev(accuracies) if len(runs) > 1 else math.nan
    # Student's t, as there are few seeds.
    quantile = float(stats.t.ppf(0.975, len(runs) - 1)) if len(runs) > 1 else math.nan
    return Point(
        values=values,
        runs=len(runs),
        accuracy_mean=means["test_accuracy"],
        accuracy_std=spread,
        accuracy_ci95=quantile * spread / math.sqrt(len(runs)),
        cycles_per_sample=means["cycles_per_sample"],
        updates_per_sample=means["updates_per_sample"],
        flips=means["flips"],
        seconds=means["seconds"],
    )


def _csv(points: list[Point]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = list(points[0].values) if points else []
    columns = [name for name in Point.__dataclass_fields__ if name != "values"]
    writer.writerow([*keys, *columns])
    for point in points:
        writer.writerow([*point.values.values(), *(getattr(point, name) for name in columns)])
    return text.getvalue()
