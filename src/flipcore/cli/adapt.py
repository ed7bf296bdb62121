"""`flipcore adapt`: make the plan, show how it goes, print and keep what came back."""

import json as json_format
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flipcore.adapt.base import Schedule, read_base
from flipcore.adapt.disturbances import Disturbance, parse_disturbance, parse_disturbances
from flipcore.adapt.folder import Plan, run_plan
from flipcore.adapt.images import image_side
from flipcore.adapt.results import Results, make_results, write_results
from flipcore.adapt.rows import Row
from flipcore.chip import load_chip, preset_names
from flipcore.cli.display import RunDisplay, leave_interrupted
from flipcore.cli.estimate_tables import energy_text, print_line
from flipcore.cli.options import refuse_beside
from flipcore.errors import InputError
from flipcore.hwmodel.technology import load_technology
from flipcore.session import load_data
from flipcore.sim import run as runs
from flipcore.sim.data import Dataset

PLAIN_WIDTH = 130  # of the table where there is no terminal to ask


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    source: str
    disturb: tuple[str, ...]
    samples: int | None
    seeds: int
    schedule: Schedule
    technology: str
    dataset: str | None
    epochs: int | None
    seed: int
    changes: tuple[str, ...]
    validation: float
    out: Path | None


def run(context: typer.Context, request: Request, *, as_json: bool) -> None:
    """Adapt, then print figures."""
    technology = load_technology(request.technology)
    for text in request.disturb:
        if text != "all":
            parse_disturbance(text)  # refused before anything is loaded
    console = Console(stderr=True)
    plan, dataset = _plan(context, request, console)
    with _Display(plan, len(dataset.train), console) as display:
        try:
            finished = run_plan(plan, dataset, display)
        except runs.Interrupted:
            leave_interrupted(console, f"the same command, with --out {plan.out}")
    results = make_results(plan, dataset, finished, technology)
    figures = write_results(plan.out, results)
    if as_json:
        print(json_format.dumps(figures))
    else:
        _print(results, figures)


def _plan(context: typer.Context, request: Request, console: Console) -> tuple[Plan, Dataset]:
    """Everything that fixes the figures, checked; and the data."""
    path = Path(request.source)
    run_dir = path if request.source not in preset_names() and path.is_dir() else None
    if run_dir is not None:
        refuse_beside(
            context, f"the run {run_dir}", "dataset", "epochs", "seed", "changes", "validation"
        )
        base = read_base(run_dir)
        chip, settings = base.chip, base.settings
    else:
        chip = load_chip(request.source, request.changes)
        settings = runs.Settings(
            dataset=request.dataset or chip.workload.dataset,
            epochs=chip.workload.epochs if request.epochs is None else request.epochs,
            seed=request.seed,
            validation=request.validation,
        )
        if not settings.epochs:
            raise InputError(f"{request.source}: 0 epochs of training leave nothing to lose")
    # Of downloads hears nobody where no person watches.
    tell = partial(console.print, highlight=False) if console.is_terminal else None
    dataset = load_data(chip, settings, tell)
    last_class = dataset.num_classes - 1
    name = run_dir.resolve().name if run_dir is not None else f"{chip.name}-seed{settings.seed}"
    plan = Plan(
        run_dir=run_dir,
        chip=chip,
        settings=settings,
        samples=request.samples,
        schedule=request.schedule,
        disturbances=parse_disturbances(request.disturb, image_side(dataset), last_class),
        seeds=request.seeds,
        out=request.out or Path("runs") / f"adapt-{name}",
    )
    return plan, dataset


def _print(results: Results, figures: dict[str, Any]) -> None:
    rows, training = results.rows, results.training
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    network = "-".join(map(str, figures["network"]))
    seeds = len(rows[0].seeds)
    print_line(
        console,
        f"\n{figures['name']}: {network}, {figures['steps']} steps, {figures['momentum_bits']}-bit momentum, "
        f"{figures['dataset']}, {figures['test_samples']} {figures['test_split']} samples, {seeds} seed{'s' * (seeds > 1)}",
    )
    table = Table(title="The trained chip in a disturbed world, learning on")
    heads = ("disturbance", "before", "after", "recovered", "regained", "90 % back after", "ms", "energy", "former world")  # fmt: skip
    for head in heads:
        table.add_column(head, justify="left" if head == heads[0] else "right", no_wrap=True)
    for row in rows:
        table.add_row(row.disturbance, *_cells(row))
    console.print(table)
    spans = [row.in_all for row in rows]
    print_line(
        console,
        f"In all {_span([cost.samples for cost in spans])} samples each, "
        f"{_span([cost.milliseconds for cost in spans])} ms at {figures['clock_mhz']:g} MHz, "
        f"{_span([cost.energy_pj.value / 1e6 for cost in spans])} µJ in {figures['technology']}. "
        f"The training before: {training.samples:,} samples, {training.milliseconds:,.0f} ms, "
        f"{energy_text(asdict(training.energy_pj))}.",
    )
    print_line(
        console,
        "regained: share of the loss; former world: accuracy there after all samples (no chip is mended: -); ±: deviation over the seeds.",
    )
    print_line(console, f"Figures, curves and plots are in {figures['folder']}")


def _span(values: list[float] | list[int]) -> str:
    low, high = (f"{value:,.0f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _cells(row: Row) -> tuple[str, ...]:
    done = row.until_recovered
    return (
        f"{row.before:.1%}",
        _percent(row.after_mean, row.after_std),
        _percent(row.recovered_mean, row.recovered_std),
        "-" if row.regained is None else f"{row.regained:.0%}",
        f"{done.samples:,} samples" if done else "no loss" if row.regained is None else "not yet",
        f"{done.milliseconds:,.1f}" if done else "-",
        energy_text(asdict(done.energy_pj)) if done else "-",
        "-"
        if row.undisturbed_mean is None
        else _percent(row.undisturbed_mean, row.undisturbed_std),
    )


def _percent(mean: float, deviation: float | None) -> str:
    return f"{mean:.1%}" if deviation is None else f"{mean:.1%} ± {100 * deviation:.1f}"


class _Display(RunDisplay):
    """Progress bar on a terminal, and the ear for Ctrl-C."""

    def __init__(self, plan: Plan, epoch_samples: int, console: Console) -> None:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} samples"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        super().__init__(bar, None)
        pairs = len(plan.disturbances) * plan.seeds
        self._task = bar.add_task("adapting", total=pairs * (plan.samples or epoch_samples))
        self._training = bar.add_task("training", total=1, visible=False)

    def on_training(self, samples: int) -> None:
        """Show a bar for the training."""
        self._bar.update(self._training, total=samples, completed=0, visible=True)

    def on_chunk(self, progress: runs.Progress, epoch_samples: int, flips: int) -> None:
        """Move the bar of the training."""
        done = progress.epoch * epoch_samples + progress.position
        self._bar.update(self._training, completed=done)

    def on_epoch(self, epoch: runs.Epoch) -> None:
        """Nothing: the run directory has its figures."""

    def on_notice(self, line: str) -> None:
        """Print it above the bar."""
        self._bar.console.print(line)

    def on_pair(self, disturbance: Disturbance, seed: int, samples: int) -> None:
        """Name what adapts."""
        self._bar.update(self._training, visible=False)
        self._bar.update(self._task, description=f"{disturbance.name}, seed {seed}")

    def on_samples(self, number: int) -> None:
        """Move the bar."""
        self._bar.advance(self._task, number)
