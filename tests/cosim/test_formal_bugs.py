"""Proofs that can fail: each property holds of the generated Verilog, and a bug planted in its module breaks it."""

import os
import shutil

import pytest

from flipcore.chip import load_chip
from flipcore.rtl.formal.properties import property_named
from flipcore.rtl.formal.solver import PROGRAMS
from flipcore.rtl.formal.suite import prove_chip
from flipcore.rtl.generate import chip_files

MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("FLIPCORE_REQUIRE_TOOLS"),
        reason=f"{', '.join(MISSING)} missing: no proof can be made",
    ),
]
CHIP = load_chip("digits", ["layers.0.neurons=8", "core.lanes=4"])

# property: module file, text of it, what a bug makes of the text
BUGS = {
    "momentum_saturates": ("momentum_flip.v", "above ? Limit : below ? -Limit :", "below ? -Limit :"),
    "flip_rule": ("momentum_flip.v", "assign lower = ~weight_i[l];", "assign lower = 1'b0;"),
    "momentum_at_flip": ("momentum_flip.v", "flipped_o[l] ? {MomentumBits{1'b0}} : moved", "moved"),
    "untouched_without_gradient": ("momentum_flip.v", "updated_o[l] & beyond", "beyond"),
    "events_once": ("event_input.v", "event_valid_i & ~known", "event_valid_i"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_breaks_the_proof(name: str) -> None:
    file, text, bug = BUGS[name]
    files = chip_files(CHIP, counters=True)
    assert files[file].count(text) == 1
    wanted = property_named(name)
    assert wanted is not None
    sound = prove_chip(CHIP, files, (wanted,))
    assert {result.outcome.verdict for result in sound} == {"proven"}
    broken = prove_chip(CHIP, {**files, file: files[file].replace(text, bug)}, (wanted,))
    assert {result.outcome.verdict for result in broken} == {"failed"}
