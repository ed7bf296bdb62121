"""How memory grows with the time steps: the peak of a batch in learning, measured for each number of them."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flipcore.chip import chip_yaml
from flipcore.training.data import SampleSet
from flipcore.training.frames import make_coder
from flipcore.training.learner import Learner
from flipcore.training.live_tensors import LiveTensors
from flipcore.training.networks import build_network
from flipcore.training.options import Options
from flipcore.training.recipe import Recipe

LARGEST_WORK = 1 << 32  # synapses of all steps and samples of a batch: some ten seconds on one core


@dataclass(frozen=True)
class Growth:
    """What was measured of one way to train.

    Attributes:
        peak_bytes: by time steps.
        left_out: what was not measured and why, a line each.
    """

    peak_bytes: dict[int, int]
    left_out: tuple[str, ...]


def measure_growth(
    recipe: Recipe, options: Options, samples: SampleSet, all_steps: Sequence[int]
) -> Growth:
    """Peaks at each number of time steps, at random pixels or events.

    Raises:
        InputError: the data do not fit the network.
    """
    chip = recipe.chip()
    batch = min(recipe.batch_size, len(samples.train))
    synapses = sum(core.axons * core.neurons for core in chip.layers)
    peaks, left_out = {}, []
    for steps in all_steps:
        if steps * batch * synapses > LARGEST_WORK:
            left_out.append(
                f"{steps} steps: a batch of {batch} is more than {LARGEST_WORK:,} synapse operations"
            )
            continue
        peaks[steps] = measure_peak(recipe, options, samples, steps)
    return Growth(peaks, tuple(left_out))


def measure_peak(recipe: Recipe, options: Options, samples: SampleSet, steps: int) -> int:
    """Most bytes of live tensors in the second of two batches, when all state exists that is ever kept."""
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        stepped = _with_steps(recipe, steps, Path(folder))
        model = build_network(stepped, options, samples)
    device = torch.device("cpu")
    learner = Learner(stepped, options, model, device, epochs=1)
    coder = make_coder(stepped, samples, steps)
    batches = _random_batches(samples, min(recipe.batch_size, len(samples.train)), steps)
    raw, labels = next(batches)
    learner.learn(coder(raw), labels, steps)
    raw, labels = next(batches)
    with LiveTensors(learner.state_tensors(), device) as tracker:
        learner.learn(coder(raw), labels, steps)
    return tracker.peak_bytes()


def _with_steps(recipe: Recipe, steps: int, folder: Path) -> Recipe:
    """The recipe for its chip with other time steps; a recipe names its chip, so that one lies in a file."""
    path = folder / "chip.yaml"
    chip = recipe.chip().model_copy(update={"steps": steps})
    path.write_text(chip_yaml(chip), encoding="utf-8")
    network = recipe.network.model_copy(update={"chip": str(path)})
    return recipe.model_copy(update={"network": network})


def _random_batches(samples: SampleSet, batch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as the samples' own would be: pixels uint8 [batch, C, H, W], or events uint8 [batch, steps, C, H, W]."""
    generator = torch.Generator().manual_seed(0)
    is_events = samples.kind == "events"
    shape = (batch, steps, *samples.shape) if is_events else (batch, *samples.shape)
    while True:
        raw = torch.randint(2 if is_events else 256, shape, generator=generator, dtype=torch.uint8)
        yield raw, torch.randint(samples.num_classes, (batch,), generator=generator)
