"""The trace in the form that viewers take: every event complete, slices that tile each thread, counts that add up."""

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.run import Run, Settings
from flipcore.sim.timeline import Timeline, summarise, trace_run
from flipcore.sim.trace_events import microseconds, nanoseconds, trace_document
from tests.datasets import tiny_dataset
from tests.random_chips import chip_documents

Event = dict[str, Any]

FIELDS = {
    "X": {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"},
    "C": {"ph", "name", "pid", "tid", "ts", "args"},
    "i": {"ph", "s", "name", "cat", "pid", "tid", "ts", "args"},
    "M": {"ph", "name", "pid", "tid", "ts", "args"},
}


def traced(document: dict[str, Any], samples: int = 2, epochs: int = 1) -> Timeline:
    chip = parse_chip(document, "chip")
    dataset = tiny_dataset(axons=chip.inputs, classes=min(3, chip.classes), train=5, test=5)
    return trace_run(Run(chip, dataset, Settings("tiny", epochs, seed=3)), samples)


def document_of(timeline: Timeline) -> dict[str, Any]:
    """As a viewer reads it."""
    made = trace_document(timeline, summarise(timeline), {"versions": {"flipcore": "x"}})
    read: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return read


def rounded(microseconds: float) -> int:
    """Nanoseconds as newer versions of Perfetto take them."""
    return round(microseconds * 1000)


def truncated(microseconds: float) -> int:
    """Nanoseconds as older versions take them."""
    return int(microseconds * 1000)


# --- times


@given(st.integers(0, 10**13))
@example(1001)
@example(0)
def test_a_nanosecond_survives_rounding_and_truncation(value: int) -> None:
    written = json.loads(json.dumps(microseconds(value)))
    assert rounded(written) == truncated(written) == value
    assert written == pytest.approx(value / 1000, rel=1e-12, abs=1e-12)


def test_the_plain_quotient_would_not_survive() -> None:
    assert truncated(1001 / 1000) == 1000


@pytest.mark.parametrize(
    ("cycle", "clock_mhz", "expected"),
    [
        (7, 100, 70),
        (1, 300, 3),
        (2, 300, 7),
        (3, 300, 10),
        (1, 10_000, 0),
        (10**9, 0.5, 2 * 10**12),
    ],
)
def test_cycles_at_the_clock(cycle: int, clock_mhz: float, expected: int) -> None:
    assert nanoseconds(cycle, clock_mhz) == expected


# --- the form


@settings(max_examples=25)
@given(document=chip_documents(), samples=st.integers(1, 3), epochs=st.integers(0, 1))
def test_every_event_is_complete_and_every_thread_in_order(
    document: dict[str, Any], samples: int, epochs: int
) -> None:
    timeline = traced(document, samples, epochs)
    chip = timeline.chip
    read = document_of(timeline)
    assert list(read) == ["traceEvents", "displayTimeUnit", "otherData"]
    assert read["displayTimeUnit"] == "ns"
    for event in read["traceEvents"]:
        check_form(event)
    threads: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in read["traceEvents"]:
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append(event)
    assert len({tid for _, tid in threads}) == len(threads)  # unique over processes
    for side in timeline.sides:
        pid = {"training": 1, "inference": 2}[side.name]
        counts = side.counts(len(chip.layers))
        end_ns = nanoseconds(counts.cycles, chip.clock_mhz)
        assert abs(end_ns / 1000 - counts.cycles / chip.clock_mhz) < 0.00051
        for to_ns in (rounded, truncated):
            for c in range(len(chip.layers)):
                # Working and waiting take turns without a gap, from the first cycle to the last.
                check_tiles(threads[pid, 100 * pid + 1 + c], 0, end_ns, to_ns)
            slices = threads[pid, 100 * pid]
            samples_of_side = [event for event in slices if event["cat"] == "sample"]
            steps = [event for event in slices if event["cat"] == "step"]
            assert len(samples_of_side) == samples
            assert len(steps) == samples * (chip.steps + 1)
            check_tiles(samples_of_side, 0, end_ns, to_ns)
            check_tiles(steps, 0, end_ns, to_ns)
        check_nesting(threads[pid, 100 * pid])
        check_counts(threads, pid, chip, counts)
    assert {pid for pid, _ in threads} == {1, 2} if epochs else {2}


def check_form(event: Event) -> None:
    """Fields and their types, as the format asks for them."""
    assert set(event) == FIELDS[event["ph"]]
    assert isinstance(event["name"], str)
    assert event["name"]
    assert type(event["pid"]) is type(event["tid"]) is int
    assert isinstance(event["ts"], int | float)
    assert event["ts"] >= 0
    assert isinstance(event["args"], dict)
    if event["ph"] == "X":
        assert event["dur"] >= 0
        assert event["cat"] in ("sample", "step", "phase", "wait")
    if event["ph"] == "i":
        assert event["s"] == "t"
    if event["ph"] == "C":
        assert event["args"]
        assert all(type(value) is int and value >= 0 for value in event["args"].values())
    if event["ph"] == "M":
        assert len(event["args"]) == 1
        assert event["name"] in (
            "process_name", "process_labels", "process_sort_index", "thread_name", "thread_sort_index",
        )  # fmt: skip


def check_tiles(slices: list[Event], start: int, end: int, to_ns: Callable[[float], int]) -> None:
    """Slices that follow one another without gap or overlap, in the order of the file."""
    at = start
    for event in slices:
        assert to_ns(event["ts"]) == at
        at += to_ns(event["dur"])
    assert at == end


def check_nesting(slices: list[Event]) -> None:
    """A sample comes before its steps in the file, and they lie within it."""
    inside = -1
    end = 0
    for event in slices:
        start, stop = rounded(event["ts"]), rounded(event["ts"]) + rounded(event["dur"])
        if event["cat"] == "sample":
            inside, end = event["args"]["sample"], stop
        else:
            assert event["args"]["sample"] == inside
            assert start <= stop <= end


def check_counts(
    threads: dict[tuple[int, int], list[Event]], pid: int, chip: Chip, expected: EventCounts
) -> None:
    """Args of all phases together are the counts of the engine; what a core waits for is what others work."""
    columns = {name: column for column, name in enumerate(COUNT_NAMES)}
    found = EventCounts.zeros(len(chip.layers))
    for c in range(len(chip.layers)):
        waited = 0
        for event in threads[pid, 100 * pid + 1 + c]:
            args = dict(event["args"])
            cycles = args.pop("cycles")
            del args["sample"]
            if event["cat"] == "wait":
                assert f"core {c}" not in args
                assert sum(args.values()) == cycles > 0
                waited += cycles
                continue
            assert 0 <= args.pop("step") <= chip.steps
            found.cores[c, columns[f"{event['name']}_cycles"]] += cycles
            for name, value in args.items():
                found.cores[c, columns[name]] += value
        own = sum(int(expected.per_core(name)[c]) for name in columns if name.endswith("_cycles"))
        assert waited + own == expected.cycles
    np.testing.assert_array_equal(found.cores, expected.cores)


# --- a small chip, looked at closely

SMALL: dict[str, Any] = {
    "name": "small", "inputs": 6, "steps": 3, "clock_mhz": 250.0,
    "core": {"lanes": 2, "threshold": 1, "window": 8, "gradient_shift": 0, "flip_threshold": 0},
    "layers": [{"neurons": 4}, {"neurons": 5}, {"neurons": 3}],
}  # fmt: skip


def by_phase(events: list[Event], ph: str, pid: int) -> list[Event]:
    return [event for event in events if event["ph"] == ph and event["pid"] == pid]


def test_names_of_processes_and_threads() -> None:
    timeline = traced(SMALL)
    events = document_of(timeline)["traceEvents"]
    summary = summarise(timeline)
    for pid, side in ((1, "training"), (2, "inference")):
        named = [(e["name"], e["tid"], *e["args"].values()) for e in by_phase(events, "M", pid)]
        shares = [f"{core['busy_share']:.0%}" for core in summary[side]["cores"]]
        assert named == [
            ("process_name", 100 * pid, side),
            ("process_labels", 100 * pid, "small 6-4-5-3, 250 MHz"),
            ("process_sort_index", 100 * pid, pid),
            ("thread_name", 100 * pid, "samples and steps"),
            ("thread_sort_index", 100 * pid, 0),
            ("thread_name", 100 * pid + 1, f"core 0: 6 to 4, busy {shares[0]}"),
            ("thread_sort_index", 100 * pid + 1, 1),
            ("thread_name", 100 * pid + 2, f"core 1: 4 to 5, busy {shares[1]}"),
            ("thread_sort_index", 100 * pid + 2, 2),
            ("thread_name", 100 * pid + 3, f"core 2: 5 to 3, busy {shares[2]}"),
            ("thread_sort_index", 100 * pid + 3, 3),
        ]


def test_predictions_say_right_or_wrong() -> None:
    timeline = traced(SMALL, samples=5)
    events = document_of(timeline)["traceEvents"]
    verdicts = set()
    for pid, side in enumerate(timeline.sides, start=1):
        marks = by_phase(events, "i", pid)
        samples = [e for e in by_phase(events, "X", pid) if e["cat"] == "sample"]
        assert len(marks) == len(samples) == 5
        for number, (mark, sample, recording) in enumerate(
            zip(marks, samples, side.recordings, strict=True)
        ):
            verdict = "right" if recording.label == recording.prediction else "wrong"
            verdicts.add(verdict)
            assert mark["name"] == f"{verdict}: {recording.prediction}"
            about = {"sample": number, "label": recording.label, "prediction": recording.prediction}
            assert mark["args"] == about
            assert sample["args"].items() >= about.items()
            assert sample["name"] == (
                f"sample {number}: label {recording.label}, predicted {recording.prediction}"
            )
            assert sample["ts"] <= mark["ts"] < sample["ts"] + sample["dur"]
    assert verdicts == {"right", "wrong"}


def test_counters_hold_the_numbers_of_each_step() -> None:
    timeline = traced(SMALL, samples=3)
    events = document_of(timeline)["traceEvents"]
    for pid, side in enumerate(timeline.sides, start=1):
        counters = by_phase(events, "C", pid)
        times = [event["ts"] for event in counters if event["name"] == "spikes"]
        assert times == sorted(times)
        assert times[0] == 0
        names = {event["name"] for event in counters}
        assert names == ({"spikes", "flips"} if side.name == "training" else {"spikes"})
        spikes = [event["args"] for event in counters if event["name"] == "spikes"]
        assert {tuple(args) for args in spikes} == {("core 0", "core 1")}
        totals = sum(recording.spikes[0].sum() for recording in side.recordings)
        assert _risen(spikes, "core 0") == totals > 0
        if side.name == "training":
            flips = [event["args"] for event in counters if event["name"] == "flips"]
            assert {tuple(args) for args in flips} == {("core 0", "core 1", "core 2")}
            for c in range(3):
                in_all = int(side.counts(3).per_core("flips")[c])
                assert _risen(flips, f"core {c}") == in_all > 0
        assert all(value == 0 for value in spikes[-1].values())


def _risen(values: list[dict[str, int]], key: str) -> int:
    """Sum of a counter's rises from zero."""
    column = [0, *(args[key] for args in values)]
    return sum(after for before, after in itertools.pairwise(column) if not before)


def test_what_the_trace_is_of_stands_in_its_metadata() -> None:
    timeline = traced(SMALL)
    other = document_of(timeline)["otherData"]
    assert other.pop("summary") == summarise(timeline)
    assert other == {
        "chip": "small", "network": "6-4-5-3", "clock_mhz": 250.0, "dataset": "tiny", "seed": 3,
        "epochs": 0, "versions": {"flipcore": "x"},
    }  # fmt: skip


def test_a_chip_of_one_core_never_waits() -> None:
    timeline = traced({**SMALL, "layers": [{"neurons": 2}]})
    document = document_of(timeline)
    events = document["traceEvents"]
    assert not [event for event in events if event.get("cat") == "wait"]
    assert {event["name"] for event in by_phase(events, "C", 1)} == {"flips"}
    assert by_phase(events, "C", 2) == []
    assert document["otherData"]["summary"]["training"]["cores"][0]["busy_share"] == 1.0


def test_a_clock_beyond_a_nanosecond_keeps_its_cycles_in_the_args() -> None:
    timeline = traced({**SMALL, "clock_mhz": 10_000})
    slices = [e for e in document_of(timeline)["traceEvents"] if e["ph"] == "X"]
    phases = [event for event in slices if event["cat"] == "phase"]
    assert min(event["dur"] for event in phases) == 0.0
    assert min(event["args"]["cycles"] for event in phases) >= 1
    assert math.isclose(sum(e["dur"] for e in phases), sum(e["args"]["cycles"] for e in phases) / 10_000, rel_tol=0.01)  # fmt: skip
