"""Compilation of the hot loops, with a cache that knows every source the loops are made of.

Numba's own cache looks only at the file of the function itself, so that a change in `numerics` would go unnoticed; here the folder's name is a digest of all of them.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config
import platformdirs

import flipcore

_SOURCES = (
    "numerics.py",
    "events.py",
    *(f"sim/{name}.py" for name in ("layout", "scratch", "encoding", "forward", "learning")),
    *(f"sim/{name}.py" for name in ("kernels", "kernel_cache")),
)

config: Any = numba.core.config

Function = TypeVar("Function", bound=Callable[..., Any])


def _digest() -> str:
    package = Path(flipcore.__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for name in _SOURCES:
        digest.update((package / name).read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    """Folder of the compiled loops of exactly these sources, in a temporary place if the cache cannot be written."""
    parent = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("flipcore")
    folder = Path(parent) / f"loops-{_digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    own = Path(tempfile.gettempdir()) / f"flipcore-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.stat().st_uid != os.getuid():
        # What lies there would be run: another user may have put it in our way.
        own = Path(tempfile.mkdtemp(prefix="flipcore-"))
    fallback = own / folder.name
    fallback.mkdir(exist_ok=True)
    return fallback


_FOLDER = _cache_folder()


def compiled(function: Function) -> Function:
    """Compile a loop with Numba, without the interpreter lock, cached for exactly these sources.

    A loop makes no arrays of its own. So Numba's reference counts are left out: two atomic operations for every array of every call took a third of the time.
    """
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_FOLDER)
    try:
        njit: Any = numba.njit  # its annotations do not name `_nrt`
        dispatcher = njit(nogil=True, cache=True, _nrt=False)(function)
    finally:
        config.CACHE_DIR = before
    return cast(Function, dispatcher)
