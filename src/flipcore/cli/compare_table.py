"""The table that `flipcore compare` prints."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from flipcore.comparison.headline import headline, three_digits
from flipcore.comparison.rows import Band, Comparison, Row

_NONE = "-"


def print_comparison(
    comparison: Comparison, folder: Path, report: Path | None, console: Console
) -> None:
    """Print software and chip, each with its figures, and what they say in words."""
    network = "-".join(map(str, comparison.network))
    seeds = max((len(row.seeds) for row in comparison.rows), default=0)
    console.print(
        f"\n{comparison.name}: {network}, {comparison.steps} steps, {comparison.dataset}, {comparison.training_samples:,} training samples, "
        f"{comparison.test_samples:,} {comparison.test_split} samples, {seeds} {'seed' if seeds == 1 else 'seeds'} a row",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(_learning_table(comparison.rows))
    chips = [row for row in comparison.rows if row.chip is not None]
    if chips:
        console.print(_cost_table(chips))
    for row in comparison.rows:
        if row.missing is not None:
            console.print(
                f"{row.name}: {row.missing}", style="yellow", markup=False, soft_wrap=True
            )
    console.print(
        "state: bits that training keeps from step to step, of a chip all its memories; peak: most bytes of live tensors while a batch was learnt; "
        "last flips: share of signs that the last epoch changed",
        style="dim",
    )
    for sentence in headline(comparison):
        console.print(sentence, highlight=False, markup=False)
    if report is not None:
        console.print(f"The report is {report}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"Results are in {folder}", highlight=False, markup=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def _learning_table(rows: Sequence[Row]) -> Table:
    table = _table(
        "",
        "accuracy, %",
        "samples\nseen",
        "state,\nkbit",
        "peak,\nKiB",
        "ms per\nsample",
        "last\nflips, %",
    )
    for where in ("software", "chip"):
        here = [row for row in rows if row.where == where]
        if here:
            table.add_row(f"[bold]{where}[/]")
        for row in here:
            table.add_row(*_learning_cells(row))
    return table


def _learning_cells(row: Row) -> list[str]:
    if row.accuracy_mean is None:
        return [row.name, "missing", *[_NONE] * 5]
    spread = f" ± {100 * (row.accuracy_std or 0.0):.2f}" if len(row.seeds) > 1 else ""
    return [
        row.name,
        f"{100 * row.accuracy_mean:.2f}{spread}",
        f"{row.samples_seen or 0:,}",
        f"{(row.training_state_bits or 0) / 1000:,.0f}",
        f"{row.training_peak_bytes / 1024:,.0f}" if row.training_peak_bytes else _NONE,
        f"{1000 * (row.seconds_per_sample or 0.0):,.3f}",
        f"{100 * row.curve[-1].flip_ratio:.2f}" if row.curve else _NONE,
    ]


def _cost_table(chips: Sequence[Row]) -> Table:
    unit, unit_pj = _energy_unit(chips)
    table = _table(
        "",
        "cycles",
        "latency,\nµs",
        f"energy to\nlearn, {unit}",
        f"energy to\nclassify, {unit}",
        "mm²",
    )
    first = chips[0].chip
    assert first is not None
    table.title = f"A sample on the chip, {first.technology}"
    for row in chips:
        figures = row.chip
        assert figures is not None
        table.add_row(
            row.name,
            f"{figures.training_cycles:,.0f}",
            f"{figures.training_latency_us:,.1f}",
            _energy(figures.training_energy_pj, unit_pj),
            _energy(figures.inference_energy_pj, unit_pj),
            three_digits(figures.area_um2.value / 1e6),
        )
    return table


def _energy_unit(chips: Sequence[Row]) -> tuple[str, float]:
    """The unit in which the largest figure has few digits, and its picojoules: all lines of a table have the same."""
    largest = max(row.chip.training_energy_pj.high for row in chips if row.chip is not None)
    return ("µJ", 1e6) if largest >= 1e6 else ("nJ", 1e3)


def _energy(band: Band, unit_pj: float) -> str:
    low, high = three_digits(band.low / unit_pj), three_digits(band.high / unit_pj)
    return f"{three_digits(band.value / unit_pj)} ({low} … {high})"
