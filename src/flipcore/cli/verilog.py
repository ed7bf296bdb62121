"""`flipcore rtl generate`."""

from pathlib import Path

from flipcore.chip import load_chip
from flipcore.errors import ToolError

try:
    from flipcore.rtl.generate import chip_files, write_files
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def generate(chip: str, changes: tuple[str, ...], out: Path, *, counters: bool) -> None:
    """Write a chip and list its files."""
    for path in write_files(chip_files(load_chip(chip, changes), counters=counters), out):
        print(path)
