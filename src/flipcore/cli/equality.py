"""`flipcore rtl equal`."""

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flipcore.chip import load_chip
from flipcore.errors import CheckError, ToolError

try:
    from flipcore.rtl import syntax
    from flipcore.rtl.equivalence import Comparison, Reference, require_tools
    from flipcore.rtl.generate import chip_files
    from flipcore.rtl.programs import working_folder
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def prove(
    name: str, changes: tuple[str, ...], keep: Path | None, *, counters: bool, as_json: bool
) -> None:
    """Compare and print; exit code 1 if anything differs."""
    chip = load_chip(name, changes)
    require_tools()
    files = chip_files(chip, counters=counters)
    with working_folder(keep) as folder:
        _tell("reading the Verilog with pyverilog")
        round_trip = syntax.read_design(files, "flip_chip").round_trip
        _tell("elaborating the Verilog")
        reference = Reference(files, folder / "verilog")
        _tell("comparing what pyverilog wrote back")
        comparisons = [
            reference.compare_text(round_trip, "pyverilog round trip", folder / "round_trip")
        ]
        _tell("synthesising")
        netlist = reference.synthesise()
        _tell("comparing the netlist")
        comparisons.append(
            reference.compare_netlist(netlist, "synthesised netlist", folder / "netlist")
        )
    if as_json:
        print(
            json_format.dumps({"chip": chip.name, "comparisons": [asdict(one) for one in comparisons]})
        )  # fmt: skip
    else:
        _print(chip.name, comparisons)
    for one in comparisons:
        if one.difference:
            raise CheckError(f"{chip.name}: {one.of} differs: {one.difference}")


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr)


def _print(name: str, comparisons: list[Comparison]) -> None:
    table = Table(title=f"The Verilog of {name} and")
    table.add_column("compared with it")
    for column in ("modules", "identical", "registers", "fewer", "nets", "s"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for one in comparisons:
        table.add_row(
            one.of,
            f"{one.modules:,}",
            f"{one.identical:,}",
            f"{one.registers:,}",
            f"{one.fewer:,}",
            f"{one.nets:,}",
            f"{one.seconds:.1f}",
            "DIFFERENT" if one.difference else "equal",
        )
    console = Console()
    console.print(table)
    console.print(
        "Identical: the same cells and connections already before any logic is made; the others are proven by abc. "
        "Registers matched by name; fewer: those that the other side saves; nets: outputs and inputs of registers and "
        "instances, proven to be the same functions.",
        highlight=False,
        soft_wrap=True,
    )
