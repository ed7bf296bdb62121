"""Mutants: the bench kills those that it should, and abc proves only those equal that the bench cannot kill."""

from pathlib import Path

import pytest

from flipcore.errors import CheckError
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.chip_verify import ChipTask
from flipcore.rtl.mutant_proof import same_behaviour, whole_logic
from flipcore.rtl.mutation import (
    Limits,
    Mutant,
    elaborate,
    make_mutants,
    module_name,
    mutated_text,
    run_mutants,
)
from tests.chips import small_chip

pytestmark = pytest.mark.cosim

MODULE = "trace_update"
PROOF_S = 60


def drawn(folder: Path) -> list[Mutant]:
    """A few mutants of a module, among them some that cannot show."""
    own = [one for one in elaborate(chip_files(small_chip()), folder) if module_name(one) == MODULE]
    return make_mutants(folder, own, 6, 3)


def test_every_mutant_is_killed_or_proven_equal_and_none_is_both(tmp_path: Path) -> None:
    mutants = drawn(tmp_path)
    numbers = [one.number for one in mutants]
    assert numbers == list(range(1, 7))
    assert {one.module for one in mutants} == {MODULE}
    text = mutated_text(tmp_path, mutants)
    logic = {one.elaborated: whole_logic(tmp_path, text, one.elaborated) for one in mutants}
    equal = {
        one.number
        for one in mutants
        if same_behaviour(tmp_path, logic[one.elaborated], one.number, PROOF_S)
    }
    samples, state = random_samples(small_chip(), 3, 5)
    task = ChipTask(
        chip=small_chip(), files={"mutated.v": text}, state=state, samples=samples, seed=5
    )
    killed = set(run_mutants(task, [0, *numbers], Limits()))
    assert 0 not in killed, "the chip itself is no mutant"
    assert not equal & killed
    assert equal | killed == set(numbers)
    assert equal
    assert killed


def test_a_mutant_of_another_chip_is_refused(tmp_path: Path) -> None:
    elaborate(chip_files(small_chip()), tmp_path)
    stranger = Mutant(
        number=1, module="fire", elaborated="fire", mode="inv", place="", source="",
        options="-mode inv -module no_such_module -cell no_such_cell -port Y -portbit 0",
    )  # fmt: skip
    with pytest.raises(CheckError, match="yosys"):
        mutated_text(tmp_path, [stranger])
