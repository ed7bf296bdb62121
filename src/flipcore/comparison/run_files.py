"""Files of finished runs, and figures over several seeds."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flipcore.comparison.jobs import RUN_FILE
from flipcore.comparison.rows import CurvePoint
from flipcore.errors import InputError


def read_run(run_dir: Path) -> dict[str, Any]:
    """The document of a finished run.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = run_dir / RUN_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{run_dir}: no {RUN_FILE}: not the directory of a finished run") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: damaged: not the document of a run")
    return document


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; 0 of a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def mean_curve(
    histories: Sequence[Sequence[dict[str, Any]]], samples_seen: int
) -> tuple[CurvePoint, ...]:
    """The curve over the epochs of runs that saw the same number of samples in each."""
    epochs = list(zip(*histories, strict=True))
    points = []
    for index, seeds in enumerate(epochs):
        mean, std = spread([float(epoch["test_accuracy"]) for epoch in seeds])
        points.append(
            CurvePoint(
                samples_seen=samples_seen * (index + 1) // len(epochs),
                accuracy_mean=mean,
                accuracy_std=std,
                flip_ratio=statistics.fmean(float(epoch["flip_ratio"]) for epoch in seeds),
            )
        )
    return tuple(points)
