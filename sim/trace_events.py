"""A timeline in the Trace Event Format, which ui.perfetto.dev and chrome://tracing open.

Format: "Trace Event Format", the Chromium project (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): times in microseconds,
`X` complete events, `C` counters, `i` instants, `M` metadata. Slices of a thread nest or follow one another; a viewer drops one that merely overlaps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.sim.recording import Recording
from flipcore.sim.stepper import PhaseRecord
from flipcore.sim.timeline import Side, Summary, Timeline

Event = dict[str, Any]
Document = dict[str, Any]

PROCESSES = {"training": 1, "inference": 2}
_TIDS_PER_PROCESS = 100  # thread numbers are unique over the whole trace, as on an operating system

_SPIKES = COUNT_NAMES.index("spikes")
_FLIPS = COUNT_NAMES.index("flips")


@dataclass(frozen=True)
class _Span:
    """A phase on the clock of its side, in cycles."""

    record: PhaseRecord
    start: int

    @property
    def end(self) -> int:
        return self.start + self.record.cycles


class _Track:
    """Makes the events of one side: its process, and its clock."""

    def __init__(self, side: str, clock_mhz: float) -> None:
        self.pid = PROCESSES[side]
        self._clock_mhz = clock_mhz

    def tid(self, thread: int) -> int:
        """Thread 0 holds samples and steps, thread 1 + c core c."""
        return self.pid * _TIDS_PER_PROCESS + thread

    def slice(
        self, thread: int, name: str, category: str, cycles: tuple[int, int], args: Event
    ) -> Event:
        """A complete event from one cycle to another."""
        start, end = (nanoseconds(cycle, self._clock_mhz) for cycle in cycles)
        return {
            "ph": "X", "name": name, "cat": category, "pid": self.pid, "tid": self.tid(thread),
            "ts": microseconds(start), "dur": microseconds(end - start), "args": args,
        }  # fmt: skip

    def instant(self, thread: int, name: str, category: str, cycle: int, args: Event) -> Event:
        """An event without duration, of its thread."""
        ts = microseconds(nanoseconds(cycle, self._clock_mhz))
        return {
            "ph": "i", "s": "t", "name": name, "cat": category, "pid": self.pid,
            "tid": self.tid(thread), "ts": ts, "args": args,
        }  # fmt: skip

    def counter(self, name: str, cycle: int, values: dict[str, int]) -> Event:
        """Values from a cycle on."""
        ts = microseconds(nanoseconds(cycle, self._clock_mhz))
        return {
            "ph": "C", "name": name, "pid": self.pid, "tid": self.tid(0), "ts": ts, "args": values,
        }  # fmt: skip

    def metadata(self, name: str, thread: int, args: Event) -> Event:
        """What a process or thread is called, and its place."""
        return {
            "ph": "M", "name": name, "pid": self.pid, "tid": self.tid(thread), "ts": 0, "args": args,
        }  # fmt: skip


def nanoseconds(cycle: int, clock_mhz: float) -> int:
    """Start of a cycle to the nearest nanosecond, the finest that viewers tell apart."""
    return round(cycle * 1000 / clock_mhz)


def microseconds(nanoseconds: int) -> float:
    """Nanoseconds as the format has them, such that both a viewer that rounds and one that truncates find the same nanosecond again.

    Otherwise a slice could begin a nanosecond before the last one ends, and the viewer would drop it.
    """
    value = nanoseconds / 1000
    return value if int(value * 1000) == nanoseconds else math.nextafter(value, math.inf)


def trace_document(timeline: Timeline, summary: Summary, about: dict[str, Any]) -> Document:
    """The trace, ready for JSON; `about` (versions and the like) stands in its metadata beside chip, clock and shares."""
    chip = timeline.chip
    events = [event for side in timeline.sides for event in _side_events(side, chip, summary)]
    other = {
        "chip": chip.name,
        "network": network(chip),
        "clock_mhz": chip.clock_mhz,
        "dataset": timeline.dataset,
        "seed": timeline.seed,
        "epochs": timeline.epochs,
        "summary": summary,
        **about,
    }
    # Some versions of Perfetto take a displayTimeUnit that stands first for the unit of the times.
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": other}


def network(chip: Chip) -> str:
    """Sizes of the layers, inputs first."""
    return "-".join(map(str, [chip.inputs, *(core.neurons for core in chip.layers)]))


def _side_events(side: Side, chip: Chip, summary: Summary) -> Iterator[Event]:
    track = _Track(side.name, chip.clock_mhz)
    yield from _names(side, track, chip, summary)
    start = 0
    for number, recording in enumerate(side.recordings):
        spans = []
        for record in recording.phases:
            spans.append(_Span(record, start))
            start = spans[-1].end
        yield from _sample_events(side, track, number, recording, spans)
        yield from _core_events(track, number, spans, len(chip.layers))
        yield from _counters(track, spans, len(chip.layers))


def _names(side: Side, track: _Track, chip: Chip, summary: Summary) -> Iterator[Event]:
    clock = f"{chip.name} {network(chip)}, {chip.clock_mhz:g} MHz"
    yield track.metadata("process_name", 0, {"name": side.name})
    yield track.metadata("process_labels", 0, {"labels": clock})
    yield track.metadata("process_sort_index", 0, {"sort_index": track.pid})
    names = ["samples and steps"]
    for c, core in enumerate(chip.layers):
        busy = summary[side.name]["cores"][c]["busy_share"]
        names.append(f"core {c}: {core.axons} to {core.neurons}, busy {busy:.0%}")
    for thread, name in enumerate(names):
        yield track.metadata("thread_name", thread, {"name": name})
        yield track.metadata("thread_sort_index", thread, {"sort_index": thread})


def _sample_events(
    side: Side, track: _Track, number: int, recording: Recording, spans: list[_Span]
) -> Iterator[Event]:
    """The sample, its steps within it, and the prediction."""
    label, prediction = recording.label, recording.prediction
    verdict = "right" if prediction == label else "wrong"
    args = {"sample": number, "label": label, "prediction": prediction}
    cycles = (spans[0].start, spans[-1].end)
    about = {**args, "index": recording.index, "cycles": cycles[1] - cycles[0]}
    name = f"sample {number}: label {label}, predicted {prediction}"
    yield track.slice(0, name, "sample", cycles, about)
    num_steps = len(recording.outputs)
    first = 0
    for step in range(num_steps + 1):
        last = first
        while last < len(spans) and spans[last].record.step == step:
            last += 1
        cycles = (spans[first].start, spans[last - 1].end)
        name = f"step {step}" if step < num_steps else "after the last step"
        about = {"sample": number, "step": step, "cycles": cycles[1] - cycles[0]}
        yield track.slice(0, name, "step", cycles, about)
        first = last
    # Within the sample's last phase: at its end the next sample has already begun.
    yield track.instant(0, f"{verdict}: {prediction}", "prediction", spans[-1].start, args)


def _core_events(track: _Track, number: int, spans: list[_Span], num_cores: int) -> Iterator[Event]:
    """Core by core, its phases with all that they counted, and its waits with the cycles that each other core works meanwhile."""
    for c in range(num_cores):
        waited: dict[str, int] = {}
        start = spans[0].start
        for span in spans:
            if span.record.core != c:
                other = f"core {span.record.core}"
                waited[other] = waited.get(other, 0) + span.record.cycles
                continue
            if span.start > start:
                yield _wait(track, number, c, (start, span.start), waited)
            yield _phase(track, number, span)
            waited, start = {}, span.end
        if spans[-1].end > start:
            yield _wait(track, number, c, (start, spans[-1].end), waited)


def _phase(track: _Track, number: int, span: _Span) -> Event:
    record = span.record
    args = {"sample": number, "step": record.step, "cycles": record.cycles}
    args |= {
        name: int(count)
        for name, count in zip(COUNT_NAMES, record.counts, strict=True)
        if count and not name.endswith("_cycles")
    }
    return track.slice(1 + record.core, record.phase, "phase", (span.start, span.end), args)


def _wait(
    track: _Track, number: int, c: int, cycles: tuple[int, int], waited: dict[str, int]
) -> Event:
    args = {"sample": number, "cycles": cycles[1] - cycles[0], **waited}
    return track.slice(1 + c, "wait", "wait", cycles, args)


def _counters(track: _Track, spans: list[_Span], num_cores: int) -> Iterator[Event]:
    """Spikes of every core but the readout, and flips of every core, of the step: from their phase to the next step."""
    counters = {
        "spikes": ("spikes", _SPIKES, num_cores - 1),
        "flips": ("update", _FLIPS, num_cores),
    }
    for name, (phase, column, cores) in counters.items():
        values = {f"core {c}": 0 for c in range(cores)}
        if not values or all(span.record.phase != phase for span in spans):
            continue
        if spans[0].start == 0:
            yield track.counter(name, 0, dict(values))
        for span in spans:
            record = span.record
            if record.phase == "input" and any(values.values()):
                values = dict.fromkeys(values, 0)
                yield track.counter(name, span.start, dict(values))
            elif record.phase == phase and record.counts[column]:
                values[f"core {record.core}"] = int(record.counts[column])
                yield track.counter(name, span.start, dict(values))
        if any(values.values()):
            yield track.counter(name, spans[-1].end, dict.fromkeys(values, 0))
