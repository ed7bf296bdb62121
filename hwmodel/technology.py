"""Technologies: coefficients of energy, area and static power from CSV files, each with its bounds and its source."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

import yaml

from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES
from flipcore.hwmodel.features import FEATURES

COLUMNS = ("component", "action", "term", "value", "low", "high", "unit", "corner", "source")
SOURCE_FIELDS = ("title", "authors", "year", "where", "url", "note")

Ports = Literal["1rw", "1r1w"]
SRAM_COMPONENTS: dict[Ports, str] = {"1rw": "sram_1rw", "1r1w": "sram_1r1w"}
REGISTER_FILE = "register_file"
MEMORY_FEATURES = ("words", "bits")
# Phase modules of the RTL, and `clock`: the clock tree and flip-flops that see every cycle.
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

_MEMORY_UNITS = {"read": "pJ", "write": "pJ", "leakage": "nW", "area": "um2"}
_RANGE_UNITS = dict.fromkeys(
    ("smallest_words", "largest_words", "smallest_bits", "largest_bits", "largest_cells"), "count"
)
_LOGIC_UNITS = dict.fromkeys((*COUNT_NAMES, "cycles"), "pJ") | {"area": "um2", "leakage": "nW"}
# Of every component: the unit of each of its actions, and the features its terms may use.
_RULES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    **dict.fromkeys(SRAM_COMPONENTS.values(), (_MEMORY_UNITS | _RANGE_UNITS, MEMORY_FEATURES)),
    REGISTER_FILE: (_MEMORY_UNITS, MEMORY_FEATURES),
    **dict.fromkeys(LOGIC_COMPONENTS, (_LOGIC_UNITS, FEATURES)),
    "io": (dict.fromkeys(("events", "labels", "predictions"), "pJ"), ()),
    "technology": ({"node": "nm", "voltage": "V"}, ()),
    "scale": (dict.fromkeys(("energy", "area", "leakage"), "factor"), ()),
}
_SCALED_BY = {"pJ": "energy", "um2": "area", "nW": "leakage"}
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
    """

    name: str
    title: str
    notes: tuple[str, ...]
    node_nm: float
    voltage_v: float
    coefficients: tuple[Coefficient, ...]
    sources: dict[str, Source]
    sram_ranges: dict[Ports, SramRange]

    def rows(self, component: str) -> tuple[Coefficient, ...]:
        """The rows of a component; none if the technology does not price it."""
        return tuple(row for row in self.coefficients if row.component == component)

    def cost(self, component: str, action: str, features: Mapping[str, float]) -> Band:
        """What one action of a component costs in pJ, um2 or nW: the sum of its rows, 0 without any."""
        return Band.total(
            row.amount(features) for row in self.rows(component) if row.action == action
        )


def term_value(term: str, features: Mapping[str, float]) -> float:
    """The product of features that a term such as `words^0.5*bits` stands for, or 1.

    Raises:
        KeyError: A feature is not given.
    """
    return math.prod(math.pow(features[name], exponent) for name, exponent in _parse_term(term))


def technology_names() -> list[str]:
    """Names of the technologies that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv"))


def load_technology(name_or_path: str) -> Technology:
    """Load a technology of the package by name, or one from a file that ends in .csv.

    The sources of a file are those of the package and of a `sources.yaml` beside it.

    Raises:
        InputError: The name is unknown; a row, a source or a fact is missing or wrong.
    """
    bibliography = _read_sources(_folder() / "sources.yaml")
    if name_or_path.endswith(".csv"):
        path = Path(name_or_path)
        beside = path.parent / "sources.yaml"
        if beside.is_file():
            bibliography = bibliography | _read_sources(beside)
        return _build(path.stem, _read_table(path), bibliography)
    return _build(name_or_path, _read_table(_shipped(name_or_path)), bibliography)


def check_sources(folder: Path | None = None) -> None:
    """Check that the rows of all CSV files of a folder and its `sources.yaml` know the same sources.

    Args:
        folder: By default, the technologies of the package.

    Raises:
        InputError: A row names a source that is not there, or a source stands there that no row names.
    """
    where: Traversable = _folder() if folder is None else folder
    bibliography = _read_sources(where / "sources.yaml")
    cited: set[str] = set()
    for entry in sorted(where.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".csv"):
            table = _read_table(entry)
            _cited_sources(table, bibliography)
            cited |= {row.source for row in table.rows}
    for key in sorted(bibliography.keys() - cited):
        raise InputError(
            f"{where / 'sources.yaml'}: {key}: no row of a technology names this source"
        )


def format_rows(rows: Iterable[Coefficient]) -> str:
    """Rows as the lines of a technology's CSV, header included, numbers to 6 digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = (f"{number:.6g}" for number in (row.band.value, row.band.low, row.band.high))
        writer.writerow(
            (row.component, row.action, row.term, *numbers, row.unit, row.corner, row.source)
        )
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class _Table:
    """A CSV file: comments before its header, the first of which is the title, and its rows with their lines."""

    where: str
    comments: tuple[str, ...]
    rows: tuple[Coefficient, ...]
    lines: tuple[int, ...]


def _folder() -> Traversable:
    return resources.files("flipcore.hwmodel") / "technologies"


def _shipped(name: str) -> Traversable:
    known = technology_names()
    if name not in known:
        raise InputError(
            f"{name}: no such technology (there are: {', '.join(known)}; a file name ends in .csv)"
        )
    return _folder() / f"{name}.csv"


def _read_text(path: Traversable) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {reason}") from None


def _read_table(path: Traversable) -> _Table:
    """Rows of a CSV file; each is checked by itself."""
    comments: list[str] = []
    numbered: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        for cells in reader:
            if cells and cells[0].startswith("#"):
                if numbered:
                    raise InputError(
                        f"{path}: line {reader.line_num}: comments stand before the header alone"
                    )
                comments.append(",".join(cells).lstrip("# ").rstrip())
            elif cells:
                numbered.append((reader.line_num, cells))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}") from None
    if not numbered or tuple(numbered[0][1]) != COLUMNS:
        found = ",".join(numbered[0][1]) if numbered else "nothing"
        raise InputError(f"{path}: the columns are {','.join(COLUMNS)}, not {found}")
    rows = tuple(_row(f"{path}: line {line}", cells) for line, cells in numbered[1:])
    lines = tuple(line for line, _ in numbered[1:])
    _refuse_twice(str(path), rows, lines)
    return _Table(str(path), tuple(comments), rows, lines)


def _row(where: str, cells: list[str]) -> Coefficient:
    if len(cells) != len(COLUMNS):
        raise InputError(f"{where}: {len(cells)} fields, there must be {len(COLUMNS)}")
    field = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
    component, action, term = field["component"], field["action"], field["term"]
    if component not in _RULES:
        raise InputError(f"{where}: component: {component!r} is not one of {', '.join(_RULES)}")
    units, features = _RULES[component]
    if action not in units:
        raise InputError(f"{where}: action: {component} has no {action!r}, only {', '.join(units)}")
    if field["unit"] != units[action]:
        raise InputError(
            f"{where}: unit: {component}, {action} is in {units[action]}, not {field['unit']!r}"
        )
    if component != "scale":  # whose term names its base technology
        _check_term(f"{where}: term", term, features if units[action] in _SCALED_BY else ())
    band = Band(*(_number(f"{where}: {name}", field[name]) for name in ("value", "low", "high")))
    if not band.low <= band.value <= band.high:
        raise InputError(
            f"{where}: value: {field['value']} is not between low {field['low']} and high {field['high']}"
        )
    if units[action] == "count" and not (band.value >= 1 and band.value.is_integer()):
        raise InputError(f"{where}: value: {field['value']} is not a whole number of 1 or more")
    for name in ("corner", "source"):
        if not field[name]:
            raise InputError(f"{where}: {name}: is empty")
    return Coefficient(
        component, action, term, band, field["unit"], field["corner"], field["source"]
    )


def _number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"{where}: {text!r} is not a number") from None
    if not math.isfinite(number) or number < 0:
        raise InputError(f"{where}: {text} is not a finite number of 0 or more")
    return number


@cache
def _parse_term(term: str) -> tuple[tuple[str, float], ...]:
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


def _check_term(where: str, term: str, features: tuple[str, ...]) -> None:
    try:
        factors = _parse_term(term)
    except ValueError:
        raise InputError(
            f"{where}: {term!r} is neither 1 nor a product such as words^0.5*bits"
        ) from None
    for name, _ in factors:
        if name not in features:
            allowed = f"only {', '.join(features)}" if features else "the term is 1"
            raise InputError(f"{where}: no feature {name!r} here, {allowed}")


def _refuse_twice(where: str, rows: tuple[Coefficient, ...], lines: tuple[int, ...]) -> None:
    seen: dict[tuple[str, str, str], int] = {}
    for row, line in zip(rows, lines, strict=True):
        key = (row.component, row.action, row.term)
        if key in seen:
            raise InputError(
                f"{where}: line {line}: {', '.join(key)} stands there already, in line {seen[key]}"
            )
        seen[key] = line


def _read_sources(path: Traversable) -> dict[str, Source]:
    try:
        document: Any = yaml.safe_load(_read_text(path))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: must be a mapping from keys to sources")
    return {str(key): _source(f"{path}: {key}", str(key), entry) for key, entry in document.items()}


def _source(where: str, key: str, entry: Any) -> Source:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be a mapping with {', '.join(SOURCE_FIELDS)}")
    for name in SOURCE_FIELDS:
        if name not in entry:
            raise InputError(f"{where}: {name}: is missing")
    for name, value in entry.items():
        if name not in SOURCE_FIELDS:
            raise InputError(f"{where}: {name}: unknown, a source has {', '.join(SOURCE_FIELDS)}")
        wanted = int if name == "year" else str
        if type(value) is not wanted or (not value and name != "note"):
            kind = "a whole number" if name == "year" else "text"
            raise InputError(f"{where}: {name}: {value!r} is not {kind}")
    return Source(key=key, **entry)


def _cited_sources(table: _Table, bibliography: Mapping[str, Source]) -> dict[str, Source]:
    for row, line in zip(table.rows, table.lines, strict=True):
        if row.source not in bibliography:
            raise InputError(
                f"{table.where}: line {line}: source: {row.source!r} is not in sources.yaml"
            )
    return {row.source: bibliography[row.source] for row in table.rows}


def _build(name: str, table: _Table, bibliography: Mapping[str, Source]) -> Technology:
    """A technology of checked rows, with the rows it takes from its base."""
    facts = {row.action: row for row in table.rows if row.component == "technology"}
    for fact in ("node", "voltage"):
        if fact not in facts or facts[fact].band.value == 0:
            raise InputError(f"{table.where}: no row technology,{fact} with a value above 0")
    if not table.comments:
        raise InputError(f"{table.where}: no title: the first line is a comment, `# title`")
    own = Technology(
        name=name,
        title=table.comments[0],
        notes=tuple(comment for comment in table.comments[1:] if comment),
        node_nm=facts["node"].band.value,
        voltage_v=facts["voltage"].band.value,
        coefficients=tuple(row for row in table.rows if row.unit in _SCALED_BY),
        sources=_cited_sources(table, bibliography),
        sram_ranges=_sram_ranges(table),
    )
    scales = [row for row in table.rows if row.component == "scale"]
    return _with_base(own, table.where, scales, bibliography) if scales else own


def _with_base(
    own: Technology, where: str, scales: list[Coefficient], bibliography: Mapping[str, Source]
) -> Technology:
    """Add the components that a technology has not of its own, scaled from its base."""
    bases = {row.term for row in scales}
    factors = {row.action: row.band for row in scales}
    if len(bases) > 1 or factors.keys() != set(_SCALED_BY.values()):
        raise InputError(
            f"{where}: scale: there must be one row each for energy, area and leakage, of one base"
        )
    table = _read_table(_shipped(bases.pop()))
    if any(row.component == "scale" for row in table.rows):
        raise InputError(f"{where}: scale: the base {table.where} is itself scaled")
    has = {row.component for row in own.coefficients}
    taken = [
        replace(
            row,
            band=row.band.times(factors[_SCALED_BY[row.unit]]),
            corner=f"{row.corner}, scaled to {own.node_nm:g} nm, {own.voltage_v:g} V",
        )
        for row in table.rows
        if row.unit in _SCALED_BY and row.component not in has
    ]
    cited = _cited_sources(table, bibliography)
    ranges = {
        ports: sizes
        for ports, sizes in _sram_ranges(table).items()
        if SRAM_COMPONENTS[ports] not in has
    }
    return replace(
        own,
        coefficients=own.coefficients + tuple(taken),
        sources=own.sources | {row.source: cited[row.source] for row in taken},
        sram_ranges=own.sram_ranges | ranges,
    )


def _sram_ranges(table: _Table) -> dict[Ports, SramRange]:
    ranges: dict[Ports, SramRange] = {}
    for ports, component in SRAM_COMPONENTS.items():
        rows = [row for row in table.rows if row.component == component]
        if not rows:
            continue
        sizes = {row.action: int(row.band.value) for row in rows if row.unit == "count"}
        missing = [
            name
            for name in (*_MEMORY_UNITS, *_RANGE_UNITS)
            if name not in {row.action for row in rows}
        ]
        if missing:
            raise InputError(f"{table.where}: {component}: no row {', '.join(missing)}")
        if (
            sizes["smallest_words"] > sizes["largest_words"]
            or sizes["smallest_bits"] > sizes["largest_bits"]
            or sizes["smallest_words"] * sizes["smallest_bits"] > sizes["largest_cells"]
        ):
            raise InputError(
                f"{table.where}: {component}: the smallest macro is larger than the largest"
            )
        ranges[ports] = SramRange(**sizes)
    return ranges
