"""Programs of single host operations, drawn by hypothesis, on the Verilog chip: every pin in every cycle as the rules and the simulator say.

FLIPCORE_EXAMPLES: how many programs on each chip (40 by default); a program that fails is shortened on the chip as it stands in its simulator.
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
EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "40"))
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

    @given(programs(chip, LONGEST), st.integers(0, 9))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def plays(program: Any, seed: int) -> None:
        outcome = waiting.play(program, seed)
        coverage.update(outcome.coverage)
        note(outcome.mismatch)
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
    print(dict(coverage))
