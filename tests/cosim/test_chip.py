"""The generated chip learns in lock-step with the simulator, and the bench sees it when it does not."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flipcore.chip import Chip, load_chip
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_inputs import data_samples, random_samples
from flipcore.rtl.bench.chip_samples import IGNORED
from flipcore.rtl.bench.random_chips import random_chips
from flipcore.rtl.chip_verify import ChipCheck, ChipTask, verify_chip
from tests.chips import planted, small_chip

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]

RANDOM_SEED = 2026
HOSTILE_SAMPLES, HOSTILE_SEED = 4, 230
RANDOM_CHIPS = random_chips(12, RANDOM_SEED)
SMALLEST = sorted(
    RANDOM_CHIPS, key=lambda chip: sum(core.axons * core.words * core.lanes for core in chip.layers)
)[:6]
NEVER_LOST = {  # situations that no run may miss
    "training_samples", "steps_with_error", "words_updated", "flips_to_one", "flips_to_zero",
    "spikes", "merged_events", "event_pauses", "prediction_waits", "steps_without_error",
    "potential_saturations_high", "potential_saturations_low", "counters_far",
}  # fmt: skip


def run(
    chip: Chip, files: dict[str, str], number: int, seed: int, keep: Path | None = None
) -> ChipCheck:
    """Run random samples."""
    samples, state = random_samples(chip, number, seed)
    task = ChipTask(chip=chip, files=files, state=state, samples=samples, seed=seed)
    check = verify_chip(task, keep=keep)
    print(f"{chip.name}, seed {seed}: {check}")
    return check


def run_hostile(chip: Chip, files: dict[str, str]) -> ChipCheck:
    """Run random samples, each of which is lost in a reset before it is sent again."""
    samples, state = random_samples(chip, HOSTILE_SAMPLES, HOSTILE_SEED)
    lost = [replace(sample, reset=True) for sample in samples]
    task = ChipTask(chip=chip, files=files, state=state, samples=lost, seed=HOSTILE_SEED)
    return verify_chip(task)


def test_real_digits_are_learnt_in_lock_step() -> None:
    chip = load_chip("digits")
    samples, state = data_samples(chip, "digits", 2, seed=3, warm_up=50)
    task = ChipTask(chip=chip, files=chip_files(chip), state=state, samples=samples, seed=3)
    check = verify_chip(task)
    assert check.mismatch == ""
    assert check.samples == 2
    assert check.coverage["flips_to_one"] + check.coverage["flips_to_zero"] > 0


def test_a_small_chip_is_covered() -> None:
    chip = small_chip()
    check = run(chip, chip_files(chip), 12, seed=20)
    assert check.mismatch == ""
    assert check.samples == 12
    assert {name for name in NEVER_LOST if not check.coverage[name]} == set()
    assert not [pair for pair, times in check.transitions.items() if not times]
    assert check.coverage["resets_in_flight"] > 0


def test_a_chip_without_counters_is_verified_as_well() -> None:
    chip = small_chip()
    samples, state = random_samples(chip, 2, seed=1)
    files = chip_files(chip, counters=False)
    task = ChipTask(
        chip=chip, files=files, state=state, samples=samples, seed=1, has_counters=False
    )
    check = verify_chip(task)
    assert check.mismatch == ""
    assert check.counters == 0


@pytest.mark.parametrize("chip", SMALLEST, ids=lambda chip: chip.name)
def test_random_chips_learn_in_lock_step(chip: Chip) -> None:
    check = run(chip, chip_files(chip), 4, seed=RANDOM_SEED)
    assert check.mismatch == ""
    assert check.samples == 4


# What stands in the text, what is put there in its place, and where the bench must see it first.
FAULTS = {
    "flips_at_the_threshold": (
        "assign lower = ~weight_i[l];",
        "assign lower = 1'b1;",
        r"u_(weight|momentum)\.memory",
    ),
    "keeps_the_momentum": (
        "flipped_o[l] ? {MomentumBits{1'b0}} : moved",
        "moved",
        r"u_momentum\.memory",
    ),
    "sums_back_over_changed_weights": (
        ".word_weight_i(weight_read_data)",
        ".word_weight_i(flip_weight)",
        r"u_core_0\.u_error",
    ),
    "skips_a_draw": (
        "taken & (|word_trace_i)",
        "taken & (|word_trace_i) & (word_trace_i != 12)",
        r"u_(weight|momentum)\.memory|state_q",
    ),
    "drops_an_event": (
        "event_valid_i & ~known",
        "event_valid_i & ~known & (event_axon_i != 7)",
        r"u_event_input\.event_map_q|u_event_list\.memory|phase_run_o",
    ),
    "clips_a_potential_too_low": (
        "clipped_high ? Top",
        "clipped_high ? Top - 3",
        r"u_potential\.memory",
    ),
    "takes_a_cycle_more": (
        "localparam Depth = 2 + 1;",
        "localparam Depth = 2 + 2;",
        "phase_run_o, cycles",
    ),
    "does_not_count_a_write": (
        "{7'd0, flip_weight_write},  // weight_writes",
        "8'd0,  // weight_writes",
        "counter weight_writes",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught_and_named(name: str, tmp_path: Path) -> None:
    chip = small_chip()
    sound, faulty, where = FAULTS[name]
    files = planted(chip, sound, faulty)
    keep = tmp_path / "keep" if name == "keeps_the_momentum" else None
    check = run(chip, files, 8, seed=11, keep=keep)
    assert re.search(where, check.mismatch)
    assert re.search(r"\(sample \d+, .*phase .+, cycle \d+\)", check.mismatch)
    assert check.bit_mismatches + check.cycle_mismatches > 0
    if keep:
        assert Path(check.vcd).parent == keep
        assert "$enddefinitions" in Path(check.vcd).read_text()


# Faults that only a host shows that does what it should not, or resets the chip at a bad moment.
BOUNDARY_FAULTS = {
    "takes_an_event_beyond_its_axons": (
        "({1'b0, event_data_i} < Axons)",
        "1'b1",
        r"u_event_input\.event_map_q|u_event_list\.memory|phase_run_o|status",
    ),
    "keeps_events_over_a_reset": (
        "if (!rst_ni) begin\n      num_events_q <= {CountBits{1'b0}};\n      event_map_q  <= {Axons{1'b0}};",
        "if (!rst_ni) begin\n      num_events_q <= {CountBits{1'b0}};\n"
        "      event_map_q  <= (^event_map_q === 1'bx) ? {Axons{1'b0}} : event_map_q;",
        r"u_event_input\.event_map_q|u_event_list\.memory|phase_run_o",
    ),
    "reads_a_generator_wrong": (
        "wire [31:0] generator     = generators_i;",
        "wire [31:0] generator     = {generators_i[31:9], 1'b0, generators_i[7:0]};",
        "bus_rdata_o at 0x30000000",
    ),
    "takes_an_access_beyond_a_memory": (
        "in_memory      = memory_index < Synapses;",
        "in_memory      = 1'b1;",
        "bus_rdata_o at 0x[12]",
    ),
    "keeps_its_errors_over_a_reset": (
        "      errors_q <= 4'd0;\n    end else begin",
        "      errors_q <= (^errors_q === 1'bx) ? 4'd0 : errors_q;\n    end else begin",
        "register 1 of the chip after reset",
    ),
    "keeps_the_sample_counter_over_a_reset": (
        "    if (!rst_ni) begin\n      sample_counter_q <= {CounterBits{1'b0}};",
        "    if (!rst_ni) begin\n      sample_counter_q <= (^sample_counter_q === 1'bx)"
        " ? {CounterBits{1'b0}} : sample_counter_q;",
        "register 2 of the chip after reset",
    ),
}


@pytest.mark.parametrize("name", BOUNDARY_FAULTS)
def test_a_fault_at_the_boundary_is_caught_and_named(name: str) -> None:
    chip = small_chip()
    sound, faulty, where = BOUNDARY_FAULTS[name]
    check = run_hostile(chip, planted(chip, sound, faulty))
    assert re.search(where, check.mismatch)


def test_a_sound_chip_stands_the_same_host() -> None:
    chip = small_chip()
    check = run_hostile(chip, chip_files(chip))
    assert check.mismatch == ""
    assert check.coverage["resets_in_flight"] == check.samples == HOSTILE_SAMPLES
    for situation in (*IGNORED.values(), "bus_accesses_to_nothing", "event_offers_taken_back"):
        assert check.coverage[situation] > 0, situation
