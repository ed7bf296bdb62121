"""flipcore.numerics: what holds for any integers, and that it is written with operators alone."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipcore import numerics

UINT32 = st.integers(0, 2**32 - 1)
INT48 = st.integers(-(2**47), 2**47)


@given(st.integers(1, 2**20), st.data())
def test_restoring_division_is_division(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    assert numerics.divide_unit(part, whole) == 64 * part // whole


@given(st.one_of(UINT32, st.integers(0, 2**16 - 1).map(lambda root: root * root)))
def test_square_root_is_the_integer_square_root(x: int) -> None:
    for near in (x - 1, x, x + 1):
        if 0 <= near < 2**32:
            assert numerics.square_root(near) == math.isqrt(near)


@given(INT48, INT48, INT48)
def test_clip_stays_between_its_bounds_and_leaves_the_rest(x: int, a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert numerics.clip(x, low, high) == max(low, min(high, x))


@given(INT48, st.integers(4, 24))
def test_potential_fits_its_signed_width(x: int, bits: int) -> None:
    clipped = numerics.clip_potential(x, bits)
    assert clipped == max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, x))


@given(
    st.integers(-(2**23), 2**23 - 1), st.integers(1, 2**23 - 1), st.integers(1, 2**24)
)  # fmt: skip
def test_window_is_open_and_symmetric(potential: int, threshold: int, window: int) -> None:
    inside = numerics.in_window(potential, threshold, window)
    assert inside == (abs(potential - threshold) < window)


@given(st.integers(0, 2**23 - 1), st.integers(1, 15))
def test_leak_never_makes_a_positive_potential_negative(potential: int, shift: int) -> None:
    assert 0 <= numerics.leak_potential(potential, shift) <= potential


@given(st.integers(-(2**23), -1), st.integers(1, 15))
def test_leak_moves_every_negative_potential_toward_zero(potential: int, shift: int) -> None:
    assert potential < numerics.leak_potential(potential, shift) <= 0


@pytest.mark.parametrize("shift", range(1, 8))
def test_every_trace_falls_to_zero(shift: int) -> None:
    trace = np.arange(256)
    for _ in range(255):
        decayed = numerics.decay_trace(trace, shift)
        assert (decayed < trace)[trace > 0].all()
        assert (decayed >= 0).all()
        trace = decayed
    assert not trace.any()


@given(st.integers(1, 8), st.data())
def test_trace_fits_its_width(bits: int, data: st.DataObject) -> None:
    top = (1 << bits) - 1
    trace, unit = data.draw(st.integers(0, top)), data.draw(st.integers(1, top))
    event = data.draw(st.integers(0, 1))
    assert numerics.raise_trace(trace, event, unit, bits) == min(top, trace + unit * event)


def test_exponentials_are_the_rounded_exponential() -> None:
    assert numerics.EXPONENTIALS == tuple(round(255 * math.exp(-k / 4)) for k in range(32))


@given(st.integers(-(2**20), 2**20), st.integers(0, 2**20), st.integers(0, 15))
def test_softmax_index_reads_inside_the_table(value: int, below: int, sharpness: int) -> None:
    index = numerics.softmax_index(value + below, value, sharpness)
    assert index == min((4 * below) >> sharpness, 31)


@given(st.integers(-(2**24), 2**24), st.integers(0, 15), st.integers(4, 12))
def test_scaled_error_is_the_nearest_and_symmetric(total: int, shift: int, bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    nearest = math.floor(total / 2**shift + 0.5)
    assert numerics.scale_error(total, shift, bits) == max(-limit, min(limit, nearest))


@given(st.integers(-(2**11), 2**11), st.integers(0, 10))
def test_stochastic_rounding_has_no_bias(gradient: int, shift: int) -> None:
    """Over all noise values the sum of the rounded gradients is the gradient itself."""
    noise = np.arange(1 << shift)
    assert numerics.noise_mask(shift) == noise[-1]
    assert numerics.round_gradient(gradient, noise, shift).sum() == gradient


@given(st.integers(0, 2**32 - 1), st.integers(0, 24))
def test_no_error_rounds_to_no_change(random: int, shift: int) -> None:
    """N10: for an error of 0 no noise of any mode makes a change."""
    noises = (random & numerics.noise_mask(shift), numerics.nearest_noise(shift), 0)
    assert [numerics.round_gradient(0, noise, shift) for noise in noises] == [0, 0, 0]


@given(st.integers(-(2**30), 2**30), st.integers(0, 24))
def test_nearest_noise_rounds_half_up(gradient: int, shift: int) -> None:
    rounded = numerics.round_gradient(gradient, numerics.nearest_noise(shift), shift)
    assert rounded == math.floor(gradient / 2**shift + 0.5)


@given(st.integers(2, 16), st.integers(-(2**20), 2**20), st.data())
def test_momentum_fits_its_symmetric_width(bits: int, rounded: int, data: st.DataObject) -> None:
    limit = 2 ** (bits - 1) - 1
    momentum = data.draw(st.integers(-limit, limit))
    new = numerics.update_momentum(momentum, rounded, limit)
    assert new == max(-limit, min(limit, momentum + rounded))


@given(st.sampled_from((-1, 1)), st.integers(-(2**15), 2**15), st.integers(0, 2**15 - 2))
def test_only_a_momentum_along_the_weight_flips_it(weight: int, momentum: int, gamma: int) -> None:
    expected = abs(momentum) > gamma and (momentum > 0) == (weight > 0)
    assert numerics.flips(weight, momentum, gamma) == expected


@pytest.mark.parametrize("shift", range(1, 16))
def test_momentum_decay_never_grows_nor_changes_sign(shift: int) -> None:
    momentum = np.arange(-(2**15) + 1, 2**15)
    for noise in {0, numerics.noise_mask(shift), numerics.nearest_noise(shift), 1}:
        decayed = numerics.decay_momentum(momentum, noise, shift)
        assert (np.abs(decayed) <= np.abs(momentum)).all()
        assert (decayed * momentum >= 0).all()


@given(UINT32, st.integers(0, 2**62), st.integers(0, 31), st.integers(0, 15))
def test_second_moment_moves_toward_the_square(
    before: int, square: int, square_shift: int, average_shift: int
) -> None:
    after = numerics.average_square(before, square, square_shift, average_shift)
    goal = min(square >> square_shift, 2**32 - 1)
    assert min(before, goal) <= after <= max(before, goal)


@given(UINT32, st.integers(1, 65535), st.integers(0, 31), st.integers(2, 16))
def test_adaptive_threshold_leaves_flips_possible(
    second_moment: int, gain: int, shift: int, bits: int
) -> None:
    limit = 2 ** (bits - 1) - 1
    threshold = numerics.adaptive_threshold(second_moment, gain, shift, limit)
    assert threshold == min((gain * math.isqrt(second_moment)) >> shift, limit - 1)


@given(st.integers(1, 2**32 - 1))
def test_generator_stays_in_32_bits_and_never_dies(state: int) -> None:
    assert 1 <= numerics.xorshift32(state) < 2**32


def test_lane_keys_differ_and_the_first_is_zero() -> None:
    keys = [numerics.lane_key(lane) for lane in range(64)]
    assert keys[0] == 0
    assert len(set(keys)) == 64
    assert all(0 <= key < 2**32 for key in keys)


# What one body for Python integers, NumPy, torch and compiled loops rules out.
OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor,
    ast.USub, ast.Lt, ast.Gt, ast.LtE, ast.GtE, ast.NotEq, ast.Eq,
)  # fmt: skip


def _broken_rules(source: str) -> list[str]:
    tree = ast.parse(source)
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    broken = []
    for node in ast.walk(tree):
        if isinstance(node, ast.operator | ast.unaryop | ast.cmpop) and not isinstance(
            node, OPERATORS
        ):
            broken.append(type(node).__name__)
        elif isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            broken.append(f"{node.value!r}")
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else "a method"
            if name not in own:
                broken.append(f"call of {name}")
        elif isinstance(node, ast.If | ast.IfExp | ast.While | ast.BoolOp):
            broken.append(f"{type(node).__name__}: chooses by one value, arrays have many")
        elif isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom) and node.module != "typing"
        ):
            broken.append("import")
    return broken


def test_arithmetic_is_operators_alone() -> None:
    source = Path(numerics.__file__).read_text(encoding="utf-8")
    assert _broken_rules(source) == []


@pytest.mark.parametrize(
    ("expression", "broken"),
    [
        ("x / 2", "Div"),
        ("x // 2", "FloorDiv"),
        ("x % 2", "Mod"),
        ("x ** 2", "Pow"),
        ("x * 0.5", "0.5"),
        ("round(x)", "call of round"),
        ("x.sum()", "call of a method"),
        ("x if x else 0", "IfExp: chooses by one value, arrays have many"),
        ("not x", "Not"),
    ],
)
def test_the_check_of_operators_finds_each_offence(expression: str, broken: str) -> None:
    assert _broken_rules(f"def rule(x):\n    return {expression}\n") == [broken]
