"""Arrays that a run keeps for its pictures: the recording of one sample, and when weights flipped."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.errors import InputError

RECORDING_FILE = "recording.npz"
FLIPS_FILE = "flips.npz"

Array = npt.NDArray[Any]


def read_recording(run_dir: Path, chip: Chip) -> dict[str, Array] | None:
    """One classified test sample: input and hidden spikes, outputs, label and prediction; None where the run keeps none.

    Returns:
        `input_spikes` [steps, inputs], `spikes_c` [steps, neurons] of every hidden core c, `outputs` [steps, classes], `label` and `prediction` [].

    Raises:
        InputError: the file is damaged or of another chip.
    """
    last = len(chip.layers) - 1
    shapes: dict[str, tuple[int | None, ...]] = {
        "label": (),
        "prediction": (),
        "input_spikes": (chip.steps, chip.inputs),
        **{f"spikes_{c}": (chip.steps, chip.layers[c].neurons) for c in range(last)},
        "outputs": (chip.steps, chip.layers[last].neurons),
    }
    return _read(run_dir / RECORDING_FILE, shapes)


def read_flips(run_dir: Path, chip: Chip) -> dict[str, Array] | None:
    """When the signs of the weights changed; None where the run does not keep it.

    Returns:
        Of every core c `last_epoch_c` [axons, neurons], 1 + the last epoch that changed the sign and 0 for never; `flip_ratio` [epochs, cores].

    Raises:
        InputError: the file is damaged or of another chip.
    """
    shapes: dict[str, tuple[int | None, ...]] = {
        **{f"last_epoch_{c}": (core.axons, core.neurons) for c, core in enumerate(chip.layers)},
        "flip_ratio": (None, len(chip.layers)),
    }
    return _read(run_dir / FLIPS_FILE, shapes)


def _read(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, Array] | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except FileNotFoundError:
        return None
    except KeyError as error:
        raise InputError(f"{path}: damaged or of another chip: {error.args[0]}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: damaged: cannot be read as arrays") from None
    for name, shape in shapes.items():
        found = arrays[name].shape
        if len(found) != len(shape) or any(
            wanted not in (None, size) for wanted, size in zip(shape, found, strict=True)
        ):
            raise InputError(f"{path}: {name}: shape {found} is not of this chip, {shape}")
        if arrays[name].dtype.kind not in "iuf":
            raise InputError(f"{path}: {name}: {arrays[name].dtype} is no number")
    return arrays
