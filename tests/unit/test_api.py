"""The Python interface: what it returns, that it is what the commands give, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flipcore
from flipcore.errors import InputError
from flipcore.sim.storage import write_weights
from tests.e2e.command import figures_of
from tests.e2e.command import flipcore as command

SMALL = {"layers.0.neurons": 24, "steps": 3}


@pytest.fixture(scope="module")
def simulation() -> flipcore.Simulation:
    return flipcore.simulate(flipcore.load("digits", SMALL), epochs=1, seed=3)


def test_names_are_loaded_when_asked_for() -> None:
    code = "import sys, flipcore; assert 'flipcore.api' not in sys.modules; flipcore.load; print('flipcore.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        flipcore.simulat  # noqa: B018


def test_load_sets_fields_and_refuses_what_breaks_a_rule() -> None:
    chip = flipcore.load("digits", {"core.momentum_bits": 4, "layers.0.neurons": 32})
    assert [core.momentum_bits for core in chip.layers] == [4, 4]
    assert chip.layers[0].neurons == 32
    with pytest.raises(InputError, match=r"digits: layers\.0\.momentum_bits=40"):
        flipcore.load("digits", {"core.momentum_bits": 40})
    with pytest.raises(InputError, match="did you mean `digits`"):
        flipcore.load("digit")


def test_a_simulation_gives_what_the_command_gives(
    simulation: flipcore.Simulation, tmp_path: Path
) -> None:
    words = [word for path, value in SMALL.items() for word in ("--set", f"{path}={value}")]
    printed = figures_of(
        command("simulate", "digits", *words, "--epochs", "1", "--seed", "3", "--out", "run", "--json", folder=tmp_path)
    )  # fmt: skip
    for key in ("test_accuracy", "train", "inference", "memory_bits", "warnings", "epochs"):
        assert simulation.figures[key] == printed[key], key
    again = flipcore.open_run(tmp_path / "run")
    assert again.test_accuracy == simulation.test_accuracy
    assert again.train == simulation.train
    assert again.train_counts.as_dict() == simulation.train_counts.as_dict()
    for mine, theirs in zip(simulation.weights, again.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert again.run_dir == tmp_path / "run"


def test_a_simulation_keeps_nothing_on_disk_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chip = flipcore.load("digits", SMALL)
    kept = flipcore.simulate(chip, epochs=0, out=tmp_path / "mine")
    assert kept.run_dir == tmp_path / "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(InputError, match="exists and is not empty"):
        flipcore.simulate(chip, epochs=0, out=tmp_path / "mine")


def test_weights_are_signs_of_each_core(simulation: flipcore.Simulation) -> None:
    assert [weights.shape for weights in simulation.weights] == [(64, 24), (24, 10)]
    assert all(set(np.unique(weights)) == {-1, 1} for weights in simulation.weights)


def test_it_prints_as_tables_and_converts_to_pandas(simulation: flipcore.Simulation) -> None:
    text = str(simulation)
    assert f"test accuracy {simulation.test_accuracy:.2%}" in text
    assert "Results are in" not in text
    frame = simulation.to_pandas()
    assert list(frame.index) == [0]
    assert frame.loc[0, "test_accuracy"] == simulation.test_accuracy
    assert "weights" not in repr(simulation)


def test_a_price_is_that_of_the_command(simulation: flipcore.Simulation, tmp_path: Path) -> None:
    chip = flipcore.load("digits", SMALL)
    run = flipcore.simulate(chip, epochs=1, seed=3, out=tmp_path / "run")
    price = flipcore.estimate(simulation)
    printed = figures_of(command("estimate", "--from", "run", "--json", folder=tmp_path))
    assert price.figures["energy_pj"] == printed["energy_pj"]
    assert price.training_energy_pj is not None
    assert price.training_energy_pj.value == printed["energy_pj"]["train_sample"]["value"]
    assert price.area_um2.high == printed["area_um2"]["high"]
    assert price.inference_latency_us == run.inference.latency_us
    assert str(price).splitlines()[1].startswith("training sample")
    frame = price.to_pandas()
    assert frame.loc["momentum", ("train_sample", "value")] > 0


def test_what_only_classified_has_no_price_of_training() -> None:
    chip = flipcore.load("digits", SMALL)
    price = flipcore.estimate(flipcore.simulate(chip, epochs=0))
    assert price.training_energy_pj is None
    assert "training sample" not in str(price)
    assert flipcore.estimate(chip).training_energy_pj is not None  # from measured rates


def test_a_chip_can_be_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(command("presets", "digits", folder=tmp_path).stdout)
    assert flipcore.load(path) == flipcore.load("digits")
    assert flipcore.simulate(path, epochs=0).chip.name == "digits"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("{", "damaged or not of a run"),
        ('{"chip": {}}', "chip"),
        ("[]", "damaged or not of a run"),
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, damage: str, reason: str) -> None:
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(InputError, match=reason) as refused:
        flipcore.open_run(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run\.json: not the directory of a finished run"):
        flipcore.open_run(tmp_path)


def test_weights_of_another_chip_are_refused(tmp_path: Path) -> None:
    run = flipcore.simulate(flipcore.load("digits", SMALL), epochs=0, out=tmp_path / "run")
    other = flipcore.load("digits", {"layers.0.neurons": 16, "steps": 3})
    from flipcore.sim.layout import empty_state

    write_weights(tmp_path / "run" / "weights.npz", other, empty_state(other))
    with pytest.raises(InputError, match="weights_0"):
        flipcore.open_run(tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["test_accuracy"] == run.test_accuracy
