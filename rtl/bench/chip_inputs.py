"""What a chip is verified on: real samples of a data set, or random ones with everything that the event stream allows."""

import itertools

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.rtl.bench.chip_samples import (
    EVENT,
    LABEL,
    STEP_END,
    UNKNOWN_KIND,
    Sample,
    Transfer,
    event_data_bits,
    plain_transfers,
)
from flipcore.rtl.bench.chip_state import pack_state
from flipcore.sim.data import Dataset, Records, load_dataset
from flipcore.sim.encoding import encode_pixels, unpack_bitmaps
from flipcore.sim.engine import Engine
from flipcore.sim.layout import (
    ChipState,
    initial_state,
    momentum_values,
    store_momentum,
    store_weights,
    weight_bits,
)

# Of random samples, these shares are sent without a label, begun and lost in a reset, and sprinkled with what the chip has to ignore.
UNLABELLED, RESET, SPRINKLED = 0.25, 0.15, 0.4
LIKELY = 0.4  # of random labels
MIXTURES = (0.0, 0.05, 0.5, 0.95, 1.0)  # shares of ones among the weights of a neuron
MIXED = (0.3,) * len(
    MIXTURES
)  # of a Dirichlet distribution: often most neurons of a core have the same share
UNLABELLED_EVERY = 5  # of real samples
_SPRINKLES = 4  # ignored transfers of a sample, on average


def data_samples(
    chip: Chip, dataset_spec: str, number: int, seed: int, warm_up: int
) -> tuple[list[Sample], bytes]:
    """Samples of the training split in the order of the seed, and the state that the chip starts from.

    Args:
        chip: The chip that they are for.
        dataset_spec: As `flipcore simulate` takes it.
        number: Samples; every fifth comes without its label and is only classified.
        seed: Of weights and order.
        warm_up: So many samples are learnt in the simulator before, so that weights flip from the first sample on.

    Raises:
        InputError: The data set is missing or does not fit the chip.
    """
    dataset = load_dataset(dataset_spec, num_steps=chip.steps)
    if dataset.num_axons != chip.inputs or dataset.num_classes > chip.classes:
        raise InputError(
            f"{dataset_spec}: {dataset.num_axons} axons and {dataset.num_classes} classes, "
            f"{chip.name} takes {chip.inputs} and {chip.classes}"
        )
    engine = Engine(chip, seed)
    order = draws.sample_order(seed, 0, len(dataset.train))
    learnt, verified = order[:warm_up], order[warm_up : warm_up + number]
    if len(verified) < number:
        raise InputError(f"{dataset_spec}: has fewer than {warm_up + number} training samples")
    if warm_up:
        counts = EventCounts.zeros(len(chip.layers))
        engine.train(dataset.train.read(learnt), dataset.train.labels[learnt], counts)
    samples = _read_samples(chip, dataset, verified)
    return samples, pack_state(engine.state)


def _read_samples(chip: Chip, dataset: Dataset, indices: npt.NDArray[np.int64]) -> list[Sample]:
    records, labels = dataset.train.read(indices), dataset.train.labels[indices]
    events = _encode(chip, records)
    extra = records.merged if records.merged.size else np.zeros((len(labels), chip.steps), int)
    return [
        Sample.read(
            chip,
            plain_transfers(
                events[k], extra[k].tolist(), None if (k + 1) % UNLABELLED_EVERY == 0 else label
            ),
        )
        for k, label in enumerate(labels.tolist())
    ]


def _encode(chip: Chip, records: Records) -> list[list[list[int]]]:
    """Events of each step of each sample (N2)."""
    is_pixels = records.bitmaps.shape[1] == 0
    number = len(records.pixels) if is_pixels else len(records.bitmaps)
    axons = np.empty(number * chip.steps * chip.inputs + 1, np.int32)
    starts = np.empty(number * chip.steps + 1, np.int64)
    if is_pixels:
        encode_pixels(records.pixels, chip.steps, axons, starts)
    else:
        unpack_bitmaps(records.bitmaps, chip.inputs, axons, starts)
    steps = [axons[a:b].tolist() for a, b in itertools.pairwise(starts)]
    return [steps[k * chip.steps : (k + 1) * chip.steps] for k in range(number)]


def random_samples(chip: Chip, number: int, seed: int) -> tuple[list[Sample], bytes]:
    """Samples of random events in random order, some repeated, some steps empty, and a random state to start from, with weights of any mixture."""
    rng = np.random.default_rng(seed)
    state = initial_state(chip, seed)
    for c, core in enumerate(chip.layers):
        # With halves of ones and zeros alone no sum would come near its ends, and few neurons would spike.
        ones = rng.choice(MIXTURES, core.neurons, p=rng.dirichlet(MIXED))
        store_weights(state, chip, c, rng.random((core.axons, core.neurons)) < ones)
        _randomize_core(state, chip, c, rng)
    state.sample_counter = _counter(chip, rng)
    strongest = int(weight_bits(state, chip, len(chip.layers) - 1).sum(axis=0).argmax())
    samples = []
    for k in range(number):
        # The class with most weights of one is likely right, or no step would ever be without an error.
        label = strongest if rng.random() < LIKELY else int(rng.integers(chip.classes))
        known = None if rng.random() < UNLABELLED else label
        samples.append(_random_sample(chip, known, k > 0, rng))
    return samples, pack_state(state)


def even_samples(chip: Chip, number: int, seed: int) -> tuple[list[Sample], bytes]:
    """Random samples on initial weights, ones and zeros by halves: what energy is measured with (`rtl.characterize`)."""
    rng = np.random.default_rng(seed)
    samples = []
    for k in range(number):
        known = None if rng.random() < UNLABELLED else int(rng.integers(chip.classes))
        samples.append(_random_sample(chip, known, k > 0, rng))
    state = initial_state(chip, seed)
    for c in range(len(chip.layers)):
        _randomize_core(state, chip, c, rng)
    state.sample_counter = _counter(chip, rng)
    return samples, pack_state(state)


def _random_sample(
    chip: Chip, label: int | None, may_be_lost: bool, rng: np.random.Generator
) -> Sample:
    transfers = plain_transfers(_random_events(chip, rng), [0] * chip.steps, label)
    if rng.random() < SPRINKLED:
        transfers = _sprinkle(chip, transfers, rng)
    return Sample.read(chip, transfers, reset=may_be_lost and rng.random() < RESET)


def _random_events(chip: Chip, rng: np.random.Generator) -> list[list[int]]:
    """A fifth of the steps is empty, a fifth full; of the others each axon has an event with the same probability."""
    steps = []
    for _ in range(chip.steps):
        density = float(rng.choice([0.0, 1.0, *rng.random(3)]))
        axons = np.flatnonzero(rng.random(chip.inputs) < density)
        again = axons[rng.random(len(axons)) < 0.2]
        steps.append(rng.permutation(np.concatenate([axons, again])).tolist())
    return steps


def _sprinkle(chip: Chip, transfers: list[Transfer], rng: np.random.Generator) -> list[Transfer]:
    """Put in transfers that the chip takes and ignores, as far as the width of the data allows."""
    top = (1 << event_data_bits(chip)) - 1
    candidates: list[Transfer] = [(UNKNOWN_KIND, int(rng.integers(top + 1)))]
    candidates.append(
        (LABEL, int(rng.integers(chip.classes)))
    )  # out of place, unless it comes first
    if top >= chip.inputs:
        candidates.append((EVENT, int(rng.integers(chip.inputs, top + 1))))
    if top >= chip.classes:
        candidates.append((LABEL, int(rng.integers(chip.classes, top + 1))))
    sprinkled = list(transfers)
    for _ in range(int(rng.poisson(_SPRINKLES))):
        # Nothing follows the last mark: it would belong to the next sample.
        # Some go first, where a label is still in place.
        place = int(rng.integers(len(sprinkled))) if rng.random() < 0.7 else 0
        sprinkled.insert(place, candidates[rng.integers(len(candidates))])
    assert sprinkled[-1][0] == STEP_END
    return sprinkled


def _randomize_core(state: ChipState, chip: Chip, c: int, rng: np.random.Generator) -> None:
    """Momentum of any value, second moments of any size."""
    core = chip.layers[c]
    limit = core.momentum_limit
    shape = momentum_values(state, chip, c).shape
    store_momentum(state, chip, c, rng.integers(-limit, limit + 1, shape))
    if core.rule == "tbso":
        sizes = rng.integers(0, 33, chip.steps)
        state.second_moment[c] = (rng.random(chip.steps) * 2.0**sizes).astype(np.int64)


def _counter(chip: Chip, rng: np.random.Generator) -> int:
    """Samples counted: a few where their number matters."""
    matters = chip.schedule or any(core.decay == "scrub" for core in chip.layers)
    return int(rng.integers(0, 6)) if matters else _far_counter(rng)


def _far_counter(rng: np.random.Generator) -> int:
    """Any number below 2^31 that soon carries through some of its bits."""
    ones = (1 << int(rng.integers(1, 31))) - 1
    return (int(rng.integers(1 << 31)) | ones) - int(rng.integers(2))
