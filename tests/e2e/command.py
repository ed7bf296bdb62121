"""flipcore as a user runs it: in a process of its own, with pipes for its output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 300

Done = subprocess.CompletedProcess[str]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a plain user: nothing that makes terminals colourful or wide."""
    quiet = ("FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    return {key: value for key, value in os.environ.items() if key not in quiet} | changes


def flipcore(*words: str | Path, folder: Path, **changes: str) -> Done:
    """Run a command in a folder, with some environment variables changed."""
    return subprocess.run(
        [sys.executable, "-m", "flipcore", *map(str, words)],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def started(*words: str | Path, folder: Path) -> subprocess.Popen[str]:
    """Start a command and leave it running."""
    return subprocess.Popen(
        [sys.executable, "-m", "flipcore", *map(str, words)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def figures_of(done: Done) -> dict[str, Any]:
    """The one JSON object on stdout of a command that succeeded."""
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, "stdout holds more than one line"
    figures = json.loads(lines[0])
    assert isinstance(figures, dict)
    return figures


def one_line_of(done: Done) -> str:
    """The one line on stderr of a command that refused its input."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("flipcore: ")
    return lines[0].removeprefix("flipcore: ")
