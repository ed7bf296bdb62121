"""`flipcore estimate --from` the folder of a sweep: every point priced, accuracy beside energy and area."""

import copy
import csv
import io
import json as json_format
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from rich.console import Console
from rich.table import Table

from flipcore.chip import Chip, parse_chip, read_mapping, set_field
from flipcore.cli.estimate import SWEEP_PLAN
from flipcore.cli.estimate_tables import area_text, energy_text, print_line, print_sources
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.hwmodel.estimate import Workload, estimate_figures, make_estimate
from flipcore.hwmodel.estimate_plot import plot_accuracy
from flipcore.hwmodel.technology import Technology
from flipcore.sim.sweep import DATABASE, FORMAT, Point, read_points

SHOWN = 40
# What a row has of the figures of an estimate.
FIGURES = (
    "network", "steps", "clock_mhz", "energy_pj", "energy_without_io_pj", "sops", "latency_us", "power_uw", "area_um2", "memory_bits", "warnings",
)  # fmt: skip
ENERGIES = ("train_sample", "inference", "per_sop", "learning_per_sop", "epoch")


def run(folder: Path, technology: Technology, out: Path | None, *, as_json: bool) -> None:
    """Price all points of a sweep that have ended, and show them."""
    figures = sweep_figures(folder, technology)
    if out is not None:
        write_whole(out / "estimate.json", (json_format.dumps(figures, indent=1) + "\n").encode())
        write_whole(out / "points.csv", _csv(figures["points"]).encode())
        plot_accuracy(figures, out / "accuracy")
    if as_json:
        print(json_format.dumps(figures))
    else:
        _print(figures, out)


def sweep_figures(folder: Path, technology: Technology) -> dict[str, Any]:
    """Figures of every point, the most accurate first, ready for JSON.

    Raises:
        InputError: it is no sweep, one that kept no counts, or no run of it has ended; a technology cannot price it.
    """
    plan = _read_plan(folder / SWEEP_PLAN)
    points, refused = _read_database(folder / DATABASE)
    if not points:
        raise InputError(f"{folder}: no run of this sweep has ended: there is nothing to price")
    first: dict[str, Any] = {}
    rows = []
    for point in points:
        estimate = make_estimate(_workload(plan, point, folder), technology)
        first = first or estimate_figures(estimate)
        rows.append(_row(point, estimate_figures(estimate)))
    return {
        "sweep": str(folder),
        "name": first["name"],
        "dataset": plan["dataset"],
        "epochs": plan["epochs"],
        **{key: first[key] for key in ("technology", "technology_title", "node_nm", "voltage_v")},
        "points": rows,
        "refused": refused,
        "notes": first["notes"],
        "sources": first["sources"],
    }


def _read_plan(path: Path) -> dict[str, Any]:
    document = read_mapping(str(path), lambda name: name, "a sweep's plan is")
    missing = [key for key in ("chip", "dataset", "epochs") if key not in document]
    if missing:
        raise InputError(f"{path}: damaged or not of a sweep: no {', '.join(missing)}")
    if document.get("format") != FORMAT:
        raise InputError(
            f"{path}: a sweep of an earlier flipcore, which kept no counts: run it anew in another folder"
        )
    return document


def _read_database(path: Path) -> tuple[list[Point], list[str]]:
    """Points of a sweep that may still be running; nothing is written."""
    if not path.is_file():
        raise InputError(f"{path}: is missing: the sweep has not begun")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA quick_check").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path}: damaged or cannot be used: {error}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name="sweep", storage=RDBStorage(f"sqlite:///{path}"))
        return read_points(study)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: damaged or not of a sweep: {error}") from None


def point_chip(plan: dict[str, Any], point: Point) -> Chip:
    """The chip of a point."""
    document = copy.deepcopy(plan["chip"])
    for key, value in point.values.items():
        set_field(document, key, value)
    return parse_chip(document, "sweep")


def _workload(plan: dict[str, Any], point: Point, folder: Path) -> Workload:
    chip = point_chip(plan, point)
    training = EventCounts.from_dict(point.train_counts)
    epochs = int(plan["epochs"]) * point.runs
    return Workload(
        chip,
        training if training.samples else None,
        EventCounts.from_dict(point.inference_counts),
        training.samples // epochs if epochs else 0,
        f"the sweep {folder}: {chip.name} on {plan['dataset']}, {_values(point.values)}, {point.runs} runs",
    )


def _values(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _row(point: Point, figures: dict[str, Any]) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "values": point.values,
        "runs": point.runs,
        "accuracy_mean": point.accuracy_mean,
        "accuracy_std": number(point.accuracy_std),
        "accuracy_ci95": number(point.accuracy_ci95),
        **{key: figures[key] for key in FIGURES},
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    bounds = ("value", "low", "high")
    names = [f"{key}_pj" for key in ENERGIES] + [f"{key}_without_io_pj" for key in ENERGIES] + ["area_um2"]  # fmt: skip
    columns = [name if bound == "value" else f"{name}_{bound}" for name in names for bound in bounds]  # fmt: skip
    accuracies = ("runs", "accuracy_mean", "accuracy_std", "accuracy_ci95")
    latencies = ("train_sample", "inference")
    writer.writerow([*rows[0]["values"], *accuracies, *columns, *(f"{key}_latency_us" for key in latencies), "memory_bits"])  # fmt: skip
    for row in rows:
        bands = [row[kind][key] for kind in ("energy_pj", "energy_without_io_pj") for key in ENERGIES]  # fmt: skip
        numbers = [band[bound] if band else None for band in (*bands, row["area_um2"]) for bound in bounds]  # fmt: skip
        times = (row["latency_us"][key] for key in latencies)
        writer.writerow([*row["values"].values(), *(row[key] for key in accuracies), *numbers, *times, row["memory_bits"]["total_chip"]])  # fmt: skip
    return text.getvalue()


def _print(figures: dict[str, Any], out: Path | None) -> None:
    console = Console()
    points = figures["points"]
    with_io = any(row["energy_pj"] != row["energy_without_io_pj"] for row in points)
    table = Table(
        title=f"{figures['name']} on {figures['dataset']}, in {figures['technology']}: accuracy, mean over the seeds, and energy of a sample{', without I/O' if with_io else ''}"
    )
    keys = list(points[0]["values"])
    for column in (*keys, "accuracy", "±", "training sample", "inference", "area", "kbit"):
        table.add_column(column, justify="right", overflow="fold")
    for row in points[:SHOWN]:
        energies = row["energy_without_io_pj"]
        interval = row["accuracy_ci95"]
        table.add_row(
            *(str(value) for value in row["values"].values()),
            f"{row['accuracy_mean']:.2%}",
            "-" if interval is None else f"{interval:.2%}",
            *(energy_text(energies[key]) for key in ("train_sample", "inference")),
            area_text(row["area_um2"]),
            f"{row['memory_bits']['total_chip'] / 1000:,.0f}",
        )
    console.print(table)
    if len(points) > SHOWN:
        print_line(console, f"... and {len(points) - SHOWN} more with --json or --out")
    for warning in dict.fromkeys(line for row in points for line in row["warnings"]):
        print_line(console, f"[yellow]warning:[/] {warning}")
    for line in figures["refused"]:
        print_line(console, f"[yellow]refused:[/] {line}")
    print_sources(console, figures)
    if out is not None:
        print_line(console, f"Files are in {out}")
