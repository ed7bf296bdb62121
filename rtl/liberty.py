"""What synthesis needs to know of a Liberty file, and a small Liberty file of its own for memory macros."""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import InputError

_GROUP = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|([\w$]+)\s*\(([^()]*)\)\s*\{|([{}])', re.DOTALL)
_GZIP = b"\x1f\x8b"
_NUMBER = r'^\s*{name}\s*:\s*"?(-?[\d.]+(?:[eE][-+]?\d+)?)"?\s*;'
_MACRO_TRANSITION = 0.02  # of a memory's outputs, in the library's unit of time
_PICOSECONDS = {"1ps": 1.0, "10ps": 10.0, "100ps": 100.0, "1ns": 1000.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell of a library.

    Attributes:
        area: In the library's unit, um2 for all that we know.
        kind: `flip-flop`, `latch` or `logic`.
        inputs: Number of input pins.
        outputs: Names of the output pins.
        function: Function of its output if it has a single one, as the library writes it.
        usable: False for what the library wants nobody to use.
    """

    area: float
    kind: str
    inputs: int
    outputs: tuple[str, ...]
    function: str
    usable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A Liberty file: its corner and its cells.

    Attributes:
        name: Of the library.
        process: Nominal, 1 is typical.
        voltage: In V.
        temperature: In degrees Celsius.
        time_ps: Its unit of time.
        cells: By name.
        text: Of the file, unpacked.
    """

    name: str
    process: float
    voltage: float
    temperature: float
    time_ps: float
    cells: dict[str, Cell]
    text: str

    @property
    def driver(self) -> str:
        """The buffer that is assumed to drive the inputs of a module: the middle one by area."""
        buffers = [
            (cell.area, name)
            for name, cell in self.cells.items()
            if cell.usable
            and cell.inputs == 1
            and cell.kind == "logic"
            and cell.function.isidentifier()
        ]
        if not buffers:
            raise InputError(f"{self.name}: no buffer among the cells of the library")
        # Delay cells are buffers, too, and large for what they drive: names tell them apart.
        named = [buffer for buffer in buffers if "buf" in buffer[1].lower()]
        ordered = sorted(named or buffers)
        return ordered[len(ordered) // 2][1]


def read_liberty(path: Path) -> Library:
    """Read a Liberty file, plain or gzipped.

    Raises:
        InputError: It cannot be read, or is not a Liberty file with cells.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    text = content.decode("utf-8", errors="replace")
    library, header = "", ""
    cells: dict[str, Cell] = {}
    for depth, kind, name, body in _groups(text):
        if depth == 0 and kind == "library":
            library = name
            header = body
        elif depth == 1 and kind == "cell":
            cells[name] = _cell(body)
    if not library or not cells:
        raise InputError(f"{path}: not a Liberty file with cells")
    unit = re.search(r'time_unit\s*:\s*"([^"]+)"', header)
    return Library(
        name=library,
        process=_number(header, "nom_process", 1.0),
        voltage=_number(header, "nom_voltage", 0.0),
        temperature=_number(header, "nom_temperature", 25.0),
        time_ps=_PICOSECONDS.get(unit[1] if unit else "1ns", 1000.0),
        cells=cells,
        text=text,
    )


def _groups(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Depth, kind, name and body of the outer two levels of groups, each after those inside it."""
    stack: list[tuple[str, str, int]] = []
    for match in _GROUP.finditer(text):
        if match[1]:
            stack.append((match[1], match[2].strip().strip('"'), match.end()))
        elif match[3] == "{":
            stack.append(("", "", match.end()))
        elif match[3] == "}" and stack:
            kind, name, start = stack.pop()
            if len(stack) < 2:
                yield len(stack), kind, name, text[start : match.start()]


def _cell(body: str) -> Cell:
    kind = "logic"
    if re.search(r"\bff(_bank)?\s*\(", body):
        kind = "flip-flop"
    elif re.search(r"\blatch(_bank)?\s*\(|\bstatetable\s*\(", body):
        kind = "latch"
    pins = {
        pin.partition(")")[0].strip().strip('"'): direction[1]
        for pin in re.split(r"\bpin\s*\(", body)[1:]
        if (direction := re.search(r'direction\s*:\s*"?(\w+)', pin))
    }
    functions = re.findall(r'^\s*function\s*:\s*"\(?([^"]*?)\)?"', body, re.MULTILINE)
    return Cell(
        area=_number(body, "area", 0.0),
        kind=kind,
        inputs=list(pins.values()).count("input"),
        outputs=tuple(pin for pin, direction in pins.items() if direction == "output"),
        function=functions[0].strip() if len(functions) == 1 else "",
        usable=re.search(r"dont_use\s*:\s*\"?true", body) is None,
    )


def _number(text: str, name: str, default: float) -> float:
    found = re.search(_NUMBER.format(name=name), text, re.MULTILINE)
    return float(found[1]) if found else default


@dataclass(frozen=True, kw_only=True, slots=True)
class Macro:
    """A memory that stands in the netlist as a black box.

    Attributes:
        module: Its name in the netlist.
        wrapper: The module of the Verilog that it replaces.
        words: Number of words.
        bits: Bits per word.
        count: How many of them there are.
        ports: Port to its direction and width.
    """

    module: str
    wrapper: str
    words: int
    bits: int
    count: int
    ports: Mapping[str, tuple[str, int]]


def macro_liberty(macros: list[Macro], time_ps: float, access_ns: float) -> str:
    """Liberty text of memories with registered ports: no setup time, data `access_ns` after the clock."""
    access = access_ns * 1000.0 / time_ps
    lines = ["library (memories) {", "  delay_model : table_lookup;"]
    lines += [f'  time_unit : "{time_ps:g}ps";', "  capacitive_load_unit (1, pf);"]
    for edge in ("rise", "fall"):
        lines += [f"  {side}_threshold_pct_{edge} : 50;" for side in ("input", "output")]
        lines += [f"  slew_lower_threshold_pct_{edge} : 20;"]
        lines += [f"  slew_upper_threshold_pct_{edge} : 80;"]
    widths = sorted({width for macro in macros for _, width in macro.ports.values() if width > 1})
    for width in widths:
        lines += [
            f"  type (bits_{width}) {{",
            "    base_type : array; data_type : bit;",
            f"    bit_width : {width}; bit_from : {width - 1}; bit_to : 0; downto : true;",
            "  }",
        ]
    for macro in macros:
        lines += [f"  cell ({macro.module}) {{", "    area : 0;"]
        for port, (direction, width) in macro.ports.items():
            lines += _macro_port(port, direction, width, access)
        lines += ["  }"]
    return "\n".join([*lines, "}", ""])


def _macro_port(port: str, direction: str, width: int, access: float) -> list[str]:
    lines = [f"    {'pin' if width == 1 else 'bus'} ({port}) {{", f"      direction : {direction};"]
    if width > 1:
        lines.append(f"      bus_type : bits_{width};")
    if port == "clk_i":
        return [*lines, "      clock : true; capacitance : 0.002;", "    }"]
    if direction == "input":
        lines.append("      capacitance : 0.002;")
        tables = {"rise_constraint": 0.0, "fall_constraint": 0.0}
        kind = "setup_rising"
    else:
        tables = {"cell_rise": access, "cell_fall": access}
        tables |= {"rise_transition": _MACRO_TRANSITION, "fall_transition": _MACRO_TRANSITION}
        kind = "rising_edge"
    return [
        *lines,
        "      timing () {",
        '        related_pin : "clk_i";',
        f"        timing_type : {kind};",
        *(f'        {name} (scalar) {{ values ("{value:g}"); }}' for name, value in tables.items()),
        "      }",
        "    }",
    ]
