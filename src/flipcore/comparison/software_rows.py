"""Rows of a comparison that were trained in software, from the files of their runs; torch is not needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flipcore.comparison.contenders import MOMENTUM_BITS, Contender
from flipcore.comparison.jobs import RUN_FILE
from flipcore.comparison.rows import Row
from flipcore.comparison.run_files import mean_curve, read_run, spread
from flipcore.errors import InputError


def software_row(
    contender: Contender, run_dirs: Sequence[Path], seeds: Sequence[int], peaks: dict[int, int]
) -> Row:
    """The row of finished trainings, one per seed.

    Raises:
        InputError: a run is missing or damaged.
    """
    runs = [_read(run_dir) for run_dir in run_dirs]
    try:
        return _row(contender, runs, seeds, peaks)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{run_dirs[0].parent}: damaged runs of {contender.text}: {type(error).__name__} {error}"
        ) from None


def missing_row(contender: Contender, reason: str) -> Row:
    """The row of software that could not be trained."""
    return Row(
        name=contender.name,
        label=contender.software_label,
        where="software",
        algorithm=contender.head,
        gate=contender.gate,
        momentum_bits=MOMENTUM_BITS.get(contender.storage or ""),
        missing=reason,
    )


def _read(run_dir: Path) -> dict[str, Any]:
    figures = read_run(run_dir).get("figures")
    if not isinstance(figures, dict):
        raise InputError(f"{run_dir / RUN_FILE}: damaged or not of a training: no figures")
    return figures


def _row(
    contender: Contender,
    runs: Sequence[dict[str, Any]],
    seeds: Sequence[int],
    peaks: dict[int, int],
) -> Row:
    first = runs[0]
    accuracies = [float(run["accuracy"]) for run in runs]
    mean, std = spread(accuracies)
    on_chip = [run["accuracy_on_chip"] for run in runs if run["accuracy_on_chip"] is not None]
    return Row(
        name=contender.name,
        label=contender.software_label,
        where="software",
        algorithm=contender.head,
        gate=contender.gate,
        momentum_bits=MOMENTUM_BITS.get(contender.storage or ""),
        seeds=tuple(seeds),
        accuracies=tuple(accuracies),
        accuracy_mean=mean,
        accuracy_std=std,
        accuracy_on_chip_mean=spread(on_chip)[0] if on_chip else None,
        curve=mean_curve([run["history"] for run in runs], first["samples_seen"]),
        epochs=first["epochs"],
        batch_size=first["batch_size"],
        samples_seen=first["samples_seen"],
        training_state_bits=sum(first["state_bits"].values()),
        training_state_bits_by_part=first["state_bits"],
        training_peak_bytes=max(run["peak_bytes"] for run in runs) or None,
        peak_bytes_by_steps=peaks or None,
        seconds_per_sample=spread([run["seconds_per_sample"] for run in runs])[0],
    )
