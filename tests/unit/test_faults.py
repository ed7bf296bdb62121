"""A faulty chip against the scalar oracle with the fault at its memory, and without faults against the engine: every bit and count."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, load_chip, parse_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.data import Records, load_dataset
from flipcore.sim.engine import Engine
from flipcore.sim.faults import (
    Faults,
    FaultyChip,
    draw_dead_neurons,
    draw_dead_synapses,
    draw_stuck_bits,
    draw_stuck_momentum,
    no_faults,
    stuck_momentum,
    stuck_weights,
)
from flipcore.sim.layout import initial_state, momentum_values, weight_bits
from tests.chips import oracle_from_chip
from tests.oracle import Oracle, sigma_delta
from tests.random_chips import chip_documents

EXAMPLES = 60
Bools = npt.NDArray[np.bool_]


class StuckRow(list[int]):
    """A row of memory cells of which some ignore what is written."""

    def __init__(self, values: Iterable[int], stuck: dict[int, int]) -> None:
        super().__init__(stuck.get(n, value) for n, value in enumerate(values))
        self.stuck = stuck

    def __setitem__(self, n: Any, value: Any) -> None:
        if n not in self.stuck:
            super().__setitem__(n, value)


class FaultyOracle(Oracle):
    """The oracle with faults at its memories, and with spikes that never leave."""

    def __init__(self, chip: Chip, seed: int, planned: "Planned") -> None:
        super().__init__(oracle_from_chip(chip), seed)
        self.dead = planned.dead
        for c in range(len(self.cores)):
            self.weights[c] = _stuck_rows(self.weights[c], planned.bits[c], planned.bit_values[c])
            self.momentum[c] = _stuck_rows(self.momentum[c], planned.momenta[c], planned.momentum_values[c])  # fmt: skip

    def _forward(self, c: int, t: int, active: list[int]) -> list[int]:
        before = dict(self.count[c])
        fired = super()._forward(c, t, active)
        if c == self.last:
            return fired
        spikes = [n for n in fired if not self.dead[c][n]]
        words = self._words(c, self.cores[c]["neurons"])
        cycles = 2 + sum(max(1, len(set(word) & set(spikes))) for word in words)  # T3
        self.count[c]["spikes"] = before["spikes"] + len(spikes)
        self.count[c]["spikes_cycles"] = before["spikes_cycles"] + cycles
        return spikes

    def _decay(self, c: int, rows: list[int]) -> None:
        # The oracle finds changed words by reading them back; the chip compares what it read with what it writes (T8).
        stuck = [row.stuck for row in self.momentum[c]]  # type: ignore[attr-defined]
        self.momentum[c] = [list(row) for row in self.momentum[c]]
        super()._decay(c, rows)
        self.momentum[c] = [StuckRow(row, own) for row, own in zip(self.momentum[c], stuck, strict=True)]  # fmt: skip


def _stuck_rows(rows: list[list[int]], where: Bools, values: npt.NDArray[Any]) -> list[list[int]]:
    return [
        StuckRow(row, {int(n): int(values[i, n]) for n in np.flatnonzero(where[i])})
        for i, row in enumerate(rows)
    ]


class Planned:
    """Random faults, as plain arrays per core."""

    def __init__(self, chip: Chip, noise: int, share: float) -> None:
        dice = np.random.default_rng(noise)
        shapes = [(core.axons, core.neurons) for core in chip.layers]
        limits = [core.momentum_limit for core in chip.layers]
        self.bits = [dice.random(shape) < share for shape in shapes]
        self.bit_values = [dice.random(shape) < 0.5 for shape in shapes]
        self.momenta = [dice.random(shape) < share for shape in shapes]
        self.momentum_values = [
            dice.integers(-limit, limit + 1, shape)
            for limit, shape in zip(limits, shapes, strict=True)
        ]
        self.dead = [dice.random(core.neurons) < share for core in chip.layers]
        self.dead[-1][:] = False

    def faults(self, chip: Chip) -> Faults:
        """The same for the simulator."""
        faults = replace(no_faults(chip), dead_neurons=tuple(self.dead))
        faults = stuck_weights(chip, self.bits, self.bit_values, faults)
        return stuck_momentum(chip, self.momenta, self.momentum_values, faults)


def _samples(
    chip: Chip, noise: int, count: int
) -> tuple[Records, npt.NDArray[np.int32], list[list[list[int]]]]:
    dice = np.random.default_rng(noise)
    pixels = dice.integers(0, 256, (count, chip.inputs)).astype(np.uint8)
    pixels[dice.random(pixels.shape) < 0.4] = 0
    records = Records(pixels, np.empty((count, 0, 0), np.uint8), np.empty((count, 0), np.int32))
    labels = dice.integers(0, chip.classes, count).astype(np.int32)
    return records, labels, [sigma_delta([int(x) for x in row], chip.steps) for row in pixels]


def _compare(engine: Engine, oracle: Oracle, counts: EventCounts) -> None:
    chip, state = engine.chip, engine.state
    assert state.sample_counter == oracle.sample_counter
    for c in range(len(chip.layers)):
        np.testing.assert_array_equal(weight_bits(state, chip, c), oracle.weights[c])
        np.testing.assert_array_equal(momentum_values(state, chip, c), oracle.momentum[c])
        own = {name: int(counts.per_core(name)[c]) for name in COUNT_NAMES}
        assert own == oracle.counts["train"][c]


def test_a_faulty_chip_equals_the_oracle_with_the_fault_at_its_memory() -> None:
    seen = {"flips": 0, "spikes": 0, "words_changed": 0, "silenced": 0}

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        document=chip_documents(),
        noise=st.integers(0, 2**32 - 1),
        share=st.sampled_from((0.0, 0.1, 0.3, 0.6, 1.0)),
    )
    def compare(document: dict[str, Any], noise: int, share: float) -> None:
        chip = parse_chip(document, "random")
        planned = Planned(chip, noise, share)
        oracle = FaultyOracle(chip, 3, planned)
        engine = Engine(chip, 3)
        faulty = FaultyChip(engine, planned.faults(chip))
        counts = EventCounts.zeros(len(chip.layers))
        records, labels, events = _samples(chip, noise, 3)
        got = faulty.train(records, labels, counts)
        expected = [oracle.train(e, int(y)) for e, y in zip(events, labels, strict=True)]
        assert got.tolist() == expected
        _compare(engine, oracle, counts)
        shown = EventCounts.zeros(len(chip.layers))
        classified = faulty.classifier().infer(records, shown, 1)
        assert classified.tolist() == [oracle.infer(e) for e in events]
        for name in ("spikes", "spikes_cycles", "forward_cycles", "weight_reads"):
            whole = [count[name] for count in oracle.counts["inference"]]
            assert shown.per_core(name).tolist() == whole
        for name in ("flips", "spikes", "words_changed"):
            seen[name] += counts.total(name)
        seen["silenced"] += sum(int(dead.sum()) for dead in planned.dead)

    compare()
    assert all(seen.values()), seen


CHIP = {
    "name": "x",
    "inputs": 12,
    "steps": 3,
    "core": {"lanes": 4, "threshold": 2, "window": 8, "gradient_shift": 2, "momentum_bits": 5},
    "layers": [{"neurons": 10}, {"neurons": 7}, {"neurons": 3}],
    "error": {"kind": "hinge", "margin": 1 << 20},
}


def _chip() -> Chip:
    return parse_chip(CHIP, "x")


DRAWS = [draw_dead_synapses, draw_stuck_bits, draw_stuck_momentum, draw_dead_neurons]


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_a_share_of_none_is_the_engine_bit_for_bit(draw: Any) -> None:
    chip = load_chip("digits", ["core.decay=scrub", "layers.0.rule=tbso"])
    plain, stepped = Engine(chip, 5), Engine(chip, 5)
    faulty = FaultyChip(stepped, draw(chip, 0.0, 1))
    split = load_dataset("digits", num_steps=chip.steps).train
    records, labels = split.read(np.arange(40)), split.labels[:40]
    counts = [EventCounts.zeros(2) for _ in range(2)]
    expected = plain.train(records, labels, counts[0])
    assert faulty.train(records, labels, counts[1]).tolist() == expected.tolist()
    for name in ("weights", "momentum", "generators", "second_moment", "sample_counter"):
        np.testing.assert_array_equal(getattr(plain.state, name), getattr(stepped.state, name))
    np.testing.assert_array_equal(counts[0].cores, counts[1].cores)
    assert counts[0].samples == counts[1].samples == 40
    shown = [EventCounts.zeros(2) for _ in range(2)]
    predictions = plain.infer(records, shown[0])
    assert faulty.classifier().infer(records, shown[1]).tolist() == predictions.tolist()
    np.testing.assert_array_equal(shown[0].cores, shown[1].cores)


def test_shares_are_of_each_core_in_whole_cells() -> None:
    chip = _chip()
    sizes = [(12, 10), (10, 7), (7, 3)]
    stuck = draw_dead_synapses(chip, 0.25, 9)
    state = initial_state(chip, 0)
    state.weights = stuck.stuck_weights
    assert [int(weight_bits(state, chip, c).sum()) for c in range(3)] == [
        int(0.25 * a * n + 0.5) for a, n in sizes
    ]
    assert not stuck.weight_values.any()
    assert [int(dead.sum()) for dead in draw_dead_neurons(chip, 0.3, 9).dead_neurons] == [3, 2, 0]


def test_faults_depend_on_the_seed_alone() -> None:
    chip = _chip()
    first, again, other = (draw_stuck_bits(chip, 0.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.stuck_weights, again.stuck_weights)
    np.testing.assert_array_equal(first.weight_values, again.weight_values)
    assert (first.stuck_weights != other.stuck_weights).any()
    # Bits that work have no value.
    assert not (first.weight_values & ~first.stuck_weights).any()
    assert first.weight_values.any()
    assert (first.weight_values != first.stuck_weights).any()


def test_stuck_momenta_lie_within_their_width() -> None:
    chip = _chip()
    faults = draw_stuck_momentum(chip, 1.0, 4)
    values = faults.momentum_values[faults.stuck_momentum]
    assert len(values) == 12 * 10 + 10 * 7 + 7 * 3
    assert (int(values.min()), int(values.max())) == (-15, 15)


def test_cells_are_stuck_from_the_start_and_after_learning() -> None:
    chip = _chip()
    faults = draw_stuck_bits(chip, 0.4, 2)
    engine = Engine(chip, 0)
    faulty = FaultyChip(engine, faults)
    records, labels, _ = _samples(chip, 3, 20)
    for _ in range(2):
        stuck = engine.state.weights & faults.stuck_weights
        np.testing.assert_array_equal(stuck, faults.weight_values)
        faulty.train(records, labels, EventCounts.zeros(3))


def test_a_chip_of_dead_neurons_says_the_same_of_every_sample() -> None:
    chip = _chip()
    faulty = FaultyChip(Engine(chip, 0), draw_dead_neurons(chip, 1.0, 0))
    records, _, _ = _samples(chip, 3, 9)
    counts = EventCounts.zeros(3)
    assert set(faulty.classifier().infer(records, counts).tolist()) == {0}
    assert counts.total("spikes") == 0
