"""From a recipe, an algorithm and a data set to the network that is trained."""

from torch import nn

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.training.binary_weights import WeightKind
from flipcore.training.bireal import bireal_resnet18
from flipcore.training.data import SampleSet
from flipcore.training.mlp import mlp
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.neurons import Reset
from flipcore.training.options import Options
from flipcore.training.recipe import Recipe
from flipcore.training.surrogate import Surrogate
from flipcore.training.vgg import vgg11

SMALLEST_OF_VGG = 8  # pixels a side
SMALL_IMAGE = 64  # pixels a side; the stem of larger images halves them twice


def build_network(recipe: Recipe, options: Options, samples: SampleSet) -> nn.Module:
    """The network of a recipe with the kind of weights and gradients that the algorithm asks for.

    Raises:
        InputError: the data do not fit the network.
    """
    channels, height, width = samples.shape
    if recipe.network.model == "mlp":
        chip = recipe.chip()
        _check_fit(chip, samples)
        sizes = [chip.inputs, *(core.neurons for core in chip.layers)]
        thresholds = [core.threshold for core in chip.layers[:-1]]
        return mlp(sizes, thresholds=thresholds, spec=_spec_of_chip(recipe, options, chip))
    spec = _spec(recipe, options, recipe.network.steps, recipe.network.leak)
    if recipe.network.model == "vgg11":
        if min(height, width) < SMALLEST_OF_VGG:
            raise InputError(
                f"{samples.name}: images of {height}x{width}: vgg11 halves them three times: at least {SMALLEST_OF_VGG} pixels a side"
            )
        return vgg11(samples.num_classes, in_channels=channels, spec=spec)
    small = max(height, width) <= SMALL_IMAGE
    return bireal_resnet18(samples.num_classes, in_channels=channels, small_input=small, spec=spec)


def network_steps(recipe: Recipe) -> int:
    """Time steps per sample."""
    return recipe.chip().steps if recipe.network.model == "mlp" else recipe.network.steps


def _spec_of_chip(recipe: Recipe, options: Options, chip: Chip) -> NetworkSpec:
    """The chip's neurons: one leak, reset and window for all its layers, as training has no others."""
    hidden = chip.layers[:-1] or chip.layers
    leaks = {1.0 if core.neuron == "if" else 1 - 2.0**-core.leak_shift for core in hidden}
    resets = {core.reset for core in hidden}
    widths = {2 * core.window / core.threshold for core in hidden}
    for name, values in (("leak", leaks), ("reset", resets), ("window / threshold", widths)):
        if len(values) > 1:
            raise InputError(
                f"{recipe.name}: {name}: layers with {sorted(values)}: training needs one for all layers"
            )
    surrogate = Surrogate(name="rectangle", width=widths.pop())
    reset: Reset = "soft" if resets.pop() == "subtract" else "hard"
    return _spec(recipe, options, chip.steps, leaks.pop(), reset, surrogate)


def _spec(
    recipe: Recipe,
    options: Options,
    steps: int,
    leak: float,
    reset: Reset | None = None,
    surrogate: Surrogate | None = None,
) -> NetworkSpec:
    algorithm = options.algorithm
    flipping: WeightKind = "packed" if options.packed else "dense"
    return NetworkSpec(
        kind=flipping if algorithm.weights == "binary" else algorithm.weights,
        momentum_format=options.storage.removeprefix("packed-") if options.packed else "float32",
        trace=recipe.network.trace if algorithm.online else None,
        online=algorithm.online,
        leak=leak,
        reset=reset or recipe.network.reset,
        surrogate=surrogate or Surrogate(name=recipe.network.surrogate),
        gate=options.gate,
        num_steps=steps,
        seed=options.seed,
    )


def _check_fit(chip: Chip, samples: SampleSet) -> None:
    axons = samples.dataset.num_axons
    if axons != chip.inputs:
        raise InputError(
            f"{samples.name}: {axons} inputs a sample: the chip {chip.name} has inputs={chip.inputs}"
        )
    if samples.num_classes > chip.classes:
        raise InputError(
            f"{samples.name}: {samples.num_classes} classes: the readout of {chip.name} has {chip.classes} neurons"
        )
