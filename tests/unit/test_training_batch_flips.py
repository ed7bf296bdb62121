"""Packed weights that learn once per batch: one step of the rule, on the sum of the gradients."""

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.batch_flips import BatchFlips
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.packed_weight import PackedWeight

SHAPE = (6, 16)
SETTINGS = {"rule": "bop", "lr": 0.1, "gamma": 0.05}


def weight() -> PackedWeight:
    return PackedWeight(torch.ones(SHAPE), "float32", seed=0)


def gradients(count: int) -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(1)
    return [torch.randn(SHAPE, generator=dice) for _ in range(count)]


def test_one_step_learns_the_sum_of_the_gradients() -> None:
    batched, whole = weight(), weight()
    batch_flips = BatchFlips([("w", batched)], **SETTINGS)
    at_once = FusedFlips([("w", whole)], **SETTINGS)
    for batch in range(5):
        parts = gradients(3)
        before = batched.bits.clone()
        for part in parts:
            batch_flips.learn(batched, part)
        assert torch.equal(batched.bits, before), batch
        batch_flips.step()
        at_once.learn(whole, parts[0] + parts[1] + parts[2])
        assert torch.equal(batched.bits, whole.bits)
        assert torch.equal(batched.momentum.storage, whole.momentum.storage)
    assert bool((batched.unpacked() < 0).any())


def test_nothing_is_kept_from_batch_to_batch() -> None:
    one = weight()
    flips = BatchFlips([("w", one)], **SETTINGS)
    flips.learn(one, torch.ones(SHAPE))
    flips.step()
    assert flips.state_dict()["state"] == {}
    updates = one.momentum.updates
    flips.step()
    assert one.momentum.updates == updates


def test_the_gradient_given_is_not_the_one_kept() -> None:
    one = weight()
    flips = BatchFlips([("w", one)], **SETTINGS)
    given = torch.ones(SHAPE)
    flips.learn(one, given)
    flips.learn(one, given)
    assert bool((given == 1).all())


def test_backward_passes_never_learn_outer_products() -> None:
    one = PackedWeight(torch.ones(SHAPE), "int8", seed=0)
    assert FusedFlips([("w", one)], **SETTINGS).learns_outer(one)
    assert not BatchFlips([("w", one)], **SETTINGS).learns_outer(one)


def test_bad_gradients_and_weights_are_refused() -> None:
    one = weight()
    flips = BatchFlips([("w", one)], **SETTINGS)
    flips.learn(one, torch.full(SHAPE, float("nan")))
    with pytest.raises(InputError, match=r"^layer w, gradient: .*nan"):
        flips.step()
    with pytest.raises(InputError, match="weight: not one of those that this FusedFlips learns"):
        flips.learn(weight(), torch.ones(SHAPE))
