"""The map of flips against its definition: signs at the ends of epochs, kept neuron by neuron."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.sim import flip_map
from flipcore.sim.flip_map import (
    begin_epoch,
    changed_weights,
    end_epoch,
    flip_arrays,
    new_flip_map,
)
from flipcore.sim.layout import ChipState, initial_state, store_weights, weight_bits

Bits = list[npt.NDArray[np.bool_]]


def chip_of(*neurons: int, inputs: int = 5, lanes: int = 3) -> Chip:
    document: dict[str, Any] = {
        "name": "flips",
        "inputs": inputs,
        "core": {"lanes": lanes},
        "layers": [{"neurons": count} for count in neurons],
    }
    return parse_chip(document, "flips")


def put(state: ChipState, chip: Chip, bits: Bits) -> None:
    for c, core_bits in enumerate(bits):
        store_weights(state, chip, c, core_bits)


def bits_of(state: ChipState, chip: Chip) -> Bits:
    return [weight_bits(state, chip, c) for c in range(len(chip.layers))]


@settings(max_examples=40)
@given(
    neurons=st.sampled_from([(2,), (1, 2), (7, 3), (18, 4, 2)]),
    lanes=st.sampled_from([1, 3, 16, 20]),
    epochs=st.integers(0, 4),
    seed=st.integers(0, 2**32),
)
def test_the_map_is_its_definition(
    neurons: tuple[int, ...], lanes: int, epochs: int, seed: int
) -> None:
    chip = chip_of(*neurons, lanes=lanes)
    dice = np.random.default_rng(seed)
    state = initial_state(chip, 0)
    flips = new_flip_map(chip, state)
    ends = [bits_of(state, chip)]
    ratios = []
    for _ in range(epochs):
        begin_epoch(flips, state)
        put(state, chip, [bits ^ (dice.random(bits.shape) < 0.3) for bits in ends[-1]])
        ratios.append(end_epoch(flips, chip, state))
        ends.append(bits_of(state, chip))
    arrays = flip_arrays(flips, chip)
    changes = [
        np.array([after[c] != before[c] for before, after in itertools.pairwise(ends)])
        for c in range(len(neurons))
    ]
    for c, changed in enumerate(changes):
        changed = changed.reshape(epochs, *ends[0][c].shape)
        numbers = np.arange(1, epochs + 1)[:, None, None]
        last = np.max(changed * numbers, axis=0, initial=0)
        np.testing.assert_array_equal(arrays[f"last_epoch_{c}"], last)
        np.testing.assert_array_equal(arrays[f"epochs_changed_{c}"], changed.sum(0))
        np.testing.assert_array_equal(arrays["flip_ratio"][:, c], changed.mean((1, 2)))
    assert arrays["flip_ratio"].shape == (epochs, len(neurons))
    sizes = sum(bits.size for bits in ends[0])
    counted = [sum(int(np.sum(changed[e])) for changed in changes) for e in range(epochs)]
    assert ratios == [count / sizes for count in counted]


def test_a_weight_that_flips_back_within_an_epoch_is_unchanged() -> None:
    chip = chip_of(4)
    state = initial_state(chip, 0)
    flips = new_flip_map(chip, state)
    before = bits_of(state, chip)
    put(state, chip, [~before[0]])
    assert changed_weights(flips.start, state, chip, 0).all()
    put(state, chip, before)
    assert end_epoch(flips, chip, state) == 0.0
    assert not flips.last_epoch.any()


def test_the_flip_ratio_is_that_of_software() -> None:
    """The meter of training, on latent weights of the same signs."""
    torch = pytest.importorskip("torch")
    from flipcore.training.flip_ratio import FlipMeter
    from flipcore.training.mlp import mlp
    from flipcore.training.network_spec import NetworkSpec

    chip = chip_of(7, 3)
    model = mlp((5, 7, 3), thresholds=(2,), spec=NetworkSpec(kind="latent"))
    state = initial_state(chip, 0)

    def copy_to_software() -> None:
        with torch.no_grad():
            for layer, bits in zip(model.layers, bits_of(state, chip), strict=True):
                layer.weight.copy_(torch.from_numpy(2.0 * bits.T - 1))

    copy_to_software()
    flips, meter = new_flip_map(chip, state), FlipMeter(model)
    other = initial_state(chip, 1)
    state.weights[:] = other.weights
    copy_to_software()
    ratio = end_epoch(flips, chip, state)
    assert 0 < ratio == meter.ratio().total
    layers = list(meter.ratio().layers.values())
    assert flip_arrays(flips, chip)["flip_ratio"].tolist() == [layers]


def test_beyond_the_last_number_the_maps_stay_and_the_ratios_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flip_map, "MOST_EPOCHS", 3)
    chip = chip_of(4)
    state = initial_state(chip, 0)
    flips = new_flip_map(chip, state)
    for _ in range(5):
        begin_epoch(flips, state)
        put(state, chip, [~bits_of(state, chip)[0]])
        assert end_epoch(flips, chip, state) == 1.0
    assert set(flips.last_epoch) == set(flips.epochs_changed) == {3}
    assert len(flips.changed) == 5


def test_the_largest_number_fits_its_type() -> None:
    chip = chip_of(2)
    state = initial_state(chip, 0)
    flips = new_flip_map(chip, state)
    flips.epochs_changed[:] = flip_map.MOST_EPOCHS
    flips.changed = np.zeros((flip_map.MOST_EPOCHS + 7, 1), np.int64)
    put(state, chip, [~bits_of(state, chip)[0]])
    end_epoch(flips, chip, state)
    assert set(flips.last_epoch) == set(flips.epochs_changed) == {65535}
