"""Momentum in few bits: layouts, rounding without bias, the scale's rules, and how well it tracks float32."""

import math

import pytest
import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training import momentum_store as module
from flipcore.training.momentum_store import (
    FORMATS,
    LEAST_SCALE,
    IntegerMomentum,
    MomentumStore,
    momentum_store,
)

BITS = {"float32": 32, "bfloat16": 16, "int8": 8, "int4": 4}


def _update(store: MomentumStore, gradient: Tensor, rate: float) -> None:
    store.begin(rate, float(gradient.abs().max()))
    for start, stop in store.chunks():
        store.write(start, stop, store.moved(start, stop, gradient[start:stop]))
    store.end()


def _integers(num_elements: int, bits: int, scale: float, levels: Tensor | int) -> IntegerMomentum:
    """A store that holds these levels."""
    store = momentum_store(num_elements, f"int{bits}", seed=5)
    assert isinstance(store, IntegerMomentum)
    store.scale = scale
    whole = torch.full((num_elements,), levels) if isinstance(levels, int) else levels
    for start, stop in store.chunks():
        store.write(start, stop, whole[start:stop].to(torch.int8))
    return store


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_the_storage_has_the_format_s_bits_per_element(momentum_format: str) -> None:
    store = momentum_store(1600, momentum_format, seed=1)
    assert 8 * store.storage.numel() == 1600 * BITS[momentum_format]
    assert store.values().tolist() == [0.0] * 1600


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 1000])
@pytest.mark.parametrize("chunk", [8, 1 << 17])
def test_int4_holds_every_level_at_every_place(
    size: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CPU_CHUNK", chunk)
    levels = torch.randint(-7, 8, (size,), generator=torch.Generator().manual_seed(size))
    store = _integers(size, 4, 0.5, levels)
    assert store.values().tolist() == (levels * 0.5).tolist()
    covered = [i for start, stop in store.chunks() for i in range(start, stop)]
    assert covered == list(range(size))
    assert all(start % 8 == 0 and stop - start <= chunk for start, stop in store.chunks())


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_is_stochastic_without_bias(bits: int) -> None:
    steps, size = 100, 2000
    for part in (0.003, 0.25, 0.5, 0.81, -0.37):
        total = 0
        store = _integers(size, bits, 1.0, 0)
        for _ in range(steps):
            store.begin(0.0, 0.0)
            total += int(store._rounded(torch.full((size,), 2 + part)).sum())
        # Elements of a chunk share a fine offset, so the deviation is bounded step by step:
        # binomial over all, plus the offset's 1/256 per step.
        draws = steps * size
        deviation = math.sqrt(abs(part) * (1 - abs(part)) / draws + 1 / (12 * 256**2 * steps))
        assert abs(total / draws - (2 + part)) < 5 * deviation


def test_rounding_takes_only_the_two_neighbours() -> None:
    store = _integers(100_000, 8, 1.0, 0)
    store.begin(0.0, 0.0)
    values = torch.linspace(-126.9, 126.9, 100_000)
    rounded = store._rounded(values.clone())
    assert ((rounded == values.floor()) | (rounded == values.ceil())).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_whole_levels_never_move_without_gradient(bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    levels = torch.arange(-limit, limit + 1).repeat(200)
    store = _integers(len(levels), bits, 1.0, levels)
    for _ in range(20):
        store.begin(0.0, 0.0)
        for start, stop in store.chunks():
            store.write(start, stop, store.moved(start, stop, torch.zeros(stop - start)))
    assert torch.equal(store.values(), levels.float())


def test_decay_multiplies_the_scale_alone() -> None:
    store = _integers(64, 8, 1.0, 100)
    before = store.storage.clone()
    for _ in range(30):
        _update(store, torch.zeros(64), 0.01)
    assert torch.equal(store.storage, before)
    assert store.scale == pytest.approx(0.99**30, rel=1e-12)
    assert store.values()[0].item() == pytest.approx(100 * 0.99**30)


def test_the_first_gradient_sets_the_scale_by_its_largest_addition() -> None:
    store = momentum_store(3, "int8", seed=1)
    assert isinstance(store, IntegerMomentum)
    _update(store, torch.zeros(3), 0.5)
    assert store.scale == 0
    assert store.in_levels(0.0) == 127  # nothing is beyond it
    store.begin(0.5, 4.0)
    assert store.scale == 0.5 * 4 / 127
    assert store.moved(0, 3, torch.tensor([4.0, -4.0, 0.0])).tolist() == [127, -127, 0]


def test_a_larger_gradient_doubles_the_scale_until_its_addition_fits() -> None:
    store = _integers(1000, 8, 1.0, 64)
    store.begin(0.5, 254 * 20.0)
    assert (
        store.scale == 0.5 * 64
    )  # 20 times 127 / 0.5 asks for five doublings at least, six after the decay
    levels = store.read(0, 1000)
    assert set(levels.tolist()) <= {1}


def test_too_many_saturated_levels_double_the_scale() -> None:
    for count, scale in ((15, 1.0), (16, 2.0)):
        levels = torch.full((960,), 50)
        levels[:count] = -127
        store = _integers(960, 8, 1.0, levels)
        store.begin(0.0, 0.0)
        store.end()
        assert store.scale == scale
        assert store.values()[-1] == 50
        assert abs(store.values()[0] + 127) <= 1


def test_halving_is_without_bias() -> None:
    store = _integers(100_000, 8, 1.0, 51)
    store.begin(0.0, 0.0)
    store._coarsen(2)
    assert store.scale == 4.0
    assert store.values().mean().item() == pytest.approx(51, abs=0.05)


def test_momentum_that_has_decayed_away_starts_afresh() -> None:
    store = _integers(16, 8, LEAST_SCALE, 100)
    _update(store, torch.full((16,), 8.0), 0.5)
    assert store.values().tolist() == pytest.approx([4.0] * 16, rel=1 / 127)
    _update(store, torch.full((16,), 2.0), 1.0)  # a rate of 1 keeps nothing
    assert store.values().tolist() == pytest.approx([2.0] * 16, rel=1 / 127)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0, 1.5, 1e9])
def test_levels_exceed_the_level_threshold_where_the_momentum_exceeds_the_threshold(
    threshold: float,
) -> None:
    levels = torch.arange(-127, 128)
    store = _integers(255, 8, 0.5, levels)
    limit = store.in_levels(threshold)
    assert ((levels > limit) == (store.values() > threshold)).all()
    assert ((levels < -limit) == (store.values() < -threshold)).all()


def test_bfloat16_is_rounded_without_bias_and_moves_at_small_rates() -> None:
    store = momentum_store(20_000, "bfloat16", seed=2)
    for _ in range(400):
        _update(store, torch.ones(20_000), 1e-3)
    exact = 1 - 0.999**400
    assert store.values().mean().item() == pytest.approx(exact, rel=1e-3)
    assert store.values().std().item() < 0.05 * exact


# Root mean square of the error over that of the momentum: the bounds are twice what was measured.
@pytest.mark.parametrize(
    ("momentum_format", "rate", "bound"),
    [("bfloat16", 1e-2, 0.04), ("int8", 1e-2, 0.25), ("int8", 1e-1, 0.1), ("int4", 1e-1, 1.0)],
)
def test_the_momentum_tracks_that_of_float32(
    momentum_format: str, rate: float, bound: float
) -> None:
    size = 4000
    generator = torch.Generator().manual_seed(9)
    drift = 0.02 * torch.randn(size, generator=generator)
    store, exact = momentum_store(size, momentum_format, 3), momentum_store(size, "float32", 3)
    for _ in range(int(5 / rate)):
        gradient = (drift + torch.randn(size, generator=generator)) * 1e-4
        _update(store, gradient, rate)
        _update(exact, gradient, rate)
    error = store.values() - exact.values()
    spread = exact.values().square().mean().sqrt()
    assert error.square().mean().sqrt() < bound * spread
    assert abs(error.mean()) < 0.05 * spread


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_draws_depend_on_seed_and_updates_alone(momentum_format: str) -> None:
    gradients = torch.randn(6, 50, generator=torch.Generator().manual_seed(1))
    first, again, other = (momentum_store(50, momentum_format, seed) for seed in (4, 4, 5))
    for gradient in gradients[:3]:
        for store in (first, again, other):
            _update(store, gradient, 0.1)
    assert torch.equal(first.storage, again.storage)
    assert torch.equal(first.storage, other.storage) == (momentum_format == "float32")
    restored = momentum_store(50, momentum_format, seed=99)
    restored.load_state_dict(first.state_dict())
    torch.rand(7)  # the global generator has no part in it
    for gradient in gradients[3:]:
        _update(first, gradient, 0.1)
        _update(restored, gradient, 0.1)
    assert torch.equal(first.values(), restored.values())


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_a_cast_of_the_model_leaves_the_momentum_alone(momentum_format: str) -> None:
    store = momentum_store(50, momentum_format, seed=4)
    _update(store, torch.randn(50), 0.1)
    before = store.values()
    assert torch.equal(store.to(torch.bfloat16).half().double().values(), before)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        momentum_store(5, "int2", seed=1)
    assert str(refusal.value) == (
        "momentum_format='int2': must be one of float32, bfloat16, int8, int4"
    )
