"""The rows of a comparison as a flat table."""

import csv
import io
from collections.abc import Iterable

from flipcore.comparison.jobs import STEPS
from flipcore.comparison.rows import Row

_PLAIN = (
    "name",
    "label",
    "where",
    "algorithm",
    "gate",
    "momentum_bits",
    "missing",
    "accuracy_mean",
    "accuracy_std",
    "accuracy_on_chip_mean",
    "epochs",
    "batch_size",
    "samples_seen",
    "training_state_bits",
    "training_peak_bytes",
    "seconds_per_sample",
    "flips_per_sample",
)
_OF_CHIP = (
    "clock_mhz",
    "training_cycles",
    "inference_cycles",
    "training_latency_us",
    "inference_latency_us",
    "technology",
)
_BANDS = ("training_energy_pj", "inference_energy_pj", "area_um2")
_BOUNDS = ("value", "low", "high")
COLUMNS = (
    *_PLAIN,
    "num_seeds",
    "last_flip_ratio",
    *(f"peak_bytes_at_{steps}_steps" for steps in STEPS),
    *_OF_CHIP,
    *(f"{band}_{bound}" for band in _BANDS for bound in _BOUNDS),
)


def rows_csv(rows: Iterable[Row]) -> str:
    """One line per row under COLUMNS; what a row does not have is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_line, rows))
    return text.getvalue()


def _line(row: Row) -> list[object]:
    peaks = row.peak_bytes_by_steps or {}
    chip = row.chip
    bands = [getattr(chip, band) for band in _BANDS] if chip else [None] * len(_BANDS)
    return [
        *(getattr(row, name) for name in _PLAIN),
        len(row.seeds),
        row.curve[-1].flip_ratio if row.curve else None,
        *(peaks.get(steps) for steps in STEPS),
        *(getattr(chip, name) if chip else None for name in _OF_CHIP),
        *(getattr(band, bound) if band else None for band in bands for bound in _BOUNDS),
    ]
