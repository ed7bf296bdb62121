"""`flipcore rtl synth`."""

import json as json_format
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flipcore.chip import load_chip
from flipcore.cli.tables import number_table
from flipcore.errors import CheckError, InputError, ToolError

try:
    from flipcore.rtl.asic import TOP, AsicResult, synthesize_asic
    from flipcore.rtl.core_shape import CoreShape
    from flipcore.rtl.generate import chip_files, flip_unit_files
    from flipcore.rtl.synth import (
        LIBERTY_PREFIX,
        Ice40Result,
        LibraryResult,
        Memory,
        Options,
        synthesize,
    )
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def synth(
    chip: str,
    changes: tuple[str, ...],
    target: str,
    top: str,
    core: int,
    options: Options,
    *,
    counters: bool,
    as_json: bool,
) -> None:
    """Synthesise a module of a chip; exit code 1 if it holds latches."""
    description = load_chip(chip, changes)
    if core >= len(description.layers):
        raise InputError(f"--core {core}: {chip} has cores 0 ... {len(description.layers) - 1}")
    files = flip_unit_files(CoreShape(description, core, counters))
    if f"{top}.v" not in files:
        files = chip_files(description, counters=counters)
    result = synthesize(files, top, target, options)
    document = {"chip": chip, "core": core, "top": top, "target": target, **asdict(result)}
    if as_json:
        print(json_format.dumps(document))
    else:
        _show(f"{top} of {chip}", result)
    if result.latches:
        raise CheckError(f"{top}: {result.latches} latches: a register is not set on every path")


def synth_with_macros(
    chip: str,
    changes: tuple[str, ...],
    target: str,
    top: str,
    corners: tuple[Path, ...],
    macros: Path,
    options: Options,
    *,
    counters: bool,
    as_json: bool,
) -> None:
    """Synthesise a whole chip with SRAM macros and time it at every corner; exit code 1 if it holds latches."""
    if top != TOP:
        raise InputError(f"--macros: needs --top {TOP}, where the memories are")
    if not target.startswith(LIBERTY_PREFIX):
        raise InputError(f"--macros: needs --target {LIBERTY_PREFIX}FILE")
    result = synthesize_asic(
        chip_files(load_chip(chip, changes), counters=counters),
        Path(target.removeprefix(LIBERTY_PREFIX)),
        corners,
        macros,
        period_ns=options.period_ns,
        keep=options.keep,
    )
    if as_json:
        print(json_format.dumps({"chip": chip, "top": top, "target": target, **asdict(result)}))
    else:
        _show_asic(f"{top} of {chip}", result)
    if result.latches:
        raise CheckError(f"{top}: {result.latches} latches: a register is not set on every path")


def _show_asic(title: str, result: AsicResult) -> None:
    console = Console()
    areas = number_table(f"{title}: area in um2", "module", "cells", "flip-flops", "logic", "SRAM")
    for module in result.modules:
        areas.add_row(
            module.module,
            f"{module.cells:,}",
            f"{module.flip_flops:,}",
            f"{module.logic_um2:,.0f}",
            f"{module.sram_um2:,.0f}",
        )
    areas.add_row("all", "", "", f"{result.logic_um2:,.0f}", f"{result.sram_um2:,.0f}")
    memories = number_table("Memories", "memory", "number", "macro", "rows x columns", "um2 of one")
    for memory in result.memories:
        size = f"{memory.kind} {memory.words:,} x {memory.bits}"
        grid = (memory.macro, f"{memory.rows} x {memory.columns}", f"{memory.area_um2:,.0f}")
        if not memory.macro:
            grid = ("flip-flops", "-", "in logic")
        memories.add_row(size, str(memory.count), *grid)
    console.print(areas, memories)
    for corner in result.corners:
        rows = {
            "critical path": f"{corner.path_ns:.2f} ns ({corner.fmax_mhz:.0f} MHz)",
            "from": corner.start,
            "to": corner.end,
            "SRAM timing": corner.sram,
        }
        name = f"{corner.library} ({corner.voltage:g} V, {corner.temperature:g} C)"
        console.print(_rows(name, rows))
    for line in (f"mapping for {result.mapping}, {result.period_ns:g} ns; {', '.join(result.tools)}; {result.seconds:.0f} s", *result.assumptions):  # fmt: skip
        console.print(f"- {line}", highlight=False, soft_wrap=True)


def _show(title: str, result: LibraryResult | Ice40Result) -> None:
    console = Console()
    if isinstance(result, LibraryResult):
        corner = f"{result.voltage:g} V, {result.temperature:g} C"
        console.print(_rows(f"{title} in {result.library} ({corner})", _library_rows(result)))
        kinds = Table("cells", "number", "um2", title="Cells by kind")
        for column in kinds.columns[1:]:
            column.justify = "right"
        for kind, figures in result.cells_by_kind.items():
            kinds.add_row(kind, f"{figures['cells']:,.0f}", f"{figures['area_um2']:,.0f}")
        console.print(kinds)
    else:
        console.print(_rows(title, _ice40_rows(result)))
    if result.memories:
        console.print(_memory_table(result.memories))
    for assumption in result.assumptions:
        console.print(f"- {assumption}", highlight=False, soft_wrap=True)


def _rows(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _library_rows(result: LibraryResult) -> dict[str, str]:
    period = f"{result.period_ns:g} ns {'met' if result.meets_period else 'NOT met'}"
    return {
        "area": f"{result.area_um2:,.0f} um2",
        "cells": f"{result.cells:,}",
        "flip-flops": f"{result.flip_flops:,}",
        "latches": str(result.latches),
        "memory bits (black boxes)": f"{result.memory_bits:,}",
        "critical path": f"{result.critical_path_ns:.2f} ns ({result.fmax_mhz:.0f} MHz)",
        "from": result.path_start,
        "to": result.path_end,
        "mapping": f"{result.mapping}, {period}",
        "tools": "\n".join(result.tools),
        "time": f"{result.seconds:.1f} s",
    }


def _ice40_rows(result: Ice40Result) -> dict[str, str]:
    available = result.available
    cells = "-" if result.logic_cells is None else f"{result.logic_cells:,}"
    if result.harness_cells:
        cells += f", some {result.harness_cells:,} of them shift registers at the ports"
    return {
        "LUT4": f"{result.luts:,} of {available['luts']:,}",
        "carry cells": f"{result.carries:,}",
        "flip-flops": f"{result.flip_flops:,}",
        "latches": str(result.latches),
        "block RAMs": f"{result.block_rams} of {available['block_rams']}",
        "large RAMs": f"{result.large_rams} of {available['large_rams']}",
        "memory bits": f"{result.memory_bits:,}",
        "logic cells placed": cells,
        "fits": "yes" if result.fits else "NO",
        "fmax": "-" if result.fmax_mhz is None else f"{result.fmax_mhz:.1f} MHz",
        "from": result.path_start,
        "to": result.path_end,
        "tools": "\n".join(result.tools),
        "time": f"{result.seconds:.1f} s (placement seed {result.seed})",
    }


def _memory_table(memories: list[Memory]) -> Table:
    table = number_table("Memories", "memory", "words", "bits", "number", "bits in all")
    for memory in memories:
        total = memory.words * memory.bits * memory.count
        table.add_row(
            memory.kind, f"{memory.words:,}", str(memory.bits), str(memory.count), f"{total:,}"
        )
    return table


__all__ = ["Options", "synth", "synth_with_macros"]
