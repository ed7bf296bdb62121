"""The studies of docs/STUDIES.md: every point retuned on a validation split, then measured on the test split over several seeds.

Run `python -m benchmarks.studies` (all), or with names of studies. Killed at any moment it goes on where it was. Results: one JSON file per study.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flipcore.chip import apply_change, read_chip_document
from flipcore.files import write_whole
from flipcore.sim.sweep import Point, run_sweep
from flipcore.sim.sweep_plan import Plan, Variation


@dataclass(frozen=True)
class Setting:
    """One row of a table: what it fixes, and what is retuned for it."""

    name: str
    changes: tuple[str, ...]
    retuned: dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Study:
    """One table.

    Attributes:
        tuning_share: of the training split, held out for the choice of hyperparameters.
        tuning_epochs, tuning_schedule: of the search, where it is shorter than the training measured.
    """

    preset: str
    settings: tuple[Setting, ...]
    search_points: int
    tuning_seeds: int
    seeds: int
    tuning_share: float = 0.3
    tuning_epochs: int | None = None
    tuning_schedule: str = ""


MARGINS = (1, 2, 4, 8)
# Fewer bits fill up sooner: the search is centred on a larger shift.
SHIFT_OF_BITS = {2: 20, 3: 18, 4: 14, 5: 12, 6: 12, 7: 10, 8: 9, 16: 3}


def _shifts(middle: int) -> tuple[int, ...]:
    return tuple(range(max(middle - 3, 0), middle + 4))


def _tuned(name: str, *changes: str, shift: int = 9, **more: tuple[Any, ...]) -> Setting:
    """A setting whose gradient shift and margin are retuned; further fields with __ for the dot."""
    extra = {key.replace("__", "."): values for key, values in more.items()}
    return Setting(
        name, changes, {"core.gradient_shift": _shifts(shift), "error.margin": MARGINS, **extra}
    )


def _softmax(name: str, of: str) -> Setting:
    return Setting(
        name,
        (f"error={{kind: softmax, sharpness: 2, of: {of}}}",),
        {"core.gradient_shift": _shifts(9), "error.sharpness": (0, 1, 2, 3, 4)},
    )


def _one_bit_every(samples: int, times: int) -> str:
    """A schedule that adds a bit to the gradient shift again and again."""
    stages = (
        f"{{after_samples: {k * samples}, gradient_shift_add: {k}}}" for k in range(1, times + 1)
    )
    return f"[{', '.join(stages)}]"


def _whole(neurons: int) -> Setting:
    """Everything that was searched by hand for MNIST and carried over to Fashion-MNIST."""
    return Setting(
        f"784-{neurons}-10",
        (f"layers.0.neurons={neurons}",),
        {
            "core.threshold": (12, 16, 24, 32),
            "core.window": (16, 24, 32, 48),
            "error.margin": (4, 8, 16, 32, 64),
            "layers.0.gradient_shift": (8, 9, 10, 11, 12),
            "layers.1.gradient_shift": (9, 10, 11, 12, 13),
        },
    )


# On MNIST the best shifts lie elsewhere, as more inputs are active.
SHIFT_OF_BITS_MNIST = {2: 17, 3: 15, 4: 13, 5: 12, 6: 11, 7: 10, 8: 9, 16: 2}


def _mnist_bits(bits: int, shift: int) -> Setting:
    """784-256-10 in 3 epochs; the readout's shift stays 3 above, as in the preset."""
    return Setting(
        f"{bits} bits",
        (
            "layers.0.neurons=256",
            f"core.momentum_bits={bits}",
            "workload.epochs=3",
            f"schedule={_one_bit_every(60_000, 2)}",
        ),
        {"layers.0.gradient_shift": _shifts(shift)},
    )


STUDIES: dict[str, Study] = {
    "momentum_bits": Study(
        "digits",
        tuple(
            _tuned(f"{bits} bits", f"core.momentum_bits={bits}", shift=shift)
            for bits, shift in SHIFT_OF_BITS.items()
        ),
        14, 2, 6,
    ),
    "rounding": Study(
        "digits",
        (
            _tuned("stochastic", "core.rounding=stochastic"),
            _tuned("nearest", "core.rounding=nearest"),
            _tuned("floor", "core.rounding=floor", shift=5),
            _tuned("stochastic, a generator per lane", "core.random_source=per_lane"),
        ),
        14, 2, 6,
    ),
    "decay": Study(
        "digits",
        (
            _tuned("none", "core.decay=none"),
            *(
                _tuned(f"scrub, R = {period}", "core.decay=scrub", f"core.scrub_period={period}",
                       core__decay_shift=(1, 2, 3, 4, 5))
                for period in (16, 64, 256)
            ),
            _tuned("dense", "core.decay=dense", shift=7, core__decay_shift=(8, 10, 12, 14, 16)),
        ),
        14, 2, 6,
    ),
    "error": Study(
        "digits",
        (
            _tuned("hinge on the step", "error.of=step"),
            Setting("hinge on the total", ("error.of=total",),
                    {"core.gradient_shift": _shifts(9), "error.margin": (4, 8, 16, 32, 64)}),
            _softmax("softmax on the step", "step"),
            _softmax("softmax on the total", "total"),
        ),
        14, 2, 6,
    ),
    "rule": Study(
        "digits",
        (
            _tuned("BSO", "core.rule=bso"),
            _tuned("BSO, momentum kept at a flip", "core.momentum_at_flip=keep"),
            _tuned("T-BSO", "core.rule=tbso", "core.square_shift=4",
                   core__threshold_shift=(2, 3, 4, 5, 6, 7), core__average_shift=(4, 8, 10)),
            _tuned("T-BSO, momentum kept at a flip", "core.rule=tbso", "core.square_shift=4",
                   "core.momentum_at_flip=keep",
                   core__threshold_shift=(2, 3, 4, 5, 6, 7), core__average_shift=(4, 8, 10)),
        ),
        14, 2, 6,
    ),
    "lanes": Study(
        "digits",
        tuple(_tuned(f"{lanes} lanes", f"core.lanes={lanes}") for lanes in (8, 16, 32, 64)),
        14, 2, 6,
    ),
    "steps": Study(
        "digits",
        tuple(
            _tuned(f"T = {steps}", f"steps={steps}", shift=shift)
            for steps, shift in ((1, 5), (2, 6), (4, 9), (8, 9), (16, 9))
        ),
        14, 2, 6,
    ),
    "fashion": Study(
        "fashion-mnist",
        (_whole(512), _whole(1024)),
        24, 1, 5,
        tuning_share=0.6, tuning_epochs=4, tuning_schedule=_one_bit_every(24_000, 3),
    ),
    "mnist": Study(
        "mnist",
        (_whole(1024),),
        20, 1, 5,
        tuning_share=0.6, tuning_epochs=4, tuning_schedule=_one_bit_every(24_000, 3),
    ),
    "momentum_bits_mnist": Study(
        "mnist",
        tuple(_mnist_bits(bits, shift) for bits, shift in SHIFT_OF_BITS_MNIST.items()),
        5, 1, 3,
        tuning_share=0.7, tuning_epochs=3, tuning_schedule=_one_bit_every(18_000, 2),
    ),
}  # fmt: skip


def setting_document(study: Study, setting: Setting) -> dict[str, Any]:
    """The chip document of a setting, before what is retuned is chosen."""
    document, _ = read_chip_document(study.preset)
    for change in setting.changes:
        apply_change(document, change)
    return document


def _plan(study: Study, setting: Setting, folder: Path) -> Plan:
    document = setting_document(study, setting)
    if study.tuning_schedule:
        apply_change(document, f"schedule={study.tuning_schedule}")
    return Plan(
        document=document,
        variations=tuple(Variation(key, values) for key, values in setting.retuned.items()),
        seeds=study.tuning_seeds,
        search_points=study.search_points,
        dataset=document["workload"]["dataset"],
        epochs=study.tuning_epochs or document["workload"]["epochs"],
        validation=study.tuning_share,
        out=folder / "search",
    )


def _measure(study: Study, setting: Setting, folder: Path, processes: int) -> dict[str, Any]:
    """Search on the validation split, then train with what was found and test, over all seeds."""
    search = _plan(study, setting, folder)
    points, _ = run_sweep(search, processes, lambda done, total: None)
    chosen = points[0]
    document = setting_document(study, setting)
    final = Plan(
        document=document,
        variations=tuple(Variation(key, (value,)) for key, value in chosen.values.items()),
        seeds=study.seeds,
        search_points=0,
        dataset=search.dataset,
        epochs=document["workload"]["epochs"],
        validation=0.0,
        out=folder / "final",
    )
    measured: list[Point] = run_sweep(final, processes, lambda done, total: None)[0]
    return {"setting": setting.name, "validation": asdict(chosen), "test": asdict(measured[0])}


def _json_text(document: dict[str, Any]) -> str:
    """JSON with a line for each row of the table: the counts of a row would fill hundreds."""
    rows = ",\n".join(json.dumps(row) for row in document["rows"])
    head = json.dumps({key: value for key, value in document.items() if key != "rows"})
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'


def markdown(document: dict[str, Any]) -> str:
    """Write a study's result as the Markdown table of docs/STUDIES.md."""
    retuned = list(dict.fromkeys(key for row in document["rows"] for key in row["test"]["values"]))
    head = ["setting", "test accuracy", "seeds", "updates a sample", "cycles a sample", *retuned]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in document["rows"]:
        test = row["test"]
        cells = [
            row["setting"],
            f"{test['accuracy_mean']:.2%} ± {test['accuracy_ci95']:.2%}",
            str(test["runs"]),
            f"{test['updates_per_sample']:,.0f}",
            f"{test['cycles_per_sample']:,.0f}",
            *(str(test["values"].get(key, "-")) for key in retuned),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--work", type=Path, default=Path("sweeps/studies"), help="working folder")
    parser.add_argument("--out", type=Path, default=Path("docs/studies"), help="folder of results")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tables", action="store_true", help="only print the tables of --out")
    arguments = parser.parse_args()
    unknown = set(arguments.studies) - set(STUDIES)
    if unknown:
        parser.error(f"unknown study {', '.join(sorted(unknown))}; known: {', '.join(STUDIES)}")
    if arguments.tables:
        for name in arguments.studies or STUDIES:
            document = json.loads((arguments.out / f"{name}.json").read_text())
            print(f"{name}, preset {document['preset']}\n\n{markdown(document)}")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.studies or STUDIES:
        study = STUDIES[name]
        rows = []
        for number, setting in enumerate(study.settings):
            folder = arguments.work / name / f"{number:02d}"
            rows.append(_measure(study, setting, folder, arguments.processes))
            test = rows[-1]["test"]
            print(
                f"{name}: {setting.name}: {test['accuracy_mean']:.2%} ± {test['accuracy_ci95']:.2%} "
                f"({test['runs']} seeds), {test['updates_per_sample']:.0f} updates, "
                f"{test['cycles_per_sample']:.0f} cycles a sample, with {rows[-1]['validation']['values']}",
                flush=True,
            )
        text = _json_text({"study": name, "preset": study.preset, "rows": rows})
        write_whole(arguments.out / f"{name}.json", text.encode())


if __name__ == "__main__":
    main()
