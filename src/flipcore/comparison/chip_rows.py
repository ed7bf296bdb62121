"""Rows of a comparison that were learnt on a chip, priced with the counts of all their seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flipcore.chip import Chip, chip_document
from flipcore.comparison.contenders import RULE_LABELS, Contender
from flipcore.comparison.jobs import STEPS
from flipcore.comparison.rows import Band, ChipFigures, Row
from flipcore.comparison.run_files import mean_curve, read_run, spread
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.area import total_area
from flipcore.hwmodel.energy import latency_us
from flipcore.hwmodel.estimate import Workload, make_estimate, run_workload
from flipcore.hwmodel.memory import memory_bits
from flipcore.hwmodel.technology import Band as CostBand
from flipcore.hwmodel.technology import Technology

TOTALS = "total_"  # begins the sums among the stores of `memory_bits`


def chip_row(
    contender: Contender,
    chip: Chip,
    run_dirs: Sequence[Path],
    seeds: Sequence[int],
    technology: Technology,
) -> Row:
    """The row of finished runs, one per seed.

    Raises:
        InputError: a run is missing, damaged or of another chip.
    """
    workload = _all_seeds(chip, run_dirs)
    runs = [read_run(run_dir) for run_dir in run_dirs]
    try:
        return _row(contender, runs, seeds, workload, technology)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{run_dirs[0].parent}: damaged runs of {contender.text}: {type(error).__name__} {error}"
        ) from None


def chip_growth(chip: Chip) -> dict[int, int]:
    """Bytes of all stores of a chip with so many steps, from its description."""
    return {
        steps: -(-memory_bits(chip.model_copy(update={"steps": steps}))["total_chip"] // 8)
        for steps in STEPS
    }


def chip_label(chip: Chip) -> str:
    """What people call a chip."""
    rules = "/".join(dict.fromkeys(RULE_LABELS[core.rule] for core in chip.layers))
    return f"chip, {rules}, {momentum_width(chip)}-bit momentum"


def momentum_width(chip: Chip) -> int:
    """Bits of the momentum: the widest, where layers differ."""
    return max(core.momentum_bits for core in chip.layers)


def _all_seeds(chip: Chip, run_dirs: Sequence[Path]) -> Workload:
    """The counts of all runs together."""
    workloads = [run_workload(run_dir) for run_dir in run_dirs]
    training = EventCounts.zeros(len(chip.layers))
    inference = EventCounts.zeros(len(chip.layers))
    for run_dir, one in zip(run_dirs, workloads, strict=True):
        if one.chip != chip:
            raise InputError(f"{run_dir}: is of another chip than the comparison's")
        if one.training is None:
            raise InputError(f"{run_dir}: nothing was learnt")
        training.add(one.training)
        inference.add(one.inference)
    origin = "the run" if len(run_dirs) == 1 else f"{len(run_dirs)} runs"
    return Workload(
        chip,
        training,
        inference,
        workloads[0].epoch_samples,
        f"{origin} {', '.join(map(str, run_dirs))}",
    )


def _row(
    contender: Contender,
    runs: Sequence[dict[str, Any]],
    seeds: Sequence[int],
    workload: Workload,
    technology: Technology,
) -> Row:
    chip, training = workload.chip, workload.training
    assert training is not None
    accuracies = [float(run["test_accuracy"]) for run in runs]
    mean, std = spread(accuracies)
    epochs = int(runs[0]["epochs"])
    samples_seen = int(runs[0]["train"]["samples"])
    stores = memory_bits(chip)
    return Row(
        name=contender.name,
        label=chip_label(chip),
        where="chip",
        algorithm=chip.layers[0].rule,
        momentum_bits=momentum_width(chip),
        seeds=tuple(seeds),
        accuracies=tuple(accuracies),
        accuracy_mean=mean,
        accuracy_std=std,
        curve=mean_curve([run["history"] for run in runs], samples_seen),
        epochs=epochs,
        batch_size=1,
        samples_seen=samples_seen,
        training_state_bits=stores["total_chip"],
        training_state_bits_by_part={
            store: bits for store, bits in stores.items() if not store.startswith(TOTALS)
        },
        training_peak_bytes=-(-stores["total_chip"] // 8),
        peak_bytes_by_steps=chip_growth(chip),
        seconds_per_sample=spread([1 / run["samples_per_second"] for run in runs])[0],
        flips_per_sample=training.total("flips") / training.samples,
        chip=_figures(workload, training, technology),
    )


def _figures(workload: Workload, training: EventCounts, technology: Technology) -> ChipFigures:
    chip, inference = workload.chip, workload.inference
    estimate = make_estimate(workload, technology)
    assert estimate.training is not None
    return ChipFigures(
        chip=chip_document(chip),
        clock_mhz=chip.clock_mhz,
        training_cycles=training.cycles / training.samples,
        inference_cycles=inference.cycles / inference.samples,
        training_latency_us=latency_us(chip, training),
        inference_latency_us=latency_us(chip, inference),
        technology=technology.name,
        training_energy_pj=_band(estimate.training.per_sample_pj),
        inference_energy_pj=_band(estimate.inference.per_sample_pj),
        area_um2=_band(total_area(estimate.area)),
    )


def _band(band: CostBand) -> Band:
    return Band(value=band.value, low=band.low, high=band.high)
