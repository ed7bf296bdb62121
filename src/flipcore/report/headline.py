"""What a comparison comes to: the sentences of `flipcore compare`, what to mind, and a few figures that stand large."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flipcore.comparison.headline import best_row, headline
from flipcore.comparison.rows import Band, Comparison, Row
from flipcore.report.formats import (
    BIT_UNITS,
    ENERGY_UNITS,
    accuracy,
    points,
    quantity,
    significant,
    times,
    unit_of,
)


@dataclass(frozen=True)
class KeyFigure:
    """A number that stands large on the page, and what it is."""

    value: str
    meaning: str


@dataclass(frozen=True)
class Headline:
    """The outcome: sentences, and key figures."""

    sentences: tuple[str, ...]
    key_figures: tuple[KeyFigure, ...]


def make_headline(comparison: Comparison) -> Headline:
    """Accuracy of the chip against the best BSO in software, memory against the other ways, energy."""
    rows = [row for row in comparison.rows if row.accuracy_mean is not None]
    chip = next((row for row in rows if row.name == comparison.headline_row), None)
    software = [row for row in rows if row.where == "software"]
    told = comparison if chip else replace(comparison, headline_row="")
    sentences = [*headline(told), *_cautions(comparison, rows)]
    bso = best_row(rows, algorithm="bso")
    own = chip or bso or _best(software)
    if own is None:
        return Headline(("No row has figures.",), ())
    figures = [KeyFigure(accuracy(own), f"{comparison.test_split} accuracy: {own.label}")]
    if chip is not None and bso is not None:
        figures.append(KeyFigure(difference(chip, bso), f"points from the best software BSO, {accuracy(bso)}: {bso.label}"))  # fmt: skip
    figures += _memory(own, software)
    if chip is not None and chip.chip is not None:
        energy = chip.chip.training_energy_pj
        figures.append(KeyFigure(quantity(energy.value, ENERGY_UNITS), f"a training sample, {_span(energy)} in {chip.chip.technology}"))  # fmt: skip
    return Headline(tuple(sentences), tuple(figures))


def _best(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: row.accuracy_mean or 0.0, default=None)


def difference(one: Row, other: Row) -> str:
    """Difference of mean accuracies in points, with its standard deviation where both have several seeds."""
    gap = points((one.accuracy_mean or 0.0) - (other.accuracy_mean or 0.0))
    if min(len(one.seeds), len(other.seeds)) < 2:
        return gap
    return f"{gap} ± {100 * math.hypot(one.accuracy_std or 0.0, other.accuracy_std or 0.0):.2f}"


def _memory(own: Row, software: Sequence[Row]) -> list[KeyFigure]:
    """Training state of the software that keeps most, over the row's own."""
    largest = max(software, key=lambda row: row.training_state_bits or 0, default=None)
    if largest is None or largest is own or not own.training_state_bits:
        return []
    most = largest.training_state_bits or 0
    return [
        KeyFigure(
            times(most / own.training_state_bits),
            f"training state: {largest.label}, {quantity(most, BIT_UNITS)}, over {quantity(own.training_state_bits, BIT_UNITS)}",
        )
    ]


def _span(band: Band) -> str:
    size, unit = unit_of(band.value, ENERGY_UNITS)
    return f"{significant(band.low / size)} … {significant(band.high / size)} {unit}"


def _cautions(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """What a reader must know before comparing rows."""
    lines = []
    seen = [row.samples_seen for row in rows if row.samples_seen]
    if len(set(seen)) > 1:
        lines.append(f"The rows did not see equally many training samples: {min(seen):,} to {max(seen):,}.")  # fmt: skip
    if all(len(row.seeds) < 2 for row in rows):
        lines.append("Every row is of a single seed, so that no spread is known.")
    if comparison.test_split != "test":
        lines.append("Accuracy is on training samples that were held out; the test split was not touched.")  # fmt: skip
    return lines
