"""flipcore.numerics, the off-chip draws and the pixel encoder against the oracle's vectors of single rules."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flipcore import draws, numerics
from flipcore.sim.encoding import encode_pixels

VECTORS = Path(__file__).parents[1] / "vectors"
STOCHASTIC, NEAREST, FLOOR = 0, 1, 2

Columns = dict[str, Any]
Apply = Callable[[Callable[..., Any], Columns], Columns]

pytestmark = pytest.mark.conformance


def _load(rule: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(VECTORS / f"rule_{rule}.npz", allow_pickle=False) as stored:
        assert int(stored["spec_version"]) == 2
        return {name: stored[name] for name in stored.files if name != "spec_version"}


def _whole_arrays(rule: Callable[..., Columns], columns: Columns) -> Columns:
    return rule(**columns)


def _python_integers(rule: Callable[..., Columns], columns: Columns) -> Columns:
    count = len(next(iter(columns.values())))
    cases = [
        rule(**{name: column[k].tolist() for name, column in columns.items()}) for k in range(count)
    ]
    return {name: [case[name] for case in cases] for name in cases[0]}


@pytest.fixture(params=[_whole_arrays, _python_integers], ids=["int64 arrays", "Python integers"])
def apply(request: pytest.FixtureRequest) -> Apply:
    """Run a rule on all cases of its vectors at once, or on one after the other."""
    return request.param  # type: ignore[no-any-return]


def _check(apply: Apply, name: str, rule: Callable[..., Columns], **changes: Any) -> None:
    columns = _load(name) | changes
    answers = {key: columns.pop(key) for key in list(columns) if key.startswith("expected_")}
    got = apply(rule, columns)
    assert {f"expected_{key}" for key in got} == set(answers)
    for key, values in got.items():
        np.testing.assert_array_equal(values, answers[f"expected_{key}"], err_msg=key)


def _noise(rounding: Any, random: Any, shift: Any) -> Any:
    """The number that N10 adds, chosen by the code of the rounding mode."""
    drawn = (random & numerics.noise_mask(shift)) * (rounding == STOCHASTIC)
    return drawn + numerics.nearest_noise(shift) * (rounding == NEAREST)


def _integrate_fire(
    potential: Any, current: Any, potential_bits: Any, threshold: Any, window: Any,
    reset_subtract: Any, leak_shift: Any,
) -> Columns:  # fmt: skip
    exact = potential + current
    held = numerics.clip_potential(exact, potential_bits)
    spike = numerics.fires(held, threshold)
    after = numerics.reset_potential(held, spike, threshold, reset_subtract)
    is_lif = leak_shift != 0
    leaked = numerics.leak_potential(after, leak_shift)
    return {
        "potential": leaked * is_lif + after * (1 - is_lif),
        "spike": spike,
        "window": numerics.in_window(held, threshold, window),
        "clipped": held != exact,
    }


def test_integrate_and_fire(apply: Apply) -> None:
    _check(apply, "integrate_fire", _integrate_fire)


def _trace(trace: Any, active: Any, trace_bits: Any, trace_unit: Any, decay_shift: Any) -> Columns:
    decayed = numerics.decay_trace(trace, decay_shift) * (decay_shift != 0)
    return {"trace": numerics.raise_trace(decayed, active, trace_unit, trace_bits)}


def test_trace(apply: Apply) -> None:
    _check(apply, "trace", _trace)


def test_softmax_error() -> None:
    """The hinge of N7 has no arithmetic of its own; the engine's vectors check it."""
    vectors = _load("error")
    table = np.array(numerics.EXPONENTIALS)
    for k, count in enumerate(vectors["neurons"].tolist()):
        z = vectors["z"][k, :count]
        parts = table[numerics.softmax_index(z.max(), z, vectors["sharpness"][k])]
        errors = numerics.divide_unit(parts, parts.sum())
        errors[vectors["label"][k]] -= numerics.UNIT_ERROR
        np.testing.assert_array_equal(errors, vectors["expected_softmax"][k, :count])


def _backward(sum: Any, error_shift: Any, error_bits: Any, window: Any) -> Columns:
    return {"delta": numerics.scale_error(sum, error_shift, error_bits) * window}


def test_backward(apply: Apply) -> None:
    _check(apply, "backward", _backward)


def _gradient(trace: Any, delta: Any, gradient_shift: Any, rounding: Any, random: Any) -> Columns:
    noise = _noise(rounding, random, gradient_shift)
    return {"q": numerics.round_gradient(trace * delta, noise, gradient_shift)}


def test_gradient(apply: Apply) -> None:
    _check(apply, "gradient", _gradient)


def _momentum_flip(
    weight: Any, momentum: Any, q: Any, momentum_bits: Any, flip_threshold: Any, keep: Any
) -> Columns:
    limit = (1 << (momentum_bits - 1)) - 1
    new = numerics.update_momentum(momentum, q, limit)
    flip = (q != 0) & numerics.flips(2 * weight - 1, new, flip_threshold)
    return {
        "weight": weight ^ flip,
        "momentum": new * (keep | (1 - flip)),
        "flip": flip,
        "clipped": new != momentum + q,
    }


def test_momentum_and_flip(apply: Apply) -> None:
    _check(apply, "momentum_flip", _momentum_flip)


def _decay(momentum: Any, decay_shift: Any, rounding: Any, random: Any) -> Columns:
    noise = _noise(rounding, random, decay_shift)
    return {"momentum": numerics.decay_momentum(momentum, noise, decay_shift)}


def test_decay(apply: Apply) -> None:
    _check(apply, "decay", _decay)


def _tbso(
    sum_delta_squares: Any, sum_trace_squares: Any, second_moment: Any, square_shift: Any,
    average_shift: Any, threshold_gain: Any, threshold_shift: Any, momentum_bits: Any,
) -> Columns:  # fmt: skip
    square = sum_delta_squares * sum_trace_squares
    after = numerics.average_square(second_moment, square, square_shift, average_shift)
    limit = (1 << (momentum_bits - 1)) - 1
    threshold = numerics.adaptive_threshold(after, threshold_gain, threshold_shift, limit)
    return {"second_moment": after, "threshold": threshold}


def test_adaptive_threshold(apply: Apply) -> None:
    _check(apply, "tbso", _tbso)


def _successors(state: Any, count: int) -> Iterator[Any]:
    for _ in range(count):
        state = numerics.xorshift32(state)
        yield state


def test_generators_on_the_chip() -> None:
    vectors = _load("random")
    states = vectors["xorshift_states"].astype(np.int64)
    together = np.stack(list(_successors(states, 8)), axis=1)
    np.testing.assert_array_equal(together, vectors["expected_draws"])
    for state, expected in zip(states.tolist(), vectors["expected_draws"], strict=True):
        assert list(_successors(state, 8)) == expected.tolist()
    np.testing.assert_array_equal(
        numerics.lane_key(np.arange(64, dtype=np.int64)), vectors["expected_lane_keys"]
    )


def test_draws_off_the_chip() -> None:
    vectors = _load("random")
    inputs = vectors["mix_inputs"]
    np.testing.assert_array_equal(draws.mix_array(inputs), vectors["expected_mix"])
    assert [draws.mix(x) for x in inputs.tolist()] == vectors["expected_mix"].tolist()
    streams = zip(
        vectors["stream_seeds"].tolist(), vectors["stream_tags"].tolist(),
        vectors["expected_streams"], strict=True,
    )  # fmt: skip
    for seed, tags, expected in streams:
        np.testing.assert_array_equal(draws.stream(seed, *tags, count=8), expected)
    seed = int(vectors["weights_seed"])
    for core in (0, 2):
        expected = vectors[f"expected_weights_core{core}"]
        np.testing.assert_array_equal(draws.initial_weights(seed, core, *expected.shape), expected)
    for epoch, expected in enumerate(vectors["expected_orders"]):
        order = draws.sample_order(int(vectors["order_seed"]), epoch, len(expected))
        np.testing.assert_array_equal(order, expected)
    seed = int(vectors["generator_seed"])
    for core, expected in enumerate(vectors["expected_generators"]):
        got = [draws.generator_seed(seed, core, lane) for lane in range(len(expected))]
        assert got == expected.tolist()


def test_pixel_encoder() -> None:
    vectors = _load("sigma_delta")
    expected = vectors["expected_spikes"]
    steps, axons = expected.shape
    pixels = vectors["pixels"].astype(np.uint8)
    # The same sample twice: nothing may be carried from one to the next.
    events = np.empty(2 * steps * axons + 1, np.int32)
    starts = np.empty(2 * steps + 1, np.int64)
    total = encode_pixels(np.stack([pixels, pixels]), steps, events, starts)  # type: ignore[no-untyped-call]
    assert starts[-1] == total == 2 * expected.sum()
    for t in range(2 * steps):
        np.testing.assert_array_equal(
            events[starts[t] : starts[t + 1]], np.flatnonzero(expected[t % steps])
        )


def test_every_vector_of_a_rule_is_used() -> None:
    used = ("backward", "decay", "error", "gradient", "integrate_fire", "momentum_flip", "random",
            "sigma_delta", "tbso", "trace")  # fmt: skip
    assert sorted(path.stem for path in VECTORS.glob("rule_*.npz")) == [f"rule_{x}" for x in used]
