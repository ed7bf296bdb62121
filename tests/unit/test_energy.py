"""Energy of counted events: worked out by hand, row by row the same as the total, and additive over counts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, load_chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.activity import Rates, expected_counts, load_rates
from flipcore.hwmodel.energy import (
    action_costs,
    idle_power_uw,
    latency_us,
    leakage_power_uw,
    price,
    price_actions,
)
from flipcore.hwmodel.phases import PHASES, io_numbers, phase_numbers
from flipcore.hwmodel.technology import Band, Technology, load_technology
from tests.technologies import write_technology

# 4 axons on 4 neurons on 2 neurons with 4 lanes: one word a row everywhere. 2 steps, 10 MHz.
CHIP = parse_chip(
    {
        "name": "hand", "inputs": 4, "steps": 2, "clock_mhz": 10,
        "core": {"lanes": 4, "potential_bits": 8, "momentum_bits": 4, "trace_bits": 4, "trace_unit": 8},
        "layers": [{"neurons": 4, "threshold": 5, "window": 5}, {"neurons": 2}],
    },
    "hand",
)  # fmt: skip


@pytest.fixture(scope="module")
def technology(tmp_path_factory: pytest.TempPathFactory) -> Technology:
    """The made-up technology."""
    return load_technology(str(write_technology(tmp_path_factory.mktemp("technology"))))


def counts_of(samples: int, *cores: dict[str, int]) -> EventCounts:
    counts = EventCounts.zeros(len(cores))
    counts.samples = samples
    for c, numbers in enumerate(cores):
        for name, number in numbers.items():
            counts.cores[c, COUNT_NAMES.index(name)] = number
    return counts


def assert_band(found: Band, *wanted: float) -> None:
    assert (found.value, found.low, found.high) == pytest.approx(wanted)


def test_an_inference_worked_out_by_hand(technology: Technology) -> None:
    counts = counts_of(
        1,
        {
            "events": 3, "merged_events": 1, "event_list_writes": 3, "event_list_reads": 3, "weight_reads": 3,
            "sops": 12, "potential_reads": 1, "potential_writes": 2, "spikes": 2,
            "input_cycles": 6, "forward_cycles": 9, "spikes_cycles": 6,
        },
        {
            "events": 2, "event_list_writes": 2, "event_list_reads": 2, "weight_reads": 2, "sops": 4,
            "total_reads": 2, "total_writes": 2, "forward_cycles": 8, "predict_cycles": 4,
        },
    )  # fmt: skip
    energy = price(CHIP, counts, technology)
    parts = energy.by_component()
    # Weight words of 4 bits: 5 reads of 2 pJ. Potential words of 32 bits: a read of 16 pJ, 2 writes of 2 pJ.
    leaked = 33 / 10 * 1e-3  # of 1 nW in 33 cycles of 0.1 us
    assert_band(
        parts["weight"],
        10 + leaked * (16 + 16),
        5 + leaked * (16 + 16),
        20 + leaked * (16 + 16),
    )
    assert parts["potential"].value == pytest.approx(16 + 4 + leaked * 32)
    assert parts["event_list"].value == pytest.approx(5 * 1.0 + 5 * 2 + leaked * (8 + 8))
    # Totals of -8 ... 8: 5 bits, 4 lanes; momentum and traces only leak.
    assert parts["total"].value == pytest.approx(2 * 10 + 2 * 2 + leaked * 20)
    assert parts["momentum"].value == pytest.approx(leaked * (64 + 64))
    assert_band(parts["integrate"], 5 * 2, 5 * 2, 5 * 2)
    assert parts["flip_unit"].value == 0
    assert_band(parts["clock"], *(2 * 33 * 4 * each + 2 * leaked * 10 for each in (0.25, 0.25, 0.5)))  # fmt: skip
    # 4 events and 2 end-of-step marks go in, a prediction comes out.
    assert_band(parts["io"], 6 * 5 + 11, 6 * 4 + 11, 6 * 6 + 11)
    cores = energy.without_io().by_component()
    assert cores == {name: band for name, band in parts.items() if name != "io"}
    assert "decay" not in parts
    assert latency_us(CHIP, counts) == pytest.approx(3.3)
    phases = energy.by_phase()
    assert energy.total_pj.value == pytest.approx(sum(band.value for band in phases.values()))
    assert phases["update"].value == phases["trace"].value == 0
    # 4 cycles of PREDICT: a read of the totals, a prediction, the clock, and 192 + 184 nW of memories with 2 * 10 nW of clocks.
    assert phases["predict"].value == pytest.approx(10 + 11 + 4 * 2 + 396 * 0.4e-3)


def test_accesses_belong_to_phases() -> None:
    n = {
        "event_list_reads": 10, "weight_reads": 16, "momentum_reads": 9, "momentum_writes": 7, "words_decayed": 5,
        "words_changed": 3, "words_drawn": 12, "total_writes": 8, "total_reads": 16, "error_writes": 4,
        "event_list_writes": 6,
    }  # fmt: skip
    counts = counts_of(1, n, n)
    for name, wanted in {
        "weight_reads": {"forward": 10, "update": 6},
        "momentum_reads": {"update": 4, "decay": 5},
        "momentum_writes": {"update": 4, "decay": 3},
        "words_drawn": {"update": 7, "decay": 5},
        # One step of two is the first; J reads for each prediction; the rest is for the error.
        "total_reads": {"forward": 4, "error": 8, "predict": 4},
    }.items():
        assert phase_numbers(CHIP, counts, 1, name) == wanted
    assert phase_numbers(CHIP, counts, 0, "error_writes") == {"update": 4}
    assert phase_numbers(CHIP, counts, 1, "error_writes") == {"error": 4}
    assert phase_numbers(CHIP, counts, 0, "event_list_writes") == {"input": 6}
    assert phase_numbers(CHIP, counts, 1, "event_list_writes") == {"spikes": 6}


@pytest.mark.parametrize("name", ["digits", "mnist"])
@pytest.mark.parametrize("decay", ["none", "scrub", "dense"])
def test_every_count_is_in_the_phases(name: str, decay: str) -> None:
    chip = load_chip(name, [f"core.decay={decay}", "error.of=total"])
    side = load_rates(name).training
    assert side is not None
    counts = expected_counts(chip, side, 50)
    for c in range(len(chip.layers)):
        for count in COUNT_NAMES:
            numbers = phase_numbers(chip, counts, c, count)
            assert numbers.keys() <= set(PHASES)
            assert sum(numbers.values()) == counts.per_core(count)[c], count
    assert sum(phase_numbers(chip, counts, 0, "cycles").values()) == counts.cycles
    assert io_numbers(chip, counts)["labels"] == {"input": 50}


def test_nothing_counted_costs_nothing(technology: Technology) -> None:
    energy = price(CHIP, EventCounts.zeros(2), technology)
    assert_band(energy.total_pj, 0, 0, 0)
    assert_band(energy.per_sample_pj, 0, 0, 0)


def test_cycles_alone_cost_clock_and_leakage(technology: Technology) -> None:
    energy = price(CHIP, counts_of(0, {"forward_cycles": 100}, {}), technology)
    assert {row.cost.what for row in energy.rows if row.energy_pj.value} == {"clock", "leakage"}
    costs = action_costs(CHIP, technology)
    idle = idle_power_uw(CHIP, costs)
    assert energy.total_pj.value == pytest.approx(idle.value * 100 / 10)  # uW x us
    stopped = leakage_power_uw(CHIP, costs).value
    assert idle.value - stopped == pytest.approx(2 * 4 * 0.25 * 10)


def test_without_a_clock_row_an_idle_chip_only_leaks(tmp_path: Path) -> None:
    technology = load_technology(str(write_technology(tmp_path, without="clock,cycles")))
    costs = action_costs(CHIP, technology)
    assert idle_power_uw(CHIP, costs) == leakage_power_uw(CHIP, costs)
    # Each of the 2 clocks leaks 10 nW.
    energy = price(CHIP, counts_of(0, {"forward_cycles": 10}, {}), technology)
    assert energy.by_component()["clock"].value == pytest.approx(0)  # per sample, of none
    row = next(row for row in energy.rows if row.cost.component == "clock" and row.number)
    assert row.energy_pj.value == pytest.approx(10 * 1e-3)


def test_a_part_that_the_chip_lacks_costs_nothing(technology: Technology) -> None:
    components = {cost.component for cost in action_costs(CHIP, technology)}
    assert "decay" not in components
    decaying = load_chip("digits", ["core.decay=dense"])
    assert "decay" in {cost.component for cost in action_costs(decaying, technology)}


def test_terms_of_one_action_add_up(technology: Technology) -> None:
    (cost, _) = (
        cost for cost in action_costs(CHIP, technology) if cost.action == "words_updated"
    )  # of each core
    assert_band(cost.each_pj, 3 + 4, 2 + 4, 4 + 4)


def random_counts(chip: Chip, seed: int, samples: int) -> EventCounts:
    """Counts of random activity in training."""
    dice = np.random.default_rng(seed)
    document = load_rates("digits").model_dump()
    for layer in document["training"]["layers"]:
        layer["learning"] = {name: float(dice.random()) for name in layer["learning"]}
    side = Rates.model_validate(document).training
    assert side is not None
    return expected_counts(chip, side, samples)


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 9), st.integers(1, 9))
def test_energies_of_counts_add_up(
    technology: Technology, seed: int, other_seed: int, samples: int, more: int
) -> None:
    chip = load_chip("digits", ["core.decay=scrub", "core.scrub_period=4"])
    costs = action_costs(chip, technology)
    counts = random_counts(chip, seed, samples)
    other = random_counts(chip, other_seed, more)
    apart = price_actions(chip, counts, costs).total_pj + price_actions(chip, other, costs).total_pj
    counts.add(other)
    together = price_actions(chip, counts, costs)
    assert_band(together.total_pj, apart.value, apart.low, apart.high)
    for parts in (
        together.by_phase(),
        together.by_component(),
        together.by_core(),
        together.by_what(),
    ):
        total = Band.total(parts.values()) * together.samples
        assert_band(total, apart.value, apart.low, apart.high)


@pytest.mark.parametrize(
    ("core", "name", "number", "message"),
    [
        (0, "event_list_reads", 10**9, "weight_reads="),
        (1, "words_decayed", 10**9, "momentum_reads="),
        (1, "total_reads", 0, "total_reads=0 leaves"),
        (0, "input_cycles", 1, "input_cycles=1 for 5 samples"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(
    technology: Technology, core: int, name: str, number: int, message: str
) -> None:
    chip = load_chip("digits", ["core.decay=dense"])
    counts = random_counts(chip, 1, 5)
    counts.cores[core, COUNT_NAMES.index(name)] = number
    with pytest.raises(InputError, match=message) as refused:
        price(chip, counts, technology)
    assert "contradict" in str(refused.value)


def test_counts_of_another_chip_are_refused(technology: Technology) -> None:
    with pytest.raises(InputError, match="counts of 3 cores: hand has 2"):
        price(CHIP, EventCounts.zeros(3), technology)


def test_a_count_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="sparkles: no such count"):
        phase_numbers(CHIP, EventCounts.zeros(2), 0, "sparkles")
