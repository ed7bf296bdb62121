"""AEDAT 4, read by tonic and aedat in a process of its own: a damaged file ends aedat by an abort."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import numpy as np

from flipcore.errors import InputError, ToolError
from flipcore.sim.data.store import Int64s

_CHILD = Path(__file__).with_name("aedat4_child.py")


class Aedat4Reader:
    """Reads one file after the other; its process starts with the first and ends with the context."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Begin the context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._stop()

    def read(self, path: Path) -> Int64s:
        """Read all events, int64 [4, n]: column, row, time in us, polarity.

        Raises:
            InputError: the file is damaged or holds no events.
            ToolError: tonic or aedat is not installed.
        """
        for package in ("tonic", "aedat"):
            check_installed(package, path)
        if self._process is None:
            # -P: the files beside the script are modules of flipcore, not of the child.
            command = [sys.executable, "-P", str(_CHILD)]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        try:
            return _ask(self._process, path)
        except EOFError:
            self._stop()
            raise InputError(f"{path}: cannot be read: damaged: its reader broke off") from None

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def check_installed(package: str, path: Path) -> None:
    """Refuse to read `path` without the package that reads its format.

    Raises:
        ToolError: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise ToolError(
            f"{path}: {path.suffix} is read by {package}, which is not installed: "
            "pip install flipcore[events]"
        )


def _ask(process: "subprocess.Popen[bytes]", path: Path) -> Int64s:
    questions, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    try:
        questions.write(os.fsencode(path.absolute()).hex().encode() + b"\n")
        questions.flush()
    except BrokenPipeError:
        raise EOFError from None
    count = int.from_bytes(_exactly(answers, 8), "little", signed=True)
    if count < 0:
        reason = _exactly(answers, -count).decode("utf-8", "replace")
        raise InputError(f"{path}: cannot be read: {reason}")
    return np.frombuffer(_exactly(answers, 32 * count), "<i8").reshape(4, count)


def _exactly(answers: IO[bytes], size: int) -> bytes:
    content = answers.read(size)
    if len(content) < size:
        raise EOFError
    return content
