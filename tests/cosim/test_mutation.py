"""Mutants: bench and properties kill those that they should, and abc proves only those equal that the bench cannot kill."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from flipcore.errors import CheckError
from flipcore.rtl.generate import chip_files

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.chip_verify import ChipTask
from flipcore.rtl.formal.mutants import Claim, broken_claim, claims, fails, surroundings_hide
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


@dataclass(frozen=True)
class Predictions:
    """Mutants of the unit that predicts, in a folder, and the properties of their chip."""

    folder: Path
    mutants: list[Mutant]
    text: str
    claims: list[Claim]


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Predictions:
    """Those of the suite's small chip."""
    return _predictions(tmp_path_factory.mktemp("predict"), chip_files(small_chip()))


def _predictions(folder: Path, files: dict[str, str]) -> Predictions:
    own = [one for one in elaborate(files, folder) if module_name(one) == "predict"]
    mutants = make_mutants(folder, own, 16, 1)
    text = mutated_text(folder, mutants)
    return Predictions(folder, mutants, text, claims(small_chip(), files, text, folder))


def test_properties_and_surroundings_agree_with_the_bench(predictions: Predictions) -> None:
    folder = predictions.folder
    broken = {
        one.number: claim.obligation.property.name
        for one in predictions.mutants
        if (claim := broken_claim(predictions.claims, one, folder, PROOF_S))
    }
    hidden = {
        one.number: surroundings_hide(predictions.claims, one, folder, PROOF_S)
        for one in predictions.mutants
    }
    assert set(broken.values()) == {"prediction_rule"}
    assert set(hidden.values()) == {"prediction_rule", None}
    equal = {number for number, name in hidden.items() if name}
    assert not equal & set(broken)
    samples, state = random_samples(small_chip(), 3, 5)
    task = ChipTask(
        chip=small_chip(), files={"mutated.v": predictions.text}, state=state, samples=samples, seed=5,
    )  # fmt: skip
    killed = set(run_mutants(task, [0, *(one.number for one in predictions.mutants)], Limits()))
    assert 0 not in killed
    assert not equal & killed


def test_a_mutant_of_the_clock_is_neither_hidden_nor_broken(predictions: Predictions) -> None:
    (clocked,) = (one for one in predictions.mutants if " CLK " in one.place)
    assert surroundings_hide(predictions.claims, clocked, predictions.folder, PROOF_S) is None
    assert broken_claim(predictions.claims, clocked, predictions.folder, PROOF_S) is None


def test_a_claim_fails_without_a_mutant_where_the_chip_is_wrong(
    tmp_path: Path, predictions: Predictions
) -> None:
    files = chip_files(small_chip())
    assert files["predict.v"].count("scan_value_i > largest_q") == 1
    files["predict.v"] = files["predict.v"].replace(
        "scan_value_i > largest_q", "scan_value_i >= largest_q"
    )
    wrong = _predictions(tmp_path, files)
    for folder, all_claims, expected in (
        (predictions.folder, predictions.claims, False),
        (tmp_path, wrong.claims, True),
    ):
        (claim,) = (one for one in all_claims if one.obligation.property.name == "prediction_rule")
        assert fails(claim, 0, folder, PROOF_S) is expected


def test_a_mutant_of_another_chip_is_refused(tmp_path: Path) -> None:
    elaborate(chip_files(small_chip()), tmp_path)
    stranger = Mutant(
        number=1, module="fire", elaborated="fire", mode="inv", place="", source="",
        options="-mode inv -module no_such_module -cell no_such_cell -port Y -portbit 0",
    )  # fmt: skip
    with pytest.raises(CheckError, match="yosys"):
        mutated_text(tmp_path, [stranger])
