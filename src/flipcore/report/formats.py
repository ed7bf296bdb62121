"""Numbers as the report writes them: units with a no-break space, as many digits as mean something."""

import math
from collections.abc import Sequence

from flipcore.comparison.headline import three_digits
from flipcore.comparison.rows import Band, Row
from flipcore.hwmodel.technology import Band as CostBand

SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
ENERGY_UNITS = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))  # of pJ
TIME_UNITS = ((1e6, "s"), (1e3, "ms"), (1.0, "µs"))  # of us
BYTE_UNITS = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "bytes"))
BIT_UNITS = ((1e9, "Gbit"), (1e6, "Mbit"), (1e3, "kbit"), (1.0, "bits"))
AREA_UNITS = ((1e6, "mm²"), (1.0, "µm²"))  # of um2

Units = Sequence[tuple[float, str]]


def significant(value: float) -> str:
    """A number to three significant digits; digits before the point are never rounded away."""
    return three_digits(value).replace("-", MINUS) if math.isfinite(value) else f"{value}"


def unit_of(value: float, units: Units) -> tuple[float, str]:
    """The largest unit that the value fills, the smallest where it fills none."""
    return next((unit for unit in units if abs(value) >= unit[0]), units[-1])


def quantity(value: float, units: Units) -> str:
    """A value in the unit that suits it."""
    size, name = unit_of(value, units)
    return f"{significant(value / size)}{SPACE}{name}"


def banded(band: Band | CostBand, units: Units) -> str:
    """A value with its bounds, all in the unit that suits the value."""
    size, name = unit_of(band.value, units)
    value, low, high = (significant(number / size) for number in (band.value, band.low, band.high))
    return f"{value}{SPACE}{name} ({low} … {high})"


def percent(share: float, decimals: int = 2) -> str:
    """A share of 1."""
    return f"{100 * share:.{decimals}f}{SPACE}%"


def accuracy(row: Row) -> str:
    """Mean accuracy of a row, with its standard deviation where there are several seeds; empty without figures."""
    if row.accuracy_mean is None:
        return ""
    if len(row.seeds) < 2 or row.accuracy_std is None:
        return percent(row.accuracy_mean)
    return f"{100 * row.accuracy_mean:.2f} ± {100 * row.accuracy_std:.2f}{SPACE}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    sign = MINUS if difference < 0 else "+"
    return f"{sign}{abs(100 * difference):.2f}"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{ratio:,.1f}{SPACE}\N{MULTIPLICATION SIGN}"
