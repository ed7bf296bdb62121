"""A measurement whose netlist does not do what the simulator does is refused; models of cells have delays where glitches are wanted."""

from dataclasses import replace
from typing import Any

import pytest

from flipcore.errors import CheckError
from flipcore.rtl import characterize
from flipcore.rtl.bench.gate_stimulus import phase_counts
from flipcore.rtl.characterize import FIT, RANDOM, VALIDATION, Subject, stimulus
from flipcore.rtl.gate_netlist import GateNetlist, cell_models
from flipcore.rtl.gate_power import GatePower, PhaseEnergy
from flipcore.rtl.liberty import Library
from flipcore.rtl.liberty_power import read_power_library
from tests.unit.test_liberty_power import LIBRARY

CHANGES = ("inputs=6", "layers=[{neurons: 3}, {neurons: 2}]", "core.lanes=2", "steps=2")
SUBJECT = Subject(name="tiny", preset="digits", changes=CHANGES, dataset=RANDOM, samples=4)
LIBRARY_FILE = Library(
    name="tiny", process=1.0, voltage=1.2, temperature=25.0, time_ps=1000.0, cells={}, text=LIBRARY
)


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> dict[str, GatePower]:
    """What the simulation of the netlist is made to say: at first, what the simulator says."""
    chip = SUBJECT.chip
    samples, state = stimulus(SUBJECT)
    counts, predictions = phase_counts(chip, state, samples)
    right = GatePower(
        phases={
            (phase, core): PhaseEnergy(cycles=counted[f"{phase}_cycles"], toggles_pj={"0": 1.0})
            for (phase, core), counted in counts.items()
        },
        clock_pj={}, leakage_nw={}, area_um2={}, flip_flops={},
        predictions=predictions,
    )  # fmt: skip
    said = {"power": right}
    monkeypatch.setattr(characterize, "map_chip", lambda *_: None)
    monkeypatch.setattr(characterize, "weigh", lambda *_: None)
    monkeypatch.setattr(characterize, "measure_power", lambda *_, **__: said["power"])
    return said


def test_a_record_holds_what_was_counted(power: dict[str, GatePower]) -> None:
    record = characterize.measure(SUBJECT, LIBRARY_FILE)
    updates: dict[str, Any] = record["phases"]["update 0"]
    assert updates["counts"]["update_cycles"] == updates["cycles"]
    assert updates["toggles_pj"] == {"0": 1.0}


def test_other_predictions_are_refused(power: dict[str, GatePower]) -> None:
    wrong = [1 - prediction for prediction in power["power"].predictions]
    power["power"] = replace(power["power"], predictions=wrong)
    with pytest.raises(CheckError, match="predictions are not the simulator's"):
        characterize.measure(SUBJECT, LIBRARY_FILE)


def test_other_cycles_are_refused(power: dict[str, GatePower]) -> None:
    phases = power["power"].phases
    one = phases["update", 0]
    phases["update", 0] = replace(one, cycles=one.cycles + 1)
    with pytest.raises(CheckError, match="update of core 0 takes"):
        characterize.measure(SUBJECT, LIBRARY_FILE)


def test_cells_have_delays_where_glitches_are_wanted() -> None:
    cells = read_power_library(LIBRARY, "tiny.lib", slew_ns=0.1).cells
    netlist = GateNetlist(modules={}, macros=[])
    with_delays = cell_models(netlist, cells, {"nand", "gate"}, delays=True)
    assert "assign #(0.250) Y = ~(A&B);" in with_delays
    assert "assign GCK = CK & enabled;" in with_delays
    assert "assign Y = ~(A&B);" in cell_models(netlist, cells, {"nand"}, delays=False)


def test_what_is_validated_was_not_fitted() -> None:
    fitted = [subject.chip for subject in FIT]
    assert len(VALIDATION) >= 12
    for subject in VALIDATION:
        chip = subject.chip
        assert subject.dataset != "digits"
        assert all(chip.inputs != other.inputs or chip.layers != other.layers for other in fitted)
