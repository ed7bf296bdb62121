"""The hardware-exact mode in torch against the simulator's engine on random chips: every bit, of several chips at once, forth and back.

FLIPCORE_EXAMPLES: how many random chips (40 by default).
"""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState
from flipcore.training.hardware import HardwareChips
from flipcore.training.hardware_counts import BASIC_NAMES
from flipcore.training.hardware_input import record_spikes
from tests.random_chips import chip_documents

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "40"))
SEEDS = st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1))


@dataclass(frozen=True)
class Plan:
    """What the chips are given: `ahead` samples each learns alone in the simulator, then samples on all, T for training."""

    seeds: tuple[int, ...]
    ahead: tuple[int, ...]
    modes: str
    noise: int
    density: float
    pixels: bool


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    seeds = tuple(draw(st.lists(SEEDS, min_size=3, max_size=5)))
    return Plan(
        seeds=seeds,
        ahead=tuple(draw(st.sampled_from((0, 0, 1, 3))) for _ in seeds),
        modes=draw(st.text("TTTi", min_size=1, max_size=5)),
        noise=draw(st.integers(0, 2**32 - 1)),
        density=draw(st.sampled_from((0.5, 0.2, 0.9, 0.05, 1.0))),
        pixels=draw(st.booleans()),
    )


def _records(chip: Chip, plan: Plan, count: int, dice: np.random.Generator) -> Records:
    if plan.pixels:
        pixels = dice.integers(0, 256, (count, chip.inputs)).astype(np.uint8)
        pixels[dice.random(pixels.shape) >= plan.density] = 0
        return Records(pixels, np.empty((count, 0, 0), np.uint8), np.empty((count, 0), np.int32))
    shape = (count, chip.steps, chip.inputs)
    flags = dice.random(shape) < plan.density
    flags[dice.random(shape[:2]) < 0.2] = False  # steps in which nothing happens
    bitmaps = np.packbits(flags, axis=2, bitorder="little")
    return Records(np.empty((count, 0), np.uint8), bitmaps, np.zeros((count, chip.steps), np.int32))


def _labels(chip: Chip, count: int, dice: np.random.Generator) -> npt.NDArray[np.int32]:
    return dice.integers(0, chip.classes, count).astype(np.int32)


def assert_same_state(found: ChipState, expected: ChipState) -> None:
    """Every array of the simulator's form is equal, padding included."""
    assert found.sample_counter == expected.sample_counter
    for name in ("weights", "momentum", "generators", "second_moment"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def _run_both(chip: Chip, plan: Plan) -> Counter[str]:
    """Run the chips in torch and each in an engine, compare all that can be seen; returns the counts of learning."""
    dice = np.random.default_rng(plan.noise)
    engines = [Engine(chip, seed) for seed in plan.seeds]
    if any(plan.ahead):
        for engine, ahead in zip(engines, plan.ahead, strict=True):
            early = EventCounts.zeros(len(chip.layers))
            engine.train(_records(chip, plan, ahead, dice), _labels(chip, ahead, dice), early)
        chips = HardwareChips.from_chip_states(chip, [engine.state for engine in engines], DEVICE)
    else:
        chips = HardwareChips.with_seeds(chip, plan.seeds, DEVICE)
    counts = [EventCounts.zeros(len(chip.layers)) for _ in engines]
    inferred = [EventCounts.zeros(len(chip.layers)) for _ in engines]
    for mode in plan.modes:
        if mode == "T":
            records = [_records(chip, plan, 1, dice) for _ in engines]
            labels = _labels(chip, len(engines), dice)
            spikes = torch.cat([record_spikes(one, chip, DEVICE) for one in records])
            got = chips.learn(spikes, torch.from_numpy(labels)).tolist()
            expected = [
                int(engine.train(one, labels[k : k + 1], counts[k])[0])
                for k, (engine, one) in enumerate(zip(engines, records, strict=True))
            ]
        else:
            shared = _records(chip, plan, 4, dice)
            got = chips.infer(record_spikes(shared, chip, DEVICE)[None]).tolist()
            expected = [
                engine.infer(shared, inferred[k], 1).tolist() for k, engine in enumerate(engines)
            ]
        assert got == expected
    for k, engine in enumerate(engines):
        assert_same_state(chips.to_chip_state(k), engine.state)
        for name in BASIC_NAMES:
            for found, simulated in ((chips.train_counts, counts), (chips.inference_counts, inferred)):  # fmt: skip
                assert found.per_core(name)[k].tolist() == simulated[k].per_core(name).tolist()
                assert found.samples == simulated[k].samples
    return Counter(chips.train_counts.totals())


def test_torch_equals_the_engine_on_random_chips() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(document=chip_documents(), plan=plans())
    def compare(document: dict[str, Any], plan: Plan) -> None:
        seen.update(_run_both(parse_chip(document, "random"), plan))

    compare()
    for name in BASIC_NAMES:  # what never happened was never compared
        assert seen[name] > 0, name


PLAN = Plan((3, 4, 2**64 - 1), (0, 0, 0), "TTT", 5, 0.8, False)
LEARNING = {"threshold": 2, "window": 8, "gradient_shift": 2, "momentum_bits": 5}
LIMITS = {
    "as many axons as a core may have": {"inputs": 4096, "layers": [{"neurons": 2, "lanes": 64}]},
    "as many neurons, one lane": {
        "inputs": 3,
        "core": {"lanes": 1, "error_bits": 12, "error_shift": 0},
        "layers": [{"neurons": 4096}, {"neurons": 4}],
    },
    "the largest backward sums": {
        "inputs": 2,
        "core": {"error_bits": 12, "error_shift": 0, "window": 64, "trace_bits": 8,
                 "trace_unit": 255},
        "layers": [{"neurons": 3}, {"neurons": 1000}, {"neurons": 60}, {"neurons": 2}],
    },
    "as many layers, steps, and a generator per lane": {
        "inputs": 9,
        "steps": 40,
        "core": {"lanes": 5, "error_shift": 1, "random_source": "per_lane", "decay": "dense"},
        "layers": [{"neurons": 6}] * 16,
    },
    "the largest squares of T-BSO": {
        "inputs": 4096,
        "core": {"rule": "tbso", "trace_bits": 8, "trace_unit": 255, "average_shift": 0,
                 "momentum_bits": 16, "threshold_gain": 65535, "gradient_shift": 0,
                 "error_bits": 12},
        "layers": [{"neurons": 2}, {"neurons": 2}],
    },
    "more words than are worked on at a time": {
        "inputs": 900,
        "core": {"lanes": 16, "decay": "scrub", "scrub_period": 2, "gradient_shift": 7},
        "layers": [{"neurons": 150}, {"neurons": 20}],
        "error": {"kind": "softmax", "sharpness": 3},
    },
}  # fmt: skip


@pytest.mark.parametrize("document", LIMITS.values(), ids=LIMITS.keys())
def test_torch_equals_the_engine_at_the_limits(document: dict[str, Any]) -> None:
    core = {**LEARNING, **document.get("core", {})}
    hinge = {"kind": "hinge", "margin": 1 << 20}
    chip = parse_chip({"name": "x", "steps": 2, "error": hinge, **document, "core": core}, "x")
    assert _run_both(chip, PLAN)["momentum_updates"] > 0
