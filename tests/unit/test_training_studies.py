"""The studies of training: points of a search, what fixes a job, rows and tables; not the trainings themselves."""

import json
from concurrent.futures import Future
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training_studies
from benchmarks.training_studies import (
    STUDIES,
    TUNING_SHARE,
    Job,
    Setting,
    Study,
    _last_epochs,
    _points,
    _row,
    run,
    study,
    table,
)
from flipcore.training.algorithms import find_algorithm
from flipcore.training.options import Options
from flipcore.training.recipe import load_recipe

SEARCHED = {"adam": (1e-3, 3e-3), "logit_scale": (2.0, 4.0)}
SETTING = Setting("latent", "bptt-adam", SEARCHED)
JOB = Job("digits", ("adam=0.001",), "bptt-adam", "dense", False, 2, 0, 0.3, Path())


def result(accuracy: float, on_chip: float | None = None) -> dict[str, Any]:
    history = [
        {"test_accuracy": accuracy + change, "flip_ratio": ratio}
        for change, ratio in ((-0.4, 0.5), (-0.2, 0.25), (0.1, 0.125), (0.0, 0.0625))
    ]
    return {
        "accuracy": accuracy,
        "accuracy_on_chip": on_chip,
        "state_bits": {"binary weights": 1000, "momentum": 8000},
        "history": history,
    }


@pytest.mark.parametrize("name", STUDIES)
def test_settings_name_fields_algorithms_and_storages_that_there_are(name: str) -> None:
    plan = STUDIES[name]
    assert len({setting.name for setting in plan.settings}) == len(plan.settings)
    for setting in plan.settings:
        Options(algorithm=find_algorithm(setting.algorithm), storage=setting.storage)
        for point in _points(setting, plan.points):
            load_recipe(plan.recipe, (*plan.changes, *setting.changes, *point))


def test_points_are_different_and_the_same_each_time() -> None:
    points = _points(SETTING, 4)
    assert points == _points(SETTING, 4)
    assert len(set(points)) == 4
    for point in points:
        names = [change.partition("=")[0] for change in point]
        assert names == list(SEARCHED)
        for change in point:
            field, _, value = change.partition("=")
            assert json.loads(value) in SEARCHED[field]


def test_a_small_grid_gives_what_it_has() -> None:
    one = Setting("fixed", "bso", {"bso.gamma": (0.0,), "tbso.temporal": (False,)})
    assert _points(one, 5) == [("bso.gamma=0.0", "tbso.temporal=false")]


def test_jobs_that_differ_have_files_of_their_own() -> None:
    others = {
        "recipe": "mnist",
        "changes": ("adam=0.003",),
        "algorithm": "ottt-adam",
        "storage": "packed-int8",
        "gate": True,
        "epochs": 3,
        "seed": 1,
        "validation": 0.0,
    }
    jobs = [JOB, *(replace(JOB, **{field: value}) for field, value in others.items())]
    assert len({job.path for job in jobs}) == len(jobs)
    assert replace(JOB).path == JOB.path
    assert replace(JOB, folder=Path("elsewhere")).path.name == JOB.path.name


def test_a_job_of_another_recipe_content_has_another_file(tmp_path: Path) -> None:
    """A recipe's file may change under its name: what it gave before is then stale."""
    recipe = tmp_path / "mine.yaml"
    shipped = resources.files("flipcore.training").joinpath("recipes/digits.yaml").read_text()
    recipe.write_text(shipped)
    before = replace(JOB, recipe=str(recipe)).path
    assert replace(JOB, recipe=str(recipe)).path == before
    recipe.write_text(shipped.replace("batch_size: 32", "batch_size: 16"))
    assert replace(JOB, recipe=str(recipe)).path != before


def test_a_job_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(JOB, epochs=1, folder=tmp_path)
    first = run(job)
    assert first["test_split"] == "validation"
    assert len(first["history"]) == 1
    assert json.loads(job.path.read_text()) == first
    monkeypatch.setattr(training_studies, "load_samples", None)
    assert run(job) == first


def test_the_last_three_epochs_choose() -> None:
    assert _last_epochs(result(0.9)) == pytest.approx((0.7 + 1.0 + 0.9) / 3)


class Inline:
    """A pool that works at once."""

    def submit(self, call: Any, *arguments: Any) -> Future[Any]:
        """The finished call."""
        done: Future[Any] = Future()
        done.set_result(call(*arguments))
        return done


def test_the_best_point_on_held_out_samples_is_measured_on_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def pretend(job: Job) -> dict[str, Any]:
        jobs.append(job)
        is_best = "adam=0.003" in job.changes and "logit_scale=4.0" in job.changes
        return result((0.9 if is_best else 0.5) + 0.01 * job.seed, on_chip=0.5)

    plan = Study("digits", (SETTING,), points=4, seeds=3, epochs=4, changes=("batch_size=16",))
    monkeypatch.setitem(STUDIES, "pretended", plan)
    monkeypatch.setattr(training_studies, "run", pretend)
    found = study("pretended", Inline(), tmp_path)  # type: ignore[arg-type]
    assert {(job.validation, job.seed) for job in jobs[:4]} == {(TUNING_SHARE, 0)}
    assert [(job.validation, job.seed) for job in jobs[4:]] == [(0.0, seed) for seed in range(3)]
    assert {job.changes for job in jobs[4:]} == {("batch_size=16", "adam=0.003", "logit_scale=4.0")}
    assert all((job.epochs, job.folder) == (4, tmp_path) for job in jobs)
    (row,) = found["rows"]
    assert row["accuracy_mean"] == pytest.approx(0.91)
    assert row["accuracy_std"] == pytest.approx(0.01)
    assert row["chosen"] == ["adam=0.003", "logit_scale=4.0"]
    assert (found["study"], found["recipe"], found["points"]) == ("pretended", "digits", 4)
    json.dumps(found)


def test_a_row_of_a_table() -> None:
    row = _row(SETTING, ("adam=0.003",), [result(0.95, 0.94), result(0.97, 0.98)])
    assert table({"rows": [row]}).splitlines()[2] == (
        "| latent | 96.00 ± 1.41 | 96.00 | 9 | 50.00, 12.50, 6.25 | adam=0.003 |"
    )


def test_a_table_has_a_row_a_setting() -> None:
    rows = [_row(SETTING, (), [result(0.9), result(0.9)]) for _ in range(3)]
    lines = table({"rows": rows}).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert "| - |" in lines[2]  # not on a chip


DOCS = Path(__file__).parents[2] / "docs" / "studies"
RESULTS = sorted((DOCS / "training").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_of_the_page_are_those_of_the_results(path: Path) -> None:
    assert table(json.loads(path.read_text())) in (DOCS / "training.md").read_text()


def test_there_are_results() -> None:
    assert len(RESULTS) >= 3
