"""The stepper on random chips: phase by phase what the oracle's log says, and in the end what the engine does in one go.

FLIPCORE_EXAMPLES: how many random chips (100 by default).
"""

import os
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.events import COUNT_NAMES, CYCLE_NAMES, EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.stepper import PhaseRecord, Stepper
from tests.chips import oracle_from_chip
from tests.oracle import Oracle
from tests.random_chips import chip_documents

EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "100"))
CYCLE_COLUMNS = [COUNT_NAMES.index(name) for name in CYCLE_NAMES]
Flags = npt.NDArray[np.bool_]


def _records(flags: Flags, merged: npt.NDArray[np.int64]) -> Records:
    bitmaps = np.packbits(flags[None], axis=2, bitorder="little")
    return Records(np.empty((1, 0), np.uint8), bitmaps, merged[None].astype(np.int32))


def _check_phase(stepper: Stepper, record: PhaseRecord, log: dict[str, Any], last: int) -> None:
    """What a phase leaves, against the oracle's record of that core and step."""
    c = record.core
    if record.phase == "forward" and c < last:
        assert stepper.potentials(c).tolist() == log["potential"]
        assert stepper.windows(c).tolist() == log["window"]
        assert stepper.spikes(c) == log["spikes"]
    if record.phase == "forward" and c == last:
        assert stepper.outputs().tolist() == log["out"]
        assert stepper.totals().tolist() == log["total"]
    if record.phase == "trace":
        assert stepper.traces(c).tolist() == log["trace"]
        windows = stepper.windows(c - 1) if c else np.zeros(len(log["trace"]), np.int64)
        assert stepper.row_list(c) == [
            (row, log["trace"][row], windows[row]) for row in log["rows"]
        ]
    if record.phase in ("error", "threshold", "update"):
        assert stepper.errors(c).tolist() == log["delta"]


def _check_state(stepper: Stepper, oracle: Oracle, c: int) -> None:
    """What a core keeps, against the oracle's."""
    np.testing.assert_array_equal(stepper.weights(c), oracle.weights[c])
    np.testing.assert_array_equal(stepper.momentum(c), oracle.momentum[c])
    np.testing.assert_array_equal(stepper.second_moment(c), oracle.second_moment[c])
    is_stochastic = oracle.cores[c]["rounding"] == "stochastic"
    assert stepper.generators(c) == (oracle.generators[c] if is_stochastic else [])


def _check_sample(
    stepper: Stepper, oracle: Oracle, flags: Flags, offered: list[int], label: int | None
) -> tuple[npt.NDArray[np.int64], Counter[str]]:
    """Run a sample on both; returns its counts and how often each phase came."""
    last = len(oracle.cores) - 1
    events = [np.flatnonzero(step).tolist() for step in flags]
    oracle.log = []
    if label is None:
        predicted = oracle.infer(events, offered)
    else:
        predicted = oracle.train(events, label, offered)
    logs = {
        (len(events) if log["step"] is None else log["step"], log["core"]): log
        for log in oracle.log
    }
    cycles = {
        (place, name.removesuffix("_cycles")): value
        for place, log in logs.items()
        for name, value in log.items()
        if name.endswith("_cycles")
    }
    counts = np.zeros((last + 1, len(COUNT_NAMES)), np.int64)
    phases: Counter[str] = Counter()
    for record in stepper.run(events, offered, label):
        place = (record.step, record.core)
        assert record.cycles == cycles.pop((place, record.phase))
        assert sum(record.counts[k] for k in CYCLE_COLUMNS) == record.cycles
        _check_phase(stepper, record, logs[place], last)
        if record.phase != "predict":
            assert stepper.prediction is None
        counts[record.core] += record.counts
        phases[record.phase] += 1
    assert cycles == {}  # every phase came, once
    assert stepper.prediction == predicted
    return counts, phases


def _check_ends(stepper: Stepper, engine: Engine, chip: Chip) -> None:
    """All that the loops leave behind, of a sample that was stepped and one that was not."""
    whole = Stepper(engine)
    for c in range(len(chip.layers)):
        np.testing.assert_array_equal(stepper.potentials(c), whole.potentials(c))
        np.testing.assert_array_equal(stepper.windows(c), whole.windows(c))
        np.testing.assert_array_equal(stepper.traces(c), whole.traces(c))
        np.testing.assert_array_equal(stepper.errors(c), whole.errors(c))
        assert stepper.spikes(c) == whole.spikes(c)
        assert stepper.row_list(c) == whole.row_list(c)
    np.testing.assert_array_equal(stepper.outputs(), whole.outputs())
    np.testing.assert_array_equal(stepper.totals(), whole.totals())


def test_stepped_samples_are_those_of_engine_and_oracle() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        document=chip_documents(),
        noise=st.integers(0, 2**32 - 1),
        density=st.sampled_from((0.5, 0.2, 0.9, 0.05, 1.0)),
        learnt=st.lists(st.sampled_from((True, True, False)), min_size=1, max_size=6),
    )
    def compare(document: dict[str, Any], noise: int, density: float, learnt: list[bool]) -> None:
        chip = parse_chip(document, "random")
        whole, stepped = Engine(chip, noise), Engine(chip, noise)
        oracle, stepper = Oracle(oracle_from_chip(chip), noise), Stepper(stepped)
        dice = np.random.default_rng(noise)
        for is_training in learnt:
            flags = dice.random((chip.steps, chip.inputs)) < density
            flags[dice.random(chip.steps) < 0.2] = False
            merged = dice.integers(0, 4, chip.steps) * flags.any(axis=1)
            label = int(dice.integers(0, chip.classes))
            counts = EventCounts.zeros(len(chip.layers))
            if is_training:
                expected = whole.train(_records(flags, merged), np.array([label], np.int32), counts)
            else:
                expected = whole.infer(_records(flags, merged), counts)
            offered = (flags.sum(axis=1) + merged).tolist()
            summed, phases = _check_sample(
                stepper, oracle, flags, offered, label if is_training else None
            )
            assert expected.tolist() == [stepper.prediction]
            np.testing.assert_array_equal(summed, counts.cores)
            assert stepped.state.sample_counter == whole.state.sample_counter
            for name in ("weights", "momentum", "generators", "second_moment"):
                np.testing.assert_array_equal(
                    getattr(stepped.state, name), getattr(whole.state, name), err_msg=name
                )
            for c in range(len(chip.layers)):
                _check_state(stepper, oracle, c)
            _check_ends(stepper, whole, chip)
            seen.update(phases)

    compare()
    # What never happened was never compared.
    assert set(seen) == {name.removesuffix("_cycles") for name in CYCLE_NAMES}
