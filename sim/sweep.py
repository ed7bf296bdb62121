"""Many variants of a chip over several seeds: a grid or a search, in several processes, continued after a kill."""

import csv
import io
import math
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.sweep_plan import Plan, Value, check_plan
from flipcore.sim.sweep_workers import COUNTS, METRICS, Job, Outcome, Runs, run_jobs

DATABASE = "sweep.db"
SEED = "seed"
FORMAT = 2  # of what is kept of a run; 1 had no counts


@dataclass(frozen=True)
class Point:
    """Figures of one point: means over the seeds, the half width of the 95 % confidence interval of the accuracy, and the counts of all seeds together."""

    values: dict[str, Value]
    runs: int
    accuracy_mean: float
    accuracy_std: float
    accuracy_ci95: float
    cycles_per_sample: float
    updates_per_sample: float
    flips: float
    seconds: float
    train_counts: dict[str, Any]
    inference_counts: dict[str, Any]


def run_sweep(
    plan: Plan, processes: int, tell: Callable[[int, int], None]
) -> tuple[list[Point], list[str]]:
    """Run what is left of a sweep; returns its points, the best first, and what was refused.

    Args:
        plan: the sweep; started again with the same plan it goes on where it was.
        processes: how many run at once.
        tell: told now and then how many trials of how many have ended.

    Raises:
        InputError: the folder holds another sweep, is in use or cannot be written, or a process died.
    """
    check_plan(plan)
    _claim_folder(plan)
    with folder_lock(plan.out):
        study = _open_study(plan)
        jobs = _search_jobs(study, plan) if plan.search_points else _grid_jobs(study, plan)
        for job, outcome in run_jobs(plan, jobs, processes):
            _record(study, plan, job, outcome)
            tell(len(_ended(study)), plan.num_trials)
        points, refused = read_points(study)
        write_whole(plan.out / "sweep.csv", _csv(points).encode())
    return points, refused


def _open_study(plan: Plan) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = plan.out / DATABASE
    _check_database(path)
    study = optuna.create_study(
        storage=RDBStorage(f"sqlite:///{path}"),
        study_name="sweep",
        direction="maximize",
        load_if_exists=True,
    )
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            # Left over from a killed sweep: nobody works on it any more.
            study.tell(trial.number, state=TrialState.FAIL)
    startup = max(10, plan.search_points // 4)
    # A search that goes on must not draw the points again with which it began.
    study.sampler = TPESampler(seed=len(trials), n_startup_trials=startup)
    return study


def _check_database(path: Path) -> None:
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA quick_check").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path}: damaged or cannot be used: {error}") from None


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that have ended, well or with an impossible chip."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=ended)


def _distributions(plan: Plan) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {
        variation.key: CategoricalDistribution(variation.values) for variation in plan.variations
    }
    if not plan.search_points:
        space[SEED] = CategoricalDistribution(range(plan.seeds))
    return space


def _grid_jobs(study: optuna.Study, plan: Plan) -> Iterator[Job]:
    """What is left of a grid, seed by seed, so that all points can be compared early."""
    keys = [variation.key for variation in plan.variations]
    done = [trial.params for trial in _ended(study)]
    for seed in range(plan.seeds):
        for chosen in product(*(variation.values for variation in plan.variations)):
            values = dict(zip(keys, chosen, strict=True))
            if {**values, SEED: seed} not in done:
                yield Job(values, (seed,))


def _search_jobs(study: optuna.Study, plan: Plan) -> Iterator[Job]:
    """What is left of a search: each point is chosen when a process is free for it."""
    for _ in range(plan.num_trials - len(_ended(study))):
        trial = study.ask(_distributions(plan))
        yield Job(trial.params, tuple(range(plan.seeds)), trial)


def _record(study: optuna.Study, plan: Plan, job: Job, outcome: Outcome) -> None:
    """Write down how a job ended."""
    if isinstance(outcome, str):
        name, state, value = "refused", TrialState.PRUNED, None
    else:
        name, state = "runs", TrialState.COMPLETE
        value = statistics.fmean(run["test_accuracy"] for run in outcome.values())
    if job.trial:
        job.trial.set_user_attr(name, outcome)
        study.tell(job.trial, value, state)
        return
    study.add_trial(
        optuna.trial.create_trial(
            state=state,
            value=value,
            params={**job.values, SEED: job.seeds[0]},
            distributions=_distributions(plan),
            user_attrs={name: outcome},
        )
    )


def _claim_folder(plan: Plan) -> None:
    """Create the folder, or make sure that it holds this very sweep."""
    described = yaml.safe_dump(
        {
            "format": FORMAT,
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
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
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
    grouped: dict[tuple[tuple[str, Value], ...], Runs] = {}
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


def _point(values: dict[str, Value], runs: list[dict[str, Any]]) -> Point:
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
        train_counts=_summed([run["train_counts"] for run in runs]),
        inference_counts=_summed([run["inference_counts"] for run in runs]),
    )


def _summed(counts: list[dict[str, Any]]) -> dict[str, Any]:
    total = EventCounts.zeros(len(counts[0]["events"]))
    for one in counts:
        total.add(EventCounts.from_dict(one))
    return total.as_dict()


def _csv(points: list[Point]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = list(points[0].values) if points else []
    columns = [name for name in Point.__dataclass_fields__ if name not in ("values", *COUNTS)]
    writer.writerow([*keys, *columns])
    for point in points:
        writer.writerow([*point.values.values(), *(getattr(point, name) for name in columns)])
    return text.getvalue()
