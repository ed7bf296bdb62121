"""The table that `flipcore compare` prints."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flipcore.compare.headline import energy_text, headline
from flipcore.compare.rows import Comparison, Row

_NONE = "-"


def print_comparison(comparison: Comparison, folder: Path, report: Path | None) -> None:
    """Print software and chip, each with its figures, and what they say in words."""
    console = Console()
    network = "-".join(map(str, comparison.network))
    console.print(
        f"\n{comparison.name}: {network}, {comparison.steps} steps, {comparison.dataset}, "
        f"{comparison.training_samples:,} training samples, {comparison.test_samples:,} {comparison.test_split} samples",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_learning_table(comparison.rows))
    chips = [row for row in comparison.rows if row.chip is not None]
    if chips:
        console.print(_cost_table(chips))
    for row in comparison.rows:
        if row.missing is not None:
            console.print(f"{row.name}: {row.missing}", style="yellow", soft_wrap=True)
    console.print(
        "state: bits that training keeps from step to step, of a chip all its memories; peak: bytes of all live tensors while a batch was learnt; "
        "last flips: share of signs that the last epoch changed",
        style="dim",
        soft_wrap=True,
    )
    for sentence in headline(comparison):
        console.print(sentence, highlight=False)
    if report is not None:
        console.print(f"The report is {report}", highlight=False, soft_wrap=True)
    console.print(f"Results are in {folder}", highlight=False, soft_wrap=True)


def _learning_table(rows: Sequence[Row]) -> Table:
    table = Table()
    for column in (
        "",
        "accuracy",
        "on the chip",
        "samples seen",
        "state, kbit",
        "peak, KiB",
        "ms/sample",
        "last flips",
    ):
        table.add_column(column, justify="right" if column else "left")
    for where in ("software", "chip"):
        for row in rows:
            if row.where == where:
                table.add_row(*_learning_cells(row))
        table.add_section()
    return table


def _learning_cells(row: Row) -> list[str]:
    if row.accuracy_mean is None:
        return [row.label, "missing", *[_NONE] * 6]
    spread = f" ± {100 * (row.accuracy_std or 0.0):.2f}" if len(row.seeds) > 1 else ""
    return [
        row.label,
        f"{100 * row.accuracy_mean:.2f}{spread} %",
        _NONE if row.accuracy_on_chip_mean is None else f"{100 * row.accuracy_on_chip_mean:.2f} %",
        f"{row.samples_seen or 0:,}",
        f"{(row.training_state_bits or 0) / 1000:,.0f}",
        f"{row.training_peak_bytes / 1024:,.0f}" if row.training_peak_bytes else _NONE,
        f"{1000 * (row.seconds_per_sample or 0.0):,.3f}",
        f"{row.curve[-1].flip_ratio:.2%}" if row.curve else _NONE,
    ]


def _cost_table(chips: Sequence[Row]) -> Table:
    first = chips[0].chip
    assert first is not None
    table = Table(title=f"Per sample on the chip, {first.technology}")
    for column in (
        "",
        "flips",
        "cycles",
        "latency, µs",
        "energy to learn",
        "energy to classify",
        "area, mm²",
    ):
        table.add_column(column, justify="right" if column else "left")
    for row in chips:
        figures = row.chip
        assert figures is not None
        area = figures.area_um2
        table.add_row(
            row.label,
            f"{row.flips_per_sample or 0.0:,.2f}",
            f"{figures.training_cycles:,.0f}",
            f"{figures.training_latency_us:,.1f}",
            energy_text(figures.training_energy_pj),
            energy_text(figures.inference_energy_pj),
            f"{area.value / 1e6:,.2f} ({area.low / 1e6:,.2f} … {area.high / 1e6:,.2f})",
        )
    return table
