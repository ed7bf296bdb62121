"""`flipcore sweep`: run a sweep, print its table, draw its plot."""

import json as json_format
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flipcore.chip import apply_change, parse_chip, read_chip_document
from flipcore.sim.sweep import Point, run_sweep
from flipcore.sim.sweep_plan import Plan, parse_variation
from flipcore.sim.sweep_plot import plot_points

SHOWN = 30
INTERRUPTED = 130  # exit code of a shell command that Ctrl-C ended


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    chip: str
    vary: tuple[str, ...]
    seeds: int
    search: int
    dataset: str | None
    epochs: int | None
    changes: tuple[str, ...]
    validation: float
    processes: int
    out: Path


def run(request: Request, *, as_json: bool) -> None:
    """Run what is left of a sweep and show all of it."""
    document, source = read_chip_document(request.chip)
    for change in request.changes:
        apply_change(document, change)
    chip = parse_chip(document, source)
    plan = Plan(
        document=document,
        variations=tuple(parse_variation(text) for text in request.vary),
        seeds=request.seeds,
        search_points=request.search,
        dataset=request.dataset or chip.workload.dataset,
        epochs=chip.workload.epochs if request.epochs is None else request.epochs,
        validation=request.validation,
        out=request.out,
    )
    console = Console(stderr=True)
    with Progress(
        TextColumn("runs" if not plan.search_points else "points"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=plan.num_trials)
        try:
            points, refused = run_sweep(
                plan, request.processes, lambda done, _: bar.update(task, completed=done)
            )
        except KeyboardInterrupt:
            bar.stop()
            console.print("Interrupted; the same command goes on where it was.", highlight=False)
            sys.exit(INTERRUPTED)
    plot = plot_points(points, request.out / "sweep.svg")
    if as_json:
        rows = [
            {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(point).items()}
            for point in points
        ]  # fmt: skip
        print(json_format.dumps({"points": rows, "refused": refused, "out": str(request.out)}))
        return
    _print(points, refused, request.out, plot)


def _print(points: list[Point], refused: list[str], out: Path, plot: Path | None) -> None:
    console = Console()
    table = Table(title="Accuracy: mean over the seeds, with its 95 % confidence interval")
    keys = list(points[0].values) if points else []
    for column in (*keys, "accuracy", "±", "runs", "cycles/sample", "updates/sample", "flips"):
        table.add_column(column, justify="right")
    for point in points[:SHOWN]:
        table.add_row(
            *(str(value) for value in point.values.values()),
            f"{point.accuracy_mean:.2%}",
            "-" if math.isnan(point.accuracy_ci95) else f"{point.accuracy_ci95:.2%}",
            str(point.runs),
            f"{point.cycles_per_sample:,.0f}",
            f"{point.updates_per_sample:,.0f}",
            f"{point.flips:,.0f}",
        )
    console.print(table)
    if len(points) > SHOWN:
        console.print(f"... and {len(points) - SHOWN} more in {out / 'sweep.csv'}", highlight=False)
    for line in refused:
        console.print(f"[yellow]refused:[/] {line}", highlight=False, soft_wrap=True)
    written = f"{out / 'sweep.csv'}" + (f" and {plot}" if plot else "")
    console.print(f"Results are in {written}", highlight=False, soft_wrap=True)
