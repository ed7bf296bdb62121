"""Files of a run that appear whole or not at all: weights, counts, memory images, checkpoints."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, chip_document, parse_chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.files import write_whole
from flipcore.sim.flip_map import FlipMap, new_flip_map
from flipcore.sim.layout import (
    ChipState,
    empty_state,
    momentum_values,
    store_momentum,
    store_weights,
    weight_bits,
)

Arrays = dict[str, npt.NDArray[Any]]
# Of a damaged archive zipfile says as RuntimeError that it is encrypted or compressed in an unknown way; a damaged shape asks for any amount of memory.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
)

_FLIPS = "flips_"  # begins the names of the map of flips in a checkpoint
_FLIP_NAMES = tuple(field.name for field in fields(FlipMap))


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays by name as a compressed .npz, for what is mostly zeros.

    Raises:
        InputError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def _read_npz(path: Path, what: str) -> Arrays:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):  # np.load would take it for something else
                raise ValueError("not an .npz archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged or not a {what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def write_weights(path: Path, chip: Chip, state: ChipState) -> None:
    """Write weights (packed bits, lowest neuron first) and momentum of every core, [axons, ...], as .npz."""
    arrays: Arrays = {}
    for c in range(len(chip.layers)):
        bits = weight_bits(state, chip, c)
        arrays[f"weights_{c}"] = np.packbits(bits, axis=1, bitorder="little")
        arrays[f"momentum_{c}"] = momentum_values(state, chip, c)
    write_whole(path, _npz(arrays))


def load_weights(path: Path, chip: Chip, state: ChipState) -> None:
    """Read weights, and momentum where it is there, into a chip's state.

    Raises:
        InputError: the file is damaged, or of another network, or a momentum exceeds its width.
    """
    arrays = _read_npz(path, "weights file")
    for c, core in enumerate(chip.layers):
        packed = arrays.get(f"weights_{c}")
        expected = (core.axons, -(-core.neurons // 8))
        if packed is None or packed.dtype != np.uint8 or packed.shape != expected:
            found = "missing" if packed is None else f"{packed.dtype} {list(packed.shape)}"
            raise InputError(
                f"{path}: weights_{c}: {found}: core {c} of {chip.name} needs uint8 {list(expected)}"
            )
        bits = np.unpackbits(packed, axis=1, count=core.neurons, bitorder="little")
        store_weights(state, chip, c, bits.astype(np.bool_))
        momentum = arrays.get(f"momentum_{c}")
        if momentum is None:
            continue
        if momentum.shape != (core.axons, core.neurons) or momentum.dtype.kind != "i":
            raise InputError(
                f"{path}: momentum_{c}: {momentum.dtype} {list(momentum.shape)}: core {c} needs "
                f"integers [{core.axons}, {core.neurons}]"
            )
        largest = max(int(momentum.max()), -int(momentum.min()))
        if largest > core.momentum_limit:
            raise InputError(
                f"{path}: momentum_{c}: {largest}: beyond {core.momentum_limit}, "
                f"the limit of {core.momentum_bits} bits"
            )
        store_momentum(state, chip, c, momentum.astype(np.int64))
    if f"weights_{len(chip.layers)}" in arrays:
        raise InputError(f"{path}: has more cores than the {len(chip.layers)} of {chip.name}")


def write_counts(path: Path, train: EventCounts, inference: EventCounts) -> None:
    """Write the event counts of training and inference, int64 [cores, counts], as .npz."""
    arrays: Arrays = {
        "count_names": np.array(COUNT_NAMES),
        "train": train.cores,
        "inference": inference.cores,
        "samples": np.array([train.samples, inference.samples], np.int64),
    }
    write_whole(path, _npz(arrays))


def write_memory_images(folder: Path, chip: Chip, state: ChipState) -> None:
    """Write each core's weight and momentum memory for `$readmemh`, one word a line, word i * J + j (S2)."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror}") from None
    for c, core in enumerate(chip.layers):
        bits = weight_bits(state, chip, c).astype(np.int64)
        momentum = momentum_values(state, chip, c).astype(np.int64)
        for name, values, width in (
            ("weight", bits, 1),
            ("momentum", momentum, core.momentum_bits),
        ):
            text = _hex_words(values, width, core.lanes, core.words)
            write_whole(folder / f"{name}_core{c}.mem", text.encode("ascii"))


def _hex_words(values: npt.NDArray[np.int64], width: int, lanes: int, words: int) -> str:
    """Lines of hexadecimal words, lane 0 in the lowest bits, of integers [axons, neurons]."""
    axons, neurons = values.shape
    padded = np.zeros((axons, words * lanes), np.int64)
    padded[:, :neurons] = values
    bits = (padded[:, :, None] >> np.arange(width)) & 1
    packed = np.packbits(
        bits.reshape(axons * words, lanes * width).astype(np.uint8), axis=1, bitorder="little"
    )
    digits = -(-lanes * width // 4)
    return "".join(f"{row[::-1].tobytes().hex()[-digits:]}\n" for row in packed)


def write_checkpoint(path: Path, chip: Chip, state: ChipState, progress: dict[str, Any],
                     train: EventCounts, flips: FlipMap) -> None:  # fmt: skip
    """Write all that a run needs to go on bit for bit: chip, state, counts, flips, and `progress` (plain JSON)."""
    arrays: Arrays = _state_arrays(state) | _flip_arrays(flips) | {"counts": train.cores}
    about = {
        "chip": chip_document(chip),
        "sample_counter": state.sample_counter,
        "counted_samples": train.samples,
        "progress": progress,
    }
    arrays["about"] = np.array(json.dumps(about))
    arrays["digest"] = np.array(_digest(arrays))
    write_whole(path, _npz(arrays))


def read_checkpoint(path: Path) -> tuple[Chip, ChipState, dict[str, Any], EventCounts, FlipMap]:
    """Read what `write_checkpoint` wrote.

    Raises:
        InputError: there is no checkpoint, it is damaged, or of a version that kept no flips.
    """
    arrays = _read_npz(path, "checkpoint")
    try:
        for name in ("about", "digest"):
            if name not in arrays:
                raise ValueError(f"it holds no `{name}`")
        if str(arrays.pop("digest")) != _digest(arrays):
            raise ValueError("its digest does not match its contents")
        if not any(name.startswith(_FLIPS) for name in arrays):
            raise InputError(
                f"{path}: of an earlier version, which kept no flips: start the run anew"
            )
        about = json.loads(str(arrays.pop("about")))
        chip = parse_chip(about["chip"], f"{path}: chip")
        _check_shapes(chip, arrays)
        state = ChipState(
            weights=arrays["weights"],
            momentum=arrays["momentum"],
            generators=arrays["generators"],
            second_moment=arrays["second_moment"],
            sample_counter=int(about["sample_counter"]),
        )
        counts = EventCounts(int(about["counted_samples"]), arrays["counts"])
        flips = FlipMap(**{name: arrays[f"{_FLIPS}{name}"] for name in _FLIP_NAMES})
        return chip, state, dict(about["progress"]), counts, flips
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged or not a checkpoint: {_reason(error)}") from None


def _state_arrays(state: ChipState) -> Arrays:
    return {
        "weights": state.weights,
        "momentum": state.momentum,
        "generators": state.generators,
        "second_moment": state.second_moment,
    }


def _flip_arrays(flips: FlipMap) -> Arrays:
    return {f"{_FLIPS}{name}": getattr(flips, name) for name in _FLIP_NAMES}


def _check_shapes(chip: Chip, arrays: Arrays) -> None:
    """Refuse arrays of another chip, beyond whose ends the compiled loops would read and write."""
    state = empty_state(chip)
    flips = new_flip_map(chip, state)
    ended = arrays[f"{_FLIPS}changed"]
    flips.changed = np.zeros((len(ended) if ended.ndim else 0, len(chip.layers)), np.int64)
    counts = EventCounts.zeros(len(chip.layers)).cores
    for name, expected in (_state_arrays(state) | _flip_arrays(flips) | {"counts": counts}).items():
        found = arrays[name]
        if found.dtype != expected.dtype or found.shape != expected.shape:
            raise ValueError(
                f"{name}: {found.dtype} {list(found.shape)}: "
                f"the chip has {expected.dtype} {list(expected.shape)}"
            )


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
