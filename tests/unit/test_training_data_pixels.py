"""Pixels as numbers: statistics, cropping and mirroring."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from flipcore.errors import InputError
from flipcore.sim.data.dataset import make_dataset
from flipcore.training.data import SampleSet, crop_and_flip, load_samples, normalization
from flipcore.training.data.samples import as_sample_set
from tests.datasets import event_split, pixel_split

RNG = np.random.default_rng(8)


def colours(count: int) -> tuple[np.ndarray, SampleSet]:
    pixels = RNG.integers(0, 256, (count, 3, 4, 5)).astype(np.uint8)
    pixels[:, 1] //= 3
    pixels[:, 2] = 51
    labels = np.arange(count, dtype=np.int32) % 2
    train = pixel_split(pixels.reshape(count, 60), labels)
    test = pixel_split(255 - pixels[:4].reshape(4, 60), labels[:4])
    dataset = make_dataset("colours", train=train, test=test, provenance={})
    return pixels, as_sample_set(dataset, (3, 4, 5))


@pytest.mark.parametrize("count", [7, 1024, 2050])
def test_statistics_are_those_of_each_channel_of_the_training_split(count: int) -> None:
    pixels, samples = colours(count)
    mean, std = normalization(samples)
    exact = pixels.astype(np.float64) / 255
    assert np.allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-6)
    assert np.allclose(std[:2], exact.std(axis=(0, 2, 3))[:2], rtol=1e-6)
    assert std[2] == 1  # no contrast to divide by
    assert mean.dtype == std.dtype == torch.float32


def test_normalised_pixels_have_mean_0_and_deviation_1() -> None:
    pixels, samples = colours(500)
    statistics = normalization(samples)
    values = statistics.apply(torch.from_numpy(pixels))
    assert values.dtype == torch.float32
    assert torch.allclose(values.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(values.std((0, 2, 3))[:2], torch.ones(2), atol=1e-3)
    by_hand = (pixels[3, 1, 2, 4] / 255 - float(statistics.mean[1])) / float(statistics.std[1])
    assert values[3, 1, 2, 4].item() == pytest.approx(by_hand, abs=1e-5)


def test_recordings_have_no_statistics() -> None:
    split = event_split(np.zeros((4, 2, 8), bool), np.zeros((4, 2), int), np.zeros(4, np.int32))
    dataset = make_dataset("taps", train=split, test=split, provenance={})
    with pytest.raises(InputError, match=r"^normalization: taps holds events: must hold pixels$"):
        normalization(as_sample_set(dataset, (2, 2, 2)))


def test_mnist_like_statistics_of_the_digits() -> None:
    mean, std = normalization(load_samples("digits", num_steps=1))
    assert (mean.item(), std.item()) == pytest.approx((0.3053, 0.3762), abs=1e-4)


def shifted(image: torch.Tensor, down: int, right: int, mirrored: bool) -> torch.Tensor:
    """What the definition says, one pixel at a time."""
    pixels, result = image.numpy(), np.zeros(tuple(image.shape), image.numpy().dtype)
    _, height, width = pixels.shape
    for row, column in np.ndindex(height, width):
        from_row = row + down - 4
        from_column = (width - 1 - column if mirrored else column) + right - 4
        if 0 <= from_row < height and 0 <= from_column < width:
            result[:, row, column] = pixels[:, from_row, from_column]
    return torch.from_numpy(result)


def all_shifts(image: torch.Tensor) -> Sequence[torch.Tensor]:
    return [
        shifted(image, down, right, mirrored)
        for down in range(9)
        for right in range(9)
        for mirrored in (False, True)
    ]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_each_image_is_one_of_its_162_shifts_and_all_of_them_occur(dtype: torch.dtype) -> None:
    image = torch.from_numpy(RNG.integers(1, 256, (3, 6, 5)).astype(np.uint8)).to(dtype)
    batch = crop_and_flip(image.expand(3000, 3, 6, 5), torch.Generator().manual_seed(0))
    assert (batch.dtype, batch.shape) == (dtype, (3000, 3, 6, 5))
    assert batch.is_contiguous()
    found = Counter(result.tobytes() for result in batch.numpy())
    counts = [found[wanted.numpy().tobytes()] for wanted in all_shifts(image)]
    assert sum(counts) == 3000
    assert min(counts) > 3  # expected 18.5 each
    assert max(counts) < 45


def test_images_are_augmented_one_by_one_and_repeatably() -> None:
    images = torch.from_numpy(RNG.integers(1, 256, (16, 1, 8, 8)).astype(np.uint8))
    before = images.clone()
    first, second, other = (
        crop_and_flip(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    for image, result in zip(images, first, strict=True):
        assert any(torch.equal(result, wanted) for wanted in all_shifts(image))
