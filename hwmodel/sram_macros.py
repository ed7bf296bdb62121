"""SRAM macros read from their Liberty files and data sheets: energy of an access, static power, area."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flipcore.errors import InputError
from flipcore.hwmodel.technology import Ports

TOGGLING_SHARE = 0.5  # of address and data bits per access: what random addresses and data do
AREA_TOLERANCE = 1e-3  # relative, between Liberty file and data sheet, which rounds
_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<mark>[(){}:;,])|(?P<word>[^\s(){}:;,"]+)',
    re.DOTALL,
)
_SHEET_AREA = re.compile(r"^Area.*=\s*([\d.]+)\s+square microns", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """One SRAM macro at the corner of its Liberty file.

    Attributes:
        name: Of the cell.
        words: Words.
        bits: Of a word.
        ports: `1rw` with one port; `1r1w` with two, of which one reads and one writes.
        read_clock_pj: Of the clock edge that reads.
        write_clock_pj: Of the clock edge that writes.
        read_pins_pj: Of half of the address bits toggling.
        write_pins_pj: Of half of the address and data bits toggling.
        leakage_nw: Static power.
        area_um2: Area.
        voltage_v: Supply.
        temperature_c: Temperature.
    """

    name: str
    words: int
    bits: int
    ports: Ports
    read_clock_pj: float
    write_clock_pj: float
    read_pins_pj: float
    write_pins_pj: float
    leakage_nw: float
    area_um2: float
    voltage_v: float
    temperature_c: float

    @property
    def read_pj(self) -> float:
        """Energy of a read, pins included."""
        return self.read_clock_pj + self.read_pins_pj

    @property
    def write_pj(self) -> float:
        """Energy of a write, pins included."""
        return self.write_clock_pj + self.write_pins_pj


@dataclass(slots=True)
class _Group:
    """A group of a Liberty file: `kind(name) { attributes and groups }`."""

    kind: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list["_Group"] = field(default_factory=list)

    def find(self, kind: str) -> Iterator["_Group"]:
        """Groups of a kind directly in this one."""
        return (group for group in self.groups if group.kind == kind)


def read_macros(folder: Path) -> tuple[Macro, ...]:
    """Read the Liberty files (.lib, .lib.gz) of a folder of SRAM macros, sorted by ports and size.

    A data sheet beside a Liberty file, with the cell's name and .txt, must give the same area.

    Raises:
        InputError: No Liberty file there, or one that is not that of one SRAM macro.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith((".lib", ".lib.gz")))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    if not paths:
        raise InputError(f"{folder}: no Liberty file (.lib or .lib.gz) of an SRAM macro here")
    macros = sorted(
        (_read_macro(path) for path in paths),
        key=lambda macro: (macro.ports, macro.words, macro.bits, macro.name),
    )
    corners = {(macro.voltage_v, macro.temperature_c) for macro in macros}
    if len(corners) > 1:
        named = ", ".join(f"{volt:g} V {temp:g} C" for volt, temp in sorted(corners))
        raise InputError(f"{folder}: macros of several corners ({named}), there must be one")
    return tuple(macros)


def _read_macro(path: Path) -> Macro:
    library = _parse(path)
    cells = list(library.find("cell"))
    if len(cells) != 1:
        raise InputError(f"{path}: {len(cells)} cells, the file of a macro has one")
    cell = cells[0]
    memory = next(cell.find("memory"), None)
    if memory is None:
        raise InputError(f"{path}: {cell.name} has no `memory` group: not an SRAM macro")
    _check_units(path, library)
    bits = int(_number(path, memory, "word_width"))
    words = _words(path, cell.name, int(_number(path, memory, "address_width")))
    ports = [name for name in "AB" if _pin(cell, f"{name}_CLK") is not None]
    if not ports:
        raise InputError(f"{path}: {cell.name}: no pin A_CLK")
    area = _number(path, cell, "area")
    _compare_sheet(path.parent / f"{cell.name}.txt", area)

    def mean(of: Callable[[str], float]) -> float:
        return sum(of(port) for port in ports) / len(ports)

    def read_clock(port: str) -> float:
        condition = f"{port}_MEN&!{port}_WEN&{port}_REN"
        return sum(_edges(path, cell, f"{port}_CLK", condition))

    def write_clock(port: str) -> float:
        condition = f"{port}_MEN&{port}_WEN&!{port}_REN"
        return sum(_edges(path, cell, f"{port}_CLK", condition))

    def pin_toggle(port: str, pin: str) -> float:
        return sum(_edges(path, cell, f"{port}_{pin}", f"{port}_MEN")) / 2

    address = (words - 1).bit_length()
    address_pj = TOGGLING_SHARE * address * mean(lambda port: pin_toggle(port, "ADDR"))
    data_pj = TOGGLING_SHARE * bits * mean(lambda port: pin_toggle(port, "DIN"))
    return Macro(
        name=cell.name,
        words=words,
        bits=bits,
        ports="1rw" if len(ports) == 1 else "1r1w",
        read_clock_pj=mean(read_clock),
        write_clock_pj=mean(write_clock),
        read_pins_pj=address_pj,
        write_pins_pj=address_pj + data_pj,
        leakage_nw=_number(path, cell, "cell_leakage_power"),
        area_um2=area,
        voltage_v=_number(path, library, "nom_voltage"),
        temperature_c=_number(path, library, "nom_temperature"),
    )


def _check_units(path: Path, library: _Group) -> None:
    """Internal power is in the unit of capacitance times voltage squared; that must be pJ, leakage nW."""
    load = library.attributes.get("capacitive_load_unit", "").replace(" ", "").lower()
    for name, found, wanted in (
        ("capacitive_load_unit", load.replace("1.0,", "1,"), "1,pf"),
        ("voltage_unit", library.attributes.get("voltage_unit", ""), "1V"),
        ("leakage_power_unit", library.attributes.get("leakage_power_unit", ""), "1nW"),
    ):
        if found != wanted:
            raise InputError(f"{path}: {name}: {found or 'missing'}, must be {wanted}")


def _words(path: Path, name: str, address_width: int) -> int:
    """Words as the name says, or as many as there are addresses."""
    match = re.search(r"_(\d+)x(\d+)(?:_|$)", name)
    words = int(match[1]) if match else 1 << address_width
    if not 1 << (address_width - 1) < words <= 1 << address_width:
        raise InputError(f"{path}: {name}: {words} words do not fit address_width {address_width}")
    return words


def _compare_sheet(sheet: Path, area: float) -> None:
    if not sheet.is_file():
        return
    match = _SHEET_AREA.search(sheet.read_text(encoding="utf-8", errors="replace"))
    if match is None:
        raise InputError(f"{sheet}: no line `Area ... = ... square microns`")
    if abs(float(match[1]) - area) > AREA_TOLERANCE * area:
        raise InputError(f"{sheet}: area {match[1]} um2, the Liberty file says {area:g}")


def _pin(cell: _Group, name: str) -> _Group | None:
    """The pin or the bus of that name, of a bus its pin that stands for all bits."""
    for group in cell.groups:
        if group.kind in ("pin", "bus") and group.name == name:
            inner = [pin for pin in group.find("pin") if any(pin.find("internal_power"))]
            return inner[0] if group.kind == "bus" and inner else group
    return None


def _edges(path: Path, cell: _Group, name: str, condition: str) -> tuple[float, float]:
    """Energy in pJ of a rising and of a falling edge of a pin under a condition."""
    pin = _pin(cell, name)
    if pin is None:
        raise InputError(f"{path}: {cell.name}: no pin {name}")
    for power in pin.find("internal_power"):
        if power.attributes.get("when", "").replace(" ", "").strip("()") == condition:
            rise = next(power.find("rise_power"), None)
            fall = next(power.find("fall_power"), None)
            if rise is not None and fall is not None:
                return _number(path, rise, "values"), _number(path, fall, "values")
    raise InputError(f"{path}: {cell.name}: pin {name}: no internal_power when {condition}")


def _number(path: Path, group: _Group, name: str) -> float:
    text = group.attributes.get(name)
    try:
        return float(text or "")
    except ValueError:
        found = "is missing" if text is None else f"{text!r} is not a number"
        raise InputError(f"{path}: {group.kind} {group.name}: {name}: {found}") from None


def _parse(path: Path) -> _Group:
    """The library of a Liberty file; single values of complex attributes are kept as text."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    root = _Group("file", path.name)
    stack = [root]
    pending: list[str] = []  # tokens of a statement so far
    for match in _TOKEN.finditer(content.decode("utf-8", errors="replace")):
        mark, token = match["mark"], match["text"] or match["word"]
        if mark == "{":
            kind, name = _statement(pending)
            group = _Group(kind, name)
            stack[-1].groups.append(group)
            stack.append(group)
            pending = []
        elif mark == ";" or mark == "}":
            if pending:
                name, value = _statement(pending)
                stack[-1].attributes[name] = value
            pending = []
            if mark == "}":
                stack.pop()
                if not stack:
                    raise InputError(f"{path}: a brace closes what none has opened")
        elif mark is None and token is not None:
            pending.append(token)
        elif mark == ",":
            pending.append(mark)
    library = next(root.find("library"), None)
    if library is None or len(stack) != 1:
        raise InputError(f"{path}: not a whole Liberty file")
    return library


def _statement(tokens: list[str]) -> tuple[str, str]:
    return (tokens[0], "".join(tokens[1:])) if tokens else ("", "")
