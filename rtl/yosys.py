"""Synthesis with yosys: what a design holds before it, and the cells that are left after it."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipcore.errors import CheckError, InputError
from flipcore.rtl.liberty import Cell, Library, Macro
from flipcore.rtl.programs import run_program

# The modules behind which memories stand (docs/RTL.md, Hierarchy).
MEMORY_WRAPPERS = ("memory_1rw", "memory_1r1w")

_MADE_UP = re.compile(r"\$(\d+)([^$]*)$")  # number in the order of making, and what of it
_DESIGN_FILE = "design.json"
LIBRARY_FILE = "library.lib"
NETLIST_FILE = "netlist.v"

_WRITE_NETLIST = (
    "setundef -zero",
    "splitnets",
    "opt_clean",
    "rename -enumerate -pattern cell_%_",  # or each writer would make up names of its own
    f"write_verilog -noattr -simple-lhs {NETLIST_FILE}",
    "write_json netlist.json",
)
# Small arrays to registers. What is read beyond their ends is unknown in Verilog and unused (docs/RTL.md); it is made 0,
# or two netlists could choose differently.
PLAIN_ARRAYS = ("proc", "memory_collect", "memory_map", "setundef -zero -undriven")
# To gates and the plain registers that `rtl.blif` knows, nothing taken apart cleverly.
PLAIN_GATES = (
    "opt_expr",  # a division by a power of two is none
    "opt_clean",
    "dffunmap",
    "simplemap",
    "techmap",
    "dffunmap",
    "simplemap",
    "opt_clean",
)
# A register bit set by index is a shift of one bit to any place. The map of yosys makes stages of multiplexers as wide as
# the register of it, most of them for distances that cannot be; here it is a decoder.
SHIFT_MAP_FILE = "one_bit_shift.v"
SHIFT_MAP = """\
(* techmap_celltype = "$shift" *)
module one_bit_shift (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input  [A_WIDTH-1:0] A;
  input  [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  wire _TECHMAP_FAIL_ = A_WIDTH != 1 || A_SIGNED || !B_SIGNED;
  wire signed [B_WIDTH-1:0] right = B;

  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1) begin : gen_bit
      assign Y[i] = A[0] & (right == -i);
    end
  endgenerate
endmodule
"""
_SHIFTS = (
    "opt_merge t:$neg t:$shift",  # the bit and its mask are two of the same
    f"techmap -map {SHIFT_MAP_FILE}",
)
_CONSTRAINTS_FILE = "abc.constr"
_OUTPUT_LOAD_FF = 10.0
_OPTIMISE = "strash; &get -n; &fraig -x; &put; scorr; dc2; strash; dch -f"
# Nets with many readers get trees of buffers and cells get their sizes, or timing would be meaningless.
_SIZE = "topo; buffer -c; topo; upsize {D}; dnsize {D}"
# How abc maps logic to cells: the first is the smallest, each next one faster and larger.
MAPPINGS = {
    "area": f"{_OPTIMISE}; amap -m; {_SIZE}",
    "speed": f"{_OPTIMISE}; map -B 0.9 {{D}}; {_SIZE}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A module and all below it, before synthesis.

    Attributes:
        top: Its name.
        sources: Names of its files in the working folder.
        macros: Memories behind wrappers.
        ports: Port of the top to its direction and width.
    """

    top: str
    sources: Sequence[str]
    macros: list[Macro]
    ports: dict[str, tuple[str, int]]

    @property
    def port_bits(self) -> int:
        """Bits of all ports."""
        return sum(width for _, width in self.ports.values())

    @property
    def memory_bits(self) -> int:
        """Bits of all memories behind wrappers."""
        return sum(macro.words * macro.bits * macro.count for macro in self.macros)


@dataclass(frozen=True, kw_only=True, slots=True)
class Netlist:
    """Cells of a synthesised module.

    Attributes:
        cells: Cell name to how often it occurs, memories that stand as black boxes left out.
        registers: Instance name of a cell to the signal that it drives, where that has a name.
    """

    cells: dict[str, int]
    registers: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockGate:
    """A cell that lets the clock through where its enable was set while the clock was low.

    Attributes:
        cell: its name.
        clock, enable, output: its pins.
    """

    cell: str
    clock: str
    enable: str
    output: str


def read_design(folder: Path, sources: Sequence[str], top: str) -> Design:
    """Elaborate a module whose files lie in a folder.

    Raises:
        ToolError: yosys is missing.
        CheckError: yosys refuses the Verilog.
        InputError: There is no such module.
    """
    script = [_read(sources), f"hierarchy -check -top {top}", "proc", f"write_json {_DESIGN_FILE}"]
    script += ["flatten", "check -assert"]
    if not any(source == f"{top}.v" for source in sources):
        known = ", ".join(source.removesuffix(".v") for source in sources)
        raise InputError(f"--top {top}: no such module; there are {known}")
    _run(folder, script, "yosys_read.log")
    modules = _elaborated(folder)
    counts = _instances(modules, top)
    macros = []
    for name, module in modules.items():
        wrapper = module["attributes"].get("hdlname", name).lstrip("\\")
        if wrapper in MEMORY_WRAPPERS and counts[name]:
            (memory,) = module["memories"].values()
            macros.append(
                Macro(
                    module=name,
                    wrapper=wrapper,
                    words=memory["size"],
                    bits=memory["width"],
                    count=counts[name],
                    ports=_ports(module),
                )
            )
    macros.sort(key=lambda macro: (-macro.words * macro.bits, macro.words, macro.wrapper))
    return Design(top=top, sources=sources, macros=macros, ports=_ports(modules[top]))


def identical_modules(first: Path, second: Path) -> frozenset[str]:
    """Names of the modules that two folders' designs, as `read_design` elaborated them, both have with the same cells and connections.

    What yosys makes up names for is compared in the order in which yosys made it, all else by name.
    """
    one, two = _elaborated(first), _elaborated(second)
    return frozenset(
        name for name in one.keys() & two.keys() if _structure(one[name]) == _structure(two[name])
    )


def _elaborated(folder: Path) -> dict[str, Any]:
    text = (folder / _DESIGN_FILE).read_text(encoding="utf-8")
    modules: dict[str, Any] = json.loads(text)["modules"]
    return modules


def _structure(module: Mapping[str, Any]) -> list[Any]:
    """A module without places in a text and made-up names; nets are numbered as they are met."""
    numbers: dict[int, int] = {}

    def nets(bits: Sequence[int | str]) -> list[int | str]:
        return [bit if isinstance(bit, str) else numbers.setdefault(bit, len(numbers)) for bit in bits]  # fmt: skip

    def place(item: tuple[str, Mapping[str, Any]]) -> tuple[int, str]:
        name, cell = item
        made = _MADE_UP.search(name) if cell["hide_name"] else None
        return (int(made[1]), made[2]) if made else (0, name)

    ports = [(name, port["direction"], nets(port["bits"])) for name, port in sorted(module["ports"].items())]  # fmt: skip
    cells = [
        (
            name if not cell["hide_name"] else "",
            cell["type"],
            cell["parameters"],
            [(pin, nets(bits)) for pin, bits in sorted(cell["connections"].items())],
        )
        for name, cell in sorted(module["cells"].items(), key=place)
    ]
    named = [
        (name, nets(net["bits"]), net["attributes"].get("init"))
        for name, net in sorted(module["netnames"].items())
        if not net["hide_name"]
    ]
    memories = [
        (name, memory["width"], memory["start_offset"], memory["size"])
        for name, memory in sorted(module.get("memories", {}).items())
    ]
    return [ports, cells, named, memories]


def named_macros(design: Design) -> list[Macro]:
    """The memories of a design under the names that they have in a netlist."""
    return [
        Macro(
            module=f"{macro.wrapper}_{macro.words}x{macro.bits}",
            wrapper=macro.wrapper,
            words=macro.words,
            bits=macro.bits,
            count=macro.count,
            ports=macro.ports,
        )
        for macro in design.macros
    ]


def map_to_library(
    folder: Path, design: Design, library: Library, *, mapping: str, period_ns: float
) -> Netlist:
    """Map a design to the cells of a library, its memories left as black boxes; writes `NETLIST_FILE`.

    Args:
        folder: Where the sources are.
        design: What to map.
        library: Target; its text is written beside the sources.
        mapping: One of `MAPPINGS`.
        period_ns: Clock period that sizing aims at.

    Raises:
        CheckError: Something cannot be built from the library's cells.
    """
    (folder / LIBRARY_FILE).write_text(library.text, encoding="utf-8")
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *_black_boxes(design),
        f"synth -top {design.top} -flatten",
        f"dfflibmap -liberty {LIBRARY_FILE}",
        "opt",
        *_map_by_abc(folder, library, mapping, period_ns),
        *_WRITE_NETLIST,
    ]
    _run(folder, script, f"yosys_{mapping}.log")
    netlist = _netlist(folder / "netlist.json", design, library.cells)
    unmapped = sorted(name for name in netlist.cells if name not in library.cells)
    if unmapped:
        raise CheckError(f"{design.top}: {library.name} has no cell for {', '.join(unmapped)}")
    return netlist


def _map_by_abc(folder: Path, library: Library, mapping: str, period_ns: float) -> list[str]:
    """Map logic to cells and size them for loads and a clock period."""
    constraints = f"set_driving_cell {library.driver}\nset_load {_OUTPUT_LOAD_FF}\n"
    (folder / _CONSTRAINTS_FILE).write_text(constraints, encoding="utf-8")
    (folder / "abc.script").write_text(
        MAPPINGS[mapping].replace("; ", "\n") + "\n", encoding="utf-8"
    )
    return [
        f"abc -liberty {LIBRARY_FILE} -constr {_CONSTRAINTS_FILE} -D {period_ns * 1000:.0f}"
        " -script abc.script"
    ]


def map_with_macros(
    folder: Path, design: Design, library: Library, macros: str, *, mapping: str, period_ns: float
) -> dict[str, Any]:
    """Map a chip to the cells of a library, a module per core, its memories replaced by others of their names; writes `NETLIST_FILE`.

    Args:
        folder: Where the sources are.
        design: What to map; memories that are not among its macros become flip-flops.
        library: Target.
        macros: Verilog of a module for each macro of the design, under its name in `named_macros`, and of what they hold as black boxes.
        mapping: One of `MAPPINGS`.
        period_ns: Clock period that sizing aims at.

    Returns:
        Modules by name, as yosys writes them to JSON.
    """
    (folder / LIBRARY_FILE).write_text(library.text, encoding="utf-8")
    (folder / "macros.v").write_text(macros, encoding="utf-8")
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *_black_boxes(design),
        *(f"delete {macro.module}" for macro in named_macros(design)),
        "read_verilog macros.v",
        f"hierarchy -check -top {design.top}",
        "setattr -mod -set keep_hierarchy 1 *flip_core* *readout_core*",
        f"synth -top {design.top} -flatten",
        f"dfflibmap -liberty {LIBRARY_FILE}",
        "opt",
        *_map_by_abc(folder, library, mapping, period_ns),
        *_WRITE_NETLIST,
    ]
    _run(folder, script, f"yosys_{mapping}.log")
    written = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    return {
        name: module for name, module in written.items() if "blackbox" not in module["attributes"]
    }


# Registers of so many bits with one enable get a gated clock, as synthesis for a chip does it.
GATED_BITS = 4
_GATED_KINDS = {"$_DFFE_PP_": "", "$_DFFE_PN0P_": "R", "$_DFFE_PN1P_": "R"}


def map_hierarchy(
    folder: Path, design: Design, library: Library, clock_gate: ClockGate
) -> dict[str, Any]:
    """Map a chip to the cells of a library, a module per core, its memories left as black boxes; writes `NETLIST_FILE`.

    Registers with an enable have gated clocks.

    Returns:
        Modules by name, as yosys writes them to JSON.

    Raises:
        CheckError: Something cannot be built from the library's cells.
    """
    (folder / LIBRARY_FILE).write_text(library.text, encoding="utf-8")
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *_black_boxes(design),
        "setattr -mod -set keep_hierarchy 1 *flip_core* *readout_core*",
        f"synth -top {design.top} -flatten",
        *_gate_clocks(folder, clock_gate),
        f"dfflibmap -liberty {LIBRARY_FILE}",
        "opt",
        f"abc -liberty {LIBRARY_FILE}",
        *_WRITE_NETLIST,
    ]
    _run(folder, script, "yosys_hierarchy.log")
    written = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    modules = {name: module for name, module in written.items() if name != clock_gate.cell}
    known = {*library.cells, *modules}
    unmapped = {c["type"] for m in modules.values() for c in m["cells"].values()} - known
    if unmapped:
        raise CheckError(
            f"{design.top}: {library.name} has no cell for {', '.join(sorted(unmapped))}"
        )
    return modules


def _gate_clocks(folder: Path, gate: ClockGate) -> list[str]:
    """Take the enables of registers into their clocks: a gate for each enable."""
    lines = []
    for kind, reset in _GATED_KINDS.items():
        plain = kind.replace("E_P", "_P").removesuffix("P_") + "_" if reset else "$_DFF_P_"
        ports = ", ".join(["D", "C", *reset, "E", "Q"])
        resets = f".{reset}({reset}), " if reset else ""
        lines += [
            f"module \\{kind} ({ports});",
            f"  input D, C, {reset + ', ' if reset else ''}E;",
            "  output Q;",
            "  wire gated;",
            f"  {gate.cell} gate (.{gate.clock}(C), .{gate.enable}(E), .{gate.output}(gated));",
            f"  \\{plain} _TECHMAP_REPLACE_ (.D(D), .C(gated), {resets}.Q(Q));",
            "endmodule",
        ]
    (folder / "gate_clocks.v").write_text("\n".join([*lines, ""]), encoding="utf-8")
    # Without directions of the gate's pins, equal gates would not be merged into one.
    box = f"(* blackbox *) module {gate.cell} (input {gate.clock}, {gate.enable}, output {gate.output}); endmodule\n"
    (folder / "clock_gate.v").write_text(box, encoding="utf-8")
    cells = ["$_DFF_P_", "$_DFF_PN0_", "$_DFF_PN1_", *_GATED_KINDS]
    legal = " ".join(f"-cell {cell} x" for cell in cells)
    return [
        f"dfflegalize {legal} -mince {GATED_BITS}",
        "opt_clean",
        "read_verilog clock_gate.v",
        "techmap -map gate_clocks.v",
        "opt_merge -share_all",
        "opt_clean",
    ]


def map_to_ice40(
    folder: Path, design: Design, *, device: str, spram: bool, black_boxes: bool
) -> Netlist:
    """Map a design to iCE40 cells; writes `netlist.json`.

    Args:
        folder: Where the sources are.
        design: What to map.
        device: `hx` or `u`.
        spram: Whether the device has 256-kbit memories for what has one port.
        black_boxes: Leave memories out, as they cannot fit.
    """
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *(_black_boxes(design) if black_boxes else []),
        f"synth_ice40 -top {design.top} -device {device}{' -spram' if spram else ''}",
        "write_json netlist.json",
    ]
    _run(folder, script, "yosys_ice40.log")
    return _netlist(folder / "netlist.json", design, {})


def map_to_gates(folder: Path, design: Design) -> None:
    """Map a design to plain gates, a module per module, its memories left as black boxes; writes `NETLIST_FILE`."""
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *_black_boxes(design),
        *PLAIN_ARRAYS,
        f"synth -top {design.top}",
        "setundef -zero -undriven",  # bits of registers that nothing reads and that are gone
        "opt_clean",
        "rename -enumerate -pattern cell_%_",
        f"write_verilog -noattr {NETLIST_FILE}",
    ]
    _run(folder, script, "yosys_gates.log")


def write_plain_logic(folder: Path, design: Design, out: str) -> None:
    """Write a design in BLIF as it stands, without any optimisation of synthesis, its memories left as black boxes."""
    (folder / SHIFT_MAP_FILE).write_text(SHIFT_MAP, encoding="utf-8")
    script = [
        _read(design.sources),
        f"hierarchy -check -top {design.top}",
        *_black_boxes(design),
        *PLAIN_ARRAYS,
        *_SHIFTS,
        *PLAIN_GATES,
        f"write_blif -cname {out}",
    ]
    _run(folder, script, "yosys_logic.log")


def write_netlist_logic(folder: Path, design: Design, out: str) -> None:
    """Write the netlist of a design, `NETLIST_FILE`, in BLIF."""
    boxes = [
        f"(* blackbox *) module {macro.module} ("
        + ", ".join(f"{way} [{width - 1}:0] {name}" for name, (way, width) in macro.ports.items())
        + "); endmodule"
        for macro in named_macros(design)
    ]
    (folder / "boxes.v").write_text("\n".join([*boxes, ""]), encoding="utf-8")
    script = [
        f"read_verilog {NETLIST_FILE} boxes.v",
        f"hierarchy -check -top {design.top}",
        "rename -hide w:cell_*_",  # or a register could be known by such a name instead of its own
        "proc -noopt",
        "dffunmap",
        "simplemap",
        "opt_clean",
        f"write_blif -cname {out}",
    ]
    _run(folder, script, "yosys_netlist_logic.log")


def _read(sources: Sequence[str]) -> str:
    return f"read_verilog -DSYNTHESIS {' '.join(sources)}"


def _black_boxes(design: Design) -> list[str]:
    lines = []
    for macro, named in zip(design.macros, named_macros(design), strict=True):
        # `?` is any character: a backslash would quote the next one.
        instances = macro.module.replace("\\", "?")
        lines.append(f"chtype -set {named.module} t:{instances}")
        lines.append(f"rename {macro.module} {named.module}")
        lines.append(f"blackbox {named.module}")
    return lines


def _run(folder: Path, script: Sequence[str], log: str) -> None:
    (folder / "script.ys").write_text("\n".join([*script, ""]), encoding="utf-8")
    run_program("yosys", ["-Q", "-T", "-s", "script.ys"], folder, log)


def _ports(module: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    return {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}


def _instances(modules: Mapping[str, Any], top: str) -> Counter[str]:
    """How often each module occurs below the top."""
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        counts[name] += 1
        for cell in modules[name]["cells"].values():
            if cell["type"] in modules:
                count(cell["type"])

    count(top)
    return counts


def _netlist(path: Path, design: Design, library: Mapping[str, Cell]) -> Netlist:
    module = json.loads(path.read_text(encoding="utf-8"))["modules"][design.top]
    macros = {macro.module for macro in named_macros(design)}
    names = {
        bit: f"{net}[{index}]" if len(wire["bits"]) > 1 else net
        for net, wire in module["netnames"].items()
        if not wire["hide_name"]
        for index, bit in enumerate(wire["bits"])
    }
    registers = {
        instance: names[cell["connections"][pin][0]]
        for instance, cell in module["cells"].items()
        if cell["type"] in library
        for pin in library[cell["type"]].outputs
        if cell["connections"].get(pin, [None])[0] in names
    }
    cells = Counter(cell["type"] for cell in module["cells"].values() if cell["type"] not in macros)
    return Netlist(cells=dict(sorted(cells.items())), registers=registers)
