"""The pieces that a comparison is done in: one training each, and one measurement of memory per software contender."""

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from flipcore.comparison.request import Entry, Request, network_of
from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.training.algorithms import find_algorithm

RUNS = "runs"
RUN_FILE = "run.json"
MEMORY_FILE = "memory.json"
STEPS = (1, 2, 4, 8, 16, 32)  # at which memory is measured

# Rough seconds per training sample, time step and synapse on one core; they only decide what starts first.
_SECONDS_EACH_BATCH = 2e-10  # software that updates after each batch
_SECONDS_EACH_STEP = 4e-10  # after each time step
_SECONDS_CHIP = 7e-11
_SECONDS_START = 1.0


class Peaks(TypedDict):
    """What was measured of one row: most bytes by time steps, and what was not measured and why."""

    peak_bytes: dict[str, int]
    left_out: list[str]


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        entry: index of its contender in the request.
        seed: of the training; of no meaning to the measurement of memory.
    """

    kind: Literal["train", "memory"]
    entry: int
    seed: int = 0


def job_document(job: Job) -> dict[str, Any]:
    """The job as plain data."""
    return asdict(job)


def run_name(entry: Entry, seed: int) -> str:
    """Name of a run's directory in `runs`."""
    return f"{entry.parsed.name}-seed{seed}"


def job_title(request: Request, job: Job) -> str:
    """What people call a job."""
    entry = request.entries[job.entry]
    return run_name(entry, job.seed) if job.kind == "train" else f"memory of {entry.parsed.name}"


def open_jobs(request: Request, folder: Path, *, has_torch: bool) -> list[Job]:
    """What is left to do, the longest first; software is left out where torch is missing."""
    measured = read_peaks(folder)
    jobs = []
    for index, entry in enumerate(request.entries):
        is_software = entry.parsed.where == "software"
        if is_software and not has_torch:
            continue
        jobs += [
            Job("train", index, seed)
            for seed in request.seeds
            if not (folder / RUNS / run_name(entry, seed) / RUN_FILE).is_file()
        ]
        if is_software and entry.parsed.name not in measured:
            jobs.append(Job("memory", index))
    return sorted(jobs, key=lambda job: -job_seconds(request, job))


def job_seconds(request: Request, job: Job) -> float:
    """A guess at what a job takes, good enough to put jobs in order."""
    entry = request.entries[job.entry]
    chip = request.base_chip()
    sizes = network_of(chip)
    work = chip.steps * sum(a * b for a, b in itertools.pairwise(sizes))
    samples = request.training_samples
    if job.kind == "memory":
        return _SECONDS_START
    if entry.parsed.where == "software":
        epochs = int(entry.settings["epochs"])
        algorithm = find_algorithm(entry.parsed.head)
        cost = _SECONDS_EACH_STEP if algorithm.update_each_step else _SECONDS_EACH_BATCH
        return _SECONDS_START + cost * work * samples * epochs
    epochs = int(entry.settings["workload"]["epochs"])
    return _SECONDS_START + _SECONDS_CHIP * work * samples * epochs


def read_peaks(folder: Path) -> dict[str, Peaks]:
    """What is measured of memory so far, by row.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / MEMORY_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {
                "peak_bytes": {
                    str(int(steps)): int(peak) for steps, peak in row["peak_bytes"].items()
                },
                "left_out": [str(line) for line in row["left_out"]],
            }
            for name, row in document["rows"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: damaged or no measurement of memory: {type(error).__name__} {error}"
        ) from None


def write_peaks(folder: Path, rows: dict[str, Peaks]) -> None:
    """Keep what is measured of memory.

    Raises:
        InputError: the folder cannot be written.
    """
    write_whole(folder / MEMORY_FILE, (json.dumps({"rows": rows}, indent=1) + "\n").encode())
