"""Plans: pairs that are kept and used again, folders of other requests, what each seed and disturbance does."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flipcore import draws, session
from flipcore.adapt.adaptation import Adaptation
from flipcore.adapt.disturbances import Disturbance, parse_disturbance
from flipcore.adapt.folder import Plan, run_plan
from flipcore.adapt.results import make_results, write_results
from flipcore.chip import parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.hwmodel.technology import load_technology
from flipcore.sim.data import Dataset
from flipcore.sim.engine import Engine
from flipcore.sim.layout import initial_state
from flipcore.sim.run import Epoch, Interrupted, Progress, Settings
from flipcore.sim.storage import load_weights
from tests.datasets import tiny_dataset

CHIP = {
    "name": "tiny",
    "inputs": 16,
    "steps": 4,
    "core": {"lanes": 4, "threshold": 3, "window": 8, "gradient_shift": 8},
    "layers": [{"neurons": 32}, {"neurons": 4}],
    "error": {"kind": "hinge", "margin": 6},
}
NAMES = ("none", "invert", "noise:0.5", "new-class:2", "dead-synapses:0.5", "stuck-bits:0.5", "momentum-stuck:0.5", "dead-neurons:0.5")  # fmt: skip


class Ear:
    """Notes what it hears, and stops after some questions."""

    def __init__(self, questions: int = 1 << 30) -> None:
        self.left = questions
        self.learnt = 0
        self.trainings: list[int] = []
        self.pairs: list[tuple[str, int, int]] = []

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def on_training(self, samples: int) -> None:
        """Note it."""
        self.trainings.append(samples)

    def on_notice(self, line: str) -> None:
        """Nothing."""

    def on_pair(self, disturbance: Disturbance, seed: int, samples: int) -> None:
        """Note it."""
        self.pairs.append((disturbance.name, seed, samples))

    def on_samples(self, number: int) -> None:
        """Add it up."""
        self.learnt += number

    def should_stop(self) -> bool:
        """Whether there were enough questions."""
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Trained chips without their pictures, which take longer than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "plot_run", lambda results, path: None)
        yield


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Four classes of 4x4 pixels."""
    return tiny_dataset(axons=16, classes=4, train=60, test=40)


def _plan(out: Path, *names: str, seeds: int = 2, samples: int | None = None) -> Plan:
    return Plan(
        run_dir=None,
        chip=parse_chip(CHIP, "tiny"),
        settings=Settings(dataset="tiny", epochs=3, seed=0),
        samples=samples,
        schedule="continue",
        disturbances=tuple(parse_disturbance(name) for name in names),
        seeds=seeds,
        out=out,
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """All disturbances, two seeds."""
    return _plan(tmp_path_factory.mktemp("adapt") / "out", *NAMES)


@pytest.fixture(scope="module")
def found(plan: Plan, dataset: Dataset) -> dict[str, list[Adaptation]]:
    """What they gave."""
    finished = run_plan(plan, dataset, Ear())
    assert finished.training.samples == 3 * 60
    return {disturbance.name: seeds for disturbance, seeds in finished.adaptations.items()}


def test_every_pair_learns_an_epoch(found: dict[str, list[Adaptation]]) -> None:
    assert tuple(found) == NAMES
    for seeds in found.values():
        assert [one.seed for one in seeds] == [0, 1]
        for one in seeds:
            assert one.points[0].samples == 0
            assert one.points[-1].samples == 60
            for point in one.points:
                assert EventCounts.from_dict(point.counts).samples == point.samples
            assert one.samples_per_second > 0


def test_what_each_disturbance_is_held_against(found: dict[str, list[Adaptation]]) -> None:
    control = found["none"][0]
    assert control.points[0].accuracy == control.before > 0.8
    assert control.undisturbed == control.points[-1].accuracy
    for name, seeds in found.items():
        is_chip = name.partition(":")[0] in ("dead-synapses", "stuck-bits", "momentum-stuck", "dead-neurons")  # fmt: skip
        for one in seeds:
            assert (one.undisturbed is None) == is_chip
            if name != "new-class:2":
                assert one.before == control.before
    # The class that is new was never learnt, nor is it among those of the former world.
    new = found["new-class:2"][0]
    assert new.points[0].accuracy == pytest.approx(0.75 * new.before)
    assert new.points[-1].accuracy > 0.75
    assert found["invert"][0].points[0].accuracy < 0.5
    # A momentum that is stuck changes no weight.
    assert found["momentum-stuck:0.5"][0].points[0].accuracy == control.before


def test_seeds_differ_in_faults_noise_and_order(found: dict[str, list[Adaptation]]) -> None:
    for name in ("none", "noise:0.5", "stuck-bits:0.5"):
        first, second = found[name]
        assert first.points[-1].counts != second.points[-1].counts


def test_the_control_is_training_that_goes_on(
    found: dict[str, list[Adaptation]], plan: Plan, dataset: Dataset
) -> None:
    state = initial_state(plan.chip, 1)
    load_weights(plan.out / "trained" / "weights.npz", plan.chip, state)
    state.sample_counter = 180
    engine, counts = Engine(plan.chip, 1, state), EventCounts.zeros(2)
    order = draws.sample_order(1, 3, 60)
    engine.train(dataset.train.read(order), dataset.train.labels[order], counts)
    assert found["none"][1].points[-1].counts == counts.as_dict()


def test_finished_pairs_are_used_again(
    found: dict[str, list[Adaptation]], plan: Plan, dataset: Dataset
) -> None:
    ear = Ear(0)
    again = run_plan(plan, dataset, ear)
    assert {one.name: seeds for one, seeds in again.adaptations.items()} == found
    assert ear.learnt == 60 * 2 * len(NAMES)
    assert len(ear.pairs) == 2 * len(NAMES)
    fewer = run_plan(replace(plan, disturbances=plan.disturbances[1:3], seeds=1), dataset, Ear(0))
    assert [len(seeds) for seeds in fewer.adaptations.values()] == [1, 1]


def test_another_request_is_refused(plan: Plan, dataset: Dataset, tmp_path: Path) -> None:
    says = f"{plan.out}: holds adaptations of another request (see request.json there): choose another --out"
    for other in (
        replace(plan, samples=5),
        replace(plan, schedule="restart"),
        replace(plan, settings=replace(plan.settings, seed=1)),
        replace(plan, chip=plan.chip.model_copy(update={"clock_mhz": 50.0})),
    ):
        with pytest.raises(InputError) as refused:
            run_plan(other, dataset, Ear())
        assert str(refused.value) == says
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files: choose another --out"):
        run_plan(replace(plan, out=tmp_path), dataset, Ear())


def test_damaged_and_foreign_pairs_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    plan = _plan(tmp_path / "out", "none", "invert", seeds=1, samples=4)
    run_plan(plan, dataset, Ear())
    pairs = plan.out / "pairs"
    assert sorted(path.name for path in pairs.iterdir()) == ["invert-seed0.json", "none-seed0.json"]
    none = pairs / "none-seed0.json"
    none.write_bytes((pairs / "invert-seed0.json").read_bytes())
    with pytest.raises(InputError, match=r"none-seed0.json: is of another adaptation: delete it"):
        run_plan(plan, dataset, Ear())
    none.write_text(none.read_text()[:100])
    with pytest.raises(InputError, match=r"none-seed0.json: damaged or cannot be read: delete it"):
        run_plan(plan, dataset, Ear())


def test_interrupted_anywhere_it_goes_on_to_the_same_figures(
    dataset: Dataset, tmp_path: Path
) -> None:
    whole = run_plan(_plan(tmp_path / "whole", "noise:0.5", "stuck-bits:0.3"), dataset, Ear())
    plan = _plan(tmp_path / "cut", "noise:0.5", "stuck-bits:0.3")
    interruptions = 0
    for questions in (1, 25, 25, 25, 25, 25, 25):
        try:
            cut = run_plan(plan, dataset, Ear(questions))
            break
        except Interrupted:
            interruptions += 1
    assert interruptions > 2
    for disturbance, seeds in whole.adaptations.items():
        for expected, one in zip(seeds, cut.adaptations[disturbance], strict=True):
            assert replace(one, samples_per_second=0.0) == replace(expected, samples_per_second=0.0)
    with pytest.raises(InputError, match="inputs a sample"):
        run_plan(plan, tiny_dataset(axons=9), Ear())


def test_results_are_files(
    plan: Plan, dataset: Dataset, found: dict[str, list[Adaptation]]
) -> None:
    finished = run_plan(plan, dataset, Ear(0))
    results = make_results(plan, dataset, finished, load_technology("ihp-sg13g2"))
    figures = write_results(plan.out, results)
    assert json.loads((plan.out / "adapt.json").read_text()) == json.loads(json.dumps(figures))
    assert [row["disturbance"] for row in figures["rows"]] == list(NAMES)
    for row in figures["rows"]:
        points = [one.points for one in found[row["disturbance"]]]
        means = [np.mean([p[k].accuracy for p in points]) for k in range(len(points[0]))]
        assert [point["accuracy_mean"] for point in row["curve"]] == pytest.approx(means)
    assert figures["training"]["samples"] == 180
    for suffix in ("svg", "png", "csv"):
        assert (plan.out / f"adapt.{suffix}").stat().st_size > 500
