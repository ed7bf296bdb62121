"""What a technology is: coefficients of energy, area and static power, each with its bounds and its source."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Ports = Literal["1rw", "1r1w"]
SRAM_COMPONENTS: dict[Ports, str] = {"1rw": "sram_1rw", "1r1w": "sram_1r1w"}
REGISTER_FILE = "register_file"
MEMORY_FEATURES = ("words", "bits")
# Phase modules of the RTL; `clock`: the clock tree and flip-flops that see every cycle; `memory_ports`: what joins the modules of a core to its memories.
LOGIC_COMPONENTS = (
    "clock",
    "adaptive_threshold",
    "backward_sum",
    "chip_control",
    "decay",
    "error_unit",
    "error_hinge",
    "error_softmax",
    "error_words",
    "event_counters",
    "event_input",
    "exponential",
    "fire",
    "flip_unit",
    "gradient_round",
    "host_port",
    "integrate",
    "lowest_set",
    "memory_ports",
    "momentum_flip",
    "output_scan",
    "popcount",
    "predict",
    "random_source",
    "readout",
    "register_bus",
    "spike_output",
    "square_sum",
    "trace_update",
    "update_control",
    "xorshift32",
)

_FACTOR = re.compile(r"(?P<feature>[a-z][a-z0-9_]*)(?:\^(?P<exponent>\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class Band:
    """A value and its bounds, `low <= value <= high`, in whatever unit its name says.

    Bounds add up: the errors of one technology all point the same way in the worst case.
    """

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Band":
        """A value without an error."""
        return cls(value, value, value)

    @classmethod
    def total(cls, bands: Iterable["Band"]) -> "Band":
        """The sum of bands, 0 of none."""
        result = cls.exact(0.0)
        for band in bands:
            result = result + band
        return result

    def __add__(self, other: "Band") -> "Band":
        return Band(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Band":
        """Scale by a number of 0 or more."""
        return Band(self.value * factor, self.low * factor, self.high * factor)

    __rmul__ = __mul__

    def times(self, other: "Band") -> "Band":
        """The product with another band of numbers of 0 or more."""
        return Band(self.value * other.value, self.low * other.low, self.high * other.high)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from.

    Attributes:
        key: What rows call it.
        title: Of the paper, data sheet or file.
        authors: Its authors or publisher.
        year: Of publication.
        where: Table, figure, page or file that holds the numbers.
        url: Where to find it.
        note: How the numbers of the rows follow from it; empty if they stand there as they are.
    """

    key: str
    title: str
    authors: str
    year: int
    where: str
    url: str
    note: str


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One row of a technology: `band` times the product `term` of features is what one `action` costs, in `unit`."""

    component: str
    action: str
    term: str
    band: Band
    unit: str
    corner: str
    source: str

    def amount(self, features: Mapping[str, float]) -> Band:
        """The row's share of the cost of one action, for given features.

        Raises:
            KeyError: A feature of the term is not given.
        """
        return self.band * term_value(self.term, features)


@dataclass(frozen=True, slots=True)
class SramRange:
    """Sizes of the macros that were measured: what lies outside is extrapolated.

    Attributes:
        smallest_words: Fewest words of a macro.
        largest_words: Most words of a macro.
        smallest_bits: Narrowest word.
        largest_bits: Widest word.
        largest_cells: Most bits of a whole macro.
    """

    smallest_words: int
    largest_words: int
    smallest_bits: int
    largest_bits: int
    largest_cells: int


@dataclass(frozen=True, slots=True)
class Technology:
    """What things cost in one process, FPGA or scaled node.

    Attributes:
        name: Of its CSV file.
        title: What it is, for people.
        notes: What is left out and why.
        node_nm: Feature size.
        voltage_v: Supply voltage that the coefficients hold for.
        coefficients: Rows, those of a scaled base included.
        sources: The bibliography of its rows, facts and scaling.
        sram_ranges: Macro sizes for `1rw` and `1r1w` memories, where the technology has any.
        register_limit: Bits for each macro that a memory would take, up to which it is built of flip-flops; None: whichever is smaller.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    node_nm: float
    voltage_v: float
    coefficients: tuple[Coefficient, ...]
    sources: dict[str, Source]
    sram_ranges: dict[Ports, SramRange]
    register_limit: int | None = None

    def rows(self, component: str) -> tuple[Coefficient, ...]:
        """The rows of a component; none if the technology does not price it."""
        return tuple(row for row in self.coefficients if row.component == component)

    def cost(self, component: str, action: str, features: Mapping[str, float]) -> Band:
        """What one action of a component costs in pJ, um2, nW or LUT4: the sum of its rows, 0 without any."""
        return Band.total(
            row.amount(features) for row in self.rows(component) if row.action == action
        )


def term_value(term: str, features: Mapping[str, float]) -> float:
    """The product of features that a term such as `words^0.5*bits` stands for, or 1.

    Raises:
        KeyError: A feature is not given.
    """
    return math.prod(math.pow(features[name], exponent) for name, exponent in parse_term(term))


@cache
def parse_term(term: str) -> tuple[tuple[str, float], ...]:
    """Features and exponents of a term.

    Raises:
        ValueError: It is neither 1 nor a product of features.
    """
    if term == "1":
        return ()
    factors = []
    for factor in term.split("*"):
        match = _FACTOR.fullmatch(factor)
        if match is None:
            raise ValueError(term)
        factors.append((match["feature"], float(match["exponent"] or 1)))
    return tuple(factors)
