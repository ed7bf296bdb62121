"""`flipcore estimate` as a user runs it: from a run, from rates, side by side; files; and input that cannot be used."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from flipcore.cli.estimate_sweep import sweep_figures
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES
from flipcore.hwmodel.technology import load_technology
from tests.e2e.command import figures_of, flipcore, one_line_of
from tests.technologies import ROWS, write_technology

BOUNDS = ("value", "low", "high")
EPOCHS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two epochs of the digits in `run`, and the made-up technology."""
    folder = tmp_path_factory.mktemp("estimates")
    write_technology(folder)
    figures_of(
        flipcore("simulate", "digits", "--epochs", f"{EPOCHS}", "--out", "run", "--json", folder=folder)
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def from_run(folder: Path) -> dict[str, Any]:
    """The estimate of the run, with all of its files in `out`."""
    return figures_of(
        flipcore(
            "estimate", "--from", "run", "--technology", "made-up.csv", "--out", "out",
            "--accelergy", "--sanafe", "--json", folder=folder,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Path:
    """A sweep of two points, the first of which is the chip of the run with the same seed."""
    words = (
        "--vary",
        "core.momentum_bits=8,4",
        "--seeds",
        "1",
        "--epochs",
        f"{EPOCHS}",
        "--processes",
        "2",
    )
    figures_of(flipcore("sweep", "digits", *words, "--out", "sweep", "--json", folder=folder))
    return folder / "sweep"


def assert_band(band: dict[str, float]) -> None:
    assert tuple(band) == BOUNDS
    assert 0 < band["low"] <= band["value"] <= band["high"]


def test_keys_that_scripts_rely_on(from_run: dict[str, Any], folder: Path) -> None:
    assert from_run["technology"] == "made-up"
    for key in ("train_sample", "inference", "per_sop", "learning_per_sop", "epoch"):
        assert_band(from_run["energy_pj"][key])
    assert_band({name: from_run["area_um2"][name] for name in BOUNDS})
    assert from_run["memory_bits"]["weight"] == 64 * 256 + 256 * 16
    run = json.loads((folder / "run" / "run.json").read_text())
    for way in from_run["alternatives"]:  # one account of training memory
        parts = run["training_state_bits"][way["name"]]
        assert (parts["synapse_state"], parts["other_state"]) == (
            way["synapse_bits"],
            way["other_bits"],
        )
        assert sum(parts.values()) == way["total_bits"]
    (source,) = from_run["sources"]
    assert source["title"] == "Made-up prices"
    for key in ("training", "inference", "idle", "clock_stopped"):
        assert_band(from_run["power_uw"][key])
    assert "run: digits on digits, 2 epochs, seed 0" in from_run["counts_from"]


def test_parts_add_up_to_the_totals(from_run: dict[str, Any], folder: Path) -> None:
    for side in ("train_sample", "inference"):
        total = from_run["energy_pj"][side]
        for kind in ("component", "phase", "core", "what"):
            parts = from_run["energy_by"][side][kind].values()
            for bound in BOUNDS:
                assert sum(band[bound] for band in parts) == pytest.approx(total[bound])
        sops, latency = from_run["sops"][side], from_run["latency_us"][side]
        assert sops > 0
        power = from_run["power_uw"]["training" if side == "train_sample" else side]["value"]
        assert power * latency == pytest.approx(total["value"])
        per_sop = from_run["energy_pj"]["per_sop" if side == "inference" else "learning_per_sop"]
        assert per_sop["value"] * sops == pytest.approx(total["value"])
        cores = from_run["energy_without_io_pj"][side]
        for bound in BOUNDS:
            io = from_run["energy_by"][side]["component"]["io"][bound]
            assert io > 0
            assert cores[bound] + io == pytest.approx(total[bound])
    sample, epoch = from_run["energy_pj"]["train_sample"], from_run["energy_pj"]["epoch"]
    assert epoch["value"] == pytest.approx(1437 * sample["value"])
    run = json.loads((folder / "run" / "run.json").read_text())
    assert from_run["latency_us"]["inference"] == pytest.approx(run["inference"]["latency_us"])
    assert from_run["area_um2"]["value"] == pytest.approx(
        sum(band["value"] for band in from_run["area_by_component"].values())
    )


def test_files_hold_the_same(from_run: dict[str, Any], folder: Path) -> None:
    out = folder / "out"
    assert json.loads((out / "estimate.json").read_text()) == from_run
    with (out / "energy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for sample, key in (("training", "train_sample"), ("inference", "inference")):
        energy = sum(float(row["energy_pj"]) for row in rows if row["sample"] == sample)
        assert energy == pytest.approx(from_run["energy_pj"][key]["value"])
    with (out / "area.csv").open(newline="") as file:
        area = sum(float(row["area_um2_high"]) for row in csv.DictReader(file))
    assert area == pytest.approx(from_run["area_um2"]["high"])
    for name in ("report.svg", "report.png"):
        assert (out / name).stat().st_size > 10_000
    counts = yaml.safe_load((out / "accelergy" / "training" / "action_counts.yaml").read_text())
    table = yaml.safe_load((out / "accelergy" / "training" / "ERT.yaml").read_text())
    each = {
        (part["name"], action["name"]): action["energy"]
        for part in table["ERT"]["tables"]
        for action in part["actions"]
    }
    total = sum(
        action["counts"] * each[part["name"], action["name"]]
        for part in counts["action_counts"]["local"]
        for action in part["action_counts"]
    )
    wanted = from_run["energy_pj"]["train_sample"]["value"]
    assert total / (EPOCHS * 1437) == pytest.approx(wanted)
    for name in ("sanafe_arch.yaml", "sanafe_network.yaml"):
        assert yaml.safe_load((out / "sanafe" / name).read_text())


def test_the_rates_of_a_run_give_its_estimate(from_run: dict[str, Any], folder: Path) -> None:
    """Rates written beside an estimate lead back to it, without the run."""
    figures = figures_of(
        flipcore(
            "estimate", "digits", "--rates", "out/rates.yaml", "--technology", "made-up.csv", "--json",
            folder=folder,
        )
    )  # fmt: skip
    for key in ("train_sample", "inference", "epoch"):
        assert figures["energy_pj"][key]["value"] == pytest.approx(
            from_run["energy_pj"][key]["value"], rel=1e-3
        )
    assert figures["latency_us"]["train_sample"] == pytest.approx(
        from_run["latency_us"]["train_sample"], rel=1e-3
    )


def test_without_a_run_measured_rates_are_named(folder: Path) -> None:
    figures = figures_of(flipcore("estimate", "fashion-mnist", "--json", folder=folder))
    assert figures["technology"] == "ihp-sg13g2"
    assert "the rates `fashion-mnist`: flipcore simulate fashion-mnist" in figures["counts_from"]
    assert_band(figures["energy_pj"]["train_sample"])
    assert figures["sources"]


def test_more_activity_costs_more(folder: Path) -> None:
    energies = []
    for rate in ("0.05", "0.2"):
        words = (
            "--rate",
            f"inference.input_events={rate}",
            "--rate",
            f"training.input_events={rate}",
        )
        figures = figures_of(flipcore("estimate", "mnist", *words, "--json", folder=folder))
        assert "with changes" in figures["counts_from"]
        energies.append(figures["energy_pj"]["inference"]["value"])
    assert energies[1] > 2 * energies[0]


def test_side_by_side(folder: Path) -> None:
    words = (
        "estimate",
        "--compare",
        "digits",
        "mnist",
        "--from",
        "run",
        "--technology",
        "made-up.csv",
    )
    figures = figures_of(flipcore(*words, "--out", "both", "--json", folder=folder))
    assert [chip["name"] for chip in figures["chips"]] == ["digits", "mnist", "digits"]
    assert (folder / "both" / "comparison.svg").is_file()
    for name in ("1-digits", "2-mnist", "3-digits"):
        assert (folder / "both" / name / "estimate.json").is_file()
    shown = flipcore(*words, folder=folder)
    assert shown.returncode == 0, shown.stderr
    for text in ("1: digits", "2: mnist", "3: digits", "784-512-10", "per SOP"):
        assert text in shown.stdout


def test_the_tables_tell_what_the_figures_do(folder: Path) -> None:
    shown = flipcore("estimate", folder=folder)
    assert shown.returncode == 0, shown.stderr
    for text in (
        "digits: 64-256-10", "ihp-sg13g2", "training sample", "per SOP, training", "inference, without I/O", "power idle",
        "area", "forward", "momentum", "BPTT", "latent fp32, Adam", "source: ", "Counts of the rates `digits`",
    ):  # fmt: skip
        assert text in shown.stdout, text
    sources = [line for line in shown.stdout.splitlines() if line.startswith("source: ")]
    assert len(sources) == len({line.split(" (")[0] for line in sources}) == 2


def test_a_run_that_learnt_nothing_has_no_price_of_learning(folder: Path) -> None:
    figures_of(
        flipcore("simulate", "digits", "--no-learn", "--out", "still", "--json", folder=folder)
    )
    figures = figures_of(flipcore("estimate", "--from", "still", "--json", folder=folder))
    assert figures["energy_pj"]["train_sample"] is None
    assert figures["energy_pj"]["epoch"] is None
    assert_band(figures["energy_pj"]["inference"])
    shown = flipcore("estimate", "--from", "still", "--out", "still-out", folder=folder)
    assert shown.returncode == 0, shown.stderr
    assert (folder / "still-out" / "report.png").is_file()


def technology_with(folder: Path, row: str) -> None:
    """Write the made-up technology with one row in place of that of the same action."""
    action = ",".join(row.split(",")[:2])
    write_technology(folder, row, without=action)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--technology", "unobtainium"), "unobtainium: no such technology"),
        (("--technology", "none.csv"), "none.csv: cannot be read"),
        (("nothing",), "nothing: no such preset"),
        (("--rates", "nothing"), "nothing: no such rates"),
        (("--rate", "training.input_events=1.5"), "training.input_events=1.5"),
        (("--rate", "training.layers.0.learning.flips=-1"), "training.layers.0.learning.flips=-1"),
        (("--rate", "training.layers.0.spikes=.inf"), "training.layers.0.spikes=inf"),
        (("--rate", "training.sparkles=0.5"), "training.sparkles: unknown rate"),
        (("--from", "nowhere"), "nowhere: no run.json"),
        (("digits", "mnist"), "digits, mnist: give one chip"),
        (("digits", "--from", "run"), "digits, run: give one chip"),
        (("--from", "run", "--set", "steps=3"), "--set: cannot be given with --from"),
        (("--from", "run", "--rate", "training.input_events=0.5"), "--rate: cannot be given with --from"),
        (("--accelergy",), "--accelergy: needs --out"),
        (("--sanafe",), "--sanafe: needs --out"),
        (("--out", "run/run.json"), "run/run.json: cannot be created"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_used(folder: Path, words: tuple[str, ...], message: str) -> None:
    assert message in one_line_of(flipcore("estimate", *words, "--json", folder=folder))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("integrate,event_list_reads,lanes,-1,-1,1,pJ", "-1 is not a finite number of 0 or more"),
        ("integrate,event_list_reads,lanes,nan,0,1,pJ", "nan is not a finite number"),
        ("integrate,event_list_reads,lanes,inf,0,inf,pJ", "inf is not a finite number"),
        ("integrate,sparkles,lanes,1,1,1,pJ", "integrate has no 'sparkles'"),
    ],
)
def test_coefficients_that_cannot_be_used(tmp_path: Path, row: str, message: str) -> None:
    assert not any(row in known for known in ROWS)
    technology_with(tmp_path, row)
    line = one_line_of(
        flipcore("estimate", "digits", "--technology", "made-up.csv", folder=tmp_path)
    )
    assert message in line
    assert "made-up.csv: line" in line


def _without_flips(counts: dict[str, Any]) -> None:
    del counts["flips"]


def _with_sparkles(counts: dict[str, Any]) -> None:
    counts["sparkles"] = [1, 1]


def _negative(counts: dict[str, Any]) -> None:
    counts["spikes"][0] = -1


def _contradiction(counts: dict[str, Any]) -> None:
    counts["weight_reads"][0] = 1


def _one_core(counts: dict[str, Any]) -> None:
    for name in COUNT_NAMES:
        counts[name] = counts[name][:1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_flips, "counts.train: no count flips"),
        (_with_sparkles, "counts.train: unknown count sparkles"),
        (_negative, "counts.train: count spikes is -1"),
        (_contradiction, "counts of core 0: weight_reads=1 leaves"),
        (_one_core, "counts.train: 1 cores: digits has 2"),
    ],
)
def test_counts_that_cannot_be_used(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    document = json.loads((folder / "run" / "run.json").read_text())
    change(document["counts"]["train"])
    (tmp_path / "run.json").write_text(json.dumps(document))
    line = one_line_of(flipcore("estimate", "--from", tmp_path, "--json", folder=folder))
    assert message in line


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chip": {}}', '{"chip": 1, "counts": 2}'])
def test_a_damaged_run_is_refused(folder: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    line = one_line_of(flipcore("estimate", "--from", tmp_path, folder=folder))
    assert line.startswith(f"{tmp_path}/run.json: ")


def test_every_point_of_a_sweep_is_priced(
    from_run: dict[str, Any], folder: Path, sweep: Path
) -> None:
    words = ("estimate", "--from", "sweep", "--technology", "made-up.csv", "--out", "priced")
    figures = figures_of(flipcore(*words, "--json", folder=folder))
    assert (figures["name"], figures["dataset"], figures["epochs"]) == ("digits", "digits", EPOCHS)
    points = {row["values"]["core.momentum_bits"]: row for row in figures["points"]}
    assert set(points) == {4, 8}
    accuracies = [row["accuracy_mean"] for row in figures["points"]]
    assert accuracies == sorted(accuracies, reverse=True)
    run = json.loads((folder / "run" / "run.json").read_text())
    assert points[8]["accuracy_mean"] == run["test_accuracy"]
    assert points[8]["accuracy_ci95"] is None  # of one seed
    for key in (
        "energy_pj",
        "energy_without_io_pj",
        "latency_us",
        "power_uw",
        "area_um2",
        "sops",
        "memory_bits",
    ):
        assert points[8][key] == from_run[key], key
    assert points[4]["area_um2"]["value"] < points[8]["area_um2"]["value"]
    assert figures["sources"] == from_run["sources"]
    assert json.loads((folder / "priced" / "estimate.json").read_text()) == figures
    with (folder / "priced" / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, point in zip(rows, figures["points"], strict=True):
        assert float(row["accuracy_mean"]) == point["accuracy_mean"]
        assert float(row["inference_pj_high"]) == point["energy_pj"]["inference"]["high"]
        assert float(row["area_um2"]) == point["area_um2"]["value"]
    assert (folder / "priced" / "accuracy.svg").stat().st_size > 10_000
    shown = flipcore(*words, folder=folder)
    assert shown.returncode == 0, shown.stderr
    for text in ("digits on digits", "accuracy", "training", "mm²", f"{100 * accuracies[0]:.2f}%"):
        assert text in shown.stdout, text
    assert "…" not in shown.stdout  # nothing is cut off


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--compare",), "--compare: sweep is a sweep, which keeps no weights"),
        (("--accelergy", "--out", "x"), "--accelergy: sweep is a sweep"),
        (("--sanafe", "--out", "x"), "--sanafe: sweep is a sweep"),
        (("--set", "steps=3"), "--set: cannot be given with --from"),
        (("--technology", "nothing"), "nothing: no such technology"),
    ],
)
def test_what_cannot_be_asked_of_a_sweep(
    folder: Path, sweep: Path, words: tuple[str, ...], message: str
) -> None:
    assert message in one_line_of(flipcore("estimate", "--from", "sweep", *words, folder=folder))


def _no_database(sweep: Path) -> None:
    (sweep / "sweep.db").unlink()


def _bad_database(sweep: Path) -> None:
    (sweep / "sweep.db").write_bytes(b"no database" * 1000)


def _other_database(sweep: Path) -> None:
    (sweep / "sweep.db").unlink()
    optuna.create_study(storage=f"sqlite:///{sweep / 'sweep.db'}", study_name="other")


def _nothing_ended(sweep: Path) -> None:
    (sweep / "sweep.db").unlink()
    optuna.create_study(storage=f"sqlite:///{sweep / 'sweep.db'}", study_name="sweep")


def _earlier_format(sweep: Path) -> None:
    plan = (sweep / "plan.yaml").read_text()
    assert "format: 2" in plan
    (sweep / "plan.yaml").write_text(plan.replace("format: 2", "format: 1"))


def _no_chip(sweep: Path) -> None:
    (sweep / "plan.yaml").write_text("format: 2\n")


def _no_plan(sweep: Path) -> None:
    (sweep / "plan.yaml").write_text("- a")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_database, "sweep.db: is missing: the sweep has not begun"),
        (_bad_database, "sweep.db: damaged or cannot be used"),
        (_other_database, "sweep.db: damaged or not of a sweep"),
        (_nothing_ended, "no run of this sweep has ended: there is nothing to price"),
        (_earlier_format, "plan.yaml: a sweep of an earlier flipcore, which kept no counts"),
        (_no_chip, "plan.yaml: damaged or not of a sweep: no chip, dataset, epochs"),
        (_no_plan, "plan.yaml: a sweep's plan is a mapping of fields"),
    ],
)
def test_a_sweep_that_cannot_be_priced(
    tmp_path: Path, sweep: Path, damage: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(sweep, tmp_path / "copy")
    damage(tmp_path / "copy")
    with pytest.raises(InputError) as refused:
        sweep_figures(tmp_path / "copy", load_technology("ihp-sg13g2"))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
