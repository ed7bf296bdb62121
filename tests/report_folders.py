"""Folders of finished runs as the commands leave them, small and made without training, for tests of the report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flipcore.chip import chip_document, chip_yaml, load_chip
from flipcore.comparison.rows import Comparison, CurvePoint, Row, comparison_document
from flipcore.hwmodel.activity import expected_counts, load_rates
from flipcore.report.sources import read_source

EPOCHS = 4
SAMPLES = 100  # of an epoch
TECHNOLOGY = "ihp-sg13g2"


def write_json(path: Path, document: Any) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def edit_json(path: Path, **changes: Any) -> None:
    """Change fields of a document."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)


def simulation(folder: Path, *changes: str, accuracy: float = 0.92, pictures: bool = True) -> Path:
    """A run directory of `flipcore simulate digits`, with counts of measured rates."""
    chip = load_chip("digits", changes)
    rates = load_rates("digits")
    assert rates.training is not None
    history = [
        {
            "epoch": epoch,
            "train_accuracy": 0.9,
            "test_accuracy": accuracy - 0.04 / (epoch + 1) + 0.01,
            "flips": 400,
            "momentum_updates": 9000,
            "flip_ratio": 0.1 / (epoch + 1),
            "seconds": 0.1,
        }
        for epoch in range(EPOCHS)
    ]
    training = expected_counts(chip, rates.training, EPOCHS * SAMPLES)
    document = {
        "name": chip.name,
        "dataset": "digits",
        "test_accuracy": accuracy,
        "test_samples": 360,
        "test_split": "test",
        "samples_per_second": 10_000.0,
        "train": {"samples": EPOCHS * SAMPLES},
        "seed": 0,
        "epochs": EPOCHS,
        "history": history,
        "chip": chip_document(chip),
        "settings": {
            "dataset": "digits",
            "epochs": EPOCHS,
            "seed": 0,
            "validation": 0.0,
            "weights": "",
        },
        "counts": {
            "train": training.as_dict(),
            "inference": expected_counts(chip, rates.inference, 360).as_dict(),
        },
        "versions": {"flipcore": "0.1.0", "numpy": "2.4.6"},
    }
    write_json(folder / "run.json", document)
    (folder / "chip.yaml").write_text(chip_yaml(chip), encoding="utf-8")
    if pictures:
        write_arrays(folder, chip)
    return folder


def write_arrays(folder: Path, chip: Any) -> None:
    """A recording and flips that fit the chip."""
    random = np.random.default_rng(0)
    flips: dict[str, Any] = {"flip_ratio": random.uniform(0.01, 0.2, (EPOCHS, len(chip.layers)))}
    recording: dict[str, Any] = {
        "label": np.int64(3),
        "prediction": np.int64(5),
        "input_spikes": (random.random((chip.steps, chip.inputs)) < 0.2).astype(np.uint8),
        "outputs": random.integers(-9, 9, (chip.steps, chip.layers[-1].neurons)),
    }
    for c, core in enumerate(chip.layers):
        shape = (core.axons, core.neurons)
        last = random.integers(0, EPOCHS + 1, shape) * (random.random(shape) < 0.3)
        flips[f"last_epoch_{c}"] = last.astype(np.uint16)
        flips[f"epochs_changed_{c}"] = (last > 0).astype(np.uint16)
        if c + 1 < len(chip.layers):
            spikes = random.random((chip.steps, core.neurons)) < 0.3
            recording[f"spikes_{c}"] = spikes.astype(np.uint8)
    np.savez(folder / "flips.npz", **flips)
    np.savez(folder / "recording.npz", **recording)


def training(folder: Path, **figures: Any) -> Path:
    """A folder of `flipcore train digits -a bso -a bptt-adam --seeds 2`; `figures` change those of every run."""
    rows = []
    for algorithm, storage, bits in (
        ("bso", "-packed-int8", {"binary weights": 18_944, "momentum": 151_552}),
        ("bptt-adam", "", {"latent weights": 606_208, "optimiser moments": 1_212_480}),
    ):
        variant = f"{algorithm}{storage}"
        for seed in (0, 1):
            one = {
                "algorithm": variant,
                "seed": seed,
                "accuracy": 0.96 + 0.01 * seed,
                "accuracy_on_chip": 0.95,
                "test_split": "test",
                "test_samples": 360,
                "epochs": 2,
                "samples_seen": 2 * SAMPLES,
                "seconds_per_sample": 0.001,
                "batch_size": 32,
                "state_bits": bits,
                "peak_bytes": 300_000 + 10 * seed,
                "history": [{"test_accuracy": 0.9, "flip_ratio": 0.05}] * 2,
            }
            run = {
                "figures": one | figures,
                "recipe": {
                    "name": "digits",
                    "network": {"model": "mlp", "chip": "digits"},
                    "dataset": "digits",
                    "epochs": 2,
                    "batch_size": 32,
                },
                "options": {"algorithm": algorithm, "storage": "packed-int8", "gate": False},
                "dataset_provenance": {"train_samples": SAMPLES},
                "versions": {"flipcore": "0.1.0", "torch": "2.13.0"},
            }
            write_json(folder / f"{variant}-seed{seed}" / "run.json", run)
        rows.append({"algorithm": variant, "seeds": [0, 1]})
    write_json(folder / "train.json", {"name": "digits", "dataset": "digits", "rows": rows})
    return folder


def comparison(folder: Path) -> Path:
    """A folder of `flipcore compare`: two chips, three ways in software, of which one is missing."""
    parts = folder.parent / f"{folder.name}-parts"
    chip = read_source(simulation(parts / "chip")).comparison
    (chip_row,) = chip.rows
    software = read_source(training(parts / "software")).comparison.rows
    rows = [
        replace(chip_row, name="chip-8"),
        replace(chip_row, name="chip-4", label="chip, BSO, 4-bit momentum", momentum_bits=4),
        *(replace(row, peak_bytes_by_steps=_growth(row)) for row in software),
        missing_row(),
    ]
    content = replace(chip, headline_row="chip-8", rows=tuple(rows))
    write_comparison(folder, content)
    shutil.copytree(parts / "chip", folder / "runs" / "chip-8-seed0")
    return folder


def write_comparison(folder: Path, content: Comparison) -> None:
    """Write `compare.json`."""
    write_json(folder / "compare.json", comparison_document(content))


def missing_row() -> Row:
    """A row without figures."""
    return Row(name="bop", label="Bop", where="software", algorithm="bop", missing="torch is <missing>")  # fmt: skip


def _growth(row: Row) -> dict[int, int]:
    grows = row.algorithm == "bptt-adam"
    return {steps: 200_000 + 90_000 * steps * grows for steps in (1, 2, 4, 8)}


def long_curve(epochs: int) -> tuple[CurvePoint, ...]:
    """A curve of many epochs."""
    return tuple(
        CurvePoint(
            samples_seen=SAMPLES * (epoch + 1),
            accuracy_mean=0.9,
            accuracy_std=0.01,
            flip_ratio=0.01,
        )
        for epoch in range(epochs)
    )
