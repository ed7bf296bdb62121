"""Checkpoints of a training: tensors and plain data only, written whole, read without pickle's powers."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from flipcore.errors import InputError
from flipcore.files import write_whole

CHECKPOINT = "checkpoint.pt"
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    OSError,
    AttributeError,
    TypeError,
)


def write_checkpoint(run_dir: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; an older one survives if that fails.

    Raises:
        InputError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(run_dir / CHECKPOINT, buffer.getvalue())


def read_checkpoint(run_dir: Path) -> dict[str, Any]:
    """Read the checkpoint of a run directory onto the CPU.

    Raises:
        InputError: there is none, it is damaged, or it holds more than tensors and plain data.
    """
    path = run_dir / CHECKPOINT
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():
            # Of files that torch did not write; they are refused in one line.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or not a checkpoint: {reason[:200]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged or not a checkpoint: holds no mapping")
    return content
