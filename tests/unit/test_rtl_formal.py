"""Checkers of properties: which modules they bind to, with which parameters, and that a smaller instance is the same text."""

import re
from pathlib import Path

import pytest

from flipcore.chip import Chip, load_chip
from flipcore.errors import CheckError, InputError, ToolError
from flipcore.rtl.bench.random_chips import random_chips
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.formal import solver
from flipcore.rtl.formal.checkers import CHECKER, modules_below, obligations, smaller_core
from flipcore.rtl.formal.properties import PROPERTIES, Sizes, subjects
from flipcore.rtl.formal.suite import chosen_properties, prove_chip
from flipcore.rtl.generate import chip_files

CHIPS = {name: load_chip(name) for name in ("digits", "mnist-lowpower")}
CHIPS |= {chip.name: chip for chip in random_chips(1, 11)}
SMALL = Sizes(lanes=2, axons=3, words=2)

each_chip = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS.keys())


@each_chip
def test_every_property_of_a_chip_has_a_checker(chip: Chip) -> None:
    shape = ChipShape(chip, counters=True)
    made = obligations(chip, chip_files(chip), PROPERTIES, counters=True)
    expected = {one.name for one in PROPERTIES if subjects(shape, one)}
    assert {one.property.name for one in made} == expected
    for one in made:
        text = one.files[f"{CHECKER}.v"]
        assert text.isascii()
        assert f"  {one.module} #(" in text or f"  {one.module} dut" in text
        assert "assert (" in text
        for core in one.cores:
            own = shape.cores[core].parameters
            for name in {"Lanes", "Axons", "Words", "Neurons"} & set(one.reduced):
                assert one.parameters[name] < own[name].value


def same_but_for_sizes(text: str) -> str:
    """A module's text without the values of its parameters and the numbers of variants."""
    text = re.sub(r"(parameter \w+) += -?\d+", r"\1", text)
    text = re.sub(r" +//", " //", text)
    return re.sub(r"\b([a-z]\w*?)_\d+\b", r"\1", text)


@each_chip
def test_a_smaller_instance_is_what_the_generator_writes_for_a_smaller_core(chip: Chip) -> None:
    files = chip_files(chip)
    for core in ChipShape(chip, counters=True).cores:
        written = {}
        for sizes in (SMALL, Sizes(axons=3, words=2)):
            small = smaller_core(core, sizes)
            text = chip_files(small.chip)
            written[sizes.lanes] = text, modules_below(text, small)
        for one in PROPERTIES:
            if one.of_chip or one.sizes == Sizes() or not one.applies(core):
                continue
            own = files[f"{modules_below(files, core)[one.module]}.v"]
            smaller, modules = written[one.sizes.lanes and SMALL.lanes]
            text = smaller[f"{modules[one.module]}.v"]
            assert same_but_for_sizes(text) == same_but_for_sizes(own), one.name


def test_an_unknown_property_is_refused() -> None:
    with pytest.raises(InputError, match=r"--property speed: must be one of momentum_saturates, "):
        chosen_properties(("speed",))
    assert chosen_properties(()) == PROPERTIES


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chip = CHIPS["digits"]
    with pytest.raises(ToolError, match=r"yosys: not found: .*\(Debian package `yosys`\)"):
        prove_chip(chip, chip_files(chip))
    monkeypatch.setattr(solver, "PROGRAMS", ("cvc5",))
    with pytest.raises(
        ToolError, match=r"cvc5: not found: a proof needs it \(Debian package `cvc5`\)"
    ):
        prove_chip(chip, chip_files(chip))


def test_a_module_that_is_not_there_is_named() -> None:
    chip = CHIPS["digits"]
    files = chip_files(chip)
    files["flip_unit.v"] = files["flip_unit.v"].replace("u_momentum_flip", "momentum_flip")
    files["flip_unit_1.v"] = files["flip_unit_1.v"].replace("u_momentum_flip", "momentum_flip")
    with pytest.raises(CheckError, match="flip_rule: there is no module momentum_flip"):
        obligations(chip, files, chosen_properties(("flip_rule",)), counters=True)
