"""What a training gives: the figures of one, and a row for all seeds of one algorithm."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from statistics import mean, stdev
from typing import Any

from flipcore.chip import Chip
from flipcore.training.deployment import accuracy_on_chip, chip_state
from flipcore.training.distributed import world_size
from flipcore.training.recipe import recipe_document
from flipcore.training.state_bits import training_state
from flipcore.training.training_run import TrainingRun

VERSIONS = ("flipcore", "torch", "numpy")


def figures(run: TrainingRun) -> dict[str, Any]:
    """Figures of a finished training, ready for JSON."""
    progress = run.progress
    samples_seen = progress.epoch * run.batches * run.batch_samples
    state = training_state(run.learner.model, run.learner.optimizers())
    chip = deployed_chip(run)
    return {
        "algorithm": run.options.variant,
        "seed": run.options.seed,
        "accuracy": progress.history[-1].test_accuracy if progress.history else run.evaluate(),
        "accuracy_on_chip": None if chip is None else _accuracy_on_chip(run, chip),
        "test_split": "validation" if run.options.validation else "test",
        "test_samples": len(run.samples.test),
        "epochs": progress.epoch,
        "samples_seen": samples_seen,
        "seconds_per_sample": progress.seconds / samples_seen if samples_seen else 0.0,
        "batch_size": run.recipe.batch_size,
        "state_bits": {part.name: part.bits for part in state if part.bits},
        "state_bytes": {part.name: part.allocated_bytes for part in state if part.bits},
        "peak_bytes": progress.peak_bytes,
        "history": [asdict(epoch) for epoch in progress.history],
    }


def deployed_chip(run: TrainingRun) -> Chip | None:
    """The chip whose network was trained; None for networks that exist in software only."""
    has_chip = run.recipe.network.model == "mlp" and run.options.algorithm.weights != "float"
    return run.recipe.chip() if has_chip and not run.options.gate else None


def _accuracy_on_chip(run: TrainingRun, chip: Chip) -> float:
    state = chip_state(run.learner.model, chip, run.options.seed)
    return accuracy_on_chip(state, chip, run.samples, run.options.seed)


def rows_of(finished: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per algorithm, in the order of their first training; the spread is over seeds."""
    by_algorithm: dict[str, list[dict[str, Any]]] = {}
    for one in finished:
        by_algorithm.setdefault(one["algorithm"], []).append(one)
    return [_row(name, runs) for name, runs in by_algorithm.items()]


def _row(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [run["accuracy"] for run in runs]
    flip_ratios = [run["history"][-1]["flip_ratio"] for run in runs if run["history"]]
    on_chip = [run["accuracy_on_chip"] for run in runs if run["accuracy_on_chip"] is not None]
    first = runs[0]
    return {
        "algorithm": name,
        "where": "software",
        "accuracy_mean": mean(accuracies),
        "accuracy_std": stdev(accuracies) if len(runs) > 1 else 0.0,
        "accuracies": accuracies,
        "accuracy_on_chip_mean": mean(on_chip) if on_chip else None,
        "seeds": [run["seed"] for run in runs],
        "test_split": first["test_split"],
        "test_samples": first["test_samples"],
        "epochs": first["epochs"],
        "samples_seen": first["samples_seen"],
        "batch_size": first["batch_size"],
        "training_state_bits": sum(first["state_bits"].values()),
        "training_state_bits_by_part": first["state_bits"],
        "training_state_bytes": sum(first["state_bytes"].values()),
        "training_peak_bytes": max(run["peak_bytes"] for run in runs),
        "seconds_per_sample": mean(run["seconds_per_sample"] for run in runs),
        "last_flip_ratio": mean(flip_ratios) if flip_ratios else 0.0,
        "accuracy_by_epoch": [
            mean(epoch["test_accuracy"] for epoch in epochs)
            for epochs in zip(*(run["history"] for run in runs), strict=False)
        ],
    }


def run_document(run: TrainingRun, figures_of_run: dict[str, Any]) -> dict[str, Any]:
    """Everything that is kept of a finished training beside its weights."""
    return {
        "figures": figures_of_run,
        "recipe": recipe_document(run.recipe),
        "options": {**asdict(run.options), "algorithm": run.options.algorithm.name},
        "device": str(run.device),
        "processes": world_size(),
        "dataset_provenance": run.samples.provenance,
        "versions": {name: version(name) for name in VERSIONS}
        | {"python": platform.python_version()},
    }
