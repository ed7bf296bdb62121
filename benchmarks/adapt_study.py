"""The study of docs/studies/adapt.md: what on-chip learning brings back after a disturbance, and at what cost.

Run `python -m benchmarks.adapt_study` (all), or with names of studies. Killed at any moment it goes on where it was. Results: one JSON file per study.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from flipcore.adapt.base import Schedule
from flipcore.adapt.disturbances import Disturbance, parse_disturbances
from flipcore.adapt.folder import Plan, run_plan
from flipcore.adapt.images import image_side
from flipcore.adapt.results import make_results, result_figures, write_results
from flipcore.chip import load_chip
from flipcore.files import write_whole
from flipcore.hwmodel.technology import load_technology
from flipcore.session import load_data
from flipcore.sim.run import Epoch, Progress, Settings

TUNING_SHARE = 0.3  # of the training split, held out to choose the schedule
TECHNOLOGY = "ihp-sg13g2"


@dataclass(frozen=True)
class Study:
    """One table: a plan of adaptations."""

    preset: str
    disturb: tuple[str, ...]
    seeds: int
    samples: int | None = None
    schedule: Schedule = "continue"
    validation: float = 0.0


FIVE_EPOCHS = 5 * 1437
STUDIES = {
    "digits": Study("digits", ("all",), seeds=5),
    "digits-longer": Study(
        "digits",
        ("rotate:20", "shift:1", "shear:0.3", "noise:0.1", "invert", "new-class:9", "dead-synapses:0.1", "stuck-bits:0.1"),
        seeds=3,
        samples=FIVE_EPOCHS,
    ),
    "digits-faults": Study(
        "digits",
        (
            *(f"stuck-bits:{share}" for share in (0.05, 0.2, 0.3, 0.5)),
            *(f"dead-neurons:{share}" for share in (0.1, 0.4, 0.6, 0.8)),
        ),
        seeds=3,
    ),
    "digits-restart": Study("digits", ("all",), 3, schedule="restart", validation=TUNING_SHARE),
    "digits-continue": Study("digits", ("all",), 3, validation=TUNING_SHARE),
    "digits-compress": Study("digits", ("all",), 3, schedule="compress", validation=TUNING_SHARE),
    "mnist": Study(
        "mnist",
        ("rotate:20", "shift:3", "shear:0.3", "noise:0.1", "stuck-bits:0.1", "dead-neurons:0.2"),
        seeds=3,
        samples=10_000,
    ),
}  # fmt: skip


class _Silence:
    """An ear that neither shows nor stops anything."""

    def on_training(self, samples: int) -> None:
        """Nothing."""

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def on_notice(self, line: str) -> None:
        """Nothing."""

    def on_pair(self, disturbance: Disturbance, seed: int, samples: int) -> None:
        print(f"  {disturbance.name}, seed {seed}", flush=True)

    def on_samples(self, number: int) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        return False


def study(name: str, work: Path, dataset: str | None) -> dict[str, Any]:
    """Run what is left of a study; its figures, without what differs between machines."""
    asked = STUDIES[name]
    chip = load_chip(asked.preset)
    settings = Settings(
        dataset=dataset or chip.workload.dataset,
        epochs=chip.workload.epochs,
        seed=0,
        validation=asked.validation,
    )
    whole = load_data(chip, settings, None)
    disturbances = parse_disturbances(asked.disturb, image_side(whole), whole.num_classes - 1)
    plan = Plan(
        run_dir=None,
        chip=chip,
        settings=settings,
        samples=asked.samples,
        schedule=asked.schedule,
        disturbances=disturbances,
        seeds=asked.seeds,
        out=work / name,
    )
    results = make_results(
        plan, whole, run_plan(plan, whole, _Silence()), load_technology(TECHNOLOGY)
    )
    write_results(plan.out, results)
    left_out = ("folder", "technology_title", "samples_per_second")
    figures = {key: value for key, value in result_figures(results).items() if key not in left_out}
    return {"study": name, **figures, "dataset": chip.workload.dataset}


def table(result: dict[str, Any]) -> str:
    """The study as a table in Markdown."""
    lines = [
        "| disturbance | before, % | after, % | recovered, % | regained | 90 % back after | ms | energy, µJ | samples | former world, % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        cells = [
            row["disturbance"],
            f"{100 * row['before']:.1f}",
            _spread(row["after_mean"], row["after_std"]),
            _spread(row["recovered_mean"], row["recovered_std"]),
            _share(row["regained"]),
            *_cost(row["until_recovered"]),
            f"{row['in_all']['samples']:,}",
            _spread(row["undisturbed_mean"], row["undisturbed_std"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


SCHEDULES = ("continue", "compress", "restart")


def schedule_table(results: dict[str, dict[str, Any]]) -> str:
    """What each schedule brought back on held-out samples, side by side; the mean row is over the disturbances with a loss."""
    heads = [head for name in SCHEDULES for head in (f"{name}, %", "regained", "former world, %")]
    lines = [
        f"| disturbance | before, % | after, % | {' | '.join(heads)} |",
        "|---" + "|---:" * (2 + len(heads)) + "|",
    ]
    first = results[SCHEDULES[0]]
    for k, one in enumerate(first["rows"]):
        cells = [one["disturbance"], f"{100 * one['before']:.1f}"]
        cells.append(_spread(one["after_mean"], one["after_std"]))
        for name in SCHEDULES:
            row = results[name]["rows"][k]
            cells.append(_spread(row["recovered_mean"], row["recovered_std"]))
            cells.append(_share(row["regained"]))
            cells.append(_spread(row["undisturbed_mean"], None))
        lines.append(f"| {' | '.join(cells)} |")
    means = [fmean(_regained(results[name])) for name in SCHEDULES]
    ends = " | ".join(f"| {_share(mean)} | " for mean in means)
    lines.append(f"| mean of the losses | | | {ends}|")
    return "\n".join(lines)


def _regained(result: dict[str, Any]) -> list[float]:
    return [row["regained"] for row in result["rows"] if row["regained"] is not None]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _spread(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    return f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")


def _cost(cost: dict[str, Any] | None) -> list[str]:
    if cost is None:
        return ["-"] * 3
    low, value, high = (cost["energy_pj"][bound] / 1e6 for bound in ("low", "value", "high"))
    return [
        f"{cost['samples']:,}",
        f"{cost['milliseconds']:.1f}",
        f"{value:,.0f} ({low:,.0f} to {high:,.0f})",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--mnist", metavar="SPEC", help="where MNIST lies, such as idx:DIR")
    parser.add_argument(
        "--work", type=Path, default=Path("build/adapt-study"), help="folder of adaptations"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("docs/studies/adapt"), help="folder of the JSON files"
    )
    arguments = parser.parse_args()
    unknown = [name for name in arguments.studies if name not in STUDIES]
    if unknown:
        parser.error(f"unknown study {unknown[0]}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.studies or STUDIES:
        is_mnist = STUDIES[name].preset == "mnist"
        result = study(name, arguments.work, arguments.mnist if is_mnist else None)
        write_whole(arguments.out / f"{name}.json", (json.dumps(result, indent=1) + "\n").encode())
        print(f"\n{name}\n\n{table(result)}", flush=True)


if __name__ == "__main__":
    main()
