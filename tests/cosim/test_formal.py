"""Properties of generated Verilog are proven, and each fails where a bug is planted that breaks it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flipcore.chip import Chip, load_chip
from flipcore.cli import formal as command
from flipcore.errors import CheckError
from flipcore.rtl.formal.checkers import obligations
from flipcore.rtl.formal.properties import PROPERTIES, property_named
from flipcore.rtl.formal.solver import PROGRAMS, find_counterexample
from flipcore.rtl.formal.suite import chosen_properties, prove_chip
from flipcore.rtl.generate import chip_files
from tests.e2e.command import figures_of, flipcore

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS),
        reason="yosys or cvc5 (Debian packages of these names) is missing",
    ),
]

CHIPS = {
    "digits": load_chip("digits"),
    "options": load_chip(
        "digits",
        (
            "steps=1", "core.trace_unit=20", "core.memory_ports=1rw", "core.decay=scrub", "core.scrub_period=4", "core.rule=tbso",
            "core.momentum_at_flip=keep", "core.random_source=per_lane",
        ),
    ),
    "softmax": load_chip("digits", ("error={kind: softmax}",)),
}  # fmt: skip
FILES = {name: chip_files(chip) for name, chip in CHIPS.items()}

FAST = ("flip_rule", "momentum_saturates", "random_never_zero", "events_once", "host_accesses")


def test_properties_of_digits_are_proven() -> None:
    results = prove_chip(CHIPS["digits"], FILES["digits"], chosen_properties(FAST))
    assert [one.outcome.verdict for one in results] == ["proven"] * len(results)
    assert {one.obligation.property.name for one in results} == set(FAST)
    methods = {one.obligation.property.name: one.outcome.method for one in results}
    assert methods["flip_rule"] == "all inputs"
    assert methods["events_once"].startswith("induction, k = ")


def test_modules_that_cores_share_are_proven_once() -> None:
    made = obligations(CHIPS["digits"], FILES["digits"], PROPERTIES, counters=True)
    shared = [one for one in made if one.property.name == "events_once"]
    assert [one.cores for one in shared] == [(0, 1)]  # of the same size, once reduced
    apart = [one.module for one in made if one.property.name == "flip_words"]
    assert apart == ["flip_unit", "flip_unit_1"]


@dataclass(frozen=True)
class Bug:
    """A text of a module that is replaced, after which a property must fail."""

    property: str
    old: str
    new: str
    chip: str = "digits"
    module: str = ""


BUGS = (
    Bug("momentum_saturates", "above ? Limit : below", "above ? sum[MomentumBits-1:0] : below"),
    Bug("momentum_saturates", "| ~(|sum[MomentumBits-2:0]))", ")"),
    Bug("flip_rule", "assign lower = ~weight_i[l];", "assign lower = 1'b1;"),
    Bug("flip_rule", "side[b] & lower", "side[b] | lower"),
    Bug("flip_rule", "{~threshold, 1'b1}", "{~threshold, 1'b0}", "options"),
    Bug("momentum_at_flip", "flipped_o[l] ? {MomentumBits{1'b0}} : moved", "moved"),
    Bug("momentum_at_flip", "\n          moved;", "\n          flipped_o[l] ? {MomentumBits{1'b0}} : moved;", "options"),
    Bug("untouched_without_gradient", "updated_o[l] & beyond", "beyond"),
    Bug("gradient_rule", "gen_digit[d-1].carry_in)", "1'b0)"),
    Bug("gradient_rule", "noise & mask", "noise"),
    Bug("gradient_handshake", "~valid_q | rounded_ready_i;", "~valid_q | 1'b1;"),
    Bug("gradient_handshake", "valid_q <= word_valid_i;", "valid_q <= word_valid_i | valid_q;"),
    Bug("flip_handshake", "~result_valid_q | result_ready_i;", "1'b1;", module="flip_unit"),
    Bug("flip_words", "result_address_q <= address_q;", "result_address_q <= word_address_i;"),
    Bug("flip_words", "tag_q      <= word_tag_i;", "tag_q      <= word_tag_i ^ 1'b1;", module="flip_unit_1"),
    Bug("flip_words", "result_ready_i & ~any_q", "result_ready_i", "options"),
    Bug("random_never_zero", "state_q <= 32'd1;", "state_q <= 32'd0;"),
    Bug("random_rule", "l * 32'h9E3779B9", "l * 32'h9E3779B8"),
    Bug("random_rule", "32'hFFFFE000", "32'hFFFFC000", "options"),
    Bug("potential_saturates", "clipped_low ? -Top - 1 :", "clipped_low ? -Top :"),
    Bug("spike_rule", "potential >= Threshold", "potential > Threshold"),
    Bug("spike_rule", "(-distance < Window)", "(-distance <= Window)"),
    Bug("trace_saturates", "(sum > TraceTop) ? TraceTop : ", "", "options"),
    Bug("totals_exact", "start + wide[TotalBits-1:0]", "start + wide[TotalBits-2:0]"),
    Bug("backward_saturates", "(scaled < -Limit) ? -Limit : ", ""),
    Bug("backward_sum_exact", "{left[Bits2-2], left}", "{1'b0, left}"),
    Bug("decay_rule", "sum >>> DecayShift", "sum >> DecayShift", "options"),
    Bug("average_saturates", "(|moved[WideBits-1:32]) ? 32'hFFFFFFFF : ", "", "options"),
    Bug("events_once", "event_valid_i & ~known;", "event_valid_i;"),
    Bug("events_once", "event_map_q[event_axon_i] <= 1'b1;", "event_map_q[event_axon_i] <= event_axon_i != 2;"),
    Bug("spikes_once", "(word_done & ~last_word) ? spikes_i : rest;", "(word_done & ~last_word) ? spikes_i : pending_q;"),
    Bug("spikes_once", "assign run_o          = run_i & ~stall;", "assign run_o          = run_i;"),
    Bug("spike_handshake", "wire                stall     = valid_q & ~spike_ready_i;", "wire                stall     = valid_q & ~spike_ready_i & word_done;"),
    Bug("integrate_addresses", "tick_q < num_events)", "tick_q <= num_events)"),
    Bug("integrate_sums", "weight_data_i[l] ? ones + 1'b1 : ones", "weight_data_i[l] ? ones + 1'b1 : ones | weighted_q"),
    Bug("integrate_counts", "{ones, 1'b0} -", "{ones, 1'b1} -"),
    Bug("integrate_counts", "start | weighted_q", "start | (weighted_q & ~listed_q)"),
    Bug("rows_once", "pending_q <= rest;", "pending_q <= (|rest) ? pending_q & ~(lowest << 1) & ~lowest : rest;"),
    Bug("rows_once", "num_rows_q <= num_rows_q + 1'b1;", "num_rows_q <= num_rows_q + 2'd2;"),
    Bug("update_words_once", "remaining_q <= rest;", "remaining_q <= rest & ~(lowest << 1);"),
    Bug("update_words_once", "wide_row * Words", "wide_row * (Words + 1)"),
    Bug("decay_rows_once", "have_row  = row_q < Axons", "have_row  = row_q <= Axons", "options"),
    Bug("error_words_once", "(!rst_ni) begin\n          live_q[j] <= 1'b0;", "(!rst_ni) begin\n          live_q[j] <= 1'b1;", module="error_words"),
    Bug("error_words_once", "(next_word | end_i) & (|errors_q)", "next_word & (|errors_q)"),
    Bug("scan_in_order", "lane_q + 1'b1", "lane_q + 2'd2"),
    Bug("prediction_rule", "found_q <= scan_run_o & scan_valid_i", "found_q <= scan_valid_i"),
    Bug("prediction_rule", "scan_value_i > largest_q", "scan_value_i >= largest_q"),
    Bug("hinge_ends", "(have_rival_q | ~is_label)", "(have_rival_q | is_label)"),
    Bug("softmax_ends", "scan_last_i) ? Sum : Maximum", "scan_last_i) ? Finish : Maximum", "softmax"),
    Bug("division_rule", ">= {1'b0, whole_q}", "> {1'b0, whole_q}", "softmax"),
    Bug("exponential_table", "8'd155", "8'd156", "softmax"),
    Bug("threshold_stands", "if (gain) begin", "if (gain | store) begin", "options"),
    Bug("moments_stored", "second_moment_q[host_step_i] <= host_data_i", "second_moment_q[host_step_i] <= {1'b0, host_data_i[30:0]}", "options"),
    Bug("threshold_ends", "tick_q + 1'b1", "tick_q + 2'd2", "options"),
    Bug("host_accesses", "memory_index < Synapses", "memory_index <= Synapses"),
    Bug("host_accesses", "valid_i & busy_q & write_i & is_weight", "valid_i & write_i & is_weight"),
    Bug("events_taken", "is_input & ~host_grant_o", "is_input"),
    Bug("prediction_handshake", "end else if (prediction_ready_i) begin", "end else begin", "options"),
    Bug("phases_in_order", "next_phase = learn_q ? Trace : Spikes;", "next_phase = Trace;"),
    Bug("phases_in_order", "next_core  = core_q + 1'b1;", "next_core  = core_q;"),
)  # fmt: skip


def planted(files: Mapping[str, str], bug: Bug) -> tuple[str, dict[str, str]]:
    """The module that the bug is in, and all files with it."""
    wanted = property_named(bug.property)
    assert wanted is not None
    found = [name for name, text in files.items() if bug.old in text]
    named = [name for name in found if name.startswith(bug.module or "")]
    assert named, f"{bug.property}: nowhere in the Verilog: {bug.old}"
    changed = {name: files[name].replace(bug.old, bug.new) for name in named}
    assert all(changed[name] != files[name] for name in named)
    return named[0], {**files, **changed}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.property}-{bug.chip}")
def test_a_planted_bug_breaks_its_property(bug: Bug, tmp_path: Path) -> None:
    chip: Chip = CHIPS[bug.chip]
    name, files = planted(FILES[bug.chip], bug)
    wanted = property_named(bug.property)
    assert wanted is not None
    tasks = [
        task for task in obligations(chip, files, (wanted,), counters=True) if name in task.files
    ]
    outcome = find_counterexample(tasks[0], tmp_path, 60)
    assert outcome is not None
    assert outcome.verdict == "failed", outcome
    assert outcome.detail.startswith(("assert", "if", "for", "always")), outcome
    assert (tmp_path / "trace.vcd").stat().st_size > 0


def test_every_property_has_a_planted_bug() -> None:
    assert {bug.property for bug in BUGS} == {one.name for one in PROPERTIES}


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    words = ("rtl", "formal", "digits", "--property", "events_once", "--keep", "kept", "--json")
    (proof,) = figures_of(flipcore(*words, folder=tmp_path))["proofs"]
    assert (proof["property"], proof["verdict"], proof["cores"]) == (
        "events_once",
        "proven",
        [0, 1],
    )
    assert proof["parameters"]["Axons"] == 5
    assert "Axons" in proof["reduced"]
    assert {one.name for one in (tmp_path / "kept" / "events_once-0-1").iterdir()} >= {
        "event_input.v",
        "formal_checker.v",
        "induction.log",
    }


def test_the_command_tells_a_failure_and_keeps_its_waves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = next(one for one in BUGS if one.property == "momentum_at_flip")
    _, files = planted(FILES["digits"], bug)
    monkeypatch.setattr(command, "chip_files", lambda chip, counters: files)
    monkeypatch.chdir(tmp_path)
    complaint = (
        r"digits: momentum_at_flip, module momentum_flip: failed: if \(flips\) assert .*"
        r"; waves: build/formal/digits/momentum_at_flip-0/trace.vcd"
    )
    with pytest.raises(CheckError, match=complaint):
        command.prove("digits", (), ("momentum_at_flip",), 60, None, counters=True, as_json=True)
    verdicts = [one["verdict"] for one in json.loads(capsys.readouterr().out)["proofs"]]
    assert verdicts == ["failed", "failed"]
    kept = tmp_path / "build" / "formal" / "digits" / "momentum_at_flip-0"
    assert {one.name for one in kept.iterdir()} == {"trace.vcd", "formal_checker.v"}
