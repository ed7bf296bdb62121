"""The training studies of docs/STUDIES.md: every setting searched on held-out training samples, then measured on the test split over several seeds.

Run `python -m benchmarks.training_studies` (all), or with names of studies. Killed at any moment it goes on where it was. Results: one JSON file per study.
"""

import argparse
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

from flipcore.files import write_whole
from flipcore.training.algorithms import find_algorithm
from flipcore.training.data import hold_out, load_samples
from flipcore.training.networks import network_steps
from flipcore.training.options import STORAGES, Options, Storage
from flipcore.training.recipe import load_recipe, recipe_document
from flipcore.training.training_results import figures
from flipcore.training.training_run import Epoch, Progress, TrainingRun

TUNING_SHARE = 0.3  # of the training split, held out for the search
EPOCHS = 12


@dataclass(frozen=True)
class Setting:
    """One row of a table: what it fixes, and what is searched for it."""

    name: str
    algorithm: str
    searched: dict[str, tuple[Any, ...]]
    changes: tuple[str, ...] = ()
    storage: Storage = "dense"
    gate: bool = False


@dataclass(frozen=True)
class Study:
    """One table."""

    recipe: str
    settings: tuple[Setting, ...]
    points: int = 4
    seeds: int = 3
    epochs: int = EPOCHS
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One training: all that fixes its result."""

    recipe: str
    changes: tuple[str, ...]
    algorithm: str
    storage: Storage
    gate: bool
    epochs: int
    seed: int
    validation: float
    folder: Path = field(compare=False)

    @property
    def path(self) -> Path:
        """File of its figures, named after all that fixes them: the recipe's content, as its file may change."""
        document = recipe_document(load_recipe(self.recipe, self.changes))
        how = (self.algorithm, self.storage, self.gate, self.epochs, self.seed, self.validation)
        text = json.dumps([document, *how], sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


class _Silence:
    """An observer that neither shows nor stops anything."""

    def on_batch(self, progress: Progress, batches: int) -> None:
        """Nothing."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        return False


SCALES = (2.0, 4.0)
RATES = (1e-3, 3e-3)
STAGES = {"decay_epochs": (3,), "decay_factor": (0.5,)}
GAMMAS = {
    "bso": (1e-4, 2e-4, 5e-4, 1e-3),
    "tbso": (0.5, 1.0, 1.5, 2.5),
    "bop": (1e-4, 2e-4, 5e-4, 1e-3),
}


def _flips(rule: str, **more: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """What is searched for a rule that flips; `more` replaces or adds fields of it."""
    fields = {"rate": RATES, "gamma": GAMMAS[rule], **STAGES, **more}
    return {"logit_scale": SCALES, **{f"{rule}.{name}": values for name, values in fields.items()}}


def _floats(field_name: str, *values: float) -> dict[str, tuple[Any, ...]]:
    return {"logit_scale": SCALES, field_name: values}


RESET = ("bso.momentum_at_flip=reset", "tbso.momentum_at_flip=reset")
KEEP = ("bso.momentum_at_flip=keep", "tbso.momentum_at_flip=keep")
ADAM = (3e-4, 1e-3, 3e-3)
RATE = {"bso.rate": (3e-3,), "tbso.rate": (3e-3,)}  # of MNIST, where each training takes minutes

STUDIES = {
    "training-algorithms": Study(
        "digits",
        (
            Setting("latent, BPTT + Adam", "bptt-adam", _floats("adam", *ADAM)),
            Setting("latent, OTTT + Adam", "ottt-adam", _floats("adam", *ADAM)),
            Setting("Bop, online", "bop", _flips("bop")),
            Setting("BSO", "bso", _flips("bso"), RESET),
            Setting("T-BSO", "tbso", _flips("tbso", square_rate=(1e-2,)), RESET),
        ),
        points=5,
    ),
    "training-threshold": Study(
        "digits",
        (
            Setting("none (gamma = 0)", "bso", _flips("bso", gamma=(0.0,)), RESET),
            Setting("absolute (BSO)", "bso", _flips("bso"), RESET),
            Setting(
                "relative, one moment for all steps",
                "tbso",
                _flips("tbso", square_rate=(1e-2,), temporal=(False,)),
                RESET,
            ),
            Setting(
                "relative, a moment per step (T-BSO)",
                "tbso",
                _flips("tbso", square_rate=(1e-2,)),
                RESET,
            ),
            Setting(
                "relative, published gamma 5e-7",
                "tbso",
                _flips("tbso", gamma=(5e-7,), square_rate=(1e-5,)),
                KEEP,
            ),
        ),
        points=5,
    ),
    "training-bits": Study(
        "digits",
        tuple(
            Setting(f"BSO, {storage}", "bso", _flips("bso"), RESET, storage) for storage in STORAGES
        ),
    ),
    "training-anneal": Study(
        "digits",
        tuple(
            Setting(
                name,
                "bso",
                _flips("bso", decay_factor=(rate_factor,), gamma_decay_factor=(gamma_factor,)),
                RESET,
            )
            for name, rate_factor, gamma_factor in (
                ("neither", 1.0, 1.0),
                ("both fall, as published", 0.5, 0.5),
                ("rate falls", 0.5, 1.0),
                ("gamma falls", 1.0, 0.5),
                ("gamma rises", 1.0, 2.0),
            )
        ),
    ),
    "training-reset": Study(
        "digits",
        (
            Setting("BSO, reset", "bso", _flips("bso"), RESET),
            Setting("BSO, keep", "bso", _flips("bso"), KEEP),
            Setting("T-BSO, reset", "tbso", _flips("tbso", square_rate=(1e-2,)), RESET),
            Setting("T-BSO, keep", "tbso", _flips("tbso", square_rate=(1e-2,)), KEEP),
        ),
    ),
    "training-gate": Study(
        "digits",
        tuple(
            Setting(f"{name}{', gate' if gate else ''}", algorithm, searched, RESET, "dense", gate)
            for name, algorithm, searched in (
                ("latent, BPTT + Adam", "bptt-adam", _floats("adam", *ADAM)),
                ("BSO", "bso", _flips("bso")),
            )
            for gate in (False, True)
        ),
    ),
    "training-mnist": Study(
        "mnist",
        (
            Setting("latent, BPTT + Adam", "bptt-adam", {"adam": (1e-3, 3e-3)}),
            Setting("BSO", "bso", {**RATE, "bso.gamma": (1e-5, 3e-5)}, RESET),
            Setting("T-BSO", "tbso", {**RATE, "tbso.gamma": (1.0, 2.0)}, RESET),
        ),
        points=2,
        seeds=3,
        epochs=6,
        changes=("batch_size=128",),
    ),
}


def run(job: Job) -> dict[str, Any]:
    """Train, or read what the same training gave before."""
    if job.path.is_file():
        result: dict[str, Any] = json.loads(job.path.read_text())
        return result
    torch.set_num_threads(1)
    recipe = load_recipe(job.recipe, job.changes)
    samples = load_samples(recipe.dataset, num_steps=network_steps(recipe))
    if job.validation:
        samples = hold_out(samples, job.validation, job.seed)
    options = Options(
        algorithm=find_algorithm(job.algorithm),
        storage=job.storage,
        gate=job.gate,
        seed=job.seed,
        epochs=job.epochs,
        validation=job.validation,
    )
    training = TrainingRun(recipe, options, samples, torch.device("cpu"))
    training.train(_Silence(), None)
    result = figures(training)
    write_whole(job.path, json.dumps(result).encode())
    return result


def _points(setting: Setting, count: int) -> list[tuple[str, ...]]:
    """Random points of a setting's grid, the same each time."""
    dice = np.random.default_rng(1)
    points: list[tuple[str, ...]] = []
    for _ in range(20 * count):
        point = tuple(
            f"{name}={json.dumps(values[dice.integers(len(values))])}"
            for name, values in setting.searched.items()
        )
        if point not in points and len(points) < count:
            points.append(point)
    return points


def study(name: str, pool: ProcessPoolExecutor, work: Path) -> dict[str, Any]:
    """Search, choose, measure: the rows of one table."""
    plan = STUDIES[name]

    def job(setting: Setting, point: tuple[str, ...], seed: int, validation: float) -> Job:
        changes = (*plan.changes, *setting.changes, *point)
        shape = (setting.algorithm, setting.storage, setting.gate, plan.epochs)
        return Job(plan.recipe, changes, *shape, seed, validation, work)

    searches = {
        setting.name: [
            (point, pool.submit(run, job(setting, point, 0, TUNING_SHARE)))
            for point in _points(setting, plan.points)
        ]
        for setting in plan.settings
    }
    chosen = {
        setting: max(tried, key=lambda one: _last_epochs(one[1].result()))[0]
        for setting, tried in searches.items()
    }
    measured = {
        setting.name: [
            pool.submit(run, job(setting, chosen[setting.name], seed, 0.0))
            for seed in range(plan.seeds)
        ]
        for setting in plan.settings
    }
    rows = [
        _row(setting, chosen[setting.name], [one.result() for one in measured[setting.name]])
        for setting in plan.settings
    ]
    return {
        "study": name,
        "recipe": plan.recipe,
        "epochs": plan.epochs,
        "points": plan.points,
        "rows": rows,
    }


def _last_epochs(result: dict[str, Any]) -> float:
    """Validation accuracy of the last three epochs: one alone is mostly chance."""
    return mean(epoch["test_accuracy"] for epoch in result["history"][-3:])


def _row(setting: Setting, point: tuple[str, ...], results: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [one["accuracy"] for one in results]
    on_chip = [one["accuracy_on_chip"] for one in results if one["accuracy_on_chip"] is not None]
    return {
        "setting": setting.name,
        "accuracy_mean": mean(accuracies),
        "accuracy_std": stdev(accuracies),
        "accuracy_on_chip_mean": mean(on_chip) if on_chip else None,
        "state_bits": sum(results[0]["state_bits"].values()),
        "flip_ratio_by_epoch": [
            mean(epoch["flip_ratio"] for epoch in epochs)
            for epochs in zip(*(one["history"] for one in results), strict=True)
        ],
        "seeds": len(results),
        "chosen": list(point),
    }


def table(result: dict[str, Any]) -> str:
    """The study as a table in Markdown."""
    lines = [
        "| setting | accuracy, % | on the chip, % | state, kbit | flips of the first, middle, last epoch, % | chosen |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in result["rows"]:
        ratios = row["flip_ratio_by_epoch"]
        shown = (ratios[0], ratios[len(ratios) // 2], ratios[-1])
        on_chip = row["accuracy_on_chip_mean"]
        lines.append(
            f"| {row['setting']} | {100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_std']:.2f} "
            f"| {'-' if on_chip is None else f'{100 * on_chip:.2f}'} | {row['state_bits'] / 1000:,.0f} "
            f"| {', '.join(f'{100 * one:.2f}' for one in shown)} | {', '.join(row['chosen'])} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build/training-studies"),
        help="folder of single trainings",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("docs/studies/training"), help="folder of the JSON files"
    )
    arguments = parser.parse_args()  # fmt: skip
    unknown = [name for name in arguments.studies if name not in STUDIES]
    if unknown:
        parser.error(f"unknown study {unknown[0]}")
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for name in arguments.studies or STUDIES:
            result = study(name, pool, arguments.work)
            text = json.dumps(result, indent=1) + "\n"
            write_whole(arguments.out / f"{name}.json", text.encode())
            print(f"\n{name}\n\n{table(result)}", flush=True)


if __name__ == "__main__":
    main()
