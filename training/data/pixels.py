"""Pixels on their way into a network that takes them as numbers: normalised, and augmented."""

from typing import NamedTuple

import numpy as np
import torch

from flipcore.training.data.samples import SampleSet, check_kind

_BLOCK = 1024  # samples in memory at a time
PADDING = 4  # pixels on each side, as usual for CIFAR (He et al. 2015, section 4.2)


class Normalization(NamedTuple):
    """Statistics of the training split's channels, pixels counted as 0 ... 1; each float32 [C]."""

    mean: torch.Tensor
    std: torch.Tensor

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn uint8 [b, C, H, W] into float32 of mean 0 and standard deviation 1, same device."""
        scale = (1.0 / (255.0 * self.std)).to(pixels.device)[:, None, None]
        shift = (self.mean / self.std).to(pixels.device)[:, None, None]
        return pixels * scale - shift


def normalization(sample_set: SampleSet) -> Normalization:
    """Mean and standard deviation (of the population) of each channel of the training split.

    Exact up to the last rounding: values are counted, not summed. A channel without any contrast
    has a standard deviation of 0 and is given 1.

    Raises:
        InputError: the data set holds events.
    """
    check_kind(sample_set, "pixels", "normalization")
    counts = _value_counts(sample_set)
    values = np.arange(256) / 255.0
    total = counts.sum(axis=1)
    mean = counts @ values / total
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / total)
    std[std == 0] = 1.0
    return Normalization(
        torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)
    )


def crop_and_flip(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Augment a batch: each image is shifted by up to 4 pixels and mirrored with chance 1/2.

    Args:
        pixels: uint8 or float [b, C, H, W]; what is shifted in is 0.
        generator: of the pixels' device or of the CPU; the draws depend on it alone.

    Returns:
        A new tensor of the same shape, type and device.
    """
    count, _, height, width = pixels.shape
    device = pixels.device
    draws = {"generator": generator, "device": generator.device}
    down, right = torch.randint(0, 2 * PADDING + 1, (2, count, 1), **draws).to(device)
    mirrored = torch.randint(0, 2, (count, 1), **draws).to(device).bool()
    columns = torch.arange(width, device=device).expand(count, width)
    columns = torch.where(mirrored, columns.flip(1), columns) + right
    rows = torch.arange(height, device=device) + down
    padded = torch.nn.functional.pad(pixels, (PADDING,) * 4)
    places = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    places = places.flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
    return padded.flatten(2).gather(2, places).view_as(pixels)


def _value_counts(sample_set: SampleSet) -> np.ndarray:
    """How often each value occurs in each channel of the training split, int64 [C, 256]."""
    channels = sample_set.shape[0]
    counts = np.zeros(channels * 256, np.int64)
    offsets = np.arange(channels, dtype=np.int64)[:, None, None] * 256
    for start in range(0, len(sample_set.train), _BLOCK):
        block = sample_set.train.batch(np.arange(start, min(start + _BLOCK, len(sample_set.train))))
        keys = block.numpy() + offsets
        counts += np.bincount(keys.ravel(), minlength=channels * 256)
    return counts.reshape(channels, 256)
