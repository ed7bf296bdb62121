"""Programs of single host operations, drawn by hypothesis, on the Verilog chip: every pin in every cycle as the rules and the simulator say.

FLIPCORE_EXAMPLES: how many programs on each chip (25 by default); a program that fails is shortened on the chip as it stands in its simulator.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from flipcore.chip import Chip
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.chip_samples import IGNORED
from flipcore.rtl.chip_verify import ChipTask
from flipcore.rtl.live_chip import LiveChip, live_chip
from tests.chip_programs import directed_programs, programs
from tests.chips import planted, tiny_chip

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]
EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "25"))
LONGEST = 24  # parts of a program, of one operation or of a step or sample
SEED = 7

TBSO: dict[str, Any] = {"rule": "tbso", "decay": "dense", "square_shift": 4}
CHIPS = {
    "tbso": tiny_chip(lower=TBSO, upper={**TBSO, "decay": "scrub"}, error={"kind": "softmax"}),
    "pieces": tiny_chip(
        lower={"lanes": 40, "random_source": "per_lane", "decay": "scrub"},
        upper={"memory_ports": "1rw", "rounding": "nearest"},
        error={"kind": "hinge", "margin": 12, "of": "total"},
    ),
}
MET = (  # by the directed programs for certain
    "training_samples", "inference_samples", *IGNORED.values(), "offers_while_busy",
    "offers_while_the_bus_is_served", "marks_while_the_bus_is_served", "events_taken_back",
    "accesses_that_wait", "accesses_taken_back", "accesses_taken_back_half_served",
    "status_cleared_while_it_is_set", "predictions_held_up", "resets_with_a_prediction_offered",
    "resets_in_an_access", "resets_with_events_in_the_list", "resets_with_status_bits",
    "resets_while_an_event_is_offered", "resets_while_an_access_is_offered",
)  # fmt: skip


def task_of(chip: Chip, files: dict[str, str]) -> ChipTask:
    """A chip with a random state."""
    _, state = random_samples(chip, 1, SEED)
    return ChipTask(chip=chip, files=files, state=state, samples=[], seed=SEED)


@pytest.fixture(scope="module", params=sorted(CHIPS))
def live(request: pytest.FixtureRequest) -> Iterator[tuple[Chip, LiveChip]]:
    """A chip that waits for programs."""
    chip = CHIPS[request.param]
    with live_chip(task_of(chip, chip_files(chip))) as waiting:
        yield chip, waiting


def test_a_chip_does_what_the_rules_say_of_any_program(live: tuple[Chip, LiveChip]) -> None:
    chip, waiting = live
    coverage: Counter[str] = Counter()
    played: list[Any] = []  # what a faulty reset leaves of one program shows in the next one

    @given(programs(chip, LONGEST), st.integers(0, 9))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def plays(program: Any, seed: int) -> None:
        note(f"after {played[-1:]}")
        played.append((program, seed))
        outcome = waiting.play(program, seed)
        coverage.update(outcome.coverage)
        assert outcome.mismatch == ""

    plays()
    print(dict(coverage))


def test_each_rule_is_met(live: tuple[Chip, LiveChip]) -> None:
    chip, waiting = live
    coverage: Counter[str] = Counter()
    for name, program in directed_programs(chip).items():
        outcome = waiting.play(program)
        assert outcome.mismatch == "", name
        coverage.update(outcome.coverage)
    assert {situation for situation in MET if not coverage[situation]} == set()


# What stands in the text, what is put there in its place, the directed program that meets it, and what must differ.
FAULTS = {
    "is_ready_while_the_bus_is_served": (
        "assign event_ready_o      = is_input & ~host_grant_o;",
        "assign event_ready_o      = is_input;",
        "a mark without events, offered while the bus is served",
        "phase_run_o: expected 0, found 1",
    ),
    "takes_a_mark_while_the_bus_is_served": (
        "wire is_mark    = take &",
        "wire is_mark    = event_valid_i & is_input &",
        "a mark without events, offered while the bus is served",
        "phase_run_o: expected 0, found 1",
    ),
    "grants_the_bus_to_a_sample": (
        "assign host_grant_o       = host_request_i & is_input & ~begun_q;",
        "assign host_grant_o       = host_request_i & is_input;",
        "an access while a sample waits for events",
        "event_ready_o: expected 1, found 0|bus_ready_o: expected 0, found 1",
    ),
    "says_of_a_label_taken_back_that_it_was_out_of_range": (
        "is_label & ~begun_q & ~in_classes,",
        "event_valid_i & is_input & (event_kind_i == LabelKind) & ~begun_q & ~in_classes,",
        "offers to ignore, taken back while the bus is served",
        "bus_rdata_o: expected 0+, found 0+100 ",
    ),
    "says_of_an_offer_taken_back_that_its_kind_was_unknown": (
        "{take & (event_kind_i == 2'd3)",
        "{event_valid_i & (event_kind_i == 2'd3)",
        "offers to ignore, taken back while the chip computes",
        "bus_rdata_o: expected 0+1, found 0+10001 ",
    ),
    "keeps_a_label_taken_back": (
        "wire is_label   = take &",
        "wire is_label   = event_valid_i & is_input &",
        "a label taken back while the bus is served",
        "phase_run_o: expected 0, found 1",
    ),
    "remembers_half_an_access": (
        "busy_q <= valid_i & ~busy_q;",
        "busy_q <= valid_i ^ (busy_q === 1'b1);",
        "a write taken back before it is served, and when it is half served",
        "bus_ready_o: expected 0, found 1",
    ),
    "forgets_a_bit_set_while_status_is_cleared": (
        "errors_q <= (status_clear_i ? 4'd0 : errors_q) | errors;",
        "errors_q <= status_clear_i ? 4'd0 : errors_q | errors;",
        "status cleared in the cycle in which a bit of it is set",
        "bus_rdata_o: expected 0+10, found 0+ ",
    ),
    "keeps_a_prediction_over_a_reset": (
        "      prediction_valid_q <= 1'b0;\n    end else if (predict_done_i)",
        "      prediction_valid_q <= prediction_valid_q === 1'b1;\n    end else if (predict_done_i)",
        "a reset with a prediction that nobody has taken",
        "prediction_valid_o in reset: expected 0, found 1",
    ),
    "keeps_an_access_over_a_reset": (
        "      busy_q <= 1'b0;",
        "      busy_q <= busy_q === 1'b1;",
        "a reset in an access, with an event offered",
        "bus_ready_o in reset: expected 0, found 1",
    ),
    "keeps_learning_over_a_reset": (
        "      begun_q <= 1'b0;\n      learn_q <= 1'b0;",
        "      begun_q <= 1'b0;\n      learn_q <= learn_q === 1'b1;",
        "a reset in a sample half sent, with events in the list and bits in the status",
        "phase_o: expected 0010, found 0011",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught_by_its_program(name: str) -> None:
    sound, faulty, program, where = FAULTS[name]
    chip = CHIPS["tbso"]
    with live_chip(task_of(chip, planted(chip, sound, faulty))) as waiting:
        outcome = waiting.play(directed_programs(chip)[program])
    assert re.search(where, outcome.mismatch), outcome.mismatch
