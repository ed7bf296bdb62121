"""Runs the external programs of synthesis; one that is missing is named with the package that brings it."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from flipcore.errors import CheckError, ToolError

# Program to Debian package and what it is needed for.
PACKAGES = {
    "yosys": ("yosys", "synthesis"),
    "yosys-smtbmc": ("yosys", "a proof"),
    "cvc5": ("cvc5", "a proof"),
    "berkeley-abc": ("berkeley-abc", "a proof of equivalence"),
    "sta": ("opensta", "timing in a cell library"),
    "nextpnr-ice40": ("nextpnr-ice40", "placement and timing on iCE40"),
    "icepack": ("fpga-icestorm", "the bitstream of an iCE40"),
}
_LOG_LINES = 4  # last ones of a failed run, in the error


def require_program(name: str) -> None:
    """Raise a `ToolError` that names the Debian package if a program is not there."""
    if shutil.which(name) is None:
        package, purpose = PACKAGES[name]
        raise ToolError(f"{name}: not found: {purpose} needs it (Debian package `{package}`)")


@contextlib.contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """A folder for the files of programs that goes away again, or the one to keep."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="flipcore-") as name:
            yield Path(name)
    else:
        yield keep


def program_version(name: str, argument: str) -> str:
    """First line that a program prints about itself."""
    require_program(name)
    answer = subprocess.run([name, argument], capture_output=True, text=True, check=False)
    return (answer.stdout + answer.stderr).strip().partition("\n")[0].strip()


def run_program(
    name: str, arguments: Sequence[str], folder: Path, log: str, *, may_fail: bool = False
) -> tuple[int, str]:
    """Run a program in a folder, all it prints into a log file there.

    Args:
        name: One of `PACKAGES`.
        arguments: After the program's name.
        folder: Working directory.
        log: Name of the log file.
        may_fail: Whether the caller judges the exit status.

    Returns:
        Exit status and what was printed.

    Raises:
        ToolError: The program is missing.
        CheckError: It failed, and may not.
    """
    require_program(name)
    with (folder / log).open("wb") as output:
        status = subprocess.run(
            [name, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    printed = (folder / log).read_text(encoding="utf-8", errors="replace")
    if status and not may_fail:
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or line.startswith("Error")]
        raise CheckError(f"{name}: {' | '.join((errors or lines)[-_LOG_LINES:])}")
    return status, printed
