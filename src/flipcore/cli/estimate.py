"""`flipcore estimate`: price chips with the counts of runs or of stated rates, print tables, keep files."""

import json as json_format
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flipcore.chip import load_chip
from flipcore.cli.estimate_tables import print_comparison, print_estimate
from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.hwmodel.accelergy import accelergy_files
from flipcore.hwmodel.activity import rates_yaml
from flipcore.hwmodel.estimate import (
    Estimate,
    area_csv,
    energy_csv,
    estimate_figures,
    make_estimate,
    rates_workload,
    run_workload,
    workload_rates,
)
from flipcore.hwmodel.estimate_plot import plot_comparison, plot_estimate
from flipcore.hwmodel.sanafe import sanafe_files
from flipcore.hwmodel.technology import load_technology

DEFAULT_CHIP = "digits"
SWEEP_PLAN = "plan.yaml"


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    chips: tuple[str, ...]
    runs: tuple[Path, ...]
    technology: str
    rates: str | None
    rate_changes: tuple[str, ...]
    changes: tuple[str, ...]
    compare: bool
    out: Path | None
    accelergy: bool
    sanafe: bool


def run(request: Request, *, as_json: bool) -> None:
    """Estimate every chip and run, and show one, or all side by side."""
    _check(request)
    technology = load_technology(request.technology)
    if request.runs and is_sweep(request.runs[0]):
        # Optuna and Numba come with it; nothing else here needs them.
        from flipcore.cli import estimate_sweep

        if request.out is not None:
            _create(request.out)
        estimate_sweep.run(request.runs[0], technology, request.out, as_json=as_json)
        return
    chips = request.chips or (() if request.runs else (DEFAULT_CHIP,))
    workloads = [
        rates_workload(load_chip(name, request.changes), request.rates, request.rate_changes)
        for name in chips
    ] + [run_workload(folder) for folder in request.runs]
    estimates = [make_estimate(workload, technology) for workload in workloads]
    figures = [estimate_figures(estimate) for estimate in estimates]
    if request.out is not None:
        _create(request.out)
        if request.compare:
            plot_comparison(figures, request.out / "comparison")
        for number, (estimate, one) in enumerate(zip(estimates, figures, strict=True), 1):
            folder = request.out
            if request.compare:
                folder = request.out / f"{number}-{one['name']}"
                _create(folder)
            run_dir = request.runs[number - 1 - len(chips)] if number > len(chips) else None
            _write(folder, estimate, request, run_dir)
    if as_json:
        print(json_format.dumps({"chips": figures} if request.compare else figures[0]))
    elif request.compare:
        print_comparison(figures)
    else:
        print_estimate(figures[0], request.out)


def _check(request: Request) -> None:
    """Refuse what would be ignored."""
    if request.runs and not request.chips:
        for option, given in (
            ("--set", request.changes),
            ("--rates", request.rates),
            ("--rate", request.rate_changes),
        ):
            if given:
                raise InputError(f"{option}: cannot be given with --from, which settles it")
    if len(request.chips) + len(request.runs) > 1 and not request.compare:
        names = ", ".join([*request.chips, *map(str, request.runs)])
        raise InputError(f"{names}: give one chip or --from RUN, or put them side by side with --compare")  # fmt: skip
    for folder in filter(is_sweep, request.runs):
        for option, wanted in (
            ("--compare", request.compare),
            ("--accelergy", request.accelergy),
            ("--sanafe", request.sanafe),
        ):
            if wanted:
                raise InputError(
                    f"{option}: {folder} is a sweep, which keeps no weights and whose points stand side by side anyway: price it alone, with --from {folder}"
                )
    for option, wanted in (("--accelergy", request.accelergy), ("--sanafe", request.sanafe)):
        if wanted and request.out is None:
            raise InputError(f"{option}: needs --out DIR for its files")


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (folder / SWEEP_PLAN).is_file()


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror}") from None


def _write(folder: Path, estimate: Estimate, request: Request, run_dir: Path | None) -> None:
    figures = estimate_figures(estimate)
    texts = {
        "estimate.json": json_format.dumps(figures, indent=1) + "\n",
        "energy.csv": energy_csv(estimate),
        "area.csv": area_csv(estimate),
        "rates.yaml": rates_yaml(workload_rates(estimate.workload)),
    }
    chip = estimate.workload.chip
    if request.accelergy:
        for side, energy in (("training", estimate.training), ("inference", estimate.inference)):
            if energy is not None:
                _create(folder / "accelergy" / side)
                for name, text in accelergy_files(chip, energy, estimate.area).items():
                    texts[f"accelergy/{side}/{name}"] = text
    if request.sanafe:
        _create(folder / "sanafe")
        weights = _trained_weights(estimate, run_dir)
        files = sanafe_files(chip, estimate.inference, estimate.workload.inference, weights)
        texts |= {f"sanafe/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    plot_estimate(figures, folder / "report")


def _trained_weights(
    estimate: Estimate, run_dir: Path | None
) -> list[npt.NDArray[np.bool_]] | None:
    """Weights of a run, bool [axons, neurons] of each core; None without a run."""
    if run_dir is None:
        return None
    # Numba comes with these; nothing else here needs it.
    from flipcore.sim.layout import empty_state, weight_bits
    from flipcore.sim.storage import load_weights

    chip = estimate.workload.chip
    state = empty_state(chip)
    load_weights(run_dir / "weights.npz", chip, state)
    return [weight_bits(state, chip, c).astype(np.bool_) for c in range(len(chip.layers))]
