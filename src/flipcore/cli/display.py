"""What the commands that run for long share: a progress bar, the ear for Ctrl-C, the way out after it."""

import signal
import sys
from types import FrameType
from typing import NoReturn, Self

from rich.console import Console
from rich.progress import Progress

from flipcore.sim.logbook import Logbook

INTERRUPTED = 130  # exit code of a shell command that Ctrl-C ended


class RunDisplay:
    """Shows a bar while a run lasts and hears Ctrl-C and SIGTERM, which then only ask the run to stop."""

    def __init__(self, bar: Progress, logbook: Logbook | None) -> None:
        """Show this bar; the TensorBoard log, if there is one, is closed at the end."""
        self._bar = bar
        self._logbook = logbook
        self._stop = False

    def __enter__(self) -> Self:
        self._handlers = {
            kind: signal.signal(kind, self._on_signal) for kind in (signal.SIGINT, signal.SIGTERM)
        }
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._logbook is not None:
            self._logbook.close()
        for kind, handler in self._handlers.items():
            signal.signal(kind, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True

    def should_stop(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._stop


def leave_interrupted(console: Console, command: str) -> NoReturn:
    """Say by which command the run goes on, and exit."""
    console.print(
        f"Interrupted; checkpoint written. Go on with: {command}", highlight=False, soft_wrap=True
    )
    sys.exit(INTERRUPTED)
