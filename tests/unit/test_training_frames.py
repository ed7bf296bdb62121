"""What a network sees at each time step: the chip's spikes, events as they are, or images as numbers."""

from pathlib import Path

import numpy as np
import torch

from flipcore.training.data import input_spikes, normalization
from flipcore.training.frames import make_coder
from flipcore.training.recipe import Recipe, parse_recipe
from tests.trainings import SHAPE, STEPS, images, recipe, recordings


def convolutional() -> Recipe:
    plain = {"name": "v", "dataset": "x", "epochs": 1, "batch_size": 4}
    return parse_recipe({**plain, "network": {"model": "vgg11", "steps": STEPS}}, "v")


def test_an_mlp_sees_the_chips_spikes(tmp_path: Path) -> None:
    samples = images()
    raw = samples.train.batch(np.arange(5))
    frames = list(make_coder(recipe(tmp_path), samples, STEPS)(raw))
    expected = input_spikes(raw.flatten(1), STEPS)
    assert len(frames) == STEPS
    for frame, spikes in zip(frames, expected, strict=True):
        assert frame.dtype == torch.float32
        assert frame.shape == (5, 12)
        assert torch.equal(frame, spikes.float())
    assert 0 < float(torch.stack(frames).mean()) < 1


def test_an_mlp_sees_recordings_as_their_events(tmp_path: Path) -> None:
    samples = recordings()
    raw = samples.train.batch(np.arange(4))
    frames = list(make_coder(recipe(tmp_path), samples, STEPS)(raw))
    assert [frame.shape for frame in frames] == [(4, 12)] * STEPS
    for step, frame in enumerate(frames):
        assert torch.equal(frame, raw[:, step].flatten(1).float())
    assert bool(frames[0].any())


def test_convolutions_see_recordings_in_their_shape() -> None:
    samples = recordings()
    raw = samples.train.batch(np.arange(4))
    frames = list(make_coder(convolutional(), samples, STEPS)(raw))
    assert torch.equal(torch.stack(frames, 1), raw.float())


def test_convolutions_see_the_same_normalised_image_in_every_step() -> None:
    samples = images()
    everything = samples.train.batch(np.arange(len(samples.train)))
    frames = list(make_coder(convolutional(), samples, STEPS)(everything))
    assert len(frames) == STEPS
    expected = normalization(samples).apply(everything)
    assert all(torch.equal(frame, expected) for frame in frames)
    assert frames[0].shape == (len(samples.train), *SHAPE)
    assert abs(float(frames[0].mean())) < 1e-5
    assert abs(float(frames[0].std(unbiased=False)) - 1) < 1e-5


def test_statistics_are_those_of_the_training_split() -> None:
    samples = images()
    test = samples.test.batch(np.arange(len(samples.test)))
    (first, *_) = make_coder(convolutional(), samples, STEPS)(test)
    assert torch.equal(first, normalization(samples).apply(test))
