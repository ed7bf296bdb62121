"""Packed weights: what they hold, how they flip, and that they are restored bit by bit."""

import copy
import io

import pytest
import torch
from torch import nn

from flipcore.errors import InputError
from flipcore.training import momentum_store as module
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.momentum_store import FORMATS
from flipcore.training.packed_weight import PackedWeight

SHAPE = (3, 4, 3, 3)


def _signs(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def _learn(weight: PackedWeight, seed: int, keep_momentum: bool = True) -> None:
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    weight.learn(
        gradient, rate=0.1, peak=float(gradient.abs().max()), threshold=0.02,
        keep_momentum=keep_momentum,
    )  # fmt: skip


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_it_holds_one_bit_per_weight_and_the_format_s_bits_of_momentum(
    momentum_format: str,
) -> None:
    weight = PackedWeight(_signs((40, 16)), momentum_format, seed=1)
    bits = {"float32": 32, "bfloat16": 16, "int8": 8, "int4": 4}[momentum_format]
    weight.extend_second_moment(3)
    assert weight.state_bits() == {"weight": 640, "momentum": 640 * bits, "second_moment": 128}
    held = sum(buffer.nbytes for buffer in weight.buffers()) * 8
    assert held == 640 + 640 * bits
    assert sum(param.numel() for param in weight.parameters()) == 0
    assert torch.equal(weight.unpacked(), _signs((40, 16)))
    assert weight.unpacked(torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.parametrize("momentum_format", FORMATS)
@pytest.mark.parametrize("keep_momentum", [True, False])
def test_weights_flip_where_the_stored_momentum_agrees_beyond_the_threshold(
    momentum_format: str, keep_momentum: bool
) -> None:
    weight = PackedWeight(_signs(SHAPE), momentum_format, seed=1)
    flips = 0
    for seed in range(20):
        before = weight.unpacked()
        _learn(weight, seed, keep_momentum)
        after, momentum = weight.unpacked(), weight.momentum.values().view(SHAPE)
        flips += int((after != before).sum())
        # The levels may have been halved since the flips.
        doubt = getattr(weight.momentum, "scale", 0.0)
        if keep_momentum:
            assert (before * momentum > 0.02 - doubt)[after != before].all()
            assert (before * momentum <= 0.02 + doubt)[after == before].all()
        else:
            assert (momentum[after != before] == 0).all()
            assert (before * momentum <= 0.02 + doubt).all()
    assert flips > 100


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_chunks_of_any_size_flip_alike_up_to_the_draws(
    momentum_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PackedWeight(_signs((7, 23)), momentum_format, seed=1)
    chunked = PackedWeight(_signs((7, 23)), momentum_format, seed=1)
    for seed in range(10):
        monkeypatch.setattr(module, "CPU_CHUNK", 1 << 17)
        _learn(whole, seed)
        monkeypatch.setattr(module, "CPU_CHUNK", 16)
        _learn(chunked, seed)
    if momentum_format == "float32":
        assert torch.equal(whole.momentum.storage, chunked.momentum.storage)
        assert torch.equal(whole.bits, chunked.bits)
    agreeing = (whole.unpacked() == chunked.unpacked()).float().mean()
    assert agreeing > (0.5 if momentum_format == "int4" else 0.9)
    assert chunked.bits[-1] >> (161 % 8) == 0  # bits past the last weight stay 0


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_a_restored_weight_goes_on_bit_by_bit(momentum_format: str) -> None:
    weight = PackedWeight(_signs(SHAPE), momentum_format, seed=1)
    weight.extend_second_moment(2).fill_(5.0)
    for seed in range(5):
        _learn(weight, seed)
    file = io.BytesIO()
    torch.save(weight.state_dict(), file)
    file.seek(0)
    restored = PackedWeight(_signs(SHAPE, seed=9), momentum_format, seed=77)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for seed in range(5, 12):
        _learn(weight, seed)
        _learn(restored, seed)
    assert torch.equal(restored.bits, weight.bits)
    assert torch.equal(restored.momentum.storage, weight.momentum.storage)
    assert restored.second_moment.tolist() == [0.0, 0.0, 5.0]


def test_a_state_in_another_format_is_refused() -> None:
    saved = PackedWeight(_signs(SHAPE), "int4", seed=1).state_dict()
    with pytest.raises(InputError, match=r"^momentum_format='int8': the saved state is in 'int4'$"):
        PackedWeight(_signs(SHAPE), "int8", seed=1).load_state_dict(saved)


def test_weights_that_are_not_binary_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^weight: element 1 is 0\.0; a binary weight is -1 or \+1$"
    ):
        PackedWeight(torch.tensor([1.0, 0.0]), "int8", seed=1)


def test_casting_the_model_changes_neither_weights_nor_momentum() -> None:
    weight = PackedWeight(_signs(SHAPE), "float32", seed=1)
    _learn(weight, 1)
    before = weight.unpacked(), weight.momentum.values()
    nn.Sequential(weight).to(torch.bfloat16)
    assert torch.equal(weight.unpacked(), before[0])
    assert torch.equal(weight.momentum.values(), before[1])


def test_a_copy_of_the_model_shares_no_state_and_no_learner_of_its_own() -> None:
    weight = PackedWeight(_signs(SHAPE), "int8", seed=1)
    learner = FusedFlips([("w", weight)])
    assert weight.learner is learner
    twin = copy.deepcopy(weight)
    _learn(weight, 1)
    assert not torch.equal(twin.momentum.storage, weight.momentum.storage)
    with pytest.raises(InputError, match=r"^weight: not one of those that this FusedFlips learns$"):
        learner.learn(twin, torch.zeros(SHAPE))
    del learner
    assert weight.learner is None


def test_it_prints_its_shape_and_format() -> None:
    weight = PackedWeight(_signs(SHAPE), "int8", seed=1)
    assert "3x4x3x3, 108 weights, momentum int8" in repr(weight)


@pytest.mark.parametrize("columns", [16, 10])
def test_weighted_rows_are_the_product_with_the_matrix(columns: int) -> None:
    weight = PackedWeight(_signs((40, columns)), "int8", seed=1)
    spikes = (torch.arange(40) % 3 == 0).float()
    assert torch.equal(weight.weighted_rows(spikes), spikes @ weight.unpacked())


@pytest.mark.parametrize("keep_momentum", [False, True])
@pytest.mark.parametrize("columns", [16, 10])
def test_an_outer_product_is_learnt_as_the_whole_gradient_is(
    columns: int, keep_momentum: bool
) -> None:
    """Where every row has a gradient, compiled loops and tensors draw the same noise and must agree to the bit."""
    dice = torch.Generator().manual_seed(5)
    shape = (40, columns)
    whole, rowwise = (PackedWeight(_signs(shape), "int8", seed=1) for _ in range(2))
    before = whole.unpacked()
    flips = 0
    for _ in range(30):
        row_factor = torch.rand(40, generator=dice) + 0.01
        column_factor = torch.randn(columns, generator=dice)
        gradient = torch.outer(row_factor, column_factor)
        settings = {"rate": 0.1, "peak": float(gradient.abs().max()), "threshold": 0.05}
        whole.learn(gradient, keep_momentum=keep_momentum, **settings)
        rowwise.learn_outer(row_factor, column_factor, keep_momentum=keep_momentum, **settings)
        assert torch.equal(rowwise.bits, whole.bits)
        assert torch.equal(rowwise.momentum.values(), whole.momentum.values())
        flips += int((whole.unpacked() != before).sum())
    assert flips > 100


@pytest.mark.parametrize("keep_momentum", [False, True])
@pytest.mark.parametrize("shape", [(40, 60), (37, 33), (2, 3), (4, 3, 3, 3), (64, 1024)])
def test_compiled_loops_learn_what_tensors_learn(
    shape: tuple[int, ...], keep_momentum: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole pieces, and a rest that begins or ends within a byte."""
    dice = torch.Generator().manual_seed(6)
    compiled, tensors = (PackedWeight(_signs(shape), "int8", seed=1) for _ in range(2))
    before = compiled.unpacked()
    settings = {"rate": 0.1, "threshold": 0.05, "keep_momentum": keep_momentum}
    for update in range(12):
        gradient = torch.randn(shape, generator=dice) * (update > 0)
        peak = float(gradient.abs().max())
        compiled.learn(gradient.clone(), peak=peak, **settings)
        with monkeypatch.context() as patched:
            patched.setattr(PackedWeight, "_is_compiled", False)
            tensors.learn(gradient.clone(), peak=peak, **settings)
        assert torch.equal(compiled.bits, tensors.bits)
        assert torch.equal(compiled.momentum.storage, tensors.momentum.storage)
        assert compiled.momentum.scale == tensors.momentum.scale
    assert (compiled.unpacked() != before).any()


def test_rows_without_a_gradient_are_not_touched() -> None:
    weight = PackedWeight(_signs((40, 16)), "int8", seed=1)
    before = weight.unpacked()
    row_factor = torch.zeros(40)
    row_factor[7] = 1.0
    weight.learn_outer(
        row_factor, torch.ones(16), rate=0.5, peak=1.0, threshold=0.0, keep_momentum=True
    )
    momentum = weight.momentum.values().view(40, 16)
    assert (momentum[7] > 0.4).all()
    assert not momentum[torch.arange(40) != 7].any()
    assert torch.equal(weight.unpacked()[7], -torch.ones(16))
    assert torch.equal(weight.unpacked()[8], before[8])
