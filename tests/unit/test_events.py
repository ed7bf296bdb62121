"""Event counts: names, sums, differences."""

import json
import re
from pathlib import Path

import numpy as np

from flipcore.events import COUNT_NAMES, CYCLE_NAMES, EventCounts

SPEC = Path(__file__).parents[2] / "docs" / "SPEC.md"


def counts_of(samples: int, start: int) -> EventCounts:
    return EventCounts(samples, start + np.arange(2 * len(COUNT_NAMES)).reshape(2, -1))


def test_names_are_those_of_the_specification() -> None:
    text = SPEC.read_text(encoding="utf-8")
    rule = text[text.index("**T12 ") : text.index("**T13 ")]
    assert tuple(re.findall("`(.*?)`", rule)) == COUNT_NAMES
    assert len(set(COUNT_NAMES)) == len(COUNT_NAMES)


def test_zeros_count_nothing() -> None:
    counts = EventCounts.zeros(3)
    assert counts.samples == counts.cycles == counts.total("flips") == 0
    assert counts.cores.shape == (3, len(COUNT_NAMES))
    assert counts.cores.dtype == np.int64


def test_a_count_is_found_by_its_name() -> None:
    counts = counts_of(1, 0)
    for index, name in enumerate(COUNT_NAMES):
        assert counts.per_core(name).tolist() == [index, index + len(COUNT_NAMES)]
        assert counts.total(name) == 2 * index + len(COUNT_NAMES)


def test_cycles_are_those_of_all_phases() -> None:
    counts = EventCounts.zeros(2)
    for power, name in enumerate(COUNT_NAMES):
        counts.per_core(name)[1] = 1 << power
    expected = sum(1 << COUNT_NAMES.index(name) for name in CYCLE_NAMES)
    assert counts.cycles == expected
    assert len(CYCLE_NAMES) == 9


def test_adding_and_taking_off_are_inverse_and_copies_are_independent() -> None:
    total, part = counts_of(5, 100), counts_of(2, 7)
    before = total.copy()
    total.add(part)
    assert total.samples == 7
    difference = total.minus(before)
    assert difference.samples == 2
    np.testing.assert_array_equal(difference.cores, part.cores)
    np.testing.assert_array_equal(before.cores, counts_of(5, 100).cores)


def test_json_holds_every_count_of_every_core() -> None:
    plain = json.loads(json.dumps(counts_of(4, 0).as_dict()))
    assert list(plain) == ["samples", *COUNT_NAMES]
    assert plain["samples"] == 4
    assert plain["merged_events"] == [1, 1 + len(COUNT_NAMES)]
