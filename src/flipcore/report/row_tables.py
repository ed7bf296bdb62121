"""The tables of all rows: what every way to train has, and what only a chip has."""

from collections.abc import Sequence
from dataclasses import dataclass

from flipcore.comparison.rows import Row
from flipcore.report.formats import (
    AREA_UNITS,
    BIT_UNITS,
    BYTE_UNITS,
    ENERGY_UNITS,
    TIME_UNITS,
    accuracy,
    banded,
    percent,
    quantity,
    significant,
)

NONE = "–"  # noqa: RUF001 - typeset for readers
WHERE = {"chip": "On the chip", "software": "In software"}


@dataclass(frozen=True)
class Line:
    """A row of the table; `missing` stands in place of the cells."""

    label: str
    cells: tuple[str, ...]
    missing: str = ""
    is_headline: bool = False


@dataclass(frozen=True)
class Group:
    """Rows under a heading of their own."""

    title: str
    lines: tuple[Line, ...]


COLUMNS = (
    "accuracy", "seeds", "epochs", "samples seen", "training state", "peak", "time a sample", "flips a sample", "last flip ratio", "signs on the chip",
)  # fmt: skip
CHIP_COLUMNS = (
    "cycles, training", "cycles, inference", "latency, training", "latency, inference", "energy, training", "energy, inference", "area",
)  # fmt: skip


def row_groups(rows: Sequence[Row], headline: str) -> list[Group]:
    """All rows, those on the chip and those in software."""
    return [
        Group(
            title,
            tuple(
                Line(row.label, _cells(row), row.missing or "", row.name == headline)
                for row in rows
                if row.where == where
            ),
        )
        for where, title in WHERE.items()
        if any(row.where == where for row in rows)
    ]


def _cells(row: Row) -> tuple[str, ...]:
    if row.missing:
        return ()
    last_ratio = row.curve[-1].flip_ratio if row.curve else None
    return (
        accuracy(row) or NONE,
        str(len(row.seeds)),
        NONE if row.epochs is None else f"{row.epochs:,}",
        NONE if row.samples_seen is None else f"{row.samples_seen:,}",
        NONE if row.training_state_bits is None else quantity(row.training_state_bits, BIT_UNITS),
        NONE if row.training_peak_bytes is None else quantity(row.training_peak_bytes, BYTE_UNITS),
        NONE if row.seconds_per_sample is None else quantity(1e6 * row.seconds_per_sample, TIME_UNITS),
        NONE if row.flips_per_sample is None else significant(row.flips_per_sample),
        NONE if last_ratio is None else percent(last_ratio),
        NONE if row.accuracy_on_chip_mean is None else percent(row.accuracy_on_chip_mean),
    )  # fmt: skip


def chip_lines(rows: Sequence[Row], headline: str) -> tuple[Line, ...]:
    """What only a chip has, of every chip row with figures."""
    return tuple(
        Line(row.label, _chip_cells(row), is_headline=row.name == headline)
        for row in rows
        if row.chip is not None
    )


def _chip_cells(row: Row) -> tuple[str, ...]:
    figures = row.chip
    if figures is None:
        return ()
    return (
        f"{figures.training_cycles:,.0f}",
        f"{figures.inference_cycles:,.0f}",
        quantity(figures.training_latency_us, TIME_UNITS),
        quantity(figures.inference_latency_us, TIME_UNITS),
        banded(figures.training_energy_pj, ENERGY_UNITS),
        banded(figures.inference_energy_pj, ENERGY_UNITS),
        banded(figures.area_um2, AREA_UNITS) if figures.area_um2.high else NONE,
    )
