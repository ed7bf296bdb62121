"""A chip in a simulator that waits for programs of host operations, so that many of them cost one compilation."""

import json
import queue
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from flipcore.chip import chip_document
from flipcore.errors import CheckError
from flipcore.rtl.bench.chip_mismatch import Mismatch
from flipcore.rtl.bench.chip_operations import Operation, as_document
from flipcore.rtl.bench.chip_state import STATE_FILE
from flipcore.rtl.chip_verify import ChipTask
from flipcore.rtl.simulators import Options, run_bench

BENCH = "flipcore.rtl.bench.bench_operations"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """What became of a program.

    Attributes:
        mismatch: the first difference between chip and model, in a line.
        coverage: how often each situation occurred.
        cycles: played, without loading.
    """

    mismatch: str
    coverage: dict[str, int]
    cycles: int


class LiveChip:
    """A chip that is being simulated."""

    def __init__(self, lines: TextIO, problems: "queue.Queue[Exception]") -> None:
        """Talk to the bench over these lines; what ended it stands in the queue."""
        self._lines = lines
        self._problems = problems

    def play(self, program: Sequence[Operation], seed: int = 0) -> Outcome:
        """Reset and load the chip, and play a program on it.

        Args:
            program: what the host does.
            seed: of what the payload pins hold without valid.

        Raises:
            CheckError: the bench has ended.
        """
        task = {"program": as_document(program), "seed": seed}
        self._lines.write(json.dumps(task) + "\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            raise self._problems.get()
        outcome = json.loads(line)
        found = outcome["mismatch"]
        text = Mismatch(**found).text() if found else ""
        return Outcome(text, outcome["coverage"], outcome["cycles"])


@contextmanager
def live_chip(task: ChipTask, options: Options | None = None) -> Iterator[LiveChip]:
    """Compile a chip and keep it in a simulator.

    Args:
        task: chip, files and the state that each program starts from; samples are none of its business.
        options: Icarus by default.

    Raises:
        ToolError: The simulator or cocotb is missing.
        CheckError: The files do not compile.
    """
    problems: queue.Queue[Exception] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="flipcore-live-") as folder:
        path = str(Path(folder) / "socket")
        document: dict[str, Any] = {
            "chip": chip_document(task.chip),
            "counters": task.has_counters,
            "socket": path,
        }
        options = options or Options()
        options = Options(simulator=options.simulator, data={STATE_FILE: task.state})

        def simulate() -> None:
            try:
                run_bench(task.files, "flip_chip", BENCH, document, options)
                problems.put(CheckError("flip_chip: the simulation ended early"))
            except Exception as error:
                problems.put(error)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(_POLL_SECONDS)
            simulation = threading.Thread(target=simulate, daemon=True)
            simulation.start()
            try:
                with _accept(listener, problems) as connection:
                    connection.setblocking(True)
                    with connection.makefile("rw", encoding="utf-8") as lines:
                        yield LiveChip(lines, problems)
            finally:
                simulation.join()


def _accept(listener: socket.socket, problems: "queue.Queue[Exception]") -> socket.socket:
    """Wait for the bench to call."""
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            if not problems.empty():
                raise problems.get() from None
