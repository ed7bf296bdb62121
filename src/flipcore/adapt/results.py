"""Figures of all adaptations of a plan, and the files that hold them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flipcore.adapt.folder import Finished, Plan
from flipcore.adapt.plot import plot_rows
from flipcore.adapt.rows import Cost, Row, make_row, priced, rows_csv
from flipcore.files import write_whole
from flipcore.hwmodel.energy import action_costs
from flipcore.hwmodel.technology import Technology
from flipcore.sim.data import Dataset


@dataclass(frozen=True)
class Results:
    """What a plan gave, priced in a technology.

    Attributes:
        rows: one per disturbance.
        training: what it cost to train the chip before.
        samples_per_second: of this computer, learning; of the slowest and of the fastest adaptation.
    """

    plan: Plan
    dataset: Dataset
    technology: Technology
    rows: tuple[Row, ...]
    training: Cost
    samples_per_second: tuple[float, float]


def make_results(
    plan: Plan, dataset: Dataset, finished: Finished, technology: Technology
) -> Results:
    """Put the seeds together and price them.

    Raises:
        InputError: the technology lacks a memory that the chip needs.
    """
    costs = action_costs(plan.chip, technology)
    speeds = [one.samples_per_second for seeds in finished.adaptations.values() for one in seeds]
    return Results(
        plan=plan,
        dataset=dataset,
        technology=technology,
        rows=tuple(make_row(plan.chip, costs, one) for one in finished.adaptations.values()),
        training=priced(plan.chip, costs, finished.training),
        samples_per_second=(min(speeds), max(speeds)),
    )


def result_figures(results: Results) -> dict[str, Any]:
    """All figures, ready for JSON: accuracies are shares of 1, energies in pJ with `value`, `low` and `high`."""
    plan, chip = results.plan, results.plan.chip
    slowest, fastest = results.samples_per_second
    return {
        "name": chip.name,
        "dataset": plan.settings.dataset,
        "network": [chip.inputs, *(core.neurons for core in chip.layers)],
        "steps": chip.steps,
        "momentum_bits": chip.layers[0].momentum_bits,
        "test_split": "validation" if plan.settings.validation else "test",
        "test_samples": len(results.dataset.test),
        "schedule": plan.schedule,
        "clock_mhz": chip.clock_mhz,
        "technology": results.technology.name,
        "technology_title": results.technology.title,
        "training": asdict(results.training),
        "rows": [asdict(row) for row in results.rows],
        "samples_per_second": {"slowest": slowest, "fastest": fastest},
        "folder": str(plan.out),
    }


def write_results(out: Path, results: Results) -> dict[str, Any]:
    """Write adapt.json, adapt.csv and the picture adapt.svg, adapt.png; returns the figures.

    Raises:
        InputError: a file cannot be written.
    """
    figures = result_figures(results)
    title = (
        f"{figures['name']}, {figures['momentum_bits']}-bit momentum, on {figures['dataset']}: "
        "the trained chip learns on in a disturbed world"
    )
    plot_rows(results.rows, title, out / "adapt")
    write_whole(out / "adapt.csv", rows_csv(results.rows).encode())
    write_whole(out / "adapt.json", (json.dumps(figures, indent=1) + "\n").encode())
    return figures
