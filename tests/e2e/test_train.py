"""`flipcore train` as a user runs it: figures, files, kills, resumption, several processes, bad input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import environment, figures_of, flipcore, one_line_of, started

CHIP = """
name: tiny
inputs: 64
steps: 2
core: {neuron: if, threshold: 6, window: 9}
layers: [{neurons: 24}, {neurons: 10}]
workload: {dataset: digits, epochs: 2}
"""
TIMES = ("seconds_per_sample",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trainings of these tests lie, with a chip to train."""
    path = tmp_path_factory.mktemp("trainings")
    (path / "tiny.yaml").write_text(CHIP)
    return path


def without_times(figures: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in TIMES} for row in figures["rows"]
    ]


def test_figures_that_scripts_rely_on(folder: Path) -> None:
    done = flipcore(
        *("train", "tiny.yaml", "-a", "tbso", "-a", "bptt-adam", "--seeds", "2", "--json"),
        *("--out", "first"),
        folder=folder,
    )
    figures = figures_of(done)
    assert done.stderr == ""
    assert [row["algorithm"] for row in figures["rows"]] == ["tbso-packed-int8", "bptt-adam"]
    for row in figures["rows"]:
        assert row["where"] == "software"
        assert row["seeds"] == [0, 1]
        assert 0 <= row["accuracy_mean"] <= 1
        assert row["samples_seen"] == 2 * (1437 // 32) * 32
        assert row["seconds_per_sample"] > 0
        assert row["training_peak_bytes"] > row["training_state_bytes"] > 0
    packed, latent = figures["rows"]
    # 64 x 24 + 24 x 10 synapses: 9 bits each against a float latent weight and two of Adam.
    assert packed["training_state_bits"] < latent["training_state_bits"] / 6
    assert json.loads((folder / "first" / "train.json").read_text()) == figures


def test_a_network_of_integrate_and_fire_neurons_runs_on_its_chip_exactly(folder: Path) -> None:
    """Without a leak nothing rounds: PyTorch and chip must agree on every sample."""
    figures = figures_of(
        flipcore(
            *("train", "tiny.yaml", "-a", "bso", "--set", "bso.gamma=1e-4", "--epochs", "1"),
            *("--json", "--out", "chip"),
            folder=folder,
        )
    )
    (row,) = figures["rows"]
    assert row["accuracy_on_chip_mean"] == row["accuracy_mean"]
    run = folder / "chip" / "bso-packed-int8-seed0"
    on_chip = figures_of(
        flipcore(
            *("simulate", run / "chip.yaml", "--weights", run / "weights.npz", "--no-learn"),
            *("--out", "deployed", "--json"),
            folder=folder,
        )
    )
    assert on_chip["test_accuracy"] == row["accuracy_mean"]


@pytest.mark.slow
def test_a_killed_training_goes_on_bit_for_bit(folder: Path) -> None:
    words = ("train", "tiny.yaml", "-a", "bso", "--epochs", "12", "--json")
    whole = figures_of(flipcore(*words, "--out", "whole", folder=folder))
    process = started(*words, "--out", "killed", folder=folder)
    checkpoint = folder / "killed" / "bso-packed-int8-seed0" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "killed" / "train.json").exists(), "was finished when it was killed"
    resumed = figures_of(flipcore("train", "--resume", "killed", "--json", folder=folder))
    assert without_times(resumed) == without_times(whole)


@pytest.mark.slow
def test_an_interrupt_says_how_to_go_on(folder: Path) -> None:
    process = started("train", "tiny.yaml", "--epochs", "400", "--out", "stopped", folder=folder)
    checkpoint = folder / "stopped" / "bso-packed-int8-seed0" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: flipcore train --resume stopped" in errors


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["dense", "packed-int8"])
def test_two_processes_agree_on_every_flip(folder: Path, storage: str) -> None:
    """The run itself compares the weights of all processes after every epoch."""
    # All write into the folder that the first names, also where it chooses the name.
    out = ["--out", "two"] if storage == "dense" else []
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    words = ["train", "tiny.yaml", "-a", "tbso", "--storage", storage, "--epochs", "2"]
    done = subprocess.run(
        [*launcher, "-m", "flipcore", *words, *out, "--json"],
        cwd=folder,
        env=environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    figures = figures_of(done)
    assert "Warning" not in done.stderr
    assert figures["processes"] == 2
    assert (folder / figures["run_dir"] / f"tbso-{storage}-seed0" / "run.json").is_file()
    assert figures["rows"][0]["last_flip_ratio"] > 0


REFUSED = {
    "an unknown algorithm": (["-a", "bsoo"], "algorithm bsoo: unknown, did you mean `bso`?"),
    "packed weights through time": (
        ["-a", "bop-bptt"],
        "storage packed-int8: bop-bptt goes back through time, packed weights learn step by step",
    ),
    "an unknown storage": (["--storage", "int8"], "storage int8: unknown (storages: dense,"),
    "an unknown field": (["--set", "bso.gama=1"], "bso.gama: unknown field, did you mean `gamma`?"),
    "a value out of range": (["--set", "bso.rate=2"], "bso.rate=2: "),
    "an unknown data set": (["--dataset", "cifar"], "data set 'cifar': unknown"),
    "a device that is absent": (["--device", "cuda:63"], "device cuda:63: absent: "),
    "a device of no kind": (["--device", "abacus"], "device abacus: unknown: write cpu, cuda"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line(case: str, folder: Path) -> None:
    words, expected = REFUSED[case]
    message = one_line_of(flipcore("train", "tiny.yaml", *words, folder=folder))
    assert expected in message


def test_an_unknown_recipe_is_refused(folder: Path) -> None:
    message = one_line_of(flipcore("train", "digit", folder=folder))
    assert message.startswith("digit: no such recipe, did you mean `digits`?")


def test_a_gradient_that_is_not_finite_stops_the_training(folder: Path) -> None:
    for algorithm, layer in (("bso", "layers.1.weight"), ("bptt-adam", "weight")):
        message = one_line_of(
            flipcore(
                *("train", "tiny.yaml", "-a", algorithm, "--set", "logit_scale=1e38"),
                *("--out", f"diverged-{algorithm}"),
                folder=folder,
            )
        )
        assert message.startswith("epoch 0, batch 0, time step ")
        assert layer in message
        assert message.endswith("the last checkpoint is of before")


def test_a_checkpoint_of_another_network_is_refused(folder: Path) -> None:
    flipcore("train", "tiny.yaml", "--epochs", "1", "--out", "other", folder=folder)
    run = folder / "other" / "bso-packed-int8-seed0"
    (run / "run.json").unlink()
    request = json.loads((folder / "other" / "request.json").read_text())
    request["recipe"]["batch_size"] = 16
    (folder / "other" / "request.json").write_text(json.dumps(request))
    message = one_line_of(flipcore("train", "--resume", "other", folder=folder))
    assert message == "other/bso-packed-int8-seed0: the checkpoint is of another recipe"


def test_a_damaged_checkpoint_is_refused(folder: Path) -> None:
    flipcore("train", "tiny.yaml", "--epochs", "1", "--out", "damaged", folder=folder)
    run = folder / "damaged" / "bso-packed-int8-seed0"
    (run / "run.json").unlink()
    (run / "checkpoint.pt").write_bytes((run / "checkpoint.pt").read_bytes()[:500])
    message = one_line_of(flipcore("train", "--resume", "damaged", folder=folder))
    assert message.startswith(
        "damaged/bso-packed-int8-seed0/checkpoint.pt: damaged or not a checkpoint"
    )


def test_a_folder_without_a_training_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    message = one_line_of(flipcore("train", "--resume", "empty", folder=folder))
    assert message == "empty: no training began here: request.json is missing"
