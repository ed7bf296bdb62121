"""Proof that two texts of a chip are the same circuit: its Verilog, what pyverilog writes back of it, its synthesised netlist.

Module by module: one that elaborates to the same cells and connections is the same; of others, registers and instances are matched
by name and cut open, and abc proves that the logic between them is the same. Equal modules with equal instances make equal chips, from equal states on.
"""

import re
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flipcore.rtl.blif import (
    ONE,
    ZERO,
    CutModule,
    difference,
    model_name,
    read_cut_modules,
    sources,
    write_logic,
)
from flipcore.rtl.generate import write_files
from flipcore.rtl.liberty import Macro
from flipcore.rtl.programs import require_program, working_folder
from flipcore.rtl.yosys import (
    MEMORY_WRAPPERS,
    NETLIST_FILE,
    Design,
    identical_modules,
    map_to_gates,
    named_macros,
    read_design,
    write_netlist_logic,
    write_plain_logic,
)

TOP = "flip_chip"
PROGRAMS = ("yosys", "berkeley-abc")
_LOGIC_FILE = "logic.blif"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What became of a comparison with a chip's Verilog.

    Attributes:
        of: what was compared with it.
        modules: that are proven to be the same.
        identical: of them, those that elaborate to the same cells and connections: nothing is left to prove by abc.
        registers: bits matched by name.
        fewer: register bits that the other saves: they go with others, never change, or nothing reads them.
        nets: outputs, and inputs of registers and instances, whose functions are proven equal.
        difference: the first, in a line; empty if there is none.
        seconds: wall time.
    """

    of: str
    modules: int
    identical: int
    registers: int
    fewer: int
    nets: int
    difference: str
    seconds: float


def require_tools() -> None:
    """Raise a `ToolError` that names the package of the first program that is missing."""
    for program in PROGRAMS:
        require_program(program)


class Reference:
    """A chip's Verilog, elaborated once, to compare others with."""

    def __init__(self, files: Mapping[str, str], folder: Path) -> None:
        """Elaborate; works in a folder that stays as long as it is used.

        Raises:
            ToolError: A program is missing.
            CheckError: yosys refuses the Verilog.
        """
        require_tools()
        self.files = files
        self.folder = folder
        self.design = _elaborate(files, folder)

    @cached_property
    def _modules(self) -> dict[str, CutModule]:
        return _logic(self.design, self.folder)

    def compare_text(self, files: Mapping[str, str], of: str, folder: Path) -> Comparison:
        """Compare with other Verilog of the same hierarchy, its memories taken from this one.

        Raises:
            CheckError: yosys refuses it.
        """
        golden = self._modules
        start = time.monotonic()
        wrappers = {f"{name}.v": self.files[f"{name}.v"] for name in MEMORY_WRAPPERS if f"{name}.v" in self.files}  # fmt: skip
        design = _elaborate({**files, **wrappers}, folder)
        identical = {model_name(name) for name in identical_modules(self.folder, folder)}
        modules = golden if identical.issuperset(golden) else _logic(design, folder)
        return _compare(golden, modules, of, folder, start, identical)

    def compare_netlist(self, netlist: str, of: str, folder: Path) -> Comparison:
        """Compare with a netlist as `synthesise` gives it.

        Raises:
            CheckError: yosys refuses it.
        """
        golden = self._modules
        start = time.monotonic()
        write_files({NETLIST_FILE: netlist}, folder)
        write_netlist_logic(folder, self.design, _LOGIC_FILE)
        modules = read_cut_modules(folder / _LOGIC_FILE, _boxes(self.design))
        return _compare(golden, modules, of, folder, start, frozenset())

    def synthesise(self) -> str:
        """Synthesise to plain gates: a netlist with the hierarchy of the Verilog, memories as black boxes."""
        map_to_gates(self.folder, self.design)
        return (self.folder / NETLIST_FILE).read_text(encoding="utf-8")

    def simulation_files(self, netlist: str) -> dict[str, str]:
        """What a bench of the chip runs in place of its Verilog: a netlist and its memories, file name to text.

        Arrays of registers, which are single registers in a netlist, can be read under their names again.
        """
        memories = {
            f"{named.module}.v": _memory(self.files[f"{named.wrapper}.v"], named)
            for named in named_macros(self.design)
        }
        return {NETLIST_FILE: _with_arrays(netlist), **memories}


def netlist_files(files: Mapping[str, str]) -> dict[str, str]:
    """A chip's Verilog to the netlist that yosys makes of it and its memories, as a bench runs them in its place."""
    with working_folder(None) as folder:
        reference = Reference(files, folder)
        return reference.simulation_files(reference.synthesise())


def _memory(text: str, macro: Macro) -> str:
    """A memory wrapper with its parameters' values, under the name that it has in a netlist."""
    values = {
        "Words": macro.words,
        "Bits": macro.bits,
        "AddressBits": macro.ports["read_address_i"][1],
    }
    for parameter, value in values.items():
        text = re.sub(rf"(parameter {parameter} += )\d+", rf"\g<1>{value}", text)
    return re.sub(r"^module \w+", f"module {macro.module}", text, flags=re.MULTILINE)


_ELEMENT = re.compile(r"^  (?:reg|wire) (?:\[(\d+):0\] )?\\(\w+)\[(\d+)\] ;$", re.MULTILINE)


def _with_arrays(netlist: str) -> str:
    """Declare the arrays whose elements a netlist has as registers of their own."""
    modules = netlist.split("endmodule")
    for place, module in enumerate(modules):
        arrays: dict[str, dict[int, int]] = {}
        for top, name, index in _ELEMENT.findall(module):
            arrays.setdefault(name, {})[int(index)] = int(top or 0)
        for name, elements in arrays.items():
            modules[place] += f"  wire [{max(elements.values())}:0] {name} [0:{max(elements)}];\n"
            for index in elements:
                modules[place] += f"  assign {name}[{index}] = \\{name}[{index}] ;\n"
    return "endmodule".join(modules)


def _elaborate(files: Mapping[str, str], folder: Path) -> Design:
    return read_design(folder, [path.name for path in write_files(files, folder)], TOP)


def _logic(design: Design, folder: Path) -> dict[str, CutModule]:
    write_plain_logic(folder, design, _LOGIC_FILE)
    return read_cut_modules(folder / _LOGIC_FILE, _boxes(design))


def _boxes(design: Design) -> dict[str, dict[str, str]]:
    return {
        macro.module: {name: way for name, (way, _) in macro.ports.items()}
        for macro in named_macros(design)
    }


def _compare(
    golden: Mapping[str, CutModule],
    other: Mapping[str, CutModule],
    of: str,
    folder: Path,
    start: float,
    identical: Set[str],
) -> Comparison:
    """Compare from the tops down, each pair of modules once, with abc if they are not known to be identical."""
    modules = same = registers = fewer = nets = 0
    difference = ""
    todo, done = [(TOP, TOP)], set()
    while todo and not difference:
        pair = todo.pop()
        if pair in done or pair[0] not in golden:
            continue
        done.add(pair)
        first, second = golden[pair[0]], other[pair[1]]
        matched = _match(first, second)
        difference = _interface_difference(first, second, matched)
        outputs = _outputs(first, second, matched)
        if pair[0] == pair[1] and pair[0] in identical:
            same += 1
        elif not difference and outputs:
            difference = _logic_difference(first, second, matched, outputs, folder)
        modules += 1
        nets += len(outputs)
        registers += len(matched)
        fewer += len(first.registers) - len(second.registers)
        todo += [(kind, second.children[name]) for name, kind in first.children.items() if name in second.children]  # fmt: skip
    return Comparison(
        of=of,
        modules=modules,
        identical=same,
        registers=registers,
        fewer=fewer,
        nets=nets,
        difference=difference,
        seconds=round(time.monotonic() - start, 1),
    )


def _match(first: CutModule, second: CutModule) -> dict[str, str]:
    """Net of each register of the first to that of the second with a name in common.

    One of the second may stand for several that always take the same value, and there may be none for one that nothing reads.
    """
    by_name = {name: net for net, register in second.registers.items() for name in register.names}
    matched = {}
    for net, register in first.registers.items():
        there = next((by_name[name] for name in sorted(register.names) if name in by_name), None)
        if there is not None:
            matched[net] = there
    return matched


def _interface_difference(first: CutModule, second: CutModule, matched: Mapping[str, str]) -> str:
    """What keeps two modules from being compared."""
    where = _plain(first.name)
    pairs = (
        ("instance", set(first.children), set(second.children)),
        ("port", first.inputs | first.outputs, second.inputs | second.outputs),
        ("pin", {*first.child_inputs}, {*second.child_inputs}),
    )
    for what, own, theirs in pairs:
        if own != theirs:
            return f"{where}: {what} {min(own ^ theirs)} is on one side only"
    unknown = set(second.registers) - set(matched.values())
    if unknown:
        return f"{where}: register {min(unknown)} is not in the Verilog"
    for net, there in matched.items():
        kinds = first.registers[net].kind, second.registers[there].kind
        if kinds[0] != kinds[1]:
            return f"{where}: register {net} is {kinds[1]}, and {kinds[0]} in the Verilog"
    return ""


def _outputs(
    first: CutModule, second: CutModule, matched: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """What must be the same function in both: a name, the net of the first and that of the second."""
    outputs = {net: (net, net) for net in first.outputs}
    outputs |= {pin: (net, second.child_inputs[pin]) for pin, net in first.child_inputs.items()}
    for net, there in matched.items():
        for pin, own in first.registers[net].pins.items():
            outputs[f"{net}/{pin}"] = (own, second.registers[there].pins[pin])
    return outputs


def _logic_difference(
    first: CutModule,
    second: CutModule,
    matched: Mapping[str, str],
    compared: Mapping[str, tuple[str, str]],
    folder: Path,
) -> str:
    """Ask abc whether the logic is the same; returns what is not, or nothing."""
    outputs = dict(compared)
    constants = _constants(first, matched, [net for net, _ in outputs.values()])
    for net, value in constants.items():
        data = first.registers[net].pins["D"]
        outputs[f"{net}/D"] = (data, ONE if value else ZERO)
    free = [net for net in first.registers if net not in constants]
    ours = _inputs(first, {net: matched.get(net, f"{net}/only") for net in free})
    theirs = _inputs(second, {net: net for net in second.registers})
    for one, two in ((ours, theirs), (theirs, ours)):
        one |= {name: [] for name in two if name not in one}
    shown = {name: net for name, (net, _) in outputs.items()}
    write_logic(folder / "first.blif", first, ours, shown, constants)
    shown = {name: net for name, (_, net) in outputs.items()}
    write_logic(folder / "second.blif", second, theirs, shown, {})
    found = difference(folder, "first.blif", "second.blif")
    return f"{_plain(first.name)}: {found}" if found else ""


def _constants(module: CutModule, matched: Mapping[str, str], nets: list[str]) -> dict[str, bool]:
    """Registers that the other side does not have although something depends on them, and the value that they must always have.

    Those with a reset have its value, those without are taken for 0: what is not so is found to differ.
    """
    constants: dict[str, bool] = {}
    todo = list(nets)
    while todo:
        found = sources(module, todo)
        todo = []
        for net, register in module.registers.items():
            if net in found and net not in matched and net not in constants:
                constants[net] = register.kind == "$_DFF_PN1_"
                todo.append(register.pins["D"])
    return constants


def _inputs(module: CutModule, registers: Mapping[str, str]) -> dict[str, list[str]]:
    """Inputs of a module's logic and the nets that each drives; registers are given names."""
    inputs = {net: [net] for net in module.inputs}
    inputs |= {pin: [net] for pin, net in module.child_outputs.items()}
    for net, name in registers.items():
        inputs.setdefault(f"{name}/Q", []).append(net)
    return inputs


def _plain(module: str) -> str:
    """Name of a module without what yosys adds for its parameters."""
    return module.rpartition("\\")[2] if module.startswith("$paramod$") else module.removeprefix("$paramod\\").partition("\\")[0]  # fmt: skip
