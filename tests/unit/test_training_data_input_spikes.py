"""The coding of pixels as spikes is the simulator's to the last bit (N2)."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from flipcore.sim.encoding import encode_pixels
from flipcore.training.data import input_spikes


def simulated(pixels: npt.NDArray[np.uint8], num_steps: int) -> npt.NDArray[np.uint8]:
    """Spikes of the simulator's compiled loop, [steps, samples, axons]."""
    samples, axons = pixels.shape
    events = np.empty(samples * num_steps * axons + 1, np.int32)
    starts = np.empty(samples * num_steps + 1, np.int64)
    encode_pixels(pixels, num_steps, events, starts)
    spikes = np.zeros((num_steps, samples, axons), np.uint8)
    for sample in range(samples):
        for step in range(num_steps):
            at = sample * num_steps + step
            spikes[step, sample, events[starts[at] : starts[at + 1]]] = 1
    return spikes


@pytest.mark.parametrize("num_steps", [1, 2, 6, 35, 256])
def test_every_value_spikes_as_in_the_simulator(num_steps: int) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(2, 128)
    spikes = input_spikes(torch.from_numpy(pixels), num_steps)
    assert (spikes.dtype, spikes.shape) == (torch.uint8, (num_steps, 2, 128))
    assert np.array_equal(spikes.numpy(), simulated(pixels, num_steps))


def test_rates_are_the_values_rounded_half_up() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)[None]
    counts = input_spikes(pixels, 256).sum(0, dtype=torch.int64)
    assert counts.tolist() == [list(range(256))]
    five = input_spikes(pixels, 5).sum(0, dtype=torch.int64)
    assert five[0].tolist() == [(5 * value + 128) // 256 for value in range(256)]


def test_images_are_flattened() -> None:
    pixels = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (3, 2, 4, 5), np.uint8))
    spikes = input_spikes(pixels, 4)
    assert spikes.shape == (4, 3, 40)
    assert np.array_equal(spikes.numpy(), simulated(pixels.numpy().reshape(3, 40), 4))
