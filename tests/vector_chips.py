# SPDX-License-Identifier: Apache-2.0
"""The small chips of the system vectors, their samples, and a check that each does something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.oracle import Oracle
from tests.oracle_rules import stream

DEFAULT: dict[str, Any] = {
    "memory_ports": "1rw", "neuron": "lif", "potential_bits": 10, "threshold": 3, "leak_shift": 3,
    "reset": "subtract", "window": 6, "trace_bits": 4, "trace_unit": 4, "trace_decay_shift": 2,
    "error_bits": 8, "error_shift": 2, "rule": "bso", "momentum_bits": 8, "flip_threshold": 20,
    "gradient_shift": 4, "rounding": "stochastic", "random_source": "shared",
    "momentum_at_flip": "reset", "decay": "none", "decay_shift": 3, "scrub_period": 4,
    "square_shift": 8, "average_shift": 2, "threshold_gain": 3, "threshold_shift": 3,
}  # fmt: skip


def _core(neurons: int, lanes: int, **changes: Any) -> dict[str, Any]:
    assert changes.keys() <= DEFAULT.keys()
    return {"neurons": neurons, "lanes": lanes, **DEFAULT, **changes}


def _hinge(margin: int, of: str = "step") -> dict[str, Any]:
    return {"kind": "hinge", "margin": margin, "of": of}


def _softmax(sharpness: int, of: str = "step") -> dict[str, Any]:
    return {"kind": "softmax", "sharpness": sharpness, "of": of}


def _chip(
    steps: int,
    inputs: int,
    error: dict[str, Any],
    *cores: dict[str, Any],
    schedule: tuple[tuple[int, int, int], ...] = (),
) -> dict[str, Any]:
    keys = ("after_samples", "gradient_shift_add", "scrub_period_multiply")
    return {
        "steps": steps,
        "inputs": inputs,
        "error": error,
        "schedule": [dict(zip(keys, stage, strict=True)) for stage in schedule],
        "cores": list(cores),
    }


SYSTEMS = {
    "readout_only": _chip(4, 20, _hinge(4), _core(10, 16)),
    "one_lane": _chip(
        5,
        12,
        _hinge(6, "total"),
        _core(7, 1, memory_ports="1r1w", momentum_bits=3, flip_threshold=1, gradient_shift=6),
        _core(3, 1, memory_ports="1r1w", momentum_bits=2, flip_threshold=0, gradient_shift=7),
    ),
    "ragged_words": _chip(
        5,
        14,
        _softmax(1),
        _core(8, 3, random_source="per_lane", momentum_at_flip="keep", decay="scrub"),
        _core(10, 4, random_source="per_lane", decay="scrub", scrub_period=2, decay_shift=1),
    ),
    "wide_dense": _chip(
        4,
        18,
        _softmax(2, "total"),
        _core(40, 64, momentum_bits=16, flip_threshold=300, gradient_shift=0, rounding="nearest",
              decay="dense", decay_shift=4),
        _core(5, 64, momentum_bits=16, flip_threshold=1500, gradient_shift=0, rounding="floor",
              decay="dense", decay_shift=6, memory_ports="1r1w"),
    ),
    "four_layers": _chip(
        4,
        16,
        _hinge(8),
        _core(12, 16, error_shift=0, flip_threshold=8, gradient_shift=3),
        _core(9, 3, reset="zero", error_bits=5, error_shift=4, flip_threshold=4, gradient_shift=3),
        _core(6, 1, neuron="if", error_bits=12, error_shift=1, memory_ports="1r1w"),
        _core(4, 64, error_shift=0),
    ),
    "bottleneck": _chip(
        6,
        10,
        _hinge(3, "total"),
        _core(1, 16, threshold=1, reset="zero", flip_threshold=6, gradient_shift=5),
        _core(6, 3, error_shift=3, gradient_shift=5, flip_threshold=10, decay="dense"),
    ),
    "no_trace_memory": _chip(
        5,
        16,
        _softmax(0),
        _core(9, 4, neuron="if", reset="zero", trace_decay_shift=None, trace_bits=1, trace_unit=1,
              rounding="floor", gradient_shift=2, flip_threshold=5),
        _core(5, 3, trace_decay_shift=None, trace_bits=8, trace_unit=255, rounding="nearest",
              gradient_shift=9, flip_threshold=12, error_shift=4, decay="scrub", scrub_period=1),
    ),
    "second_moment": _chip(
        5,
        14,
        _hinge(5),
        _core(8, 4, rule="tbso", square_shift=6, gradient_shift=4),
        _core(4, 4, rule="tbso", square_shift=10, threshold_gain=5, threshold_shift=4,
              average_shift=3, memory_ports="1r1w"),
    ),
    "second_moment_keep": _chip(
        4,
        12,
        _softmax(1, "total"),
        _core(6, 16, rule="tbso", square_shift=2, average_shift=0, momentum_at_flip="keep",
              random_source="per_lane", decay="dense", momentum_bits=6),
        _core(20, 16, rule="tbso", square_shift=0, average_shift=1, threshold_gain=1,
              threshold_shift=5, momentum_at_flip="keep", momentum_bits=4, rounding="nearest"),
        schedule=((3, 1, 1),),
    ),
    "schedule": _chip(
        4,
        15,
        _hinge(6),
        _core(7, 3, decay="scrub", scrub_period=2, decay_shift=2, gradient_shift=3),
        _core(4, 1, decay="scrub", scrub_period=16, memory_ports="1r1w", rounding="floor"),
        schedule=((0, 1, 1), (4, 0, 2), (7, 2, 8)),
    ),
    "saturating": _chip(
        6,
        30,
        _hinge(400, "total"),
        _core(6, 3, potential_bits=4, threshold=7, leak_shift=15, window=16, trace_bits=2,
              trace_unit=3, trace_decay_shift=7, error_bits=4, momentum_bits=4, flip_threshold=6,
              gradient_shift=0),
        _core(3, 16, momentum_bits=3, flip_threshold=2, gradient_shift=3, momentum_at_flip="keep",
              error_shift=0, leak_shift=1),
    ),
    "silent_steps": _chip(
        8,
        40,
        _softmax(4),
        _core(5, 16, trace_decay_shift=1, trace_bits=3, trace_unit=7, window=2, leak_shift=1,
              decay="dense", rounding="stochastic", flip_threshold=6),
        _core(3, 3, trace_decay_shift=1, trace_bits=3, trace_unit=7, memory_ports="1r1w",
              decay="scrub", scrub_period=8, rounding="stochastic"),
    ),
}  # fmt: skip
SAMPLES = 14
CLIPPED = ("saturating",)
MERGING = ("readout_only", "silent_steps", "four_layers")


@dataclass(frozen=True)
class Sample:
    """Events per step, the number offered per step, a label, and whether it is learnt."""

    events: list[list[int]]
    offered: list[int]
    label: int
    training: bool


def samples_of(name: str, number: int) -> list[Sample]:
    """Pseudo-random samples; classes prefer different axons, every fourth sample is evaluated."""
    chip, outputs = SYSTEMS[name], stream(2026, 100, number)
    classes = chip["cores"][-1]["neurons"]
    samples = []
    for k in range(SAMPLES):
        label, events, offered = next(outputs) % classes, [], []
        for t in range(chip["steps"]):
            quiet = name == "silent_steps" and t % 3 == 1
            chances = [10 + 50 * ((i + label) % 3 == 0) for i in range(chip["inputs"])]
            step = [i for i, chance in enumerate(chances) if next(outputs) % 100 < chance]
            events.append([] if quiet else step)
            merged = next(outputs) % 4 if name in MERGING and events[-1] else 0
            offered.append(len(events[-1]) + merged)
        samples.append(Sample(events, offered, label, k % 4 != 3))
    return samples


def check_coverage(name: str, oracle: Oracle) -> None:
    """Refuse a chip in which the thing that it is there for does not happen."""
    for c, core in enumerate(oracle.cores):
        train = oracle.counts["train"][c]
        needed = ["events", "live_steps", "words_updated", "flips"]
        needed += ["spikes"] if c < oracle.last else []
        needed += ["words_changed"] if core["decay"] != "none" else []
        needed += ["words_drawn"] if core["rounding"] == "stochastic" else []
        needed += ["momentum_saturations"] if name in CLIPPED else []
        needed += ["potential_saturations"] if name in CLIPPED and c < oracle.last else []
        needed += ["merged_events"] if name in MERGING and c == 0 else []
        for count in needed:
            assert train[count] > 0, f"{name}: core {c}: {count} is 0"
        moved = any(oracle.second_moment[c])
        assert moved == (core["rule"] == "tbso"), f"{name}: core {c}: second moment"
        assert train["flips"] < train["momentum_updates"], f"{name}: core {c}: every update flips"
    assert oracle.samples["inference"] > 0
