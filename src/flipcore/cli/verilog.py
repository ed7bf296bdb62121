"""`flipcore rtl generate` and `flipcore rtl verify`."""

import json as json_format
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flipcore.chip import load_chip
from flipcore.errors import CheckError, InputError, ToolError

try:
    from flipcore.rtl.core_shape import CoreShape
    from flipcore.rtl.generate import flip_unit_files, write_files
    from flipcore.rtl.verify import verify_flip_unit
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def generate(chip: str, changes: tuple[str, ...], core: int, out: Path) -> None:
    """Write the flip unit of one core and list its files."""
    paths = write_files(flip_unit_files(_core(chip, changes, core)), out)
    for path in paths:
        print(path)


def verify(
    chip: str, changes: tuple[str, ...], core: int, vectors: int, seed: int, *, as_json: bool
) -> None:
    """Compare the flip unit of one core with the reference; exit code 1 if a bit differs."""
    description = _core(chip, changes, core)
    check = verify_flip_unit(description.unit, flip_unit_files(description), words=vectors, seed=seed)
    result = {"chip": chip, "core": core, "seed": seed, **asdict(check)}
    if as_json:
        print(json_format.dumps(result))
    else:
        console = Console()
        console.print(
            f"flip unit of {chip}, core {core}: {check.words:,} words, {check.lane_updates:,} lane updates, "
            f"{check.bit_mismatches} bit mismatches, {check.seconds:.1f} s in {check.simulator}",
            highlight=False,
            soft_wrap=True,
        )
        table = Table(title="Functional coverage")
        table.add_column("what")
        table.add_column("times", justify="right")
        for name, times in check.coverage.items():
            table.add_row(name.replace("_", " "), f"{times:,}")
        console.print(table)
    if check.bit_mismatches:
        raise CheckError(f"{check.bit_mismatches} bits of the flip unit differ from the reference")


def _core(chip: str, changes: tuple[str, ...], core: int) -> CoreShape:
    description = load_chip(chip, changes)
    if core >= len(description.layers):
        raise InputError(f"--core {core}: {chip} has cores 0 ... {len(description.layers) - 1}")
    return CoreShape(description, core, counters=True)
