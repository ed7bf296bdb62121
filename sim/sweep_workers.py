"""Processes that measure the points of a sweep; only the process that started them writes anything."""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import optuna

from flipcore.errors import InputError
from flipcore.sim.data import Dataset
from flipcore.sim.run import Epoch, Interrupted, Progress, Run, Settings
from flipcore.sim.sweep_plan import Plan, Value, load_data, varied_chip

METRICS = ("test_accuracy", "cycles_per_sample", "updates_per_sample", "flips", "seconds")
COUNTS = ("train_counts", "inference_counts")
Runs = dict[str, dict[str, Any]]  # METRICS and COUNTS by seed, a text as in JSON
Outcome = Runs | str  # or why the chip is refused


@dataclass(frozen=True)
class Job:
    """A point to measure with some seeds.

    Attributes:
        trial: the trial of a search that waits for it; None in a grid.
    """

    values: dict[str, Value]
    seeds: tuple[int, ...]
    trial: optuna.Trial | None = None


class _Orphan:
    """Observer of runs that nobody watches: they stop where the process that wants them is gone."""

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing to show."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing to log."""

    def should_stop(self) -> bool:
        """Whether the sweep was killed."""
        parent = multiprocessing.parent_process()
        return parent is not None and not parent.is_alive()


def measure(plan: Plan, values: dict[str, Value], seed: int, dataset: Dataset) -> dict[str, Any]:
    """Train one variant with one seed; returns METRICS, of training where the name does not say otherwise, and all COUNTS, so that it can be priced."""
    chip = varied_chip(plan, values)
    run = Run(chip, dataset, Settings(plan.dataset, plan.epochs, seed, plan.validation))
    run.train(_Orphan(), None)
    counts = run.train_counts
    samples = max(counts.samples, 1)
    accuracy = run.progress.history[-1].test_accuracy if run.progress.history else run.evaluate()
    return {
        "test_accuracy": accuracy,
        "cycles_per_sample": counts.cycles / samples,
        "updates_per_sample": counts.total("momentum_updates") / samples,
        "flips": float(counts.total("flips")),
        "seconds": run.progress.seconds,
        "train_counts": counts.as_dict(),
        "inference_counts": run.inference_counts.as_dict(),
    }


def _serve(plan: Plan, connection: Connection) -> None:
    """Measure what comes through the connection until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    datasets: dict[int, Dataset] = {}
    try:
        while True:
            values, seeds = connection.recv()
            connection.send(_measure_seeds(plan, values, seeds, datasets))
    except (EOFError, OSError, Interrupted):
        return


def _measure_seeds(
    plan: Plan, values: dict[str, Value], seeds: tuple[int, ...], datasets: dict[int, Dataset]
) -> Outcome:
    """Measure a point, with the data sets loaded so far by their number of steps."""
    try:
        steps = varied_chip(plan, values).steps
        if steps not in datasets:
            datasets[steps] = load_data(plan, steps)
        return {str(seed): measure(plan, values, seed, datasets[steps]) for seed in seeds}
    except InputError as error:
        return str(error)


def run_jobs(plan: Plan, jobs: Iterable[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs, each asked for when a process is free; yields them as they end.

    Raises:
        InputError: a process died; the jobs of the others were all yielded before.
    """
    context = multiprocessing.get_context("spawn")
    following = iter(jobs)
    workers: list[BaseProcess] = []
    busy: dict[Connection, Job] = {}
    num_lost = 0
    try:
        for job in islice(following, processes):
            connection, other_end = context.Pipe()
            process = context.Process(target=_serve, args=(plan, other_end), daemon=True)
            process.start()
            workers.append(process)
            other_end.close()  # the process holds the only one, which closes when it dies
            connection.send((job.values, job.seeds))
            busy[connection] = job
        while busy:
            for connection in [end for end in wait(list(busy)) if isinstance(end, Connection)]:
                job = busy.pop(connection)
                try:
                    outcome = connection.recv()
                except (EOFError, OSError):
                    num_lost += 1
                    continue
                yield job, outcome
                for job in islice(following, 1):
                    connection.send((job.values, job.seeds))
                    busy[connection] = job
    finally:
        for worker in workers:
            worker.terminate()
    if num_lost:
        raise InputError(f"{plan.out}: a process of the sweep died; start the sweep again to go on")
