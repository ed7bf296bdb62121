"""What a run leaves behind: its figures, and the run directory that holds them."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flipcore.chip import chip_document, chip_yaml
from flipcore.errors import InputError
from flipcore.events import CYCLE_NAMES, EventCounts
from flipcore.files import write_whole
from flipcore.sim.diagnosis import diagnose
from flipcore.sim.flip_map import flip_arrays
from flipcore.sim.recording import copy_engine, record_sample, recording_arrays
from flipcore.sim.run import CHECKPOINT, Run
from flipcore.sim.storage import write_arrays, write_counts, write_memory_images, write_weights
from flipcore.sim.timeline import Timeline, summarise, trace_arrays
from flipcore.sim.trace_events import trace_document

VERSIONS = ("flipcore", "numpy", "numba", "scikit-learn")


def figures(run: Run, test_accuracy: float) -> dict[str, Any]:
    """Figures of a finished run, ready for JSON; latency at the chip's clock."""
    train, inference = run.train_counts, run.inference_counts
    seconds = run.progress.seconds
    return {
        "name": run.chip.name,
        "dataset": run.settings.dataset,
        "test_accuracy": test_accuracy,
        "test_samples": len(run.dataset.test),
        "test_split": "validation" if run.settings.validation else "test",
        "samples_per_second": train.samples / seconds if seconds else 0.0,
        "train": _per_sample(train, run.chip.clock_mhz),
        "inference": _per_sample(inference, run.chip.clock_mhz),
        "seed": run.settings.seed,
        "epochs": run.progress.epoch,
        "history": [asdict(epoch) for epoch in run.progress.history],
        "warnings": diagnose(run.chip, train, inference),
    }


def _per_sample(counts: EventCounts, clock_mhz: float) -> dict[str, Any]:
    samples = max(counts.samples, 1)
    cycles = counts.cycles / samples
    return {
        "samples": counts.samples,
        "cycles_per_sample": cycles,
        "latency_us": cycles / clock_mhz,
        "sops_per_sample": counts.total("sops") / samples,
        "spikes_per_sample": counts.total("spikes") / samples,
        "flips": counts.total("flips"),
        "momentum_updates_per_sample": counts.total("momentum_updates") / samples,
        "cycles_by_phase": {
            name.removesuffix("_cycles"): counts.total(name) / samples for name in CYCLE_NAMES
        },
    }


def create_run_dir(path: Path, resumable: str = CHECKPOINT) -> None:
    """Create a run directory; one that holds the file `resumable` can be continued.

    Raises:
        InputError: it exists and is not empty, or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.iterdir())
    except OSError as error:
        raise InputError(f"{path}: cannot be created: {error.strerror}") from None
    if occupied:
        hint = f"; continue it with --resume {path}" if (path / resumable).exists() else ""
        raise InputError(f"{path}: this run directory exists and is not empty{hint}")


def write_results(path: Path, run: Run, results: dict[str, Any]) -> None:
    """Write chip, weights, counts, memory images, flips, the first test sample and, last, `run.json`."""
    state = run.engine.state
    write_whole(path / "chip.yaml", chip_yaml(run.chip).encode())
    write_weights(path / "weights.npz", run.chip, state)
    write_counts(path / "counts.npz", run.train_counts, run.inference_counts)
    write_memory_images(path / "images", run.chip, state)
    write_arrays(path / "flips.npz", flip_arrays(run.flips, run.chip))
    first = record_sample(copy_engine(run.engine), run.dataset.test, 0, learn=False)
    write_arrays(path / "recording.npz", recording_arrays(first))
    document = {
        **results,
        "chip": chip_document(run.chip),
        "settings": asdict(run.settings),
        "dataset_provenance": run.dataset.provenance,
        "counts": {
            "train": run.train_counts.as_dict(),
            "inference": run.inference_counts.as_dict(),
        },
        "versions": versions(),
    }
    write_whole(path / "run.json", (json.dumps(document, indent=1) + "\n").encode())


def write_trace(path: Path, timeline: Timeline) -> dict[str, Any]:
    """Write a timeline as `trace.json` for viewers and `trace.npz` for programs; returns where they are and the shares of time, for JSON.

    Raises:
        InputError: the folder cannot be written.
    """
    sides = summarise(timeline)
    document = trace_document(timeline, sides, {"versions": versions()})
    # Names as they are: some versions of Perfetto do not read escaped ones.
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    files = {"json": path / "trace.json", "npz": path / "trace.npz"}
    write_whole(files["json"], text.encode())
    write_arrays(files["npz"], trace_arrays(timeline))
    return {name: str(file) for name, file in files.items()} | {"sides": sides}


def versions() -> dict[str, str]:
    """Versions of what a run's figures may depend on."""
    return {name: version(name) for name in VERSIONS} | {"python": platform.python_version()}


def free_run_dir(name: str, seed: int) -> Path:
    """Name of a run directory under runs/ that is not there yet."""
    return free_folder(f"{name}-seed{seed}")


def free_folder(name: str) -> Path:
    """A path under runs/ that begins with this name and is not there yet."""
    number = 0
    while True:
        suffix = f"-{number}" if number else ""
        path = Path("runs") / f"{name}{suffix}"
        if not path.exists():
            return path
        number += 1
