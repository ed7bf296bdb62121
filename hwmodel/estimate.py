"""An estimate: one chip with counts of a run or of stated rates, priced in one technology."""

import csv
import io
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.activity import (
    Rates,
    default_rates_name,
    expected_counts,
    fit_rates,
    load_rates,
    measured_side,
)
from flipcore.hwmodel.alternatives import Alternative, alternatives
from flipcore.hwmodel.area import AreaRow, chip_area, chip_luts, memory_warnings, total_area
from flipcore.hwmodel.energy import (
    ActionCost,
    Energy,
    action_costs,
    idle_power_uw,
    latency_us,
    leakage_power_uw,
    price_actions,
)
from flipcore.hwmodel.memories import core_memories
from flipcore.hwmodel.memory import memory_bits
from flipcore.hwmodel.sram import memory_cost
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology

RUN_FILE = "run.json"
RATE_SAMPLES = 10_000  # that rates are turned into counts for: enough that rounding to whole events does not show


@dataclass(frozen=True)
class Workload:
    """A chip and what it does.

    Attributes:
        chip: the chip.
        training: counts of training samples; None where nothing was learnt.
        inference: counts of classified samples.
        epoch_samples: training samples of an epoch; 0 where unknown.
        origin: where the counts come from, in words.
        rates: the stated rates; None for those of counts, which `workload_rates` measures.
        notes: what a reader of the figures must know.
    """

    chip: Chip
    training: EventCounts | None
    inference: EventCounts
    epoch_samples: int
    origin: str
    rates: Rates | None = None
    notes: tuple[str, ...] = ()


def run_workload(run_dir: Path) -> Workload:
    """The counts of a finished run.

    Raises:
        InputError: there is no finished run, or its file is damaged, or a count is unknown, missing or negative.
    """
    path = run_dir / RUN_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{run_dir}: no {RUN_FILE}: not the directory of a finished run") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    try:
        chip = parse_chip(document["chip"], f"{path}: chip")
        training = _counts(document["counts"]["train"], f"{path}: counts.train", chip)
        inference = _counts(document["counts"]["inference"], f"{path}: counts.inference", chip)
        epochs = int(document["epochs"])
        dataset = str(document["dataset"])
        seed = int(document["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged or not of a run: {type(error).__name__} {error}"
        ) from None
    origin = f"the run {run_dir}: {chip.name} on {dataset}, {epochs} epochs, seed {seed}"
    return Workload(
        chip,
        training if training.samples else None,
        inference,
        training.samples // epochs if epochs else 0,
        origin,
    )


def workload_rates(workload: Workload) -> Rates:
    """The activity as rates: those stated, or those that the counts show.

    Raises:
        InputError: the counts contradict each other.
    """
    if workload.rates is not None:
        return workload.rates
    chip, training = workload.chip, workload.training
    return Rates(
        name=chip.name,
        source=workload.origin,
        epoch_samples=workload.epoch_samples,
        training=measured_side(chip, training) if training else None,
        inference=measured_side(chip, workload.inference),
    )


def _counts(document: Any, where: str, chip: Chip) -> EventCounts:
    if not isinstance(document, Mapping):
        raise InputError(f"{where}: must be a mapping from counts to lists")
    try:
        counts = EventCounts.from_dict(document)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if len(counts.cores) != len(chip.layers):
        raise InputError(f"{where}: {len(counts.cores)} cores: {chip.name} has {len(chip.layers)}")
    return counts


def rates_workload(chip: Chip, rates_name: str | None, changes: tuple[str, ...]) -> Workload:
    """The counts of stated rates, by default of those measured on the preset nearest to the chip.

    Raises:
        InputError: the rates are unknown, impossible, or of another number of cores.
    """
    rates = load_rates(rates_name or default_rates_name(chip), changes)
    notes = []
    measured_cores = len(rates.inference.layers)
    if rates_name is None and measured_cores != len(chip.layers):
        rates = fit_rates(rates, chip)
        notes.append(
            f"the rates were measured on {measured_cores} cores: each of this chip's {len(chip.layers)} has those of the nearest"
        )
    training = expected_counts(chip, rates.training, RATE_SAMPLES) if rates.training else None
    return Workload(
        chip,
        training,
        expected_counts(chip, rates.inference, RATE_SAMPLES),
        rates.epoch_samples,
        f"the rates `{rates.name}`{' with changes' if changes else ''}: {rates.source}",
        rates,
        tuple(notes),
    )


@dataclass(frozen=True)
class Estimate:
    """A priced workload."""

    workload: Workload
    technology: Technology
    costs: tuple[ActionCost, ...]
    training: Energy | None
    inference: Energy
    area: tuple[AreaRow, ...]
    alternatives: tuple[Alternative, ...]


def make_estimate(workload: Workload, technology: Technology) -> Estimate:
    """Price a workload.

    Raises:
        InputError: the counts contradict each other, or the technology lacks a memory that the chip needs.
    """
    chip = workload.chip
    costs = action_costs(chip, technology)
    training = price_actions(chip, workload.training, costs) if workload.training else None
    return Estimate(
        workload,
        technology,
        costs,
        training,
        price_actions(chip, workload.inference, costs),
        chip_area(chip, technology),
        alternatives(chip, technology, workload.training),
    )


def estimate_figures(estimate: Estimate) -> dict[str, Any]:
    """All figures, ready for JSON: bands have `value`, `low` and `high`; energies are means of a sample."""
    workload, technology = estimate.workload, estimate.technology
    chip = workload.chip
    return {
        "name": chip.name,
        "network": [chip.inputs, *(core.neurons for core in chip.layers)],
        "steps": chip.steps,
        "clock_mhz": chip.clock_mhz,
        "technology": technology.name,
        "technology_title": technology.title,
        "node_nm": technology.node_nm,
        "voltage_v": technology.voltage_v,
        "counts_from": workload.origin,
        "energy_pj": _energies(workload, estimate.training, estimate.inference),
        "energy_without_io_pj": _energies(
            workload,
            estimate.training.without_io() if estimate.training else None,
            estimate.inference.without_io(),
        ),
        "energy_by": {
            side: _parts(energy)
            for side, energy in (
                ("train_sample", estimate.training),
                ("inference", estimate.inference),
            )
            if energy is not None
        },
        "sops": {
            "train_sample": _per_sample(workload.training, "sops"),
            "inference": _per_sample(workload.inference, "sops"),
        },
        "latency_us": {
            "train_sample": latency_us(chip, workload.training) if workload.training else None,
            "inference": latency_us(chip, workload.inference),
        },
        "power_uw": _powers(estimate),
        "area_um2": asdict(total_area(estimate.area)),
        "area_by_component": _area_by(estimate.area),
        "area_by_core": [
            asdict(total_area(tuple(row for row in estimate.area if row.core == c)))
            for c in range(len(chip.layers))
        ],
        "fpga": _fpga(chip, technology),
        "memory_bits": memory_bits(chip),
        "memories": _memories(chip, technology),
        "alternatives": [_alternative(one) for one in estimate.alternatives],
        "warnings": estimate_warnings(estimate),
        "notes": list(technology.notes),
        "sources": [asdict(source) for source in technology.sources.values()],
    }


def _energies(workload: Workload, training: Energy | None, inference: Energy) -> dict[str, Any]:
    """`per_sop`: an inference's energy over its SOPs; `learning_per_sop`: a training sample's over its SOPs."""
    figures: dict[str, Any] = {
        "train_sample": None,
        "inference": asdict(inference.per_sample_pj),
        "per_sop": _per_sop(inference, workload.inference),
        "learning_per_sop": None,
        "epoch": None,
    }
    if training is not None and workload.training is not None:
        figures["train_sample"] = asdict(training.per_sample_pj)
        figures["learning_per_sop"] = _per_sop(training, workload.training)
        if workload.epoch_samples:
            figures["epoch"] = asdict(training.per_sample_pj * workload.epoch_samples)
    return figures


def _per_sop(energy: Energy, counts: EventCounts) -> dict[str, float] | None:
    sops = counts.total("sops")
    return asdict(energy.total_pj * (1.0 / sops)) if sops else None


def _per_sample(counts: EventCounts | None, name: str) -> float | None:
    return counts.total(name) / max(counts.samples, 1) if counts else None


def _parts(energy: Energy) -> dict[str, dict[str, Any]]:
    return {
        "component": _bands(energy.by_component()),
        "memory": _bands(energy.by_memory()),
        "phase": _bands(energy.by_phase()),
        "core": _bands(energy.by_core()),
        "what": _bands(energy.by_what()),
        "phase_and_component": {
            phase: _bands(
                {
                    component: band
                    for (other, component), band in energy.per_sample_by(
                        lambda row: (row.phase, row.cost.component)
                    ).items()
                    if other == phase and band.high
                }
            )
            for phase in energy.by_phase()
        },
    }


def _bands(bands: Mapping[Any, Band]) -> dict[str, dict[str, float]]:
    return {str(key): asdict(band) for key, band in bands.items()}


def _powers(estimate: Estimate) -> dict[str, Any]:
    """Power at the chip's clock while samples follow each other, while it waits (`idle`), and with the clock stopped."""
    workload = estimate.workload
    chip = workload.chip

    def busy(energy: Energy | None, counts: EventCounts | None) -> dict[str, float] | None:
        if energy is None or counts is None or not counts.cycles:
            return None
        return asdict(energy.per_sample_pj * (1.0 / latency_us(chip, counts)))

    return {
        "training": busy(estimate.training, workload.training),
        "inference": busy(estimate.inference, workload.inference),
        "idle": asdict(idle_power_uw(chip, estimate.costs)),
        "clock_stopped": asdict(leakage_power_uw(chip, estimate.costs)),
    }


def _area_by(rows: Iterable[AreaRow]) -> dict[str, dict[str, float]]:
    sums: dict[Hashable, Band] = {}
    for row in rows:
        sums[row.component] = sums.get(row.component, Band.exact(0.0)) + row.area_um2
    return _bands(sums)


def _fpga(chip: Chip, technology: Technology) -> dict[str, Any] | None:
    """LUT4 and block RAMs; None where the technology is no FPGA."""
    luts = chip_luts(chip, technology)
    if not luts.high:
        return None
    costs = [row for row in _memories(chip, technology) if row["built_of"] == "sram"]
    block_rams = sum(number for row in costs for _, _, number in row["macros"])
    return {"luts": asdict(luts), "block_rams": block_rams}


def _memories(chip: Chip, technology: Technology) -> list[dict[str, Any]]:
    rows = []
    for c in range(len(chip.layers)):
        for name, shape in core_memories(chip, c).items():
            cost = memory_cost(technology, shape)
            rows.append({"core": c, "memory": name, **asdict(shape), **asdict(cost)})
    return rows


def _alternative(one: Alternative) -> dict[str, Any]:
    return {
        "name": one.state.name,
        "synapse_bits": one.state.synapse_bits,
        "other_bits": one.state.other_bits,
        "learning_bits": one.state.learning_bits,
        "total_bits": one.state.total_bits,
        "learning_area_um2": asdict(one.area_um2),
        "learning_pj": asdict(one.energy_pj) if one.energy_pj else None,
    }


def estimate_warnings(estimate: Estimate) -> list[str]:
    """What limits the figures, in words: extrapolated memories, parts without a price, rates of another chip."""
    technology = estimate.technology
    lines = [*estimate.workload.notes, *memory_warnings(estimate.workload.chip, technology)]
    if not any(technology.rows(component) for component in LOGIC_COMPONENTS):
        lines.append(f"{technology.name} prices no logic: the figures are of memories alone")
    if not technology.rows("io"):
        lines.append(f"{technology.name} prices no I/O: input events and labels cost nothing here")
    return lines


ENERGY_COLUMNS = (
    "sample", "core", "kind", "component", "action", "what", "phase", "number_per_sample", "each_pj",
    "energy_pj", "energy_pj_low", "energy_pj_high",
)  # fmt: skip
AREA_COLUMNS = ("core", "kind", "component", "area_um2", "area_um2_low", "area_um2_high")


def energy_csv(estimate: Estimate) -> str:
    """Every row of the sum, means of a training sample and of an inference."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ENERGY_COLUMNS)
    for sample, energy in (("training", estimate.training), ("inference", estimate.inference)):
        if energy is None or not energy.samples:
            continue
        for row in energy.rows:
            cost, band = row.cost, row.energy_pj * (1.0 / energy.samples)
            place = (cost.core, cost.kind, cost.component, cost.action, cost.what, row.phase)
            numbers = (row.number / energy.samples, cost.each_pj.value)
            writer.writerow((sample, *place, *numbers, band.value, band.low, band.high))
    return text.getvalue()


def area_csv(estimate: Estimate) -> str:
    """Area of every component of every core."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(AREA_COLUMNS)
    for row in estimate.area:
        band = row.area_um2
        writer.writerow((row.core, row.kind, row.component, band.value, band.low, band.high))
    return text.getvalue()
