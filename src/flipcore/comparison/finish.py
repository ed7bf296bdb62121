"""A comparison from its request to its results, in a folder that a kill at any moment leaves in a state to go on from."""

import importlib.util
import json
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flipcore.comparison.chip_rows import chip_row
from flipcore.comparison.jobs import (
    RUN_FILE,
    RUNS,
    Job,
    Peaks,
    open_jobs,
    read_peaks,
    run_name,
    write_peaks,
)
from flipcore.comparison.request import (
    Entry,
    Request,
    data_of_seed,
    load_request_data,
    network_of,
    read_request,
)
from flipcore.comparison.rows import COMPARISON_FILE, Comparison, Row, comparison_document
from flipcore.comparison.rows_csv import rows_csv
from flipcore.comparison.run_files import read_run
from flipcore.comparison.software_rows import missing_row, software_row
from flipcore.comparison.workers import Watcher, run_jobs
from flipcore.files import write_whole
from flipcore.hwmodel.technology import Technology, load_technology
from flipcore.session import Tell, compile_loops, prepare_run
from flipcore.sim.data import Dataset
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.run import Settings

CSV_FILE = "compare.csv"
HEADLINE_BITS = 8
NO_TORCH = "torch is missing: install it with `pip install 'flipcore[train]'`"
VERSIONS = ("flipcore", "numpy", "numba", "torch")


Watch = Callable[[Request, list[Job]], AbstractContextManager[Watcher]]


def has_torch() -> bool:
    """Whether software can be trained here."""
    return importlib.util.find_spec("torch") is not None


def finish_comparison(folder: Path, processes: int, watch: Watch, tell: Tell) -> Comparison:
    """Do what is left of the comparison of a folder and write its results.

    Args:
        folder: holds a request, and perhaps runs.
        processes: how many runs go at once.
        watch: opens what is told of the jobs, when they begin.
        tell: hears that loops are compiled, if that takes long.

    Raises:
        Interrupted: the watcher asked to stop; checkpoints hold where the runs are.
        InputError: the folder is in use, something in it is damaged, or a run failed.
    """
    request = read_request(folder)
    with folder_lock(folder):
        dataset = load_request_data(request)
        jobs = open_jobs(request, folder, has_torch=has_torch())
        _check_finished(request, folder)
        if jobs:
            _compile(request, dataset, tell)
        with watch(request, jobs) as watcher:
            run_jobs(request, folder, jobs, processes, _Recorder(request, folder, watcher))
        comparison = _assemble(request, folder, dataset)
        _write(folder, comparison)
    return comparison


class _Recorder:
    """Writes down what is measured of memory, and passes everything on."""

    def __init__(self, request: Request, folder: Path, watcher: Watcher) -> None:
        self._request = request
        self._folder = folder
        self.on_start = watcher.on_start
        self.on_fraction = watcher.on_fraction
        self.should_stop = watcher.should_stop
        self._on_done = watcher.on_done

    def on_done(self, job: Job, result: Any) -> None:
        """Keep a measurement."""
        if job.kind == "memory":
            rows = read_peaks(self._folder)
            rows[self._request.entries[job.entry].parsed.name] = result
            write_peaks(self._folder, rows)
        self._on_done(job, result)


def _check_finished(request: Request, folder: Path) -> None:
    """Find what is damaged before hours of other runs, not after."""
    for entry in request.entries:
        for run_dir in _run_dirs(request, folder, entry):
            if (run_dir / RUN_FILE).is_file():
                read_run(run_dir)


def _compile(request: Request, dataset: Dataset, tell: Tell) -> None:
    """Compile the simulator's loops once, before several processes need them at the same moment."""
    chips = [entry.chip() for entry in request.entries if entry.parsed.where == "chip"]
    chip = chips[0] if chips else request.base_chip()
    settings = Settings(request.dataset, 1, request.first_seed)
    compile_loops(prepare_run(chip, dataset, settings), tell)


def _run_dirs(request: Request, folder: Path, entry: Entry) -> list[Path]:
    return [folder / RUNS / run_name(entry, seed) for seed in request.seeds]


def _assemble(request: Request, folder: Path, dataset: Dataset) -> Comparison:
    own = data_of_seed(request, dataset, request.first_seed)
    chip = request.base_chip()
    technology = load_technology(request.technology)
    peaks = read_peaks(folder)
    rows = tuple(_row(request, folder, entry, peaks, technology) for entry in request.entries)
    return Comparison(
        name=chip.name,
        dataset=request.dataset,
        network=network_of(chip),
        steps=chip.steps,
        training_samples=len(own.train),
        test_split="validation" if request.validation else "test",
        test_samples=len(own.test),
        headline_row=headline_row(rows),
        rows=rows,
        versions={name: version(name) for name in VERSIONS if importlib.util.find_spec(name)}
        | {"python": platform.python_version()},
    )


def _row(
    request: Request, folder: Path, entry: Entry, peaks: dict[str, Peaks], technology: Technology
) -> Row:
    contender = entry.parsed
    run_dirs = _run_dirs(request, folder, entry)
    if contender.where == "chip":
        return chip_row(contender, entry.chip(), run_dirs, request.seeds, technology)
    if not has_torch() and not all((run_dir / RUN_FILE).is_file() for run_dir in run_dirs):
        return missing_row(contender, NO_TORCH)
    measured = peaks[contender.name]["peak_bytes"] if contender.name in peaks else {}
    by_steps = {int(steps): peak for steps, peak in measured.items()}
    return software_row(contender, run_dirs, request.seeds, by_steps)


def headline_row(rows: Sequence[Row]) -> str:
    """Name of the chip row that stands for the chip: BSO with 8 bits, else the first; empty without a chip."""
    chips = [row for row in rows if row.where == "chip"]
    usual = [row for row in chips if (row.algorithm, row.momentum_bits) == ("bso", HEADLINE_BITS)]
    return (usual or chips)[0].name if chips else ""


def _write(folder: Path, comparison: Comparison) -> None:
    document = json.dumps(comparison_document(comparison), indent=1) + "\n"
    write_whole(folder / CSV_FILE, rows_csv(comparison.rows).encode())
    write_whole(folder / COMPARISON_FILE, document.encode())
