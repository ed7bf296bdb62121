"""Rows of a technology as CSV: what each may say, and what is refused and how."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES
from flipcore.hwmodel.features import FEATURES
from flipcore.hwmodel.technology.types import (
    LOGIC_COMPONENTS,
    MEMORY_FEATURES,
    REGISTER_FILE,
    SRAM_COMPONENTS,
    Band,
    Coefficient,
    parse_term,
)

COLUMNS = ("component", "action", "term", "value", "low", "high", "unit", "corner", "source")
MEMORY_UNITS = {"read": "pJ", "write": "pJ", "leakage": "nW", "area": "um2"}
RANGE_UNITS = dict.fromkeys(
    ("smallest_words", "largest_words", "smallest_bits", "largest_bits", "largest_cells"), "count"
)
REGISTER_LIMIT = "most_bits_per_macro"
LUTS = {"luts": "LUT4"}  # of an FPGA
_LOGIC_UNITS = dict.fromkeys((*COUNT_NAMES, "cycles"), "pJ") | {"area": "um2", "leakage": "nW"}
# Of every component: the unit of each of its actions, and the features its terms may use.
_RULES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    **dict.fromkeys(SRAM_COMPONENTS.values(), (MEMORY_UNITS | RANGE_UNITS | LUTS, MEMORY_FEATURES)),
    REGISTER_FILE: (MEMORY_UNITS | {REGISTER_LIMIT: "count"} | LUTS, MEMORY_FEATURES),
    **dict.fromkeys(LOGIC_COMPONENTS, (_LOGIC_UNITS | LUTS, FEATURES)),
    "io": (dict.fromkeys(("events", "labels", "predictions"), "pJ"), ()),
    "technology": ({"node": "nm", "voltage": "V"}, ()),
    "scale": (dict.fromkeys(("energy", "area", "leakage"), "factor"), ()),
}
# What scaling to another node multiplies, by the unit of a row; rows of other units say what the technology is.
SCALED_BY = {"pJ": "energy", "um2": "area", "nW": "leakage"}
# Units of what something costs, and not of what the technology is.
COSTS = (*SCALED_BY, *LUTS.values())


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: comments before its header, the first of which is the title, and its rows with their lines."""

    where: str
    comments: tuple[str, ...]
    rows: tuple[Coefficient, ...]
    lines: tuple[int, ...]


def read_text(path: Traversable) -> str:
    """Text of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {reason}") from None


def read_table(path: Traversable) -> Table:
    """Rows of a CSV file; each is checked by itself.

    Raises:
        InputError: names line, column and rule.
    """
    comments: list[str] = []
    numbered: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
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
    return Table(str(path), tuple(comments), rows, lines)


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
        _check_term(f"{where}: term", term, features if units[action] in COSTS else ())
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


def _check_term(where: str, term: str, features: tuple[str, ...]) -> None:
    try:
        factors = parse_term(term)
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
