"""A reset in every phase of a chip, in its first, a middle and its last cycle: the chip is loaded again and learns on in lock-step."""

import re
import shutil
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from flipcore.chip import Chip
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_coverage import possible_phases
from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.chip_phases import PHASES
from flipcore.rtl.bench.reset_plans import PARTS, lost_everywhere
from flipcore.rtl.chip_verify import ChipCheck, ChipTask, verify_chip
from tests.chips import planted, tiny_chip

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]
SEED = 4


TBSO: dict[str, Any] = {"rule": "tbso", "decay": "dense", "square_shift": 4}
CHIPS = {
    "tbso": tiny_chip(lower=TBSO, upper={**TBSO, "decay": "scrub"}, error={"kind": "softmax"}),
    "bso": tiny_chip(
        lower={"decay": "scrub", "memory_ports": "1rw"},
        upper={"random_source": "per_lane"},
        error={"kind": "hinge", "margin": 12, "of": "total"},
    ),
}


def run(chip: Chip, files: dict[str, str]) -> ChipCheck:
    """Lose a sample in every phase, and learn another after each."""
    samples, state = random_samples(chip, 200, SEED)
    following = lost_everywhere(chip, [replace(one, reset=False) for one in samples], state)
    task = ChipTask(chip=chip, files=files, state=state, samples=following, seed=SEED)
    return verify_chip(task)


@pytest.mark.parametrize("name", CHIPS)
def test_a_reset_in_every_phase_loses_the_sample_and_nothing_else(name: str) -> None:
    chip = CHIPS[name]
    check = run(chip, chip_files(chip))
    assert check.mismatch == ""
    counts = Counter(check.coverage)
    phases = possible_phases(chip)
    per_phase = {phase: counts[f"resets_in_{phase}"] for phase in phases}
    print(check.seconds, per_phase)
    assert min(per_phase.values()) >= len(PARTS)
    assert check.samples == sum(per_phase.values()) == counts["resets_in_flight"]
    assert counts["resets_in_first_cycles"] >= check.samples // len(PARTS)
    assert counts["resets_in_last_cycles"] >= check.samples // len(PARTS)


def test_the_chips_have_all_phases_between_them() -> None:
    assert {phase for chip in CHIPS.values() for phase in possible_phases(chip)} == set(PHASES)


# Registers that a reset must clear, each of which shows in one phase alone: its line in the reset, what stands there instead, and what differs then.
FAULTS = {
    "keeps_learning": (
        "      learn_q <= 1'b0;\n      scrub_q",
        "      learn_q <= learn_q === 1'b1;\n      scrub_q",
        "phase_o, phase_core_o, core 0: expected spikes 0, found trace",
    ),
    "keeps_the_tick_of_the_threshold": (
        "    if (!rst_ni) begin\n      tick_q <= 5'd0;",
        "    if (!rst_ni) begin\n      tick_q <= (^tick_q === 1'bx) ? 5'd0 : tick_q;",
        r"expected 20, found \d+ .*phase threshold|expected threshold, core .*, found threshold",
    ),
    "keeps_the_drain_of_the_spikes": (
        "      drain_q   <= 1'b0;\n      word_q ",
        "      drain_q   <= drain_q === 1'b1;\n      word_q ",
        "phase_run_o, cycles, core 0: .*phase spikes",
    ),
    "keeps_the_start_of_a_decay": (
        "      started_q <= 1'b0;\n      valid_q   <= 1'b0;\n    end",
        "      started_q <= started_q === 1'b1;\n      valid_q   <= 1'b0;\n    end",
        r"phase_run_o, cycles, core \d: .*phase decay",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_reset_does_not_clear_shows_in_the_phase_that_needs_it(name: str) -> None:
    sound, faulty, where = FAULTS[name]
    chip = CHIPS["tbso"]
    check = run(chip, planted(chip, sound, faulty))
    assert re.search(where, check.mismatch), check.mismatch
