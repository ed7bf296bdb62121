"""Memory over time steps: the same figure that a training measures, and the growth that the algorithms promise."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from flipcore.comparison.chip_rows import chip_growth
from flipcore.comparison.jobs import STEPS, read_peaks, write_peaks
from flipcore.errors import InputError
from flipcore.hwmodel.memory import memory_bits
from flipcore.training import memory_growth
from flipcore.training.memory_growth import measure_growth, measure_peak
from flipcore.training.training_folder import train_in_folder
from tests.trainings import STEPS as OWN_STEPS
from tests.trainings import Watch, images, options, recipe, training


@pytest.mark.parametrize(
    ("algorithm", "choices"),
    [
        ("bptt-adam", {}),
        ("bptt-adam", {"gate": True}),
        ("bso", {}),
        ("tbso", {"storage": "packed-int4"}),
        ("bop", {"storage": "dense"}),
        ("ottt-adam", {}),
    ],
)
def test_the_peak_is_the_one_that_a_training_measures(
    algorithm: str, choices: dict[str, object], tmp_path: Path
) -> None:
    chosen = options(algorithm, **choices)
    run = training(tmp_path, chosen, epochs=1)
    results = train_in_folder(lambda: run, tmp_path, lambda _: nullcontext(Watch()))
    peak = measure_peak(recipe(tmp_path), chosen, images(), OWN_STEPS)
    assert peak == results["peak_bytes"] > 0


def test_memory_grows_with_the_steps_only_through_time(tmp_path: Path) -> None:
    through_time = measure_growth(recipe(tmp_path), options("bptt-adam"), images(), STEPS)
    online = measure_growth(recipe(tmp_path), options("bso"), images(), STEPS)
    assert tuple(through_time.peak_bytes) == tuple(online.peak_bytes) == STEPS
    assert through_time.left_out == online.left_out == ()
    first, *_, last = through_time.peak_bytes.values()
    assert last > 4 * first
    first, *_, last = online.peak_bytes.values()
    assert last < 2 * first


def test_what_is_too_large_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = 8 * (12 * 16 + 16 * 3)  # of a batch and step
    monkeypatch.setattr(memory_growth, "LARGEST_WORK", 4 * work)
    growth = measure_growth(recipe(tmp_path), options("bso"), images(), STEPS)
    assert tuple(growth.peak_bytes) == (1, 2, 4)
    assert growth.left_out == tuple(
        f"{steps} steps: a batch of 8 is more than {4 * work:,} synapse operations"
        for steps in (8, 16, 32)
    )


def test_a_chip_has_no_more_than_its_stores(tmp_path: Path) -> None:
    chip = recipe(tmp_path).chip()
    growth = chip_growth(chip.model_copy(update={"steps": 8}))
    assert tuple(growth) == STEPS
    assert growth[8] == -(-memory_bits(chip.model_copy(update={"steps": 8}))["total_chip"] // 8)
    # Only the readout's sums are wider with more steps.
    assert growth[1] <= growth[32] < 1.1 * growth[1]


def test_measurements_come_back_or_are_refused(tmp_path: Path) -> None:
    assert read_peaks(tmp_path) == {}
    rows = {"bso": {"peak_bytes": {"1": 5}, "left_out": ["2 steps: too much"]}}
    write_peaks(tmp_path, rows)  # type: ignore[arg-type]
    assert read_peaks(tmp_path) == rows
    (tmp_path / "memory.json").write_text('{"rows": {"bso": {"peak_bytes": {"one": 5}}}}')
    with pytest.raises(InputError, match=r"memory.json: damaged or no measurement of memory: "):
        read_peaks(tmp_path)
