"""Widths of the flip unit hold every value that the SPEC's arithmetic can produce."""

from dataclasses import replace

import numpy as np
import pytest

from flipcore import numerics
from flipcore.chip import Core
from flipcore.rtl.flip_unit import FlipUnit

UNIT = FlipUnit.of(Core(axons=1, neurons=1, max_gradient_shift=9))


def test_a_chip_description_fits_the_flip_unit() -> None:
    assert UNIT.lanes == 16
    assert UNIT.flip_threshold_value == 100  # `auto` resolved
    assert UNIT.momentum_limit == 127


@pytest.mark.parametrize("rounding", ["stochastic", "nearest", "floor"])
@pytest.mark.parametrize("trace_bits", [1, 3])
@pytest.mark.parametrize("shifts", [(0, 0), (1, 1), (2, 5), (7, 7), (9, 9), (0, 12)])
def test_rounded_gradients_fit_their_width(
    rounding: str, trace_bits: int, shifts: tuple[int, int]
) -> None:
    unit = replace(
        UNIT,
        trace_bits=trace_bits,
        error_bits=4,
        rounding=rounding,
        gradient_shift=shifts[0],
        max_gradient_shift=shifts[1],
    )
    trace = np.arange(1 << trace_bits)[:, None]
    gradient = trace * np.arange(-8, 8)
    bound = 1 << (unit.rounded_bits - 1)
    for shift in range(shifts[0], shifts[1] + 1):
        mask = numerics.noise_mask(shift)
        noises = {
            "stochastic": (0, mask),
            "nearest": (numerics.nearest_noise(shift),),
            "floor": (0,),
        }
        for noise in noises[rounding]:
            rounded = numerics.round_gradient(gradient, noise, shift)
            assert rounded.min() >= -bound
            assert rounded.max() < bound
    assert unit.sum_bits == unit.rounded_bits + unit.gradient_shift


@pytest.mark.parametrize(
    ("changes", "generators"),
    [
        ({}, 1),
        ({"random_source": "per_lane"}, 16),
        ({"random_source": "per_lane", "rounding": "nearest"}, 0),
        ({"rounding": "floor"}, 0),
        ({"gradient_shift": 0, "max_gradient_shift": 0}, 1),  # R6: drawn if s = 0, too
        ({"gradient_shift": 0, "max_gradient_shift": 1}, 1),
    ],
)
def test_generators_exist_where_something_is_drawn(
    changes: dict[str, object], generators: int
) -> None:
    assert replace(UNIT, **changes).generators == generators


@pytest.mark.parametrize(("largest", "bits"), [(9, 0), (10, 1), (11, 2), (12, 2), (24, 4)])
def test_the_schedule_needs_a_port_as_wide_as_its_largest_addition(largest: int, bits: int) -> None:
    assert replace(UNIT, max_gradient_shift=largest).shift_add_bits == bits
