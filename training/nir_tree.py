"""Taking an HDF5 file from anywhere apart: texts and finite numbers in nested mappings, nothing outside the file touched."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from flipcore.chip import MAX_LAYERS, MAX_SYNAPSES
from flipcore.chip.parse import one_line
from flipcore.errors import InputError

# A chip's weights in double precision; what is larger is none, whatever a damaged header says.
MAX_DATASET_BYTES = MAX_SYNAPSES * 8
MAX_FILE_BYTES = MAX_DATASET_BYTES * MAX_LAYERS
MAX_OBJECTS = 4096
MAX_DEPTH = 16

Tree = dict[str, Any]  # of str, float64 arrays, lists of text, and further trees

# What h5py raises on damaged files, by the call that meets the damage.
_DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    AttributeError,
)


def read_tree(path: Path) -> Tree:
    """Read all groups and datasets of an HDF5 file: texts as str (arrays of them: nested lists), numbers as float64.

    Raises:
        InputError: there is no such file, or it is damaged, too large for any chip, or refers to other files.
    """
    try:
        with path.open("rb") as stream, h5py.File(stream, "r") as file:
            return _Reader(path).group(file, "", 0)
    except FileNotFoundError:
        raise InputError(f"{path}: no such NIR file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a NIR file") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or not a NIR file: {reason}") from None


def pack_tree(tree: Tree) -> bytes:
    """A tree as an .npz archive: its arrays, and JSON with their numbers in their places."""
    arrays: list[npt.NDArray[np.float64]] = []

    def place(value: object) -> Tree:
        if isinstance(value, dict):
            return {"group": {name: place(item) for name, item in value.items()}}
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"numbers": len(arrays) - 1}
        return {"text": value}

    places = json.dumps(place(tree))
    buffer = io.BytesIO()
    numbered = {str(number): array for number, array in enumerate(arrays)}
    np.savez(buffer, allow_pickle=False, places=np.array(places), **numbered)
    return buffer.getvalue()


def unpack_tree(packed: bytes) -> Tree:
    """The tree that `pack_tree` packed."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as stored:

        def fetch(place: Tree) -> Any:
            if "group" in place:
                return {name: fetch(item) for name, item in place["group"].items()}
            return stored[str(place["numbers"])] if "numbers" in place else place["text"]

        tree = fetch(json.loads(str(stored["places"])))
    assert isinstance(tree, dict)
    return tree


class _Reader:
    """Takes a file apart within bounds on depth, number and size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._objects = 0
        self._bytes = 0

    def group(self, group: Any, where: str, depth: int) -> Tree:
        """What is in a group; `where` names it in errors."""
        if depth > MAX_DEPTH:
            self._refuse(where, f"groups are nested more than {MAX_DEPTH} deep")
        tree: Tree = {}
        for name in group:
            place = f"{where}.{one_line(name)}" if where else one_line(name)
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                self._refuse(place, f"the file holds more than {MAX_OBJECTS} objects")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                self._refuse(place, "is a link to elsewhere, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                tree[name] = self.group(item, place, depth + 1)
            elif isinstance(item, h5py.Dataset):
                tree[name] = self._dataset(item, place)
        return tree

    def _dataset(self, dataset: Any, place: str) -> str | list[Any] | npt.NDArray[np.float64]:
        if dataset.shape is None:
            self._refuse(place, "is empty")
        if dataset.is_virtual or dataset.external:
            self._refuse(place, "lies in another file, which is not read")
        self._bytes += dataset.nbytes
        if dataset.nbytes > MAX_DATASET_BYTES or self._bytes > MAX_FILE_BYTES:
            self._refuse(
                place, f"{list(dataset.shape)} of {dataset.dtype}: more than any chip holds"
            )
        if h5py.check_string_dtype(dataset.dtype) is not None:
            text = dataset.asstr()[()]
            return str(text) if dataset.shape == () else list(np.asarray(text, object).tolist())
        if dataset.dtype.kind not in "biuf":
            self._refuse(place, f"{dataset.dtype}: neither numbers nor text")
        numbers = np.asarray(dataset[()], np.float64)
        if not np.isfinite(numbers).all():
            self._refuse(place, f"{numbers[~np.isfinite(numbers)][0]}: every number must be finite")
        return numbers

    def _refuse(self, place: str, reason: str) -> None:
        raise InputError(f"{self._path}: {place}: {reason}")
