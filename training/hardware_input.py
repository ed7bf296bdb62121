"""What samples the hardware-exact mode takes: records as spikes, and the checks of shapes, values and places."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.sim.data import Records
from flipcore.training.hardware_forward import encode_pixels


def record_spikes(records: Records, chip: Chip, device: str | torch.device) -> Tensor:
    """Spikes of records of a data set (N2), bool [samples, steps, inputs].

    Raises:
        InputError: the records are not of the chip's number of inputs or steps.
    """
    if records.bitmaps.shape[1] == 0:
        if records.pixels.shape[1] != chip.inputs:
            raise InputError(f"records: {records.pixels.shape[1]} pixels: chip {chip.name} has inputs={chip.inputs}")  # fmt: skip
        return encode_pixels(torch.from_numpy(records.pixels).to(device), chip.steps)
    _, steps, num_bytes = records.bitmaps.shape
    if steps != chip.steps or num_bytes != -(-chip.inputs // 8):
        raise InputError(
            f"records: bitmaps of {steps} steps and {num_bytes} bytes: chip {chip.name} has "
            f"steps={chip.steps} and inputs={chip.inputs}"
        )
    bits = np.unpackbits(records.bitmaps, axis=2, count=chip.inputs, bitorder="little")
    return torch.from_numpy(bits).to(device).bool()


def check_spikes(spikes: Tensor, shape: Sequence[int], device: torch.device) -> Tensor:
    """Spikes as bool on the device.

    Raises:
        InputError: another shape, or values that are not 0 and 1.
    """
    if tuple(spikes.shape) != tuple(shape):
        raise InputError(f"spikes: shape {list(spikes.shape)}: must be {list(shape)}")
    spikes = spikes.to(device)
    if spikes.dtype == torch.bool:
        return spikes
    wrong = (spikes != 0) & (spikes != 1)
    if bool(wrong.any()):
        raise InputError(f"spikes: value {spikes[wrong][0].item()}: must be 0 or 1")
    return spikes.bool()


def check_labels(labels: Tensor, num_chips: int, classes: int, device: torch.device) -> Tensor:
    """Labels as int64 on the device.

    Raises:
        InputError: another shape, no integers, or beyond the classes.
    """
    if tuple(labels.shape) != (num_chips,):
        raise InputError(f"labels: shape {list(labels.shape)}: must be [{num_chips}], one per chip")
    if labels.dtype.is_floating_point or labels.dtype in (torch.bool, torch.complex64):
        raise InputError(f"labels: {labels.dtype}: must be integers")
    labels = labels.to(device=device, dtype=torch.int64)
    wrong = (labels < 0) | (labels >= classes)
    if bool(wrong.any()):
        raise InputError(f"labels: {labels[wrong][0].item()}: must be 0 to {classes - 1}")
    return labels
