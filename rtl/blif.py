"""Netlists in BLIF, one model per module, with registers and instances cut open so that a combinational check sees what is between them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from flipcore.errors import CheckError
from flipcore.rtl.programs import run_program

_EQUAL = "Networks are equivalent"

# Of yosys: register cell to the pins whose functions must agree. Its kind must agree as well.
# A register without reset is a latch in BLIF.
REGISTERS = {
    "$_DFF_PN0_": ("C", "D", "R"),
    "$_DFF_PN1_": ("C", "D", "R"),
}
ZERO, ONE = "|0", "|1"
_PIN = "|"  # between instance and pin in the names of cut nets; in no Verilog name here


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """A register bit.

    Attributes:
        net: that it drives.
        kind: of cell.
        pins: pin to the net there.
        names: of the net, all that the module has for it.
        first: value in the first cycle, `0` or `1`; empty if it is any.
    """

    net: str
    kind: str
    pins: dict[str, str]
    names: frozenset[str]
    first: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CutModule:
    """A module without registers and instances: their outputs are inputs of the logic, their inputs outputs.

    Attributes:
        name: of the module.
        inputs, outputs: its ports, bit by bit.
        registers: by the net that they drive.
        children: instance to the module that it is of.
        child_outputs, child_inputs: instance and pin, joined, to the net there.
        logic: BLIF lines of the gates.
    """

    name: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    registers: dict[str, Register]
    children: dict[str, str]
    child_outputs: dict[str, str]
    child_inputs: dict[str, str]
    logic: tuple[str, ...]


def read_cut_modules(path: Path, boxes: Mapping[str, Mapping[str, str]]) -> dict[str, CutModule]:
    """Read what yosys wrote with `write_blif -cname`.

    Args:
        path: The file.
        boxes: Port to `input` or `output` of each module that is instantiated and not in the file.

    Raises:
        CheckError: A cell is neither a gate nor a known register nor an instance.
    """
    models = list(_models(path))
    directions = {name: dict(ports) for name, ports in boxes.items()}
    directions |= {lines[0].partition(" ")[2]: _ports(lines) for lines in models}
    cut = [_cut(lines, directions) for lines in models]
    return {module.name: module for module in cut}


def model_name(module: str) -> str:
    """Name in BLIF of a module, as yosys writes it."""
    return re.sub(r"[#=<>]", "?", module)


def _ports(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word, direction in ((".inputs", "input"), (".outputs", "output")):
        for line in lines:
            if line.startswith(f"{word} "):
                found |= {bit.partition("[")[0]: direction for bit in line.split()[1:]}
    return found


def write_logic(
    path: Path,
    module: CutModule,
    inputs: Mapping[str, list[str]],
    outputs: Mapping[str, str],
    constants: Mapping[str, bool],
) -> None:
    """Write the logic of a module for abc.

    Args:
        path: The file.
        module: Its module.
        inputs: Name of an input to the nets that it drives, which may be none.
        outputs: Name of an output to the net that it shows, or to `ZERO` or `ONE`.
        constants: Nets that are driven by a constant.
    """
    lines = [".model logic", ".inputs " + " ".join(f"{name}{_PIN}" for name in sorted(inputs))]
    lines.append(".outputs " + " ".join(f"{_PIN}{name}" for name in sorted(outputs)))
    lines += module.logic
    lines += [f".names {ZERO}", f".names {ONE}", "1"]
    for net, value in constants.items():
        lines += [f".names {ONE if value else ZERO} {net}", "1 1"]
    for name, nets in inputs.items():
        for net in nets:
            lines += [f".names {name}{_PIN} {net}", "1 1"]
    for name, net in outputs.items():
        lines += [f".names {net} {_PIN}{name}", "1 1"]
    lines.append(".end")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def difference(folder: Path, first: str, second: str) -> str:
    """What abc says of the logic in two files of a folder, where it is not the same; empty where it is.

    Raises:
        ToolError: abc is missing.
    """
    command = f"cec -n {first} {second}"
    printed = run_program("berkeley-abc", ["-c", command], folder, "abc.log", may_fail=True)[1]
    if _EQUAL in printed:
        return ""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return lines[-1] if lines else "abc says nothing"


def sources(module: CutModule, nets: Iterable[str]) -> set[str]:
    """Nets that others depend on, through gates, themselves included."""
    drivers: dict[str, list[str]] = {}
    for line in module.logic:
        if line.startswith(".names "):
            words = line.split()
            drivers[words[-1]] = words[1:-1]
    seen: set[str] = set()
    todo = list(nets)
    while todo:
        net = todo.pop()
        if net not in seen:
            seen.add(net)
            todo += drivers.get(net, ())
    return seen


def _models(path: Path) -> Iterator[list[str]]:
    lines: list[str] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            lines.append(text)
            if text == ".end":
                yield lines
                lines = []


def _cut(lines: list[str], directions: dict[str, dict[str, str]]) -> CutModule:
    name = ""
    ports: dict[str, set[str]] = {".inputs": set(), ".outputs": set()}
    found: list[tuple[str, str, dict[str, str]]] = []
    first: dict[str, str] = {}
    children: dict[str, str] = {}
    outputs: dict[str, str] = {}
    inputs: dict[str, str] = {}
    logic: list[str] = []
    for place, line in enumerate(lines):
        word, _, rest = line.partition(" ")
        if word == ".model":
            name = rest
        elif word in ports:
            ports[word].update(rest.split())
        elif word == ".latch":
            data, net, _, clock, begin = rest.split()
            first[net] = begin if begin in ("0", "1") else ""
            found.append((net, "$_DFF_P_", {"C": clock, "D": data}))
        elif word == ".subckt":
            kind, *connections = rest.split()
            nets = dict(one.split("=", 1) for one in connections)
            if kind in REGISTERS:
                found.append((nets["Q"], kind, {pin: nets[pin] for pin in REGISTERS[kind]}))
            elif kind in directions:
                instance = lines[place + 1].partition(" ")[2]
                children[instance] = kind
                for pin, net in nets.items():
                    way = directions[kind][pin.partition("[")[0]]
                    (outputs if way == "output" else inputs)[f"{instance}{_PIN}{pin}"] = net
            else:
                raise CheckError(f"{name}: yosys left a cell {kind}")
        elif word not in (".end", ".cname"):
            logic.append(line)
    aliases = _aliases(logic)
    return CutModule(
        name=name,
        inputs=frozenset(ports[".inputs"]),
        outputs=frozenset(ports[".outputs"]),
        registers={
            net: Register(
                net=net,
                kind=kind,
                pins=pins,
                names=frozenset(aliases.get(net, {net})),
                first=first.get(net, ""),
            )
            for net, kind, pins in found
        },
        children=children,
        child_outputs=outputs,
        child_inputs=inputs,
        logic=tuple(logic),
    )


def _aliases(logic: list[str]) -> dict[str, set[str]]:
    """Net that is driven to all its names: those of the wires that only pass it on, and its own."""
    source: dict[str, str] = {}
    for line, following in pairwise(logic):
        words = line.split()
        if words[0] == ".names" and len(words) == 3 and following == "1 1":
            source[words[2]] = words[1]
    names: dict[str, set[str]] = {}
    for net in source:
        root = net
        while root in source:
            root = source[root]
        names.setdefault(root, {root}).add(net)
    return names
