"""What `flipcore simulate --trace` prints of its trace: how busy each core is, and what to open."""

from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.chip import Chip


def print_trace(chip: Chip, trace: dict[str, Any], console: Console) -> None:
    """Print the shares of time of a trace, as `results.write_trace` gives them."""
    table = Table(title="Trace: one phase at a time over the whole chip; the other cores wait")
    table.add_column("")
    table.add_column("core")
    for column in ("busy cycles", "of the time"):
        table.add_column(column, justify="right")
    table.add_column("phases")
    for name, side in trace["sides"].items():
        for c, (core, shape) in enumerate(zip(side["cores"], chip.layers, strict=True)):
            table.add_row(
                name if c == 0 else "",
                f"{c}: {shape.axons} to {shape.neurons}",
                f"{core['busy_cycles']:,}",
                f"{core['busy_share']:.1%}",
                _phases(core["cycles_by_phase"]),
                end_section=c == len(chip.layers) - 1,
            )
    console.print(table)
    for name, side in trace["sides"].items():
        verb = "learnt" if name == "training" else "classified"
        console.print(
            f"{name}: {side['samples']} samples {verb} in {side['cycles']:,} cycles, {side['duration_us']:,.1f} µs; "
            f"{side['right']} right, {side['flips']} flips",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"Open {trace['json']} in https://ui.perfetto.dev; spikes, potentials and flips are in {trace['npz']}",
        highlight=False,
        soft_wrap=True,
    )


def _phases(cycles: dict[str, int]) -> str:
    """Cycles by phase, the longest first."""
    longest_first = sorted(cycles.items(), key=lambda item: -item[1])
    return " · ".join(f"{phase} {number:,}" for phase, number in longest_first if number)
