"""The order of a stepped sample, what its readers say of a small chip, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from flipcore.chip import parse_chip
from flipcore.events import COUNT_NAMES
from flipcore.sim.engine import Engine
from flipcore.sim.layout import store_weights
from flipcore.sim.stepper import Stepper


def _stepper(steps: int, layers: list[dict[str, Any]], **core: Any) -> Stepper:
    document = {"name": "x", "inputs": 3, "steps": steps, "core": {"lanes": 2, **core},
                "error": {"kind": "hinge", "margin": 1 << 20}, "layers": layers}  # fmt: skip
    return Stepper(Engine(parse_chip(document, "x"), 0))


def _order(stepper: Stepper, label: int | None) -> list[str]:
    steps = stepper._chip.steps
    records = stepper.run([[0, 2]] * steps, [2] * steps, label)
    return [f"{record.phase} {record.core} {record.step}" for record in records]


def test_training_comes_in_the_order_of_the_hardware() -> None:
    stepper = _stepper(
        1,
        [
            {"neurons": 3, "decay": "dense"},
            {"neurons": 4, "rule": "tbso", "decay": "scrub"},
            {"neurons": 2, "rule": "tbso", "decay": "dense"},
        ],
    )
    assert _order(stepper, 1) == [
        "input 0 0",
        "forward 0 0", "trace 0 0", "spikes 0 0",
        "forward 1 0", "trace 1 0", "spikes 1 0",
        "forward 2 0", "trace 2 0",
        "error 2 0",
        "threshold 2 0", "update 2 0", "decay 2 0",
        "threshold 1 0", "update 1 0",
        "update 0 0", "decay 0 0",
        "decay 1 1",
        "predict 2 1",
    ]  # fmt: skip
    assert stepper._engine.state.sample_counter == 1


def test_classifying_comes_in_the_order_of_the_hardware() -> None:
    stepper = _stepper(2, [{"neurons": 3}, {"neurons": 2}], decay="scrub", rule="tbso")
    step = ["input 0 {}", "forward 0 {}", "spikes 0 {}", "forward 1 {}"]
    expected = [phase.format(t) for t in range(2) for phase in step]
    assert _order(stepper, None) == [*expected, "predict 1 2"]
    assert stepper._engine.state.sample_counter == 0


def test_the_label_takes_a_cycle_of_the_first_input() -> None:
    stepper = _stepper(2, [{"neurons": 2}])
    for label, cycles in ((None, [5 + 1, 0 + 1]), (0, [5 + 1 + 1, 0 + 1])):
        records = [r for r in stepper.run([[0, 2], []], [5, 0], label) if r.phase == "input"]
        assert [record.cycles for record in records] == cycles
        merged = [int(r.counts[COUNT_NAMES.index("merged_events")]) for r in records]
        assert merged == [3, 0]


def test_one_training_step_by_hand() -> None:
    # 2 neurons that fire at 2, then 2 outputs; words of 1 lane.
    stepper = _stepper(
        1, [{"neurons": 2}, {"neurons": 2}], lanes=1, neuron="if", threshold=2, window=2,
        trace_unit=3, rounding="floor", gradient_shift=0, momentum_bits=16, error_bits=8,
        trace_decay_shift="none",
    )  # fmt: skip
    engine = stepper._engine
    store_weights(engine.state, engine.chip, 0, np.array([[1, 0], [1, 1], [1, 1]], np.bool_))
    store_weights(engine.state, engine.chip, 1, np.array([[1, 0], [0, 0]], np.bool_))
    seen: dict[str, Any] = {}
    for record in stepper.run([[0, 1]], [2], 1):
        place = f"{record.phase} {record.core}"
        seen[place] = record.cycles
        if place == "forward 0":
            assert stepper.potentials(0).tolist() == [0, 0]  # 2 - 2, and 0
            assert stepper.windows(0).tolist() == [1, 0]
            assert stepper.spikes(0) == [0]
        if place == "trace 0":
            assert stepper.traces(0).tolist() == [3, 3, 0]
            assert stepper.row_list(0) == [(0, 3, 0), (1, 3, 0)]
        if place == "forward 1":
            assert stepper.outputs().tolist() == stepper.totals().tolist() == [1, -1]
        if place == "trace 1":
            assert stepper.row_list(1) == [(0, 3, 1)]
        if place == "error 1":
            assert stepper.errors(1).tolist() == [64, -64]
            assert stepper.live_words(1) == [0, 1]
        if place == "update 1":
            assert stepper.errors(0).tolist() == [127, 0]  # 64 + 64, clipped
            assert stepper.live_words(0) == [0]
            assert stepper.momentum(1).tolist() == [[3 * 64, -3 * 64], [0, 0]]
        if place == "update 0":
            assert stepper.momentum(0).tolist() == [[3 * 127, 0], [3 * 127, 0], [0, 0]]
            assert stepper.weights(0).tolist() == [[1, 0], [1, 1], [1, 1]]
    assert stepper.prediction == 0
    assert stepper.generators(0) == []
    assert seen == {
        "input 0": 2 + 1 + 1, "forward 0": 2 * (2 + 3), "trace 0": 2 + 3 * 1, "spikes 0": 2 + 1 + 1,
        "forward 1": 2 * (1 + 3), "trace 1": 2 + 2 * 1, "error 1": 2 + 2 + 2,
        "update 1": 4 + 1 * 2 + 1, "update 0": 4 + 2 * 1, "predict 1": 2 + 2,
    }  # fmt: skip


@pytest.mark.parametrize(("source", "number"), [("shared", 1), ("per_lane", 5)])
def test_generators_are_one_or_one_a_lane(source: str, number: int) -> None:
    stepper = _stepper(1, [{"neurons": 2}], lanes=5, random_source=source)
    assert len(stepper.generators(0)) == number


@pytest.mark.parametrize(
    ("events", "offered", "label", "message"),
    [
        ([[0]], [1, 1], 0, "must have 2 steps"),
        ([[0], []], [1], 0, "must have 2 steps"),
        ([[0], [3]], [1, 1], 0, "0 ... 2"),
        ([[-1], []], [1, 1], 0, "0 ... 2"),
        ([[1, 0], []], [2, 0], 0, "ascending"),
        ([[1, 1], []], [2, 0], 0, "distinct"),
        ([[0, 1], []], [1, 0], 0, "1 events offered, 2 of them distinct"),
        ([[0], []], [1, 0], 2, "2 classes"),
        ([[0], []], [1, 0], -1, "2 classes"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_before_anything_runs(
    events: list[list[int]], offered: list[int], label: int, message: str
) -> None:
    stepper = _stepper(2, [{"neurons": 2}])
    with pytest.raises(ValueError, match=message):
        stepper.run(events, offered, label)


def test_a_sample_of_which_the_steps_come_one_by_one_is_the_same() -> None:
    layers: list[dict[str, Any]] = [{"neurons": 3, "decay": "scrub"}, {"neurons": 2}]
    whole, single = _stepper(2, layers), _stepper(2, layers)
    events, offered = [[0, 2], [1]], [3, 1]
    expected = [
        (one.phase, one.core, one.step, one.cycles) for one in whole.run(events, offered, 1)
    ]
    single.begin(1)
    records = [*single.step(events[0], offered[0]), *single.step(events[1], offered[1])]
    records += single.end()
    assert [(one.phase, one.core, one.step, one.cycles) for one in records] == expected
    np.testing.assert_array_equal(single.momentum(0), whole.momentum(0))
    assert single.prediction == whole.prediction


def test_steps_that_come_one_by_one_are_refused_when_they_do_not_fit() -> None:
    stepper = _stepper(1, [{"neurons": 2}])
    with pytest.raises(ValueError, match="2 classes"):
        stepper.begin(2)
    stepper.begin()
    with pytest.raises(ValueError, match="had 0 of 1 steps"):
        stepper.end()
    with pytest.raises(ValueError, match="ascending"):
        stepper.step([1, 0], 2)
    list(stepper.step([0], 1))
    with pytest.raises(ValueError, match="had its 1 steps"):
        stepper.step([0], 1)
