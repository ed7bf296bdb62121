"""What goes between the process that compares and those that work for it: JSON documents through a connection."""

import json
import time
from multiprocessing.connection import Connection
from typing import Any

PROGRESS_SECONDS = 0.2


class Stopped(Exception):
    """The job was asked to stop, and has written its checkpoint."""


class Line:
    """The connection of a job that runs: fractions go out, a wish to stop comes in."""

    def __init__(self, connection: Connection) -> None:
        """Speak through this connection."""
        self._connection = connection
        self._told = 0.0

    def should_stop(self) -> bool:
        """Whether anything came, or the other end is gone."""
        return self._connection.poll()

    def tell(self, fraction: float) -> None:
        """Say how far the job is, now and then."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            send(self._connection, {"fraction": fraction})


def send(connection: Connection, document: dict[str, Any]) -> None:
    """Send a document; if nobody is there any more, nobody misses it."""
    try:
        connection.send_bytes(json.dumps(document).encode())
    except OSError:
        return


def receive(connection: Connection) -> dict[str, Any]:
    """The next document.

    Raises:
        EOFError, OSError: the other end is gone.
    """
    document: dict[str, Any] = json.loads(connection.recv_bytes())
    return document
