"""Synthesis of generated Verilog: area and critical path in a cell library, size and speed on an iCE40."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import InputError
from flipcore.rtl.generate import write_files
from flipcore.rtl.liberty import Library, Macro, read_liberty
from flipcore.rtl.place_ice40 import DEVICES, HARNESS, Device, Placement, place, scan_harness
from flipcore.rtl.programs import program_version, require_program, working_folder
from flipcore.rtl.timing import CriticalPath, find_critical_path
from flipcore.rtl.yosys import (
    MAPPINGS,
    NETLIST_FILE,
    Design,
    Netlist,
    map_to_ice40,
    map_to_library,
    read_design,
)

LIBERTY_PREFIX = "liberty:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a design is synthesised.

    Attributes:
        period_ns: Clock period wanted in a cell library: the smallest of `MAPPINGS` that reaches it
            is taken, or the fastest.
        memory_access_ns: Clock to data of memories in a cell library.
        seed: Of placement on an FPGA.
        keep: Folder in which netlists and reports stay; none: they are removed.
    """

    period_ns: float = 5.0
    memory_access_ns: float = 0.0
    seed: int = 1
    keep: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Memories of one size and kind."""

    kind: str
    words: int
    bits: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryResult:
    """A module in a cell library; memories behind the wrappers are black boxes and in no figure but their own.

    Attributes:
        library: Name of the library.
        voltage: Of the corner, in V.
        temperature: Of the corner, in degrees Celsius.
        process: Of the corner, 1 is typical.
        area_um2: Of all cells, without wires.
        cells: Number of cells.
        cells_by_kind: Kind of cell to number and area.
        cells_by_name: Cell of the library to number.
        flip_flops: Number.
        latches: Number; generated Verilog needs none.
        memories: Black boxes.
        memory_bits: Of all of them.
        mapping: Which of `MAPPINGS` it is.
        period_ns: Asked for.
        meets_period: Whether it is reached.
        critical_path_ns: Shortest clock period, setup time included, wires without load.
        fmax_mhz: From it.
        path_start: Register or port.
        path_end: Register or port.
        assumptions: Under which the timing holds.
        tools: Their versions.
        seconds: Wall time.
    """

    library: str
    voltage: float
    temperature: float
    process: float
    area_um2: float
    cells: int
    cells_by_kind: dict[str, dict[str, float]]
    cells_by_name: dict[str, int]
    flip_flops: int
    latches: int
    memories: list[Memory]
    memory_bits: int
    mapping: str
    period_ns: float
    meets_period: bool
    critical_path_ns: float
    fmax_mhz: float
    path_start: str
    path_end: str
    assumptions: list[str]
    tools: list[str]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Ice40Result:
    """A module on an iCE40.

    Attributes:
        luts: LUT4 of the module itself.
        carries: Carry cells; each shares a logic cell with a LUT.
        flip_flops: Number.
        latches: Number; generated Verilog needs none.
        block_rams: 4-kbit memories.
        large_rams: 256-kbit memories.
        logic_cells: After placement, with the harness if there is one; None where it was not placed.
        available: What the device has of LUTs, block RAMs and large RAMs.
        memories: Memories of the Verilog.
        memory_bits: Of all of them.
        fits: Whether the device holds it.
        fmax_mhz: After routing; None where it does not fit.
        path_start: Cell.
        path_end: Cell.
        harness_cells: Logic cells around the module, where its ports are more than the pins; else 0.
        seed: Of the placement.
        assumptions: Under which the figures hold.
        tools: Their versions.
        seconds: Wall time.
    """

    luts: int
    carries: int
    flip_flops: int
    latches: int
    block_rams: int
    large_rams: int
    logic_cells: int | None
    available: dict[str, int]
    memories: list[Memory]
    memory_bits: int
    fits: bool
    fmax_mhz: float | None
    path_start: str
    path_end: str
    harness_cells: int
    seed: int
    assumptions: list[str]
    tools: list[str]
    seconds: float


def synthesize(
    files: Mapping[str, str], top: str, target: str, options: Options
) -> LibraryResult | Ice40Result:
    """Synthesise a module of generated files.

    Args:
        files: File name to text; the file of module M is `M.v`.
        top: The module.
        target: `liberty:FILE`, or one of `DEVICES`.
        options: How.

    Raises:
        InputError: There is no such module or target, or the Liberty file cannot be used.
        ToolError: A program is missing; it is named with its package.
        CheckError: A program refuses the design.
    """
    if target.startswith(LIBERTY_PREFIX):
        library = read_liberty(Path(target.removeprefix(LIBERTY_PREFIX)).expanduser())
        for program in ("yosys", "sta"):
            require_program(program)
        with working_folder(options.keep) as folder:
            return _in_library(folder, files, top, library, options)
    if target not in DEVICES:
        known = ", ".join(DEVICES)
        raise InputError(f"--target {target}: must be {LIBERTY_PREFIX}FILE or one of {known}")
    for program in ("yosys", "nextpnr-ice40"):
        require_program(program)
    with working_folder(options.keep) as folder:
        return _on_ice40(folder, files, top, DEVICES[target], options)


def _in_library(
    folder: Path, files: Mapping[str, str], top: str, library: Library, options: Options
) -> LibraryResult:
    start = time.monotonic()
    sources = [path.name for path in write_files(files, folder)]
    design = read_design(folder, sources, top)
    best: tuple[str, Netlist, CriticalPath] | None = None
    for mapping in MAPPINGS:
        netlist = map_to_library(
            folder, design, library, mapping=mapping, period_ns=options.period_ns
        )
        path = find_critical_path(
            folder,
            design,
            netlist,
            library,
            period_ns=options.period_ns,
            memory_access_ns=options.memory_access_ns,
        )
        (folder / NETLIST_FILE).replace(folder / f"netlist_{mapping}.v")
        if best is None or path.ns < best[2].ns:
            best = (mapping, netlist, path)
        if path.ns <= options.period_ns:
            break
    assert best is not None
    mapping, netlist, path = best
    (folder / NETLIST_FILE).write_bytes((folder / f"netlist_{mapping}.v").read_bytes())
    by_kind = _by_kind(netlist, library)
    return LibraryResult(
        library=library.name,
        voltage=library.voltage,
        temperature=library.temperature,
        process=library.process,
        area_um2=round(sum(kind["area_um2"] for kind in by_kind.values()), 1),
        cells=sum(netlist.cells.values()),
        cells_by_kind=by_kind,
        cells_by_name=netlist.cells,
        flip_flops=int(by_kind.get("flip-flop", {}).get("cells", 0)),
        latches=int(by_kind.get("latch", {}).get("cells", 0)),
        memories=_memories(design.macros),
        memory_bits=design.memory_bits,
        mapping=mapping,
        period_ns=options.period_ns,
        meets_period=path.ns <= options.period_ns,
        critical_path_ns=round(path.ns, 4),
        fmax_mhz=round(1000.0 / path.ns, 2),
        path_start=path.start,
        path_end=path.end,
        assumptions=_assumptions(design, options),
        tools=[program_version("yosys", "-V"), f"OpenSTA {program_version('sta', '-version')}"],
        seconds=round(time.monotonic() - start, 1),
    )


def _assumptions(design: Design, options: Options) -> list[str]:
    assumptions = [
        "no wires: after placement it is larger and slower",
        "inputs change and outputs are taken at the clock edge; reset is no path",
    ]
    if design.macros:
        assumptions.append(
            "memories are black boxes with registered ports: setup 0 ns, "
            f"clock to data {options.memory_access_ns:g} ns"
        )
    return assumptions


def _by_kind(netlist: Netlist, library: Library) -> dict[str, dict[str, float]]:
    kinds: dict[str, dict[str, float]] = {}
    for name, count in netlist.cells.items():
        cell = library.cells[name]
        kind = cell.kind
        if kind == "logic" and cell.inputs == 1:
            kind = "buffer, inverter"
        entry = kinds.setdefault(kind, {"cells": 0, "area_um2": 0.0})
        entry["cells"] += count
        entry["area_um2"] = round(entry["area_um2"] + count * cell.area, 4)
    return dict(sorted(kinds.items()))


def _on_ice40(
    folder: Path, files: Mapping[str, str], top: str, device: Device, options: Options
) -> Ice40Result:
    start = time.monotonic()
    sources = [path.name for path in write_files(files, folder)]
    design = read_design(folder, sources, top)
    too_many_bits = design.memory_bits > device.memory_bits
    spram = device.large_rams > 0
    netlist = map_to_ice40(
        folder, design, device=device.family, spram=spram, black_boxes=too_many_bits
    )
    counts = _ice40_cells(netlist)
    available = {
        "luts": device.logic_cells,
        "block_rams": device.block_rams,
        "large_rams": device.large_rams,
    }
    fits = not too_many_bits and all(counts[what] <= available[what] for what in available)
    placement = Placement(fits=False, logic_cells=None, fmax_mhz=None, start="", end="")
    harness_cells = 0
    assumptions = ["memories do not fit and are counted nowhere"] if too_many_bits else []
    if fits and design.port_bits > device.pins:
        write_files({f"{HARNESS}.v": scan_harness(design)}, folder)
        around = read_design(folder, [*sources, f"{HARNESS}.v"], HARNESS)
        whole = map_to_ice40(folder, around, device=device.family, spram=spram, black_boxes=False)
        harness_cells = max(0, _ice40_cells(whole)["flip_flops"] - counts["flip_flops"])
        assumptions.append(
            f"{design.port_bits} port bits on {device.pins} pins: placed with its ports on shift registers"
        )
    if fits:
        placement = place(folder, device, seed=options.seed)
    return Ice40Result(
        **counts,
        logic_cells=placement.logic_cells,
        available=available,
        memories=_memories(design.macros),
        memory_bits=design.memory_bits,
        fits=placement.fits,
        fmax_mhz=None if placement.fmax_mhz is None else round(placement.fmax_mhz, 2),
        path_start=placement.start,
        path_end=placement.end,
        harness_cells=harness_cells,
        seed=options.seed,
        assumptions=assumptions,
        tools=[program_version("yosys", "-V"), program_version("nextpnr-ice40", "--version")],
        seconds=round(time.monotonic() - start, 1),
    )


def _ice40_cells(netlist: Netlist) -> dict[str, int]:
    def count(*prefixes: str) -> int:
        return sum(number for name, number in netlist.cells.items() if name.startswith(prefixes))

    return {
        "luts": count("SB_LUT4"),
        "carries": count("SB_CARRY"),
        "flip_flops": count("SB_DFF"),
        "latches": count("$_DLATCH", "$_DLATCHSR"),
        "block_rams": count("SB_RAM40_4K"),
        "large_rams": count("SB_SPRAM256KA"),
    }


def _memories(macros: list[Macro]) -> list[Memory]:
    return [
        Memory(kind=macro.wrapper, words=macro.words, bits=macro.bits, count=macro.count)
        for macro in macros
    ]
