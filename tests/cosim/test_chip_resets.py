"""A reset in every phase of a chip, in its first, a middle and its last cycle: the chip is loaded again and learns on in lock-step."""

import re
import shutil
from collections import Counter
from typing import Any

import pytest

from flipcore.chip import Chip, parse_chip
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_coverage import possible_phases
from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.chip_phases import PHASES
from flipcore.rtl.bench.reset_plans import PARTS, lost_everywhere
from flipcore.rtl.chip_verify import ChipCheck, ChipTask, verify_chip
from tests.chips import tiny_chip

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]
SEED = 4


def chips() -> dict[str, Chip]:
    """Two chips that have all phases between them, and each unit that takes more than a few cycles."""
    tbso: dict[str, Any] = {"rule": "tbso", "decay": "dense", "square_shift": 4}
    return {
        "tbso": tiny_chip(lower=tbso, upper={**tbso, "decay": "scrub"}, error={"kind": "softmax"}),
        "bso": tiny_chip(
            lower={"decay": "scrub", "memory_ports": "1rw"},
            upper={"random_source": "per_lane"},
            error={"kind": "hinge", "margin": 12, "of": "total"},
        ),
    }


def run(chip: Chip, files: dict[str, str]) -> ChipCheck:
    """Lose a sample in every phase."""
    samples, state = random_samples(chip, 100, SEED)
    lost = lost_everywhere(chip, samples, state)
    task = ChipTask(chip=chip, files=files, state=state, samples=lost, seed=SEED)
    return verify_chip(task)


@pytest.mark.parametrize("name", chips())
def test_a_reset_in_every_phase_loses_the_sample_and_nothing_else(name: str) -> None:
    chip = chips()[name]
    check = run(chip, chip_files(chip))
    print(check)
    assert check.mismatch == ""
