"""Files that appear whole or not at all."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any

from flipcore.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole by rename; an older one survives any failure.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def write_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as SVG and PNG beside each other, each whole; the suffix of the path is replaced.

    Raises:
        InputError: the files cannot be written.
    """
    for suffix in (".svg", ".png"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], dpi=110)
        write_whole(path.with_suffix(suffix), buffer.getvalue())
