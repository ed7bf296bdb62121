"""The published rules on dense tensors."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training.flip_rules import (
    bop_step_,
    bso_step_,
    check_settings,
    mean_square,
    refuse_wild_gradient,
    tbso_step_,
)
from tests.training_oracle import mean_of_squares

F32 = np.float32


def test_bso_by_hand() -> None:
    weight = torch.tensor([1.0, 1.0, -1.0, -1.0])
    momentum = torch.tensor([4.0, 1.0, 4.0, -4.0])
    bso_step_(
        weight,
        momentum,
        torch.tensor([0.0, 2.0, 0.0, -8.0]),
        rate=0.5,
        gamma=1.5,
        keep_momentum=True,
    )
    assert momentum.tolist() == [2.0, 1.5, 2.0, -6.0]
    assert weight.tolist() == [-1.0, 1.0, -1.0, 1.0]  # the second is at the threshold, not beyond


def test_a_flip_resets_its_own_momentum_alone() -> None:
    weight, momentum = torch.tensor([1.0, 1.0, -1.0]), torch.tensor([4.0, 1.0, -4.0])
    bso_step_(weight, momentum, torch.zeros(3), rate=0.5, gamma=1.0, keep_momentum=False)
    assert weight.tolist() == [-1.0, 1.0, 1.0]
    assert momentum.tolist() == [0.0, 0.5, 0.0]


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 1e-3])
def test_a_momentum_of_zero_neither_flips_nor_locks(zero: float, keep: bool, gamma: float) -> None:
    weight, momentum = torch.tensor([1.0, -1.0]), torch.tensor([zero, zero])
    step: dict[str, Any] = {"rate": 0.5, "gamma": gamma, "keep_momentum": keep}
    bso_step_(weight, momentum, torch.tensor([zero, zero]), **step)
    assert weight.tolist() == [1.0, -1.0]
    bso_step_(weight, momentum, torch.tensor([1.0, -1.0]), **step)
    assert weight.tolist() == [-1.0, 1.0]
    bso_step_(weight, momentum, torch.tensor([-9.0, 9.0]), **step)
    assert weight.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("rate", [1e-3, 1e-4, 1e-8, 0.3])
def test_the_moving_average_rounds_each_product_and_the_sum(rate: float) -> None:
    generator = torch.Generator().manual_seed(3)
    old, gradient = torch.randn(5000, generator=generator), torch.randn(5000, generator=generator)
    momentum = old.clone()
    bso_step_(torch.ones(5000), momentum, gradient, rate=rate, gamma=9.0, keep_momentum=True)
    expected = old.numpy() * F32(1 - rate) + gradient.numpy() * F32(rate)
    assert momentum.numpy().tobytes() == expected.tobytes()


def test_subnormal_momentum_is_kept() -> None:
    momentum, weight = torch.tensor([1e-40]), torch.tensor([1.0])
    bso_step_(weight, momentum, torch.zeros(1), rate=0.5, gamma=0.0, keep_momentum=True)
    assert momentum.item() == F32(1e-40) * F32(0.5) > 0
    assert weight.item() == -1.0


def test_tbso_s_threshold_is_gamma_times_the_root_of_the_second_moment() -> None:
    weight, momentum = torch.tensor([1.0, 1.0]), torch.zeros(2)
    second_moment = torch.tensor(8.0)
    tbso_step_(
        weight, momentum, second_moment, torch.tensor([12.0, 16.0]),
        rate=0.5, square_rate=0.25, gamma=0.78125, epsilon=8.0, keep_momentum=True,
    )  # fmt: skip
    assert second_moment.item() == 0.75 * 8 + 0.25 * (144 + 256) / 2  # 56
    assert momentum.tolist() == [6.0, 8.0]
    # sqrt(56 + 8) gamma = 6.25; without epsilon it would be 5.85.
    assert weight.tolist() == [1.0, -1.0]


def test_bop_keeps_the_momentum_and_is_bso() -> None:
    gradients = torch.randn(20, 50, generator=torch.Generator().manual_seed(4))
    states: list[tuple[Tensor, Tensor]] = [(torch.ones(50), torch.zeros(50)) for _ in range(2)]
    for gradient in gradients:
        bop_step_(*states[0], gradient, rate=0.1, gamma=0.02)
        bso_step_(*states[1], gradient, rate=0.1, gamma=0.02, keep_momentum=True)
    assert torch.equal(states[0][0], states[1][0])
    assert torch.equal(states[0][1], states[1][1])
    assert 0 < (states[0][0] < 0).sum() < 50


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_the_mean_square_is_the_exact_one_rounded_once(size: int) -> None:
    gradient = torch.randn(size, generator=torch.Generator().manual_seed(size)) * 1e-3
    assert mean_square(gradient).item() == mean_of_squares(gradient.numpy())


def test_the_mean_square_of_tiny_and_huge_gradients() -> None:
    assert mean_square(torch.full((3,), 2.0**-70)).item() == 2.0**-140
    assert mean_square(torch.full((3,), 2.0**63)).item() == 2.0**126


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": -0.1}, "group 1, lr=-0.1: must be 0 ... 1"),
        ({"lr": float("nan")}, "group 1, lr=nan: must be 0 ... 1"),
        ({"square_rate": 1.5}, "group 1, square_rate=1.5: must be 0 ... 1"),
        ({"gamma": -1e-9}, "group 1, gamma=-1e-09: must be finite and not below 0"),
        ({"gamma": math.inf}, "group 1, gamma=inf: must be finite and not below 0"),
        ({"epsilon": -1.0}, "group 1, epsilon=-1.0: must be finite and not below 0"),
        (
            {"momentum_at_flip": "zero"},
            "group 1, momentum_at_flip='zero': must be one of keep, reset",
        ),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, Any], message: str) -> None:
    good = {
        "lr": 1e-3,
        "gamma": 0.0,
        "square_rate": 1.0,
        "epsilon": 0.0,
        "momentum_at_flip": "keep",
    }
    check_settings(good, "group 1, ")
    with pytest.raises(InputError) as refusal:
        check_settings(good | changed, "group 1, ")
    assert str(refusal.value) == message


@pytest.mark.parametrize("peak", [math.inf, math.nan, 2.0**64])
def test_wild_gradients_are_refused(peak: float) -> None:
    refuse_wild_gradient(2.0**63, "layer fc")
    with pytest.raises(InputError) as refusal:
        refuse_wild_gradient(peak, "layer fc")
    assert str(refusal.value) == (
        f"layer fc, gradient: a value is infinite, not a number or beyond 2**63 (largest {peak})"
    )
