"""From samples to what a network sees at each time step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from flipcore.training.data import SampleSet, input_spikes, normalization
from flipcore.training.recipe import Recipe

Frames = Iterator[Tensor]
Coder = Callable[[Tensor], Frames]


def make_coder(recipe: Recipe, samples: SampleSet, steps: int) -> Coder:
    """How raw samples, uint8, become one input per time step, float32.

    An mlp sees the chip's own spikes [batch, axons] (SPEC N2). Other networks see recordings as their events and
    images as the same normalised values at every step (direct coding, as published).
    """
    if samples.kind == "events":
        flat = recipe.network.model == "mlp"
        return lambda raw: _recorded(raw, flat=flat)
    if recipe.network.model == "mlp":
        return lambda raw: (frame.float() for frame in input_spikes(raw.flatten(1), steps))
    statistics = normalization(samples)
    return lambda raw: _direct(statistics.apply(raw), steps)


def _recorded(raw: Tensor, *, flat: bool) -> Frames:
    for step in range(raw.shape[1]):
        frame = raw[:, step].float()
        yield frame.flatten(1) if flat else frame


def _direct(image: Tensor, steps: int) -> Frames:
    for _ in range(steps):
        yield image
