"""Seeds of a disturbance put together: means, what was regained, when, at what cost."""

import csv

import pytest

from flipcore.adapt.adaptation import Adaptation, Point, curve_samples
from flipcore.adapt.rows import COLUMNS, make_row, rows_csv
from flipcore.chip import load_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.energy import action_costs, price_actions
from flipcore.hwmodel.technology import load_technology

CHIP = load_chip("digits")
COSTS = action_costs(CHIP, load_technology("ihp-sg13g2"))
COUNTED = {"events": 100, "sops": 1600, "spikes": 30, "flips": 7, "weight_reads": 1000, "input_cycles": 109, "forward_cycles": 5000}  # fmt: skip


def _counts(samples: int) -> EventCounts:
    counts = EventCounts.zeros(2)
    counts.samples = samples
    for name, number in COUNTED.items():
        counts.cores[0, COUNT_NAMES.index(name)] = number * samples
    return counts


def _run(
    seed: int,
    accuracies: list[float],
    *,
    before: float = 0.9,
    undisturbed: float | None = 0.7,
    name: str = "rotate:20",
) -> Adaptation:
    points = tuple(
        Point(samples=10 * k, accuracy=accuracy, counts=_counts(10 * k).as_dict())
        for k, accuracy in enumerate(accuracies)
    )
    return Adaptation(
        disturbance=name, seed=seed, before=before, points=points, undisturbed=undisturbed,
        samples_per_second=1.0,
    )  # fmt: skip


def test_means_and_deviations_over_the_seeds() -> None:
    row = make_row(CHIP, COSTS, [_run(0, [0.4, 0.6]), _run(1, [0.6, 0.8], undisturbed=0.5)])
    assert (row.disturbance, row.of, row.seeds, row.before) == ("rotate:20", "images", (0, 1), 0.9)
    assert row.after_mean == pytest.approx(0.5)
    assert row.after_std == pytest.approx(0.02**0.5)
    assert row.recovered_mean == pytest.approx(0.7)
    assert row.regained == pytest.approx(0.5)
    assert row.undisturbed_mean == pytest.approx(0.6)
    assert [point.samples for point in row.curve] == [0, 10]


def test_costs_are_of_the_adaptation_alone_and_means_of_the_seeds() -> None:
    row = make_row(CHIP, COSTS, [_run(0, [0.4, 0.9, 0.9]), _run(1, [0.4, 0.9, 0.9])])
    assert row.until_recovered is not None
    for cost, samples in ((row.until_recovered, 10), (row.in_all, 20)):
        assert cost.samples == samples
        assert cost.milliseconds == pytest.approx(5109 * samples / 100 / 1000)
        energy = price_actions(CHIP, _counts(samples), COSTS).total_pj
        assert cost.energy_pj.value == pytest.approx(energy.value)
        assert (cost.energy_pj.low, cost.energy_pj.high) == pytest.approx((energy.low, energy.high))
        assert cost.flips == 7 * samples


@pytest.mark.parametrize(
    ("accuracies", "samples"),
    [
        ([0.5, 0.7, 0.87, 0.9], 20),
        ([0.5, 0.9, 0.7, 0.87], 30),  # touched, lost again, regained
        ([0.5, 0.9, 0.9, 0.85], None),
        ([0.5, 0.95, 0.95, 0.95], 10),
        ([0.896, 0.9, 0.9, 0.9], None),  # less than half a point was lost
        ([0.95, 0.5, 0.9, 0.9], None),  # none was
    ],
)
def test_recovered_is_where_the_curve_stays_above(
    accuracies: list[float], samples: int | None
) -> None:
    row = make_row(CHIP, COSTS, [_run(0, accuracies)])
    found = row.until_recovered
    assert (found.samples if found else None) == samples
    assert (row.regained is None) == (accuracies[0] > 0.895)


def test_one_seed_has_no_deviation_and_a_broken_chip_no_former_world() -> None:
    row = make_row(CHIP, COSTS, [_run(0, [0.5, 0.6], undisturbed=None, name="stuck-bits:0.1")])
    assert (row.of, row.after_std, row.recovered_std, row.undisturbed_mean, row.undisturbed_std) == ("chip", None, None, None, None)  # fmt: skip


def test_csv_has_a_line_per_disturbance() -> None:
    rows = [
        make_row(CHIP, COSTS, [_run(0, [0.5, 0.9])]),
        make_row(CHIP, COSTS, [_run(0, [0.5, 0.6], undisturbed=None, name="dead-neurons:0.2")]),
    ]
    lines = list(csv.DictReader(rows_csv(rows).splitlines()))
    assert list(lines[0]) == list(COLUMNS)
    assert [line["disturbance"] for line in lines] == ["rotate:20", "dead-neurons:0.2"]
    assert float(lines[0]["samples_to_90"]) == 10
    assert float(lines[0]["energy_to_90_pj"]) == rows[0].in_all.energy_pj.value
    assert (lines[1]["samples_to_90"], lines[1]["undisturbed_mean"]) == ("", "")
    assert float(lines[1]["recovered_mean"]) == 0.6


@pytest.mark.parametrize("samples", [1, 2, 7, 100, 1437, 60_000])
def test_curves_are_dense_at_first_and_end_with_all(samples: int) -> None:
    points = curve_samples(samples)
    assert points[-1] == samples
    assert points == sorted(set(points))
    assert points[0] == max(1, round(samples / 100))
    assert len(points) <= 17
