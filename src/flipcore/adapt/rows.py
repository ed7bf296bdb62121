"""What adaptations say together: one row per disturbance, over its seeds, with time and energy of the learning alone."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flipcore.adapt.adaptation import Adaptation
from flipcore.adapt.disturbances import parse_disturbance
from flipcore.chip import Chip
from flipcore.events import EventCounts
from flipcore.hwmodel.energy import ActionCost, price_actions
from flipcore.hwmodel.technology import Band

RECOVERED = 0.9  # of the loss: when an adaptation counts as done
SMALLEST_LOSS = 0.005  # half a point; below, there is nothing to regain


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What learning so many samples took on the chip, mean over the seeds.

    Attributes:
        samples: learnt in the disturbed world.
        milliseconds: at the chip's clock.
        energy_pj: with the bounds of the cost model.
        flips: weights flipped, those of stuck bits included.
    """

    samples: int
    milliseconds: float
    energy_pj: Band
    flips: float


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Accuracy on the disturbed test split after so many samples, over the seeds."""

    samples: int
    accuracy_mean: float
    accuracy_std: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One disturbance, all its seeds together; accuracies are shares of 1, deviations None for a single seed.

    Attributes:
        of: what is disturbed: nothing, images, classes, chip.
        before: accuracy of the trained chip before the disturbance.
        after_mean, after_std: in the disturbed world, before anything was learnt there.
        recovered_mean, recovered_std: after the last sample.
        regained: share of the mean loss that learning brought back; None if less than half a point was lost.
        until_recovered: cost up to the first measured point from which on the mean accuracy stayed where 90 % of the loss was regained; None if there was no loss, or no such point.
        in_all: cost of all samples.
        undisturbed_mean, undisturbed_std: accuracy in the former world after the last sample; None for a broken chip, which has no former world to go back to.
    """

    disturbance: str
    of: str
    seeds: tuple[int, ...]
    before: float
    after_mean: float
    after_std: float | None
    recovered_mean: float
    recovered_std: float | None
    regained: float | None
    until_recovered: Cost | None
    in_all: Cost
    undisturbed_mean: float | None
    undisturbed_std: float | None
    curve: tuple[CurvePoint, ...]


def make_row(chip: Chip, costs: tuple[ActionCost, ...], runs: Sequence[Adaptation]) -> Row:
    """Put the seeds of a disturbance together.

    Args:
        chip: that adapted.
        costs: of its actions in a technology (`hwmodel.energy.action_costs`).
        runs: the same disturbance and samples, one per seed.

    Raises:
        InputError: the counts contradict each other.
    """
    first = runs[0]
    curve = tuple(_curve_point(runs, k) for k in range(len(first.points)))
    after, recovered = curve[0], curve[-1]
    before = statistics.fmean(run.before for run in runs)
    loss = before - after.accuracy_mean
    is_loss = loss >= SMALLEST_LOSS
    reached = _stays_above(curve, before - (1 - RECOVERED) * loss) if is_loss else None
    undisturbed = [run.undisturbed for run in runs if run.undisturbed is not None]
    return Row(
        disturbance=first.disturbance,
        of=parse_disturbance(first.disturbance).of,
        seeds=tuple(run.seed for run in runs),
        before=before,
        after_mean=after.accuracy_mean,
        after_std=after.accuracy_std,
        recovered_mean=recovered.accuracy_mean,
        recovered_std=recovered.accuracy_std,
        regained=(recovered.accuracy_mean - after.accuracy_mean) / loss if is_loss else None,
        until_recovered=None if reached is None else _cost(chip, costs, runs, reached),
        in_all=_cost(chip, costs, runs, len(curve) - 1),
        undisturbed_mean=statistics.fmean(undisturbed) if undisturbed else None,
        undisturbed_std=_deviation(undisturbed),
        curve=curve,
    )


def _stays_above(curve: Sequence[CurvePoint], level: float) -> int | None:
    """First point from which on the mean stays at the level: a curve may touch it by chance and fall again."""
    below = [k for k, point in enumerate(curve) if point.accuracy_mean < level]
    first = below[-1] + 1 if below else 0
    return first if first < len(curve) else None


def _curve_point(runs: Sequence[Adaptation], k: int) -> CurvePoint:
    accuracies = [run.points[k].accuracy for run in runs]
    return CurvePoint(
        samples=runs[0].points[k].samples,
        accuracy_mean=statistics.fmean(accuracies),
        accuracy_std=_deviation(accuracies),
    )


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _cost(chip: Chip, costs: tuple[ActionCost, ...], runs: Sequence[Adaptation], k: int) -> Cost:
    """Mean cost up to point k of the curves."""
    together = EventCounts.zeros(len(chip.layers))
    for run in runs:
        together.add(EventCounts.from_dict(run.points[k].counts))
    return priced(chip, costs, together, len(runs))


def priced(
    chip: Chip, costs: tuple[ActionCost, ...], counts: EventCounts, repeats: int = 1
) -> Cost:
    """What the counted training samples cost, divided by how often it was done."""
    share = 1.0 / repeats
    return Cost(
        samples=counts.samples // repeats,
        milliseconds=counts.cycles * share / chip.clock_mhz / 1000,
        energy_pj=price_actions(chip, counts, costs).total_pj * share,
        flips=counts.total("flips") * share,
    )


COLUMNS = (
    "disturbance", "of", "seeds", "before", "after_mean", "after_std", "recovered_mean", "recovered_std",
    "regained", "samples_to_90", "ms_to_90", "energy_to_90_pj", "energy_to_90_pj_low", "energy_to_90_pj_high",
    "samples", "ms", "energy_pj", "energy_pj_low", "energy_pj_high", "undisturbed_mean", "undisturbed_std",
)  # fmt: skip


def rows_csv(rows: Sequence[Row]) -> str:
    """One line per disturbance; what there is not is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        plain = asdict(row)
        writer.writerow(
            [
                *(plain[name] for name in COLUMNS[:2]),
                len(row.seeds),
                *(plain[name] for name in COLUMNS[3:9]),
                *_cost_cells(row.until_recovered),
                *_cost_cells(row.in_all),
                row.undisturbed_mean,
                row.undisturbed_std,
            ]
        )
    return text.getvalue()


def _cost_cells(cost: Cost | None) -> list[Any]:
    if cost is None:
        return [None] * 5
    energy = cost.energy_pj
    return [cost.samples, cost.milliseconds, energy.value, energy.low, energy.high]
