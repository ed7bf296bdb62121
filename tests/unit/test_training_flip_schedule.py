"""The published annealing."""

import pytest
import torch
from torch import nn

from flipcore.errors import InputError
from flipcore.training.flip_schedule import FlipSchedule
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.optimizers import TBSO
from flipcore.training.packed_weight import PackedWeight


def _optimizer() -> TBSO:
    return TBSO([nn.Parameter(torch.ones(3))])


def test_rate_and_threshold_fall_to_a_tenth_every_fifty_epochs_and_the_square_rate_stays() -> None:
    optimizer = _optimizer()
    schedule = FlipSchedule(optimizer)
    seen = []
    for _ in range(120):
        optimizer.step()
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["gamma"]))
        schedule.step()
    assert seen[0] == seen[49] == (1e-3, 5e-7)
    assert seen[50] == seen[99] == pytest.approx((1e-4, 5e-8))
    assert seen[100] == seen[119] == pytest.approx((1e-5, 5e-9))
    assert optimizer.param_groups[0]["square_rate"] == 1e-5


def test_groups_without_threshold_have_their_rate_alone_annealed() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=0.5)
    schedule = FlipSchedule(optimizer, every_epochs=1, factor=0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert "gamma" not in optimizer.param_groups[0]


def test_a_restored_schedule_goes_on() -> None:
    optimizer = _optimizer()
    schedule = FlipSchedule(optimizer, every_epochs=3)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    other = _optimizer()
    restored = FlipSchedule(other, every_epochs=99)
    restored.load_state_dict(schedule.state_dict())
    other.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        for each, its in ((optimizer, schedule), (other, restored)):
            each.step()
            its.step()
    assert other.param_groups[0]["gamma"] == optimizer.param_groups[0]["gamma"]
    assert other.param_groups[0]["gamma"] == pytest.approx(5e-9)
    assert restored.get_last_lr() == pytest.approx([1e-5])


def test_packed_weights_follow_it_too() -> None:
    learner = FusedFlips([("w", PackedWeight(torch.ones(4), "int8", 1))])
    schedule = FlipSchedule(learner, every_epochs=1)
    learner.step()
    schedule.step()
    assert learner.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert learner.param_groups[0]["gamma"] == pytest.approx(5e-8)


def test_a_rate_in_a_tensor_is_annealed_in_place() -> None:
    rate = torch.tensor(0.5)
    optimizer = TBSO([nn.Parameter(torch.ones(3))], lr=rate)
    schedule = FlipSchedule(optimizer, every_epochs=1, factor=0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


@pytest.mark.parametrize(
    ("every_epochs", "factor", "message"),
    [
        (0, 0.1, "every_epochs=0: must be at least 1"),
        (5, 0.0, "factor=0.0: must be above 0 and at most 1"),
        (5, 1.5, "factor=1.5: must be above 0 and at most 1"),
        (5, float("nan"), "factor=nan: must be above 0 and at most 1"),
    ],
)
def test_settings_out_of_range_are_refused(every_epochs: int, factor: float, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        FlipSchedule(_optimizer(), every_epochs, factor)
    assert str(refusal.value) == message
