"""`flipcore rtl generate`."""

from pathlib import Path

from flipcore.chip import load_chip
from flipcore.errors import ToolError

try:
    from flipcore.rtl.generate import chip_files, write_files
    from flipcore.rtl.tables import chip_documents
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def generate(chip: str, changes: tuple[str, ...], out: Path, *, counters: bool) -> None:
    """Write a chip, its tables, file list and FuseSoC core, and list the files."""
    description = load_chip(chip, changes)
    files = chip_files(description, counters=counters)
    for path in write_files({**files, **chip_documents(description, files)}, out):
        print(path)
