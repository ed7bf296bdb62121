"""SRAM macros of a process: which of them hold a memory, the Verilog that puts them in its place, and their timing at other corners."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import InputError
from flipcore.rtl.liberty import Macro, read_liberty

_SIZE = re.compile(r"_(\d+)x(\d+)(?:_|$)")
_SHEET_CORNER = re.compile(r"\w+?_(\d+)d(\d+)V_(m?)(\d+)C")
_ACCESS = re.compile(r"(cell_(?:rise|fall)\s*\([^)]*\)\s*\{.*?values\s*\()([^)]*)(\))", re.DOTALL)
_TWO_PORTS = "B_CLK"


@dataclass(frozen=True, kw_only=True, slots=True)
class SramMacro:
    """An SRAM macro as its Liberty file and data sheet have it.

    Attributes:
        name: Of the cell.
        words, bits: Its size.
        two_ports: Whether it reads and writes in one cycle.
        has_mask: Whether it has a mask for single bits.
        has_test: Whether it has pins for a self-test.
        area_um2: Area.
        voltage: Of the corner of the Liberty file, in V.
        access_ns: Supply voltage in V to the temperature in degrees Celsius and clock to data, of the data sheet's corners.
        text: Of the Liberty file.
    """

    name: str
    words: int
    bits: int
    two_ports: bool
    has_mask: bool
    has_test: bool
    area_um2: float
    voltage: float
    access_ns: Mapping[float, tuple[float, float]]
    text: str

    def is_timed_at(self, voltage: float) -> bool:
        """Whether its clock to data at a supply voltage is known."""
        return voltage == self.voltage or {voltage, self.voltage} <= self.access_ns.keys()

    def liberty_at(self, voltage: float) -> str:
        """Its Liberty text with clock to data of the data sheet's corner of a voltage; all else, setup times above all, stays."""
        if voltage == self.voltage:
            return self.text
        ratio = self.access_ns[voltage][1] / self.access_ns[self.voltage][1]

        def scaled(match: re.Match[str]) -> str:
            values = re.sub(r"[\d.]+", lambda number: f"{float(number[0]) * ratio:.4f}", match[2])
            return match[1] + values + match[3]

        return _ACCESS.sub(scaled, self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class SramPlan:
    """A memory as a grid of equal macros: rows of banks by the word, columns side by side in a word."""

    memory: Macro
    macro: SramMacro
    rows: int
    columns: int

    @property
    def area_um2(self) -> float:
        """Area of all its macros."""
        return self.rows * self.columns * self.macro.area_um2


def read_sram_macros(folder: Path) -> list[SramMacro]:
    """Read the Liberty files (.lib, .lib.gz) of SRAM macros and the data sheets (.txt) beside them.

    Raises:
        InputError: There is none, or one is not that of a macro.
    """
    paths = sorted(path for path in folder.glob("*.lib*") if path.name.endswith((".lib", ".lib.gz")))  # fmt: skip
    if not paths:
        raise InputError(f"{folder}: no Liberty file (.lib or .lib.gz) of an SRAM macro here")
    return [_read_macro(path) for path in paths]


def _read_macro(path: Path) -> SramMacro:
    library = read_liberty(path)
    (name, cell), *others = library.cells.items()
    size = _SIZE.search(name)
    if others or size is None:
        raise InputError(f"{path}: must hold one SRAM macro with words x bits in its name")
    return SramMacro(
        name=name,
        words=int(size[1]),
        bits=int(size[2]),
        two_ports=_TWO_PORTS in library.text,
        has_mask="A_BM" in library.text,
        has_test="A_BIST_EN" in library.text,
        area_um2=cell.area,
        voltage=library.voltage,
        access_ns=_access_times(path.parent / f"{name}.txt"),
        text=library.text,
    )


def _access_times(sheet: Path) -> dict[float, tuple[float, float]]:
    """Clock to data of a data sheet, the slower edge, by the supply voltage of its corners; nothing without a data sheet."""
    if not sheet.is_file():
        return {}
    lines = sheet.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [[word.strip() for word in line.split("|")] for line in lines]
    heads = [row for row in rows if row[1:2] == ["Timing"]]
    delays = [row for row in rows if row[1:2] == ["Clock to Data Out"]]
    if not heads or not delays:
        raise InputError(f"{sheet}: no table of clock to data")
    times = {}
    for place, word in enumerate(heads[0]):
        corner = _SHEET_CORNER.fullmatch(word)
        if corner:
            temperature = float(corner[4]) * (-1 if corner[3] else 1)
            slower = max(float(row[place]) for row in delays)
            times[float(f"{corner[1]}.{corner[2]}")] = (temperature, slower)
    return times


def plan_memory(memory: Macro, macros: Sequence[SramMacro]) -> SramPlan:
    """The grid of equal macros with the ports of a memory that has the least area, ties to fewer macros.

    Raises:
        InputError: No macro has its ports.
    """
    two_ports = memory.wrapper == "memory_1r1w"
    plans = [
        SramPlan(
            memory=memory,
            macro=macro,
            rows=-(-memory.words // macro.words),
            columns=-(-memory.bits // macro.bits),
        )
        for macro in macros
        if macro.two_ports == two_ports
    ]
    if not plans:
        raise InputError(f"{memory.wrapper}: no macro with such ports in the folder of macros")
    return min(plans, key=lambda plan: (plan.area_um2, plan.rows * plan.columns))


def sram_box(macro: SramMacro) -> str:
    """Verilog of a macro as a black box."""
    address = f"[{_address_bits(macro.words) - 1}:0] "
    word = f"[{macro.bits - 1}:0] "
    inputs = [("CLK", ""), ("MEN", ""), ("WEN", ""), ("REN", ""), ("ADDR", address), ("DIN", word)]
    inputs += [("BM", word)] if macro.has_mask else []
    test = [("BIST_EN", "")] + [(f"BIST_{name}", width) for name, width in inputs]
    pins = [*inputs, ("DLY", ""), *(test if macro.has_test else [])]
    ports = []
    for port in "AB" if macro.two_ports else "A":
        ports += [f"input {width}{port}_{name}" for name, width in pins]
        ports.append(f"output {word}{port}_DOUT")
    return f"(* blackbox *) module {macro.name} ({', '.join(ports)}); endmodule\n"


def sram_module(plan: SramPlan) -> str:
    """Verilog of a memory made of macros, with what selects between the rows of banks; has the ports of the memory's wrapper."""
    memory, macro = plan.memory, plan.macro
    address_bits = memory.ports["read_address_i"][1]
    inner = _address_bits(macro.words)
    width = plan.columns * macro.bits
    padded = max(address_bits, inner + _address_bits(plan.rows))
    ports = ", ".join(f"{way} [{bits - 1}:0] {name}" for name, (way, bits) in memory.ports.items())
    lines = [f"module {memory.module} ({ports});"]
    lines.append(f"  wire [{width - 1}:0] write_data = write_data_i;")
    lines.append(f"  wire [{padded - 1}:0] read_address = read_address_i;")
    lines.append(f"  wire [{padded - 1}:0] write_address = write_address_i;")
    if not macro.two_ports:
        lines.append(f"  wire [{padded - 1}:0] address = write_i ? write_address : read_address;")
    for row in range(plan.rows):
        lines.append(f"  wire [{width - 1}:0] read_data_{row};")
        for column in range(plan.columns):
            low = column * macro.bits
            data = f"[{low + macro.bits - 1}:{low}]"
            pins = _pins(macro, row, plan.rows, inner, data)
            lines.append(f"  {macro.name} u_sram_{row}_{column} ({', '.join(pins)});")
    if plan.rows == 1:
        lines.append("  assign read_data_o = read_data_0;")
    else:
        high = f"[{inner + _address_bits(plan.rows) - 1}:{inner}]"
        lines.append(f"  reg [{_address_bits(plan.rows) - 1}:0] row_q;")
        lines.append(f"  always @(posedge clk_i) if (read_i) row_q <= read_address{high};")
        choice = f"read_data_{plan.rows - 1}"
        for row in reversed(range(plan.rows - 1)):
            choice = f"row_q == {row} ? read_data_{row} : {choice}"
        lines.append(f"  assign read_data_o = {choice};")
    return "\n".join([*lines, "endmodule", ""])


def _pins(macro: SramMacro, row: int, rows: int, inner: int, data: str) -> list[str]:
    """Connections of one macro of a memory: of two ports, A reads and B writes."""

    def chosen(address: str) -> str:
        high = f"{address}[{inner + _address_bits(rows) - 1}:{inner}]"
        return f"({high} == {row})" if rows > 1 else "1'b1"

    uses = [("A", "address", "(read_i | write_i)", "write_i", "~write_i")]
    if macro.two_ports:
        uses = [
            ("A", "read_address", "read_i", "1'b0", "read_i"),
            ("B", "write_address", "write_i", "write_i", "1'b0"),
        ]
    pins = []
    for port, address, enable, write, read in uses:
        pins += [
            f".{port}_CLK(clk_i)",
            f".{port}_MEN({enable} & {chosen(address)})",
            f".{port}_WEN({write})",
            f".{port}_REN({read})",
            f".{port}_ADDR({address}[{inner - 1}:0])",
            f".{port}_DIN(write_data{data})",
            f".{port}_DLY(1'b1)",
        ]
        if port == "A":
            pins.append(f".A_DOUT(read_data_{row}{data})")
        if macro.has_mask:
            pins.append(f".{port}_BM({{{macro.bits}{{1'b1}}}})")
        if macro.has_test:
            tied = ["EN", "CLK", "MEN", "WEN", "REN", "ADDR", "DIN"]
            tied += ["BM"] if macro.has_mask else []
            widths = {"ADDR": inner, "DIN": macro.bits, "BM": macro.bits}
            pins += [f".{port}_BIST_{name}({widths.get(name, 1)}'d0)" for name in tied]
    return pins


def _address_bits(words: int) -> int:
    return max(1, (words - 1).bit_length())
