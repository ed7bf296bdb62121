"""The largest numbers that a chip description takes fit into what computes with them; larger ones are refused."""

import json
from typing import Any

import pytest

from flipcore.chip import MAX_AFTER_SAMPLES, MAX_FLIP_THRESHOLD, Chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim.engine import Engine


def _chip(core: dict[str, Any], **fields: Any) -> Chip:
    document = {"name": "x", "inputs": 2, "steps": 1, "core": core, "layers": [{"neurons": 2}]}
    return parse_chip({**document, **fields}, "x")


def test_the_largest_values_reach_the_loops() -> None:
    chip = _chip(
        {"rule": "tbso", "flip_threshold": MAX_FLIP_THRESHOLD},
        schedule=[{"after_samples": MAX_AFTER_SAMPLES}],
    )
    assert Engine(chip, 0).chip is chip


def test_the_slowest_clock_gives_a_latency_that_json_can_hold() -> None:
    chip = _chip({}, clock_mhz=0.001)
    counts = EventCounts.zeros(1)
    counts.cores[:] = 1 << 60
    json.dumps(counts.cycles / chip.clock_mhz, allow_nan=False)


@pytest.mark.parametrize(
    ("core", "fields", "told"),
    [
        ({"rule": "tbso", "flip_threshold": 1 << 70}, {}, "flip_threshold=.*equal to 32766"),
        ({}, {"schedule": [{"after_samples": 1 << 70}]}, "schedule.0.after_samples=.*less than"),
        ({}, {"clock_mhz": 1e-320}, "clock_mhz=1e-320: .*equal to 0.001"),
    ],
)
def test_larger_ones_are_refused(core: dict[str, Any], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        _chip(core, **fields)
