"""The sections of the report, each with its charts, or with the reason why there are none."""

from dataclasses import dataclass
from pathlib import Path

from flipcore.chip import parse_chip
from flipcore.comparison.rows import Row
from flipcore.errors import InputError
from flipcore.hwmodel.estimate import Estimate, estimate_warnings, make_estimate, run_workload
from flipcore.hwmodel.technology import Source as Citation
from flipcore.hwmodel.technology import load_technology
from flipcore.report.accuracy_charts import accuracy_chart, flip_ratio_chart
from flipcore.report.chart import Chart
from flipcore.report.energy_charts import component_chart, phase_chart
from flipcore.report.flip_charts import core_ratio_chart, flip_map
from flipcore.report.floor_plan import floor_plan
from flipcore.report.memory_charts import peak_chart, state_chart
from flipcore.report.run_arrays import FLIPS_FILE, RECORDING_FILE, read_flips, read_recording
from flipcore.report.spike_charts import raster_chart
from flipcore.report.subject import Subject

NO_CHIP = "No row was learnt on a chip."


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Attributes:
        name: its id on the page.
        text: paragraphs before the charts.
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What the prices rest on."""

    technology: str
    notes: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()


def make_sections(subject: Subject) -> tuple[list[Section], Basis | None]:
    """All sections in their order, and the basis of the prices; None where nothing was priced.

    Raises:
        InputError: the run directory of the headline chip is damaged.
    """
    estimate = _estimate(subject)
    sections = [
        _learning(subject),
        _memory(subject),
        _energy(subject, estimate),
        _spikes(subject, estimate),
        _flips(subject, estimate),
        _floor_plan(subject, estimate),
    ]
    return sections, _basis(estimate) if isinstance(estimate, Estimate) else None


def _estimate(subject: Subject) -> Estimate | str:
    """The headline chip's run, priced; or why it cannot be."""
    row = subject.headline
    if row is None or row.chip is None:
        return NO_CHIP if row is None or not row.missing else f"{row.label}: {row.missing}."
    if subject.run_dir is None or not subject.run_dir.is_dir():
        return f"The run directory of {row.label}, {subject.run_dir}, is not there: its pictures cannot be drawn."
    try:
        technology = load_technology(row.chip.technology)
    except InputError as error:
        return f"The run cannot be priced here: {error}."
    workload = run_workload(subject.run_dir)
    if workload.chip != parse_chip(row.chip.chip, f"{row.label}: chip"):
        raise InputError(f"{subject.run_dir}: is of another chip than {row.label}")
    return make_estimate(workload, technology)


def _learning(subject: Subject) -> Section:
    comparison = subject.comparison
    charts = (
        accuracy_chart(comparison.rows, comparison.test_split),
        flip_ratio_chart(comparison.rows),
    )
    none = "No row has a curve: nothing was learnt for an epoch."
    return _section("learning", "Learning", *charts, none=none)


def _memory(subject: Subject) -> Section:
    rows, steps = subject.comparison.rows, subject.comparison.steps
    charts = [state_chart(rows), peak_chart(rows, steps)]
    text = () if charts[1] else ("Peak memory over the time steps was not measured in these folders; `flipcore compare` does.",)  # fmt: skip
    return _section("memory", "Memory of training", *charts, text=text)


def _energy(subject: Subject, estimate: Estimate | str) -> Section:
    title = "Energy of the chip"
    if isinstance(estimate, str):
        return Section(name="energy", title=title, text=(estimate,))
    row = subject.headline
    seeds = f" Charts are of seed {row.seeds[0]}; the table holds the mean over all seeds." if row and len(row.seeds) > 1 else ""  # fmt: skip
    technology = estimate.technology
    text = f"{_label(row)}, priced in {technology.title} ({technology.node_nm:g} nm, {technology.voltage_v:g} V) with the counts of its own run.{seeds}"
    return _section("energy", title, phase_chart(estimate), component_chart(estimate), text=(text,))


def _spikes(subject: Subject, estimate: Estimate | str) -> Section:
    title = "What the chip does with one sample"
    if isinstance(estimate, str) or subject.run_dir is None:
        return Section(name="spikes", title=title, text=(str(estimate),))
    chip = estimate.workload.chip
    recording = read_recording(subject.run_dir, chip)
    if recording is None:
        return Section(
            name="spikes", title=title, text=(_not_kept(subject.run_dir, RECORDING_FILE),)
        )
    return _section("spikes", title, raster_chart(recording, chip))


def _flips(subject: Subject, estimate: Estimate | str) -> Section:
    title = "Which weights flipped, and when"
    if isinstance(estimate, str) or subject.run_dir is None:
        return Section(name="flips", title=title, text=(str(estimate),))
    chip = estimate.workload.chip
    flips = read_flips(subject.run_dir, chip)
    if flips is None:
        return Section(name="flips", title=title, text=(_not_kept(subject.run_dir, FLIPS_FILE),))
    return _section("flips", title, flip_map(flips, chip), core_ratio_chart(flips))


def _floor_plan(subject: Subject, estimate: Estimate | str) -> Section:
    title = "The chip, drawn to scale"
    if isinstance(estimate, str):
        return Section(name="chip", title=title, text=(estimate,))
    none = f"{estimate.technology.name} has no areas, so that nothing can be drawn to scale."
    return _section("chip", title, floor_plan(estimate), none=none)


def _basis(estimate: Estimate) -> Basis:
    technology = estimate.technology
    return Basis(
        technology=technology.title,
        notes=(*technology.notes, *estimate_warnings(estimate)),
        citations=tuple(technology.sources.values()),
    )


def _section(
    name: str, title: str, *charts: Chart | None, text: tuple[str, ...] = (), none: str = ""
) -> Section:
    drawn = tuple(chart for chart in charts if chart is not None)
    return Section(
        name=name, title=title, text=text if drawn or not none else (*text, none), charts=drawn
    )


def _not_kept(run_dir: Path, file: str) -> str:
    return f"The run in {run_dir} keeps no {file}: it is of an older flipcore. Simulated again, it has one."


def _label(row: Row | None) -> str:
    return "" if row is None else row.label[:1].upper() + row.label[1:]
