"""Which weights changed their sign, and in which epoch last: one comparison at the end of every epoch."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.sim.layout import ChipState, weight_bits

UInt16s = npt.NDArray[np.uint16]

MOST_EPOCHS = int(np.iinfo(np.uint16).max)  # both maps stay there; the ratios go on


@dataclass
class FlipMap:
    """What the ends of epochs found changed since their beginnings; a weight that flips and flips back is unchanged.

    Attributes:
        start: weights at the beginning of the epoch, as `ChipState.weights` holds them.
        last_epoch: uint16 [synapses], core after core, row after row: 1 + the last epoch that changed the sign, 0 for never, 65,535 for any later one.
        epochs_changed: uint16 [synapses], in how many epochs the sign changed; 65,535 for that many or more.
        changed: int64 [epochs, cores], weights changed in each epoch that has ended.
    """

    start: UInt16s
    last_epoch: UInt16s
    epochs_changed: UInt16s
    changed: npt.NDArray[np.int64]


def new_flip_map(chip: Chip, state: ChipState) -> FlipMap:
    """A map without epochs; the weights as they are begin the first."""
    synapses = sum(core.axons * core.neurons for core in chip.layers)
    return FlipMap(
        start=state.weights.copy(),
        last_epoch=np.zeros(synapses, np.uint16),
        epochs_changed=np.zeros(synapses, np.uint16),
        changed=np.zeros((0, len(chip.layers)), np.int64),
    )


def begin_epoch(flips: FlipMap, state: ChipState) -> None:
    """Compare with the weights as they are now from here on."""
    flips.start[:] = state.weights


def end_epoch(flips: FlipMap, chip: Chip, state: ChipState) -> float:
    """Note what changed since the epoch began; returns its flip ratio, 0 ... 1 of all weights.

    Source: pi of Liang et al. 2025 (AGMM), as `training.flip_ratio` has it.
    """
    epoch = min(len(flips.changed) + 1, MOST_EPOCHS)
    changed = []
    for c in range(len(chip.layers)):
        is_changed = changed_weights(flips.start, state, chip, c)
        last_epoch = _of_core(flips.last_epoch, chip, c)
        last_epoch[is_changed] = epoch
        epochs_changed = _of_core(flips.epochs_changed, chip, c)
        epochs_changed += is_changed & (epochs_changed < MOST_EPOCHS)
        changed.append(int(np.count_nonzero(is_changed)))
    flips.changed = np.vstack([flips.changed, np.array(changed, np.int64)])
    return sum(changed) / len(flips.last_epoch)


def changed_weights(before: UInt16s, state: ChipState, chip: Chip, c: int) -> npt.NDArray[np.bool_]:
    """Weights of core c that are not as in `before`, laid out as `ChipState.weights`; bool [axons, neurons]."""
    return weight_bits(replace(state, weights=state.weights ^ before), chip, c)


def flip_arrays(flips: FlipMap, chip: Chip) -> dict[str, npt.NDArray[np.uint16 | np.float64]]:
    """The map by core: `last_epoch_c` and `epochs_changed_c`, uint16 [axons, neurons], and `flip_ratio`, float64 [epochs, cores]."""
    arrays: dict[str, npt.NDArray[np.uint16 | np.float64]] = {}
    for c in range(len(chip.layers)):
        arrays[f"last_epoch_{c}"] = _of_core(flips.last_epoch, chip, c)
        arrays[f"epochs_changed_{c}"] = _of_core(flips.epochs_changed, chip, c)
    sizes = np.array([core.axons * core.neurons for core in chip.layers])
    arrays["flip_ratio"] = flips.changed / sizes
    return arrays


def _of_core(values: UInt16s, chip: Chip, c: int) -> UInt16s:
    """A view of one core's synapses, [axons, neurons]."""
    start = sum(core.axons * core.neurons for core in chip.layers[:c])
    core = chip.layers[c]
    return values[start : start + core.axons * core.neurons].reshape(core.axons, core.neurons)
