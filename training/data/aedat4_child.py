"""Reads AEDAT 4 through tonic in a process of its own; run as a script by `aedat4`.

It imports nothing of flipcore. Each line of its input is a path in hex. Its answer is a little-endian
int64 k: if k >= 0, column, row, time in us and polarity follow, k int64 each; else a reason of -k
bytes.
"""

import importlib
import os
import sys
from typing import Any

import numpy as np


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # A panic writes a page of addresses to the standard error.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    tonic_io = importlib.import_module("tonic.io")
    for line in sys.stdin.buffer:
        answers.write(_answer(tonic_io, os.fsdecode(bytes.fromhex(line.decode()))))
        answers.flush()


def _answer(tonic_io: Any, path: str) -> bytes:
    try:
        events = tonic_io.read_aedat4(path)
        columns = np.stack([events[name].astype("<i8") for name in ("x", "y", "t", "on")])
    except BaseException as error:  # aedat's panics are no Exceptions
        reason = (str(error) or type(error).__name__).splitlines()[0].encode()
        return _number(-len(reason)) + reason
    return _number(columns.shape[1]) + columns.tobytes()


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=True)


if __name__ == "__main__":
    main()
