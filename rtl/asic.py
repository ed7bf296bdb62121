"""A whole chip in a cell library with the SRAM macros of its process: area of each module, and the slowest path at each corner."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from flipcore.errors import CheckError, InputError
from flipcore.rtl.generate import write_files
from flipcore.rtl.liberty import Library, Macro, read_liberty
from flipcore.rtl.programs import program_version, require_program, working_folder
from flipcore.rtl.sram import SramPlan, plan_memory, read_sram_macros, sram_box, sram_module
from flipcore.rtl.timing import CriticalPath, find_slowest_path
from flipcore.rtl.yosys import (
    LIBRARY_FILE,
    MAPPINGS,
    NETLIST_FILE,
    Design,
    map_with_macros,
    named_macros,
    read_design,
)

TOP = "flip_chip"
_CONTROL = "control"
# A bit of a memory that is made of flip-flops takes so many times a flip-flop's area, with the multiplexers that write and
# read it: measured on the 1,280 x 1 weight memory of digits-up5k.
_REGISTER_BIT = 1.7

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleArea:
    """Area of a part of the chip, without wires, in um2.

    Attributes:
        module: `control` (all outside the cores) or the instance of a core.
        cells: Number of cells.
        flip_flops: Number of them that are flip-flops, those of small memories included.
        logic_um2: Of the cells.
        sram_um2: Of the SRAM macros.
    """

    module: str
    cells: int
    flip_flops: int
    logic_um2: float
    sram_um2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """What a memory of the chip is made of.

    Attributes:
        kind: Its wrapper.
        words, bits, count: Its size, and how many there are.
        macro: Name of the SRAM macro; empty: flip-flops, which are smaller.
        rows, columns: Of the grid of macros.
        area_um2: Of the macros of one.
    """

    kind: str
    words: int
    bits: int
    count: int
    macro: str
    rows: int
    columns: int
    area_um2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CornerTiming:
    """The slowest path at a corner.

    Attributes:
        library: Of the cells.
        voltage, temperature: Of their corner, in V and degrees Celsius.
        sram: How the macros are timed there.
        path_ns: Shortest clock period, setup time included, wires without load.
        fmax_mhz: From it.
        start, end: Register, memory or port, with the core that it is in.
    """

    library: str
    voltage: float
    temperature: float
    sram: str
    path_ns: float
    fmax_mhz: float
    start: str
    end: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AsicResult:
    """A chip in cells and SRAM macros.

    Attributes:
        modules: Area split.
        logic_um2, sram_um2: Sums of it.
        latches: Number; generated Verilog needs none.
        memories: What each is made of.
        corners: Timing, in the order in which they were given.
        mapping: Which of `MAPPINGS` it is.
        period_ns: That sizing aimed at.
        assumptions: Under which the figures hold.
        tools: Their versions.
        seconds: Wall time.
    """

    modules: list[ModuleArea]
    logic_um2: float
    sram_um2: float
    latches: int
    memories: list[MemoryPlan]
    corners: list[CornerTiming]
    mapping: str
    period_ns: float
    assumptions: list[str]
    tools: list[str]
    seconds: float


def synthesize_asic(
    files: Mapping[str, str],
    cells: Path,
    corners: Sequence[Path],
    macros: Path,
    *,
    period_ns: float,
    keep: Path | None,
) -> AsicResult:
    """Synthesise a chip at one corner and time the netlist at it and at others.

    Args:
        files: Of the chip's Verilog, file name to text.
        cells: Liberty file of the cells at the corner that the chip is mapped at.
        corners: Liberty files of the same cells at others.
        macros: Folder of the SRAM macros' Liberty files, all of that first corner, and data sheets.
        period_ns: Clock period that sizing aims at.
        keep: Folder in which netlists and reports stay; none: they are removed.

    Raises:
        InputError: A Liberty file or data sheet cannot be used.
        ToolError: A program is missing.
        CheckError: A program refuses the design.
    """
    libraries = [read_liberty(path.expanduser()) for path in (cells, *corners)]
    srams = [
        sram
        for sram in read_sram_macros(macros.expanduser())
        if all(sram.is_timed_at(library.voltage) for library in libraries)
    ]
    if not srams:
        raise InputError(
            f"{macros}: no SRAM macro with clock to data at the voltages of all corners"
        )
    for program in ("yosys", "sta"):
        require_program(program)
    start = time.monotonic()
    with working_folder(keep) as folder:
        whole = read_design(folder, [path.name for path in write_files(files, folder)], TOP)
        plans = [plan_memory(macro, srams) for macro in named_macros(whole)]
        held = [plan.area_um2 <= _register_area(plan.memory, libraries[0]) for plan in plans]
        design = replace(whole, macros=_chosen(whole.macros, held))
        used = _chosen(plans, held)
        text = _macro_text(used)
        best: tuple[str, dict[str, Any], list[CriticalPath]] | None = None
        for mapping in MAPPINGS:
            modules = map_with_macros(
                folder, design, libraries[0], text, mapping=mapping, period_ns=period_ns
            )
            paths = [_time(folder, design, library, used, period_ns) for library in libraries]
            (folder / NETLIST_FILE).replace(folder / f"netlist_{mapping}.v")
            if best is None or paths[0].ns < best[2][0].ns:
                best = (mapping, modules, paths)
            if paths[0].ns <= period_ns:
                break
        assert best is not None
        mapping, modules, paths = best
        reports = {
            f"path_{library.name}.txt": f"{path.report}\n"
            for library, path in zip(libraries, paths, strict=True)
        }
        netlist = (folder / f"netlist_{mapping}.v").read_text(encoding="utf-8")
        write_files({NETLIST_FILE: netlist, **reports}, folder)
    areas, latches = _areas(modules, libraries[0], used)
    return AsicResult(
        modules=areas,
        logic_um2=round(sum(area.logic_um2 for area in areas), 1),
        sram_um2=round(sum(area.sram_um2 for area in areas), 1),
        latches=latches,
        memories=[_memory(plan, is_sram) for plan, is_sram in zip(plans, held, strict=True)],
        corners=[
            _corner(library, path, modules, used)
            for library, path in zip(libraries, paths, strict=True)
        ],
        mapping=mapping,
        period_ns=period_ns,
        assumptions=[
            "no wires: after placement it is larger and slower",
            "inputs change and outputs are taken at the clock edge; reset is no path",
            f"a memory is made of flip-flops where {_REGISTER_BIT:g} times their area is less than that of the macros",
            "setup times of macros are those of their Liberty files at all corners: data sheets give clock to data only",
        ],
        tools=[program_version("yosys", "-V"), f"OpenSTA {program_version('sta', '-version')}"],
        seconds=round(time.monotonic() - start, 1),
    )


def _chosen(items: Sequence[T], chosen: Sequence[bool]) -> list[T]:
    return [item for item, is_chosen in zip(items, chosen, strict=True) if is_chosen]


def _register_area(memory: Macro, library: Library) -> float:
    """Area of a memory made of flip-flops, in um2."""
    flip_flop = min(cell.area for cell in library.cells.values() if cell.kind == "flip-flop")
    return memory.words * memory.bits * _REGISTER_BIT * flip_flop


def _macro_text(plans: Sequence[SramPlan]) -> str:
    boxes = {plan.macro.name: sram_box(plan.macro) for plan in plans}
    return "".join([*boxes.values(), *(sram_module(plan) for plan in plans)])


def _time(
    folder: Path, design: Design, library: Library, plans: Sequence[SramPlan], period_ns: float
) -> CriticalPath:
    srams = {plan.macro.name: plan.macro for plan in plans}
    files = {f"{name}.lib": macro.liberty_at(library.voltage) for name, macro in srams.items()}
    write_files({LIBRARY_FILE: library.text, **files}, folder)
    return find_slowest_path(
        folder, design, [LIBRARY_FILE, *files], library.time_ps, period_ns=period_ns
    )


def _areas(
    modules: Mapping[str, Any], library: Library, plans: Sequence[SramPlan]
) -> tuple[list[ModuleArea], int]:
    """Area of the top without its cores and of each core, and the number of latches."""
    srams = {plan.macro.name: plan.macro.area_um2 for plan in plans}
    instances = {_CONTROL: TOP} | _cores(modules)
    areas, latches = [], 0
    for instance, name in instances.items():
        kinds = [cell["type"] for cell in modules[name]["cells"].values()]
        logic = [library.cells[kind] for kind in kinds if kind in library.cells]
        unknown = {*kinds} - {*library.cells, *srams, *modules}
        if unknown:
            raise CheckError(f"{name}: {library.name} has no cell for {', '.join(sorted(unknown))}")
        latches += sum(cell.kind == "latch" for cell in logic)
        areas.append(
            ModuleArea(
                module=instance,
                cells=len(logic),
                flip_flops=sum(cell.kind == "flip-flop" for cell in logic),
                logic_um2=round(sum(cell.area for cell in logic), 1),
                sram_um2=round(sum(srams.get(kind, 0.0) for kind in kinds), 1),
            )
        )
    return areas, latches


def _cores(modules: Mapping[str, Any]) -> dict[str, str]:
    """Instance of each module below the top to its name."""
    cells = modules[TOP]["cells"]
    return {name: cells[name]["type"] for name in sorted(cells) if cells[name]["type"] in modules}


def _memory(plan: SramPlan, is_sram: bool) -> MemoryPlan:
    memory = plan.memory
    return MemoryPlan(
        kind=memory.wrapper,
        words=memory.words,
        bits=memory.bits,
        count=memory.count,
        macro=plan.macro.name if is_sram else "",
        rows=plan.rows if is_sram else 0,
        columns=plan.columns if is_sram else 0,
        area_um2=round(plan.area_um2, 1) if is_sram else 0.0,
    )


def _corner(
    library: Library, path: CriticalPath, modules: Mapping[str, Any], plans: Sequence[SramPlan]
) -> CornerTiming:
    macro = plans[0].macro if plans else None
    sram = "none"
    if macro is not None and library.voltage == macro.voltage:
        sram = "Liberty files"
    elif macro is not None:
        temperature = macro.access_ns[library.voltage][0]
        sram = f"clock to data of data sheets at {library.voltage:g} V, {temperature:g} C"
    return CornerTiming(
        library=library.name,
        voltage=library.voltage,
        temperature=library.temperature,
        sram=sram,
        path_ns=round(path.ns, 3),
        fmax_mhz=round(1000.0 / path.ns, 1),
        start=_place(path.start, modules),
        end=_place(path.end, modules),
    )


def _place(pin: str, modules: Mapping[str, Any]) -> str:
    """The register behind a pin of the netlist, or the pin or port itself, with the core that it is in."""
    names = pin.replace("\\", "").split("/")
    module, inside = TOP, ""
    cores = _cores(modules)
    if names[0] in cores:
        module, inside = cores[names[0]], f"{names[0]}."
        names = names[1:]
    cell = modules[module]["cells"].get(names[0])
    if cell is None or len(names) < 2:
        return inside + ".".join(names)
    outputs = [bit for pin, bits in cell["connections"].items() if pin.startswith("Q") for bit in bits]  # fmt: skip
    for net, wire in modules[module]["netnames"].items():
        if not wire["hide_name"] and outputs and outputs[0] in wire["bits"]:
            index = f"[{wire['bits'].index(outputs[0])}]" if len(wire["bits"]) > 1 else ""
            return f"{inside}{net}{index}"
    return inside + ".".join(names)
