"""`flipcore rtl generate`."""

from pathlib import Path

from flipcore.chip import load_chip
from flipcore.errors import InputError, ToolError

try:
    from flipcore.rtl.core_shape import CoreShape
    from flipcore.rtl.generate import flip_unit_files, write_files
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def generate(chip: str, changes: tuple[str, ...], core: int, out: Path) -> None:
    """Write the flip unit of one core and list its files."""
    paths = write_files(flip_unit_files(_core(chip, changes, core)), out)
    for path in paths:
        print(path)


def _core(chip: str, changes: tuple[str, ...], core: int) -> CoreShape:
    description = load_chip(chip, changes)
    if core >= len(description.layers):
        raise InputError(f"--core {core}: {chip} has cores 0 ... {len(description.layers) - 1}")
    return CoreShape(description, core, counters=True)
