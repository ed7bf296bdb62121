"""The engine against the scalar oracle on random chips and random samples: every bit and every count.

FLIPCORE_EXAMPLES: how many random chips (200 by default).
"""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import momentum_values, neuron_positions, row_chunks, weight_bits
from tests.chips import oracle_from_chip
from tests.oracle import Oracle, sigma_delta
from tests.random_chips import chip_documents

EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "200"))
SEEDS = st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1))


@dataclass(frozen=True)
class Chunk:
    """Samples that go into the engine in one call; `threads` of an evaluation, 0 learns."""

    samples: int
    threads: int


@dataclass(frozen=True)
class Plan:
    """What a chip is given: chunks of random samples."""

    noise: int
    density: float
    pixels: bool
    chunks: tuple[Chunk, ...]


chunks = st.builds(
    Chunk, samples=st.sampled_from((2, 1, 3, 0)), threads=st.sampled_from((0, 1, 0, 2, 0, 3))
)
plans = st.builds(
    Plan,
    noise=st.integers(0, 2**32 - 1),
    density=st.sampled_from((0.5, 0.2, 0.9, 0.05, 1.0)),
    pixels=st.booleans(),
    chunks=st.lists(chunks, min_size=2, max_size=6).map(tuple),
)


def _spike_records(
    chip: Chip, plan: Plan, count: int, dice: np.random.Generator
) -> tuple[Records, list[list[list[int]]], npt.NDArray[np.int64]]:
    """Records, the events in them of every sample and step, and how many were offered."""
    if plan.pixels:
        pixels = dice.integers(0, 256, (count, chip.inputs)).astype(np.uint8)
        pixels[dice.random(pixels.shape) >= plan.density] = 0
        events = [sigma_delta([int(x) for x in row], chip.steps) for row in pixels]
        records = Records(pixels, np.empty((count, 0, 0), np.uint8), np.empty((count, 0), np.int32))
        return records, events, np.array([[len(step) for step in s] for s in events], np.int64)
    shape = (count, chip.steps, chip.inputs)
    flags = dice.random(shape) < plan.density
    flags[dice.random(shape[:2]) < 0.2] = False  # steps in which nothing happens
    merged = dice.integers(0, 4, shape[:2]) * flags.any(axis=2)
    bitmaps = np.packbits(flags, axis=2, bitorder="little")
    records = Records(np.empty((count, 0), np.uint8), bitmaps, merged.astype(np.int32))
    listed = [[np.flatnonzero(step).tolist() for step in sample] for sample in flags]
    return records, listed, flags.sum(axis=2) + merged


def _compare_state(engine: Engine, oracle: Oracle) -> None:
    chip, state = engine.chip, engine.state
    assert state.sample_counter == oracle.sample_counter
    for c in range(len(chip.layers)):
        np.testing.assert_array_equal(weight_bits(state, chip, c), oracle.weights[c])
        np.testing.assert_array_equal(momentum_values(state, chip, c), oracle.momentum[c])
        generators = oracle.generators[c]
        np.testing.assert_array_equal(state.generators[c, : len(generators)], generators)
        np.testing.assert_array_equal(state.second_moment[c], oracle.second_moment[c])
    _check_padding(engine)


def _check_padding(engine: Engine) -> None:
    """Padding lanes hold weight bit 0 and momentum 0 (S2)."""
    start = 0
    for core in engine.chip.layers:
        size = core.axons * row_chunks(core)
        rows = engine.state.momentum[start : start + size].reshape(core.axons, -1)
        assert not np.delete(rows, neuron_positions(core), axis=1).any()
        packed = engine.state.weights[start : start + size].astype("<u2").view(np.uint8)
        bits = np.unpackbits(packed.reshape(core.axons, -1), axis=1, bitorder="little")
        assert not np.delete(bits, neuron_positions(core), axis=1).any()
        start += size


def _compare_counts(counts: dict[str, EventCounts], oracle: Oracle) -> None:
    for mode, counted in counts.items():
        assert counted.samples == oracle.samples[mode]
        for c, expected in enumerate(oracle.counts[mode]):
            assert {name: int(counted.per_core(name)[c]) for name in COUNT_NAMES} == expected


def _run_both(chip: Chip, seed: int, plan: Plan) -> dict[str, EventCounts]:
    """Run a chip on both and compare all that can be seen; returns the counts."""
    engine, oracle = Engine(chip, seed), Oracle(oracle_from_chip(chip), seed)
    counts = {mode: EventCounts.zeros(len(chip.layers)) for mode in ("train", "inference")}
    dice = np.random.default_rng(plan.noise)
    for chunk in plan.chunks:
        records, events, offered = _spike_records(chip, plan, chunk.samples, dice)
        labels = dice.integers(0, chip.classes, chunk.samples).astype(np.int32)
        if chunk.threads:
            got = engine.infer(records, counts["inference"], chunk.threads)
            expected = [
                oracle.infer(sample, list(given_))
                for sample, given_ in zip(events, offered, strict=True)
            ]
        else:
            got = engine.train(records, labels, counts["train"])
            expected = [
                oracle.train(sample, int(label), list(given_))
                for sample, label, given_ in zip(events, labels, offered, strict=True)
            ]
        assert got.tolist() == expected
    _compare_state(engine, oracle)
    _compare_counts(counts, oracle)
    return counts


def test_engine_equals_the_oracle_on_random_chips() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(document=chip_documents(), seed=SEEDS, plan=plans)
    def compare(document: dict[str, Any], seed: int, plan: Plan) -> None:
        for mode, counts in _run_both(parse_chip(document, "random"), seed, plan).items():
            seen.update({f"{mode} {name}": counts.total(name) for name in COUNT_NAMES})

    compare()
    # What never happened was never compared.
    learning_only = ("live_", "words_", "momentum_", "flips", "weight_writes", "trace_",
                     "row_list_", "error_", "threshold_", "update_", "decay_")  # fmt: skip
    for name in COUNT_NAMES:
        assert seen[f"train {name}"] > 0, f"no {name} in training"
        if not name.startswith(learning_only):
            assert seen[f"inference {name}"] > 0, f"no {name} in inference"


LEARNING = {"threshold": 2, "window": 8, "gradient_shift": 2, "momentum_bits": 5}
LIMITS = {
    "as many axons as a core may have": {"inputs": 4096, "layers": [{"neurons": 2, "lanes": 64}]},
    "as many neurons, one lane": {
        "inputs": 3,
        "core": {"lanes": 1},
        "layers": [{"neurons": 4096}, {"neurons": 2}],
    },
    "as many neurons, lanes that fill no chunk": {
        "inputs": 2,
        "core": {"lanes": 17, "decay": "dense"},
        "layers": [{"neurons": 4096}],
    },
    "as many layers": {
        "inputs": 9,
        "core": {"lanes": 5, "error_shift": 1},
        "layers": [{"neurons": 6}] * 16,
    },
    "as many steps": {"inputs": 5, "steps": 256, "layers": [{"neurons": 4}, {"neurons": 3}]},
    "the largest squares of T-BSO": {
        "inputs": 4096,
        "core": {"rule": "tbso", "trace_bits": 8, "trace_unit": 255, "average_shift": 0,
                 "momentum_bits": 16, "threshold_gain": 65535, "gradient_shift": 0,
                 "error_bits": 12},
        "layers": [{"neurons": 2}, {"neurons": 2}],
    },
}  # fmt: skip


# What few random chips reach.
RARE = {
    # Each lane's own random number in the last chunks of a word.
    "all lanes of the widest word, one generator": {
        "inputs": 9,
        "core": {"lanes": 64, "gradient_shift": 7},
        "layers": [{"neurons": 100}, {"neurons": 70}],
        "error": {"kind": "softmax", "sharpness": 4},
    },
    "all lanes of the widest word, a generator each": {
        "inputs": 9,
        "core": {"lanes": 64, "gradient_shift": 7, "random_source": "per_lane", "decay": "dense"},
        "layers": [{"neurons": 100}, {"neurons": 70}],
        "error": {"kind": "softmax", "sharpness": 4},
    },
    # Momenta that were below it are beyond it, and flip only where their own gradient is not 0.
    "an adaptive threshold that falls": {
        "inputs": 40,
        "steps": 4,
        "core": {"rule": "tbso", "average_shift": 0, "square_shift": 8, "threshold_shift": 2,
                 "gradient_shift": 8, "trace_decay_shift": 3},
        "layers": [{"neurons": 30}, {"neurons": 12}],
        "error": {"kind": "softmax", "sharpness": 1},
    },
}  # fmt: skip


def _chip(document: dict[str, Any]) -> Chip:
    core = {**LEARNING, **document.get("core", {})}
    hinge = {"kind": "hinge", "margin": 1 << 20}
    return parse_chip({"name": "x", "steps": 2, "error": hinge, **document, "core": core}, "x")


@pytest.mark.parametrize("document", LIMITS.values(), ids=LIMITS.keys())
def test_engine_equals_the_oracle_at_the_limits(document: dict[str, Any]) -> None:
    plan = Plan(noise=5, density=1.0, pixels=False, chunks=(Chunk(2, 0), Chunk(1, 1)))
    counts = _run_both(_chip(document), 2**64 - 1, plan)
    assert counts["train"].total("momentum_updates") > 0


@pytest.mark.parametrize("document", RARE.values(), ids=RARE.keys())
def test_engine_equals_the_oracle_where_chance_seldom_leads(document: dict[str, Any]) -> None:
    plan = Plan(noise=5, density=0.4, pixels=False, chunks=(Chunk(8, 0), Chunk(1, 1)))
    counts = _run_both(_chip(document), 5, plan)
    assert counts["train"].total("flips") > 0


def test_a_seed_counts_modulo_its_64_bits() -> None:
    chip = parse_chip({"name": "seeds", "inputs": 30, "layers": [{"neurons": 9}]}, "seeds")
    negative, wrapped = (Engine(chip, seed).state for seed in (-3, 2**64 - 3))
    np.testing.assert_array_equal(negative.weights, wrapped.weights)
    np.testing.assert_array_equal(negative.generators, wrapped.generators)
