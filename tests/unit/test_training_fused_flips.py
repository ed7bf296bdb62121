"""Learning within the backward pass: the dense rules on packed weights, refusals, memory, several ranks."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training import flip_rules, momentum_store
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.momentum_store import FORMATS
from flipcore.training.optimizers import BSO, TBSO, Bop, FlipOptimizer
from flipcore.training.packed_weight import PackedWeight
from tests import training_ranks

SHAPE = (16, 9, 3, 3)


def _signs(seed: int = 0) -> Tensor:
    return torch.randint(0, 2, SHAPE, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def _weight(momentum_format: str = "int8") -> PackedWeight:
    return PackedWeight(_signs(), momentum_format, seed=1)


@pytest.mark.parametrize(("rule", "kind"), [("bso", BSO), ("tbso", TBSO), ("bop", Bop)])
@pytest.mark.parametrize("policy", ["keep", "reset"])
def test_float32_flips_exactly_as_the_dense_optimizer(
    rule: str, kind: type[FlipOptimizer], policy: str
) -> None:
    settings: dict[str, Any] = {"lr": 0.1, "gamma": 0.02}
    if rule != "bop":
        settings["momentum_at_flip"] = policy
    dense = nn.Parameter(_signs())
    optimizer = kind([dense], **settings)
    weight = _weight("float32")
    learner = FusedFlips([("w", weight)], rule=rule, **settings)
    generator = torch.Generator().manual_seed(5)
    flips = 0
    for number in range(40):
        before = dense.detach().clone()
        dense.grad = torch.randn(SHAPE, generator=generator)
        optimizer.time_step = learner.time_step = number % 3
        optimizer.step()
        learner.learn(weight, dense.grad)
        flips += int((dense != before).sum())
        assert torch.equal(weight.unpacked(), dense)
    momentum = optimizer.state[dense]["momentum"].flatten()
    assert torch.equal(weight.momentum.values(), momentum)
    assert flips > 1000
    if rule == "tbso":
        assert torch.equal(weight.second_moment, optimizer.state[dense]["second_moment"])


def test_int8_flips_nearly_as_the_dense_optimizer() -> None:
    dense = nn.Parameter(_signs())
    optimizer = TBSO([dense], lr=0.01, gamma=5e-7)
    weight = _weight("int8")
    learner = FusedFlips([("w", weight)], lr=0.01)
    generator = torch.Generator().manual_seed(5)
    drift = torch.randn(SHAPE, generator=generator) * 0.1
    for _ in range(300):
        dense.grad = (torch.randn(SHAPE, generator=generator) + drift) * 1e-4
        optimizer.step()
        learner.learn(weight, dense.grad)
    assert (weight.unpacked() == dense).float().mean() > 0.95


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_gradients_of_other_types_are_read_as_float32(dtype: torch.dtype) -> None:
    first, second = _weight("float32"), _weight("float32")
    learner = FusedFlips([("a", first), ("b", second)], lr=0.1, gamma=0.01)
    gradient = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2)).to(dtype)
    learner.learn(first, gradient)
    learner.learn(second, gradient.float())
    assert torch.equal(first.bits, second.bits)
    assert torch.equal(first.momentum.storage, second.momentum.storage)


def test_a_gradient_in_another_memory_layout_belongs_to_the_same_weights() -> None:
    first, second = _weight(), _weight()
    learner = FusedFlips([("a", first), ("b", second)], lr=0.1, gamma=0.01)
    gradient = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))
    learner.learn(first, gradient.to(memory_format=torch.channels_last))
    learner.learn(second, gradient)
    assert torch.equal(first.bits, second.bits)


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("rule", ["bso", "tbso"])
def test_a_gradient_that_is_not_finite_is_refused_before_anything_changes(
    value: float, rule: str
) -> None:
    weight = _weight()
    learner = FusedFlips([("features.3", weight)], rule=rule)
    gradient = torch.ones(SHAPE)
    learner.learn(weight, gradient)
    before = {key: str(entry) for key, entry in weight.state_dict().items()}
    gradient[3, 2, 1, 0] = value
    with pytest.raises(InputError) as refusal:
        learner.learn(weight, gradient)
    assert str(refusal.value).startswith(
        "layer features.3, gradient: a value is infinite, not a number or beyond 2**63"
    )
    assert {key: str(entry) for key, entry in weight.state_dict().items()} == before


def test_a_gradient_of_another_shape_is_refused() -> None:
    weight = _weight()
    learner = FusedFlips([("conv", weight)])
    with pytest.raises(InputError) as refusal:
        learner.learn(weight, torch.zeros(9, 16, 3, 3))
    assert str(refusal.value) == (
        "layer conv, gradient: shape (9, 16, 3, 3) for a weight of (16, 9, 3, 3)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "sgd"}, "rule='sgd': must be one of bso, tbso, bop"),
        ({"lr": 2.0}, "lr=2.0: must be 0 ... 1"),
        ({"momentum_at_flip": "drop"}, "momentum_at_flip='drop': must be one of keep, reset"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        FusedFlips([("w", _weight())], **settings)
    assert str(refusal.value) == message


def test_no_weights_are_refused() -> None:
    with pytest.raises(InputError, match=r"^weights: there are none$"):
        FusedFlips([])


def test_it_is_an_optimizer_whose_state_dict_holds_the_settings() -> None:
    weight = _weight()
    learner = FusedFlips([("w", weight)], lr=0.1, gamma=0.5)
    assert learner.param_groups[0]["params"][0] is weight.anchor
    assert learner.param_groups[0]["param_names"] == ["w"]
    scheduler = torch.optim.lr_scheduler.StepLR(learner, 1, gamma=0.5)
    assert learner.step() is None
    assert learner.step(lambda: 3.0) == 3.0
    scheduler.step()
    assert learner.param_groups[0]["lr"] == 0.05
    other = FusedFlips([("w", _weight())])
    other.load_state_dict(learner.state_dict())
    assert (other.param_groups[0]["lr"], other.param_groups[0]["gamma"]) == (0.05, 0.5)
    other.zero_grad()


@pytest.mark.parametrize("momentum_format", FORMATS)
def test_temporaries_do_not_grow_with_the_layer(
    momentum_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(momentum_store, "CPU_CHUNK", 1 << 10)
    monkeypatch.setattr(momentum_store, "SATURATION_SAMPLE", 1 << 10)
    monkeypatch.setattr(flip_rules, "_SQUARE_CHUNK", 1 << 10)
    largest = []
    for rows in (32, 256):
        weight = PackedWeight(torch.ones(rows, 128), momentum_format, seed=1)
        learner = FusedFlips([("w", weight)], momentum_at_flip="reset")
        gradient = torch.randn(rows, 128)
        learner.learn(weight, gradient)
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profile:
            learner.learn(weight, gradient)
        largest.append(max(event.self_cpu_memory_usage for event in profile.events()))
    assert 0 < largest[1] == largest[0] <= 8 * (1 << 10)


@pytest.mark.slow  # two processes that import torch
def test_two_ranks_learn_from_the_mean_gradient_and_flip_alike(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(training_ranks.learn, (2, tmp_path, FORMATS), nprocs=2)
    first, second = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)
    )
    for momentum_format in FORMATS:
        mine, other = first[momentum_format], second[momentum_format]
        assert torch.equal(mine["bits"], other["bits"])
        assert torch.equal(mine["momentum.storage"], other["momentum.storage"])
        alone = training_ranks.packed(momentum_format)
        learner = FusedFlips([("w", alone)], rule="tbso", lr=0.1, gamma=0.01)
        for mean in (training_ranks.gradients(0) + training_ranks.gradients(1)) / 2:
            learner.learn(alone, mean)
        assert torch.equal(mine["bits"], alone.bits)
        assert 0 < int((alone.unpacked() < 0).sum()) < alone.unpacked().numel()


@pytest.mark.parametrize("rule", ["bso", "tbso"])
def test_a_single_sample_moves_scale_and_second_moment_as_the_whole_gradient_does(
    rule: str,
) -> None:
    weights = [PackedWeight(torch.ones(32, 16), "int8", seed=1) for _ in range(2)]
    learners = [
        FusedFlips([("w", weight)], rule, lr=0.1, gamma=0.5, square_rate=0.5) for weight in weights
    ]
    dice = torch.Generator().manual_seed(3)
    for _ in range(20):
        trace = torch.rand(32, generator=dice) * (torch.rand(32, generator=dice) < 0.5)
        error = torch.randn(16, generator=dice)
        assert learners[0].learns_outer(weights[0])
        learners[0].learn_outer(weights[0], trace, error)
        learners[1].learn(weights[1], torch.outer(trace, error))
    assert weights[0].momentum.scale == pytest.approx(weights[1].momentum.scale, rel=1e-5)
    assert torch.allclose(weights[0].second_moment, weights[1].second_moment, rtol=1e-5)
    # Both round the same stream by chance: no more than two levels apart in the mean.
    apart = (weights[0].momentum.values() - weights[1].momentum.values()).abs().mean()
    assert apart < 2 * weights[0].momentum.scale


def test_a_single_sample_with_a_wild_trace_is_refused() -> None:
    weight = PackedWeight(torch.ones(32, 16), "int8", seed=1)
    learner = FusedFlips([("w", weight)])
    with pytest.raises(InputError) as caught:
        learner.learn_outer(weight, torch.full((32,), float("nan")), torch.ones(16))
    assert str(caught.value).startswith("layer w, gradient: ")


def test_formats_that_must_visit_every_element_take_the_whole_gradient() -> None:
    for momentum_format in ("float32", "bfloat16", "int4"):
        weight = PackedWeight(torch.ones(32, 16), momentum_format, seed=1)
        assert not FusedFlips([("w", weight)]).learns_outer(weight)
    kernel = PackedWeight(torch.ones(4, 3, 3, 3), "int8", seed=1)
    assert not FusedFlips([("w", kernel)]).learns_outer(kernel)
