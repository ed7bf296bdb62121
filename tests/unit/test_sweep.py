"""A sweep as a library: what a kill leaves behind, dying processes, foreign files, what may vary."""

import os
from pathlib import Path
from typing import Any

import optuna
import pytest

from flipcore.chip import read_chip_document
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim import sweep, sweep_workers
from flipcore.sim.folder_lock import folder_lock
from flipcore.sim.sweep_plan import Plan, Value, Variation, parse_variation

MARGINS = (2, 3, 4)


def _plan(out: Path, search_points: int = 0) -> Plan:
    document, _ = read_chip_document("digits")
    return Plan(
        document, (Variation("error.margin", MARGINS),), 2, search_points, "digits", 0, 0.0, out
    )


def _quiet(done: int, total: int) -> None:
    assert done <= total


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Value, tuple[int, ...]]]:
    """Measure in this process, with made-up figures; returns the list of what was measured."""
    measured: list[tuple[Value, tuple[int, ...]]] = []

    def run_jobs(plan: Plan, jobs: Any, processes: int) -> Any:
        for job in jobs:
            measured.append((job.values["error.margin"], job.seeds))
            counts = EventCounts.zeros(2).as_dict()
            figures = dict.fromkeys(sweep_workers.METRICS, 0.5)
            figures |= dict.fromkeys(sweep_workers.COUNTS, counts)
            yield job, {str(seed): figures for seed in job.seeds}

    monkeypatch.setattr(sweep, "run_jobs", run_jobs)
    return measured


def test_a_grid_goes_on_with_what_is_missing(
    tmp_path: Path, no_processes: list[tuple[Value, tuple[int, ...]]]
) -> None:
    def killed(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run_sweep(_plan(tmp_path), 1, killed)
    points, refused = sweep.run_sweep(_plan(tmp_path), 1, _quiet)
    assert sorted(no_processes) == [(margin, (seed,)) for margin in MARGINS for seed in (0, 1)]
    assert [point.runs for point in points] == [2, 2, 2]
    assert refused == []


def test_a_search_replaces_what_a_kill_left_unfinished(
    tmp_path: Path, no_processes: list[tuple[Value, tuple[int, ...]]]
) -> None:
    plan = _plan(tmp_path, search_points=3)
    study = sweep._open_study(plan)
    study.ask(sweep._distributions(plan))  # and killed before it is told
    sweep.run_sweep(plan, 1, _quiet)
    assert len(no_processes) == 3
    states = [trial.state for trial in sweep._open_study(plan).trials]
    assert states.count(optuna.trial.TrialState.COMPLETE) == 3
    assert states.count(optuna.trial.TrialState.FAIL) == 1


def test_a_process_that_dies_is_told_and_costs_its_own_job_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_workers, "_serve", _die_at_margin_3)
    done = []
    with pytest.raises(InputError, match="a process of the sweep died; start the sweep again"):
        for job, _ in sweep_workers.run_jobs(
            _plan(tmp_path), [sweep_workers.Job({"error.margin": m}, (0,)) for m in MARGINS], 2
        ):
            done.append(job.values["error.margin"])
    assert done == [2, 4]


def _die_at_margin_3(plan: Plan, connection: Any) -> None:
    while True:
        values, seeds = connection.recv()
        if values["error.margin"] == 3:
            os._exit(1)
        connection.send({str(seed): {} for seed in seeds})


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(InputError, match=f"^{tmp_path}: another process is writing into it$"),
    ):
        sweep.run_sweep(_plan(tmp_path), 1, _quiet)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    (tmp_path / sweep.DATABASE).write_bytes(b"no database at all, but long enough to be one" * 9)
    with pytest.raises(InputError, match=r"sweep\.db: damaged or cannot be used: file is not a"):
        sweep.run_sweep(_plan(tmp_path), 1, _quiet)


def test_a_long_value_reaches_the_chip_whole(tmp_path: Path) -> None:
    text = "many words " * 20 + "end"
    assert sweep_workers.varied_chip(_plan(tmp_path), {"description": text}).description == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name=2020-01-02", "values are numbers or words"),
        ("name=2020-13-45", "a value is not valid YAML"),
        ("core.lanes=[4]", "values are numbers or words"),
    ],
)
def test_values_that_no_field_takes_are_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=f"--vary {text}: {told}".replace("[", r"\[")):
        parse_variation(text)
