"""What a comparison says, in a few sentences."""

import math
from collections.abc import Iterable, Iterator

from flipcore.comparison.rows import Band, Comparison, Row

_SCALES = ((1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


def headline(comparison: Comparison) -> list[str]:
    """Two to four sentences: the chip's distance to software, memory, how it grows, and what a sample costs."""
    if not comparison.headline_row:
        return list(_software_alone(comparison))
    chip = comparison.row(comparison.headline_row)
    return [
        *_accuracy(comparison, chip),
        *_memory(comparison, chip),
        *_growth(comparison, chip),
        *_cost(chip),
    ]


def best_row(rows: Iterable[Row], *, algorithm: str) -> Row | None:
    """The most accurate software row of an algorithm without a gate, whatever its storage."""
    found = [
        row
        for row in rows
        if (row.where, row.algorithm, row.gate) == ("software", algorithm, False)
        and row.accuracy_mean is not None
    ]
    return max(found, key=lambda row: row.accuracy_mean or 0.0, default=None)


def _references(comparison: Comparison) -> list[tuple[str, Row]]:
    """What the chip is held against: the best BSO in software, and latent weights trained through time."""
    found = [("BSO in software", best_row(comparison.rows, algorithm="bso"))]
    found.append(
        ("BPTT with latent weights and Adam", best_row(comparison.rows, algorithm="bptt-adam"))
    )
    return [(words, row) for words, row in found if row is not None]


def _software_alone(comparison: Comparison) -> Iterator[str]:
    for words, row in _references(comparison):
        yield f"{words} reaches {_accuracy_text(row)} of {comparison.test_samples:,} {comparison.test_split} samples."


def _accuracy(comparison: Comparison, chip: Row) -> Iterator[str]:
    text = f"{_of_chip(chip)} reaches {_accuracy_text(chip)} of {comparison.test_samples:,} {comparison.test_split} samples"
    distances = [
        f"{_distance(chip, row)} {words} ({_accuracy_text(row)})"
        for words, row in _references(comparison)
    ]
    yield f"{text}: {' and '.join(distances)}." if distances else f"{text}."


def _distance(chip: Row, other: Row) -> str:
    points = 100 * ((chip.accuracy_mean or 0.0) - (other.accuracy_mean or 0.0))
    if abs(points) < 0.05:
        return "level with"
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"


def _memory(comparison: Comparison, chip: Row) -> Iterator[str]:
    own = chip.training_state_bits
    ratios = [
        f"{row.training_state_bits / own:.1f} times as much for {words}"
        for words, row in _references(comparison)
        if row.training_state_bits and own
    ]
    if ratios and own:
        yield f"All its memories together are {own / 1000:,.0f} kbit; what training keeps from step to step is {' and '.join(ratios)}."


def _growth(comparison: Comparison, chip: Row) -> Iterator[str]:
    parts = []
    for words, row in [*_references(comparison), ("the chip", chip)]:
        peaks = row.peak_bytes_by_steps
        if peaks and len(peaks) > 1:
            first, last = min(peaks), max(peaks)
            parts.append((first, last, f"{peaks[last] / peaks[first]:.1f} for {words}"))
    if len(parts) > 1 and len({(first, last) for first, last, _ in parts}) == 1:
        first, last, _ = parts[0]
        texts = [text for _, _, text in parts]
        yield f"From {first} to {last} time steps, the memory that learning needs at its peak grows by a factor of {', '.join(texts)}."


def _cost(chip: Row) -> Iterator[str]:
    figures = chip.chip
    if figures is None:
        return
    yield (
        f"To learn a sample takes the chip {energy_text(figures.training_energy_pj)} and {figures.training_latency_us:,.0f} µs at {figures.clock_mhz:g} MHz, "
        f"to classify one {energy_text(figures.inference_energy_pj)}, on {_millimetres(figures.area_um2)} mm² in {figures.technology}."
    )


def _of_chip(chip: Row) -> str:
    rule = {"bso": "BSO", "tbso": "T-BSO"}[chip.algorithm]
    return f"On the chip, {rule} with a momentum of {chip.momentum_bits} bits"


def _accuracy_text(row: Row) -> str:
    spread = f" ± {100 * (row.accuracy_std or 0.0):.1f}" if len(row.seeds) > 1 else ""
    return f"{100 * (row.accuracy_mean or 0.0):.1f}{spread} %"


def energy_text(band: Band) -> str:
    """An energy with its bounds in the unit that suits its value."""
    scale, unit = next((one for one in _SCALES if abs(band.value) >= one[0]), _SCALES[-1])
    return f"{three_digits(band.value / scale)} {unit} ({three_digits(band.low / scale)} … {three_digits(band.high / scale)})"


def three_digits(value: float) -> str:
    """A number to three significant digits, without an exponent."""
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def _millimetres(band: Band) -> str:
    return f"{band.value / 1e6:,.2f} ({band.low / 1e6:,.2f} … {band.high / 1e6:,.2f})"
