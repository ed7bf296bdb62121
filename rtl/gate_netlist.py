"""A chip as a netlist of library cells, its cores kept apart, and Verilog models of these cells to simulate it with."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipcore.errors import CheckError
from flipcore.rtl.generate import write_files
from flipcore.rtl.liberty import Library, Macro
from flipcore.rtl.liberty_power import PowerCell, PowerLibrary, WireLoad
from flipcore.rtl.yosys import ClockGate, map_hierarchy, named_macros, read_design

TOP = "flip_chip"
MEMORY_DELAY_NS = 0.5
# Memory inputs are no cells of the library: what an SRAM macro's pin of this process has.
MACRO_PIN_PF = 0.005


@dataclass(frozen=True, kw_only=True)
class GateModule:
    """A module of the netlist.

    Attributes:
        nets: energy in pJ of an edge of each bit of a name, lowest first: charge of the pins that it drives, and what
            happens inside the cells at both ends. 0 for the clock and for bits that another name has as well.
        flip_flops: number.
        clock_pj: of its clock in a cycle: ungated registers and clock gates.
        leakage_nw: of all its cells.
        area_um2: of all its cells.
        instances: module of each instance that is a module of the netlist as well.
    """

    nets: dict[str, tuple[float, ...]]
    flip_flops: int
    clock_pj: float
    leakage_nw: float
    area_um2: float
    instances: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class GateNetlist:
    """A synthesised chip.

    Attributes:
        modules: by name.
        macros: memories, by the names that they have in the netlist.
    """

    modules: dict[str, GateModule]
    macros: list[Macro]


@dataclass(frozen=True, kw_only=True)
class MappedChip:
    """A chip in cells of a library, not yet weighed.

    Attributes:
        library: that it is mapped to.
        modules: by name, as yosys writes them to JSON.
        macros: memories, by the names that they have in the netlist.
    """

    library: Library
    modules: dict[str, Any]
    macros: list[Macro]


def map_chip(
    folder: Path, files: Mapping[str, str], library: Library, cells: Mapping[str, PowerCell]
) -> MappedChip:
    """Synthesise a chip from its Verilog, file name to text; leaves `netlist.v` in the folder.

    Raises:
        ToolError: yosys is missing.
        CheckError: It refuses the Verilog, or the library lacks a cell.
    """
    sources = [path.name for path in write_files(files, folder)]
    design = read_design(folder, sources, TOP)
    modules = map_hierarchy(folder, design, library, _clock_gate(library, cells))
    return MappedChip(library=library, modules=modules, macros=named_macros(design))


def weigh(chip: MappedChip, power: PowerLibrary, wires: WireLoad | None = None) -> GateNetlist:
    """Work out what an edge of each net takes; wires are charged as well, if they are given.

    Raises:
        CheckError: The library says nothing of the power of a cell.
    """
    names = {macro.module for macro in chip.macros}
    return GateNetlist(
        modules={
            name: _module(module, power, wires, chip.library, names)
            for name, module in chip.modules.items()
            if name not in names
        },
        macros=chip.macros,
    )


def _clock_gate(library: Library, cells: Mapping[str, PowerCell]) -> ClockGate:
    gates = [cell for cell in cells.values() if cell.enable and len(cell.inputs) == 2]
    if not gates:
        raise CheckError(f"{library.name}: has no clock gate, which a chip of low power needs")
    gate = min(gates, key=lambda cell: library.cells[cell.name].area)
    return ClockGate(
        cell=gate.name, clock=gate.clock, enable=gate.enable, output=next(iter(gate.outputs))
    )


def _module(
    module: Mapping[str, Any],
    power_library: PowerLibrary,
    wires: WireLoad | None,
    library: Library,
    macros: set[str],
) -> GateModule:
    cells, voltage = power_library.cells, power_library.voltage
    load: dict[int, float] = {}
    loads: Counter[int] = Counter()
    inner: dict[int, float] = {}
    drivers: dict[int, tuple[PowerCell, str]] = {}
    clock = module["ports"]["clk_i"]["bits"][0]
    flip_flops, leakage_nw, area_um2 = 0, 0.0, 0.0
    instances = {}
    for instance, cell in module["cells"].items():
        kind, pins = cell["type"], cell["connections"]
        if kind in macros:
            for pin, bits in pins.items():
                if cell["port_directions"][pin] == "input":
                    for bit in bits if pin != "clk_i" else ():
                        load[bit] = load.get(bit, 0.0) + MACRO_PIN_PF
            continue
        if kind not in library.cells:
            instances[instance] = kind
            continue
        if kind not in cells:
            raise CheckError(f"{library.name}: {kind}: no power in the Liberty file")
        power = cells[kind]
        leakage_nw += power.leakage_nw
        area_um2 += library.cells[kind].area
        for pin, description in power.inputs.items():
            bit = pins[pin][0]
            flip_flops += pin == power.clock and not power.enable
            load[bit] = load.get(bit, 0.0) + description.capacitance_pf
            loads[bit] += 1
            inner[bit] = inner.get(bit, 0.0) + description.energy_pj
        for pin in power.outputs:
            for bit in pins.get(pin, ()):
                drivers[bit] = (power, pin)
    energies: dict[int, float] = {}
    for bit in {*load, *drivers}:
        charge = load.get(bit, 0.0)
        if wires is not None and loads[bit]:
            charge += wires.capacitance_pf(loads[bit])
        energy = charge * voltage**2 / 2 + inner.get(bit, 0.0)
        if bit in drivers:
            power, pin = drivers[bit]
            energy += power.outputs[pin].energy_at(charge)
        energies[bit] = energy
    # Of the memories' clock pins is said what their accesses cost.
    clock_pj = 2 * energies.pop(clock, 0.0)
    nets = {
        name: tuple(energies.get(bit, 0.0) for bit in wire["bits"])
        for name, wire in _representatives(module["netnames"]).items()
    }
    return GateModule(
        nets=nets,
        flip_flops=flip_flops,
        clock_pj=clock_pj,
        leakage_nw=leakage_nw,
        area_um2=area_um2,
        instances=instances,
    )


def _representatives(netnames: Mapping[str, Any]) -> dict[str, Any]:
    """Names of nets such that each bit is under one name only, whatever aliases it has."""
    taken: set[int] = set()
    chosen = {}
    for name, wire in netnames.items():
        bits = [bit if isinstance(bit, int) and bit not in taken else -1 for bit in wire["bits"]]
        # A bit that occurs twice in one name is counted once, too.
        for place, bit in enumerate(bits):
            if bit >= 0 and bit in bits[:place]:
                bits[place] = -1
        taken |= set(bits)
        if any(bit >= 0 for bit in bits):
            chosen[name] = {"bits": bits}
    return chosen


def cell_models(
    netlist: GateNetlist, cells: Mapping[str, PowerCell], used: set[str], *, delays: bool
) -> str:
    """Verilog of the cells and memories that a netlist uses; with the delays of the Liberty file there are glitches as well."""
    texts = ["`timescale 1ns/1ps"]
    texts += [_cell_model(cells[name], delays=delays) for name in sorted(used)]
    texts += [_macro_model(macro) for macro in netlist.macros]
    return "\n".join(texts)


def _cell_model(cell: PowerCell, *, delays: bool) -> str:
    ports = ", ".join([*cell.inputs, *cell.outputs])
    lines = [f"module {cell.name} ({ports});"]
    lines += [f"  input {name};" for name in cell.inputs]
    lines += [f"  output {name};" for name in cell.outputs]
    if cell.enable:
        # Without delay: the clock tree is balanced behind the gates.
        lines += ["  reg enabled = 0;"]
        lines += [
            f"  always @({cell.clock}, {cell.enable}) if (!{cell.clock}) enabled = {cell.enable};"
        ]
        lines += [f"  assign {name} = {cell.clock} & enabled;" for name in cell.outputs]
    elif cell.clock:
        lines += _register_model(cell)
    else:
        lines += [
            f"  assign {f'#({output.delay_ns:.3f}) ' if delays else ''}{name} = {output.function};"
            for name, output in cell.outputs.items()
        ]
    return "\n".join([*lines, "endmodule", ""])


def _register_model(cell: PowerCell) -> list[str]:
    edges = [f"posedge {cell.clock}"]
    changes = []
    for condition, value in ((cell.clear, "1'b0"), (cell.preset, "1'b1")):
        if condition:
            edges.append(f"posedge {condition.strip('~()')}" if "~" not in condition else f"negedge {condition.strip('~()')}")  # fmt: skip
            changes.append(f"if ({condition}) IQ <= {value}; else ")
    lines = ["  reg IQ = 1'b0;", "  wire IQN = ~IQ;"]
    lines.append(f"  always @({' or '.join(edges)}) {''.join(changes)}IQ <= {cell.next_state};")
    lines += [
        f"  assign #({output.delay_ns:.3f}) {name} = {output.function};"
        for name, output in cell.outputs.items()
    ]
    return lines


def _macro_model(macro: Macro) -> str:
    address = macro.ports["read_address_i"][1]
    one_port = macro.wrapper == "memory_1rw"
    return f"""\
module {macro.module} (clk_i, read_i, read_address_i, read_data_o, write_i, write_address_i, write_data_i);
  input clk_i, read_i, write_i;
  input [{address - 1}:0] read_address_i, write_address_i;
  input [{macro.bits - 1}:0] write_data_i;
  output [{macro.bits - 1}:0] read_data_o;
  reg [{macro.bits - 1}:0] memory [0:{macro.words - 1}];
  reg [{macro.bits - 1}:0] read_data = 0;
  assign #({MEMORY_DELAY_NS}) read_data_o = read_data;
  integer k;
  initial for (k = 0; k < {macro.words}; k = k + 1) memory[k] = 0;
  always @(posedge clk_i) begin
    if (write_i) memory[write_address_i] <= write_data_i;
    {"else " if one_port else ""}if (read_i) read_data <= memory[read_address_i];
  end
endmodule
"""
