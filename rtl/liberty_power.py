"""What a Liberty file says of the energy of its cells: capacitance, internal energy of each toggle, leakage, delay.

One slew stands for all edges; energies are taken at the load of each net where a table has loads. Energies that depend on other pins (`when`) are averaged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from flipcore.errors import InputError

SLEW_NS = 0.1  # of an edge: what a cell of this kind drives into a few others
DELAY_LOAD_PF = 0.01  # at which a cell's delay is read

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|([\w$]+)\s*\(([^()]*)\)\s*(\{|;)|([\w$]+)\s*:\s*("[^"]*"|[^;}\n]+)|(\})', re.DOTALL)  # fmt: skip
_NANOWATTS = {"1pW": 1e-3, "1nW": 1.0, "10nW": 10.0, "100nW": 100.0, "1uW": 1e3, "1mW": 1e6}


@dataclass
class Group:
    """A group of a Liberty file: kind, name, simple attributes, lists, groups inside it."""

    kind: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def inside(self, *kinds: str) -> Iterator["Group"]:
        """Groups of these kinds that stand directly inside."""
        return (group for group in self.groups if group.kind in kinds)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """An input pin of a cell.

    Attributes:
        capacitance_pf: of an edge.
        energy_pj: internal, of an edge that changes no output, mean of both edges.
        rise_energy_pj: of the rising edge alone.
    """

    capacitance_pf: float
    energy_pj: float
    rise_energy_pj: float


@dataclass(frozen=True, kw_only=True)
class Output:
    """An output pin of a cell.

    Attributes:
        function: of the inputs, in Verilog.
        loads_pf, energies_pj: internal energy of an edge, mean of both, over the load.
        delay_ns: of an edge.
    """

    function: str
    loads_pf: tuple[float, ...]
    energies_pj: tuple[float, ...]
    delay_ns: float

    def energy_at(self, load_pf: float) -> float:
        """Internal energy of an edge at a load, in pJ."""
        return float(np.interp(load_pf, self.loads_pf, self.energies_pj)) if self.loads_pf else 0.0


@dataclass(frozen=True, kw_only=True)
class PowerCell:
    """A cell: its pins, and what it leaks.

    Attributes:
        clock: name of the clock pin of a flip-flop; empty for logic.
        next_state, clear, preset: of a flip-flop, in Verilog; empty where there is none.
        enable: enable pin of a clock gate, whose output follows its clock where that was set.
    """

    name: str
    inputs: dict[str, Pin]
    outputs: dict[str, Output]
    leakage_nw: float
    clock: str = ""
    next_state: str = ""
    clear: str = ""
    preset: str = ""
    enable: str = ""


@dataclass(frozen=True, kw_only=True)
class WireLoad:
    """What a library expects of the wires of a block of some size.

    Attributes:
        pf_per_length: capacitance.
        slope: length that each further load adds, beyond those of the table.
        lengths: length by number of loads.
    """

    pf_per_length: float
    slope: float
    lengths: dict[int, float]

    def capacitance_pf(self, loads: int) -> float:
        """Capacitance of a net with so many loads, linear between the numbers of the table."""
        known = sorted(self.lengths)
        beyond = max(0, loads - known[-1]) * self.slope
        length = float(np.interp(loads, known, [self.lengths[number] for number in known]))
        return self.pf_per_length * (length + beyond)


@dataclass(frozen=True, kw_only=True)
class PowerLibrary:
    """What is needed of a Liberty file to weigh toggles.

    Attributes:
        voltage: of the supply, in V.
        cells: by name.
        wire_loads: by name; empty if the library has none.
    """

    voltage: float
    cells: dict[str, PowerCell]
    wire_loads: dict[str, WireLoad]


def read_power_library(text: str, source: str, slew_ns: float = SLEW_NS) -> PowerLibrary:
    """Read a Liberty text, latches and cells without a function left out.

    Args:
        text: of the file.
        source: its name, for errors.
        slew_ns: of every edge.

    Raises:
        InputError: it has no tables of internal power, or no cells.
    """
    library = _parse(text, source)
    leakage_unit = library.values.get("leakage_power_unit", "1nW").strip('"')
    if leakage_unit not in _NANOWATTS:
        raise InputError(f"{source}: leakage_power_unit {leakage_unit}: unknown")
    voltage = float(library.values.get("nom_voltage", "0"))
    if voltage <= 0:
        raise InputError(f"{source}: nom_voltage is missing: energies cannot be worked out")
    cells = {
        group.name: cell
        for group in library.inside("cell")
        if (cell := _cell(group, _NANOWATTS[leakage_unit], slew_ns)) is not None
    }
    if not any(output.energies_pj for cell in cells.values() for output in cell.outputs.values()):
        raise InputError(f"{source}: has no internal_power tables: energies cannot be worked out")
    return PowerLibrary(
        voltage=voltage,
        cells=cells,
        wire_loads={group.name: _wire_load(group) for group in library.inside("wire_load")},
    )


def _wire_load(group: Group) -> WireLoad:
    pairs = [_numbers(values) for values in group.lists.get("fanout_length", ())]
    return WireLoad(
        pf_per_length=float(group.values.get("capacitance", "0")),
        slope=float(group.values.get("slope", "0")),
        lengths={int(loads): length for loads, length in pairs} or {1: 0.0},
    )


def _parse(text: str, source: str) -> Group:
    root = Group("", "")
    stack = [root]
    for match in _TOKEN.finditer(text):
        kind, arguments, opening, key, value, closing = match.groups()
        if kind is not None and opening == "{":
            group = Group(kind, arguments.strip().strip('"'))
            stack[-1].groups.append(group)
            stack.append(group)
        elif kind is not None:
            stack[-1].lists.setdefault(kind, []).append(arguments)
        elif key is not None:
            stack[-1].values[key] = value.strip()
        elif closing is not None and len(stack) > 1:
            stack.pop()
    libraries = list(root.inside("library"))
    if not libraries:
        raise InputError(f"{source}: not a Liberty file")
    return libraries[0]


def _cell(group: Group, leakage_factor: float, slew_ns: float) -> PowerCell | None:
    """The cell of a group; None if it is one that no netlist of ours has."""
    is_gate = "latch_posedge" in group.values.get("clock_gating_integrated_cell", "")
    if not is_gate and list(group.inside("latch", "latch_bank", "statetable")):
        return None
    flip_flop = next(group.inside("ff"), None)
    inputs, outputs = {}, {}
    clock = _expression(flip_flop.values.get("clocked_on", "")) if flip_flop else ""
    enable = ""
    # Inputs first: what a register's output costs is more than what its clock pin costs anyway.
    for pin in sorted(group.inside("pin"), key=lambda pin: pin.values.get("direction", "")):
        direction = pin.values.get("direction", "").strip('"')
        if direction == "input":
            inputs[pin.name] = _input_pin(pin, slew_ns)
            clock = pin.name if is_gate and "clock_gate_clock_pin" in pin.values else clock
            enable = pin.name if "clock_gate_enable_pin" in pin.values else enable
        elif is_gate and "clock_gate_out_pin" in pin.values:
            outputs[pin.name] = _output(pin, inputs[clock], slew_ns)
        elif direction == "output" and "function" in pin.values and "three_state" not in pin.values:
            outputs[pin.name] = _output(pin, inputs.get(clock), slew_ns)
    if not outputs:
        return None
    values = flip_flop.values if flip_flop else {}
    return PowerCell(
        name=group.name,
        inputs=inputs,
        outputs=outputs,
        leakage_nw=leakage_factor * float(group.values.get("cell_leakage_power", "0")),
        clock=clock,
        next_state=_expression(values.get("next_state", "")),
        clear=_expression(values.get("clear", "")),
        preset=_expression(values.get("preset", "")),
        enable=enable,
    )


def _expression(text: str) -> str:
    """A Liberty function as a Verilog expression; the forms with ' and juxtaposition do not occur in what we read."""
    return text.strip('"').replace("*", "&").replace("+", "|").replace("!", "~")


def _input_pin(pin: Group, slew_ns: float) -> Pin:
    edges = [_edge_energies(pin, kind, slew_ns) for kind in ("rise_power", "fall_power")]
    if pin.values.get("clock") == "true":
        # A zero stands where the output changes as well: its table holds all of that edge.
        edges = [[energy for energy in edge if energy] for edge in edges]
    means = [float(np.mean(edge)) if edge else 0.0 for edge in edges]
    # A table below zero, as some are, takes back what another counts twice.
    return Pin(
        capacitance_pf=float(pin.values.get("capacitance", "0")),
        energy_pj=max(0.0, sum(means) / 2),
        rise_energy_pj=max(0.0, means[0]),
    )


def _edge_energies(pin: Group, kind: str, slew_ns: float) -> list[float]:
    return [
        _at(table, slew_ns, None)
        for power in pin.inside("internal_power")
        for table in power.inside(kind, "power")
    ]


def _output(pin: Group, clock: Pin | None, slew_ns: float) -> Output:
    # What reset costs is no part of a running chip: of a register only the edges that the clock makes.
    is_register = clock is not None
    tables = [
        table
        for power in pin.inside("internal_power")
        if not is_register or power.values.get("related_pin", "").strip('"').upper().startswith("C")
        for table in power.inside("rise_power", "fall_power", "power")
    ]
    loads = _loads(tables)
    energies = [float(np.mean([_at(table, slew_ns, load) for table in tables])) for load in loads]
    if clock is not None and energies:
        # These tables hold the charge of the load, too, which is counted with the net: the least load
        # has none. They also hold the edge of the clock, which is counted in every cycle.
        energies = [energies[0] - clock.rise_energy_pj] * len(loads)
    delays = [
        _at(table, slew_ns, DELAY_LOAD_PF)
        for timing in pin.inside("timing")
        for table in timing.inside("cell_rise", "cell_fall")
    ]
    return Output(
        function=_expression(pin.values.get("function", "")),
        loads_pf=loads,
        energies_pj=tuple(max(0.0, energy) for energy in energies),
        delay_ns=max(0.001, float(np.mean(delays))) if delays else 0.001,
    )


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+(?:[eE][-+]?\d+)?", text)]


def _list(group: Group, name: str) -> list[float]:
    """Numbers of a list that stands there once."""
    return _numbers(group.lists.get(name, [""])[0])


def _loads(tables: list[Group]) -> tuple[float, ...]:
    for table in tables:
        if "index_2" in table.lists:
            return tuple(_list(table, "index_2"))
    return (0.0,) if tables else ()


def _at(table: Group, slew_ns: float, load_pf: float | None) -> float:
    """A table at a slew and at a load, linear between its points."""
    values = _list(table, "values") or [0.0]
    slews, loads = _list(table, "index_1"), _list(table, "index_2")
    if len(values) == 1:
        return values[0]
    grid = np.array(values).reshape(len(slews), -1)
    column = [float(np.interp(slew_ns, slews, grid[:, k])) for k in range(grid.shape[1])]
    if len(column) == 1 or load_pf is None:
        return column[0]
    return float(np.interp(load_pf, loads, column))
