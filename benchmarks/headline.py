"""What learning one MNIST sample costs: the mean over a whole training run, and over its first 1,000 samples, which are the dearest.

Without lines to other chips, as published figures are of cores; the totals with them are printed as well. The chip is trained in the simulator (data in the folder FLIPCORE_DATA) and its counts are priced. With `--out` they are kept, and `--from` prices them again, for
other technologies or newer coefficients, without training. Hyperparameters are to be chosen with `--validation`. Run: python -m benchmarks.headline
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from flipcore import draws
from flipcore.chip import Chip, apply_change, chip_document, parse_chip, read_chip_document
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.hwmodel.area import chip_area, total_area
from flipcore.hwmodel.energy import Energy, EnergyRow, price
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology, load_technology
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.engine import Engine
from flipcore.sim.run import Epoch, Progress, Run, Settings

TECHNOLOGIES = ("generic-28nm", "generic-45nm", "ihp-sg13g2")
FIRST = 1000  # samples
LIMIT_NJ = 250.0  # the best published on-chip learners spend 250 to 370 nJ
PARTS = ("memories", "logic", "clock", "leakage")


@dataclass(frozen=True)
class Learnt:
    """A chip trained with some seeds.

    Attributes:
        split: what the accuracy is of: test, or validation.
        accuracies: after the last epoch, of each seed.
        best: after the best epoch, of each seed; to be looked at, not to be claimed.
        whole, first: counts of all training samples, and of the first 1,000, all seeds together.
        epochs: counts of each epoch, all seeds together.
        inference: counts of the last evaluation.
    """

    chip: Chip
    split: str
    accuracies: tuple[float, ...]
    best: tuple[float, ...]
    whole: EventCounts
    first: EventCounts
    epochs: tuple[EventCounts, ...]
    inference: EventCounts


class _Epochs:
    """Keeps what was counted up to the end of each epoch, and tells how it goes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ends: list[EventCounts] = []

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing to show."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Keep the counts."""
        self.ends.append(self.run.train_counts.copy())
        print(f"  seed {self.run.settings.seed}, epoch {epoch.epoch + 1}: {epoch.test_accuracy:.2%}, learning {epoch.seconds:.0f} s", flush=True)  # fmt: skip

    def should_stop(self) -> bool:
        """Never."""
        return False


def learn(chip: Chip, dataset: Dataset, settings: Settings) -> Learnt:
    """Train one seed."""
    # The run's first samples once more: a run counts in chunks that need not end there.
    first = EventCounts.zeros(len(chip.layers))
    order = draws.sample_order(settings.seed, 0, len(dataset.train))[:FIRST]
    records = dataset.train.read(order)
    Engine(chip, settings.seed).train(records, dataset.train.labels[order], first)
    run = Run(chip, dataset, settings)
    observer = _Epochs(run)
    run.train(observer, None)
    starts = [EventCounts.zeros(len(chip.layers)), *observer.ends[:-1]]
    accuracies = [epoch.test_accuracy for epoch in run.progress.history]
    return Learnt(
        chip,
        "validation" if settings.validation else "test",
        (accuracies[-1],),
        (max(accuracies),),
        run.train_counts,
        first,
        tuple(end.minus(start) for end, start in zip(observer.ends, starts, strict=True)),
        run.inference_counts,
    )


def together(parts: list[Learnt]) -> Learnt:
    """All seeds of a chip as one."""
    return Learnt(
        parts[0].chip,
        parts[0].split,
        tuple(accuracy for part in parts for accuracy in part.accuracies),
        tuple(accuracy for part in parts for accuracy in part.best),
        _sum([part.whole for part in parts]),
        _sum([part.first for part in parts]),
        tuple(_sum(list(same)) for same in zip(*(part.epochs for part in parts), strict=True)),
        _sum([part.inference for part in parts]),
    )


def _sum(counts: list[EventCounts]) -> EventCounts:
    total = EventCounts.zeros(len(counts[0].cores))
    for one in counts:
        total.add(one)
    return total


def learnt_document(learnt: Learnt) -> dict[str, Any]:
    """What is kept in a file."""
    return {
        "chip": chip_document(learnt.chip),
        "split": learnt.split,
        "accuracies": learnt.accuracies,
        "best": learnt.best,
        "whole": learnt.whole.as_dict(),
        "first": learnt.first.as_dict(),
        "epochs": [epoch.as_dict() for epoch in learnt.epochs],
        "inference": learnt.inference.as_dict(),
    }


def read_learnt(path: Path, changes: tuple[str, ...] = ()) -> Learnt:
    """Read such a file; changes may be of what does not touch the counts, such as the clock.

    Raises:
        InputError: it cannot be read or is another.
    """
    try:
        document = json.loads(path.read_text())
        for change in changes:
            apply_change(document["chip"], change)
        return Learnt(
            parse_chip(document["chip"], f"{path}: chip"),
            str(document["split"]),
            tuple(document["accuracies"]),
            tuple(document["best"]),
            EventCounts.from_dict(document["whole"]),
            EventCounts.from_dict(document["first"]),
            tuple(EventCounts.from_dict(epoch) for epoch in document["epochs"]),
            EventCounts.from_dict(document["inference"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of --out: {type(error).__name__} {error}") from None


def part(row: EnergyRow) -> str:
    """The part of the chip that a row is of, I/O apart: dynamic energy by kind, clock, leakage."""
    if row.cost.what != "dynamic":
        return str(row.cost.what)
    return {"memory": "memories", "logic": "logic"}[row.cost.kind]


def prices_logic(technology: Technology) -> bool:
    """Whether a technology has prices of logic at all."""
    return any(technology.rows(component) for component in LOGIC_COMPONENTS)


def _nj(band: Band) -> str:
    return f"{band.value / 1e3:.1f} ({band.low / 1e3:.1f} ... {band.high / 1e3:.1f})"


def _show_energy(title: str, whole: Energy, counts: EventCounts) -> None:
    """The total without lines to other chips, its parts, and the total with them."""
    energy = whole.without_io()
    total = energy.per_sample_pj
    parts = energy.per_sample_by(part)
    below = "below" if total.value < LIMIT_NJ * 1e3 else "NOT below"
    print(f"  {title}: {_nj(total)} nJ, {counts.cycles / counts.samples:,.0f} cycles, {below} {LIMIT_NJ:.0f} nJ")  # fmt: skip
    for name in PARTS:
        if name in parts:
            print(f"    {name:10} {_nj(parts[name])} nJ")
    print(f"    with I/O to another chip: {_nj(whole.per_sample_pj)} nJ")


def _show_components(energy: Energy) -> None:
    components = sorted(energy.by_component().items(), key=lambda item: -item[1].value)
    total = energy.per_sample_pj.value
    listed = ", ".join(f"{name} {band.value / total:.0%}" for name, band in components if band.value > 0.01 * total)  # fmt: skip
    print(f"    by component, clock and leakage included: {listed}")


def _accuracy(learnt: Learnt) -> str:
    """The mean over the seeds and the half width of its 95 % confidence interval."""
    seeds = len(learnt.accuracies)
    mean = f"{statistics.fmean(learnt.accuracies):.2%}"
    if seeds < 2:
        return mean
    # Student's t, as there are few seeds.
    quantile = float(stats.t.ppf(0.975, seeds - 1))
    return f"{mean} ± {quantile * statistics.stdev(learnt.accuracies) / seeds**0.5:.2%}"


def table(chips: list[Learnt], technologies: list[Technology]) -> str:
    """Write the energies of a training sample as a Markdown table, without lines to other chips."""
    head = ["chip", "technology", "test accuracy", "seeds", "nJ a training sample, mean of the run", *(f"of it {name}" for name in PARTS),
            f"first {FIRST:,} samples", "nJ an inference", "mm²", "cycles"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|---" + "|---:" * (len(head) - 2) + "|"]
    for learnt in chips:
        for technology in technologies:
            whole, first, inference = (
                price(learnt.chip, counts, technology).without_io()
                for counts in (learnt.whole, learnt.first, learnt.inference)
            )
            parts = whole.per_sample_by(part)
            area = total_area(chip_area(learnt.chip, technology)) * 1e-6
            cells = (
                learnt.chip.name,
                technology.name,
                _accuracy(learnt),
                str(len(learnt.accuracies)),
                _nj(whole.per_sample_pj),
                *(f"{parts.get(name, Band.exact(0.0)).value / 1e3:.1f}" for name in PARTS),
                _nj(first.per_sample_pj),
                _nj(inference.per_sample_pj),
                f"{area.value:.2f} ({area.low:.2f} ... {area.high:.2f})",
                f"{learnt.whole.cycles / learnt.whole.samples:,.0f}",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def show(learnt: Learnt, technologies: list[Technology]) -> None:
    """Print accuracy, and energy in each technology."""
    each = ", ".join(f"{one:.2%}" for one in learnt.accuracies)
    print(f"{learnt.chip.name}: {_accuracy(learnt)} of the {learnt.split} split after {len(learnt.epochs)} epochs, {len(learnt.accuracies)} seeds: {each}")  # fmt: skip
    for technology in technologies:
        print(f"{technology.name}, {learnt.chip.clock_mhz} MHz" + ("" if prices_logic(technology) else ": PRICES NO LOGIC, memories alone"))  # fmt: skip
        whole = price(learnt.chip, learnt.whole, technology)
        _show_energy("training sample, mean of the run", whole, learnt.whole)
        _show_components(whole.without_io())
        _show_energy(f"training sample, first {FIRST:,}", price(learnt.chip, learnt.first, technology), learnt.first)  # fmt: skip
        _show_energy("inference", price(learnt.chip, learnt.inference, technology), learnt.inference)  # fmt: skip
        epochs = ", ".join(f"{price(learnt.chip, epoch, technology).without_io().per_sample_pj.value / 1e3:.0f}" for epoch in learnt.epochs)  # fmt: skip
        print(f"  nJ a sample, epoch by epoch: {epochs}")
        area = total_area(chip_area(learnt.chip, technology)) * 1e-6
        print(f"  area {area.value:.2f} ({area.low:.2f} ... {area.high:.2f}) mm2")


def _chip(preset: str, changes: list[str]) -> Chip:
    document, source = read_chip_document(preset)
    for change in changes:
        apply_change(document, change)
    return parse_chip(document, source)


def _train(arguments: argparse.Namespace) -> Learnt:
    chip = _chip(arguments.preset, arguments.set)
    name = arguments.dataset or chip.workload.dataset
    dataset = load_dataset(name, num_steps=chip.steps)
    if arguments.validation:
        dataset = split_validation(dataset, arguments.validation, 0)
    epochs = arguments.epochs or chip.workload.epochs
    parts = [
        learn(chip, dataset, Settings(name, epochs, seed, arguments.validation))
        for seed in range(arguments.seeds)
    ]
    return together(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="mnist", help="a preset or a file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--dataset", help="in place of the chip's own")
    parser.add_argument("--epochs", type=int, help="in place of the chip's own")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", type=float, default=0.0, help="share of the training split to hold out and to test on")  # fmt: skip
    parser.add_argument("--technology", action="append", help=f"default: {', '.join(TECHNOLOGIES)}")
    parser.add_argument("--out", type=Path, help="keep the counts in this file")
    parser.add_argument("--from", dest="source", type=Path, help="price such a file again")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="print such files side by side")  # fmt: skip
    arguments = parser.parse_args()
    try:
        technologies = [load_technology(name) for name in arguments.technology or TECHNOLOGIES]
        if arguments.table:
            print(table([read_learnt(path) for path in arguments.table], technologies))
            return
        if arguments.source:
            learnt = read_learnt(arguments.source, tuple(arguments.set))
        else:
            learnt = _train(arguments)
        if arguments.out:
            text = json.dumps(learnt_document(learnt)) + "\n"
            write_whole(arguments.out, text.encode())
        show(learnt, technologies)
    except InputError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
