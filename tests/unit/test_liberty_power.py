"""What is read of the energy of cells, and what is refused."""

import pytest

from flipcore.errors import InputError
from flipcore.rtl.liberty_power import read_power_library

LIBRARY = """\
library (tiny) {
  leakage_power_unit : "1pW"; nom_voltage : 1.2;
  wire_load ("small") {
    capacitance : 0.001; slope : 2;
    fanout_length (1, 3);
    fanout_length (3, 7);
  }
  cell (nand) {
    area : 2; cell_leakage_power : 80;
    pin (Y) {
      direction : "output"; function : "!(A*B)";
      timing () {
        related_pin : "A";
        cell_rise (t) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.02"); values ("0.1, 0.3", "0.2, 0.4"); }
        cell_fall (t) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.02"); values ("0.1, 0.3", "0.2, 0.4"); }
      }
      internal_power () {
        related_pin : "A";
        rise_power (p) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.1"); values ("0.002, 0.004", "0.004, 0.006"); }
        fall_power (p) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.1"); values ("0.004, 0.006", "0.006, 0.008"); }
      }
    }
    pin (A) { direction : "input"; capacitance : 0.003; }
    pin (B) { direction : "input"; capacitance : 0.004; }
  }
  cell (flop) {
    cell_leakage_power : 500;
    ff (IQ, IQN) { clear : "!R"; clocked_on : "CK"; next_state : "D"; }
    pin (Q) {
      direction : "output"; function : "IQ";
      internal_power () {
        related_pin : "CK";
        rise_power (p) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.1"); values ("0.03, 0.10", "0.03, 0.10"); }
        fall_power (p) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.1"); values ("0.03, 0.10", "0.03, 0.10"); }
      }
      internal_power () {
        related_pin : "R";
        fall_power (p) { index_1 ("0.0, 0.2"); index_2 ("0.0, 0.1"); values ("9, 9", "9, 9"); }
      }
    }
    pin (D) { direction : "input"; capacitance : 0.001; }
    pin (R) { direction : "input"; capacitance : 0.001; }
    pin (CK) {
      direction : "input"; clock : true; capacitance : 0.002;
      internal_power () { when : "D"; rise_power (s) { values ("0"); } fall_power (s) { values ("0.02"); } }
      internal_power () { when : "!D"; rise_power (s) { values ("0.01"); } fall_power (s) { values ("0.02"); } }
    }
  }
  cell (gate) {
    clock_gating_integrated_cell : "latch_posedge";
    pin (GCK) { direction : "output"; clock_gate_out_pin : true; }
    pin (CK) { direction : "input"; clock : true; clock_gate_clock_pin : true; capacitance : 0.005; }
    pin (EN) { direction : "input"; clock_gate_enable_pin : true; capacitance : 0.002; }
  }
  cell (latch) {
    latch (IQ, IQN) { enable : "E"; data_in : "D"; }
    pin (Q) { direction : "output"; function : "IQ"; }
  }
}
"""


def test_logic_is_read_at_a_slew_and_a_load() -> None:
    library = read_power_library(LIBRARY, "tiny.lib", slew_ns=0.1)
    nand = library.cells["nand"]
    assert library.voltage == 1.2
    assert nand.leakage_nw == pytest.approx(0.08)
    assert nand.inputs["B"].capacitance_pf == 0.004
    output = nand.outputs["Y"]
    assert output.function == "~(A&B)"
    # Halfway between the slews, mean of both edges: 0.004 without load, 0.006 at 0.1 pF.
    assert output.energy_at(0.0) == pytest.approx(0.004)
    assert output.energy_at(0.05) == pytest.approx(0.005)
    assert output.delay_ns == pytest.approx(0.25)  # at 0.01 pF, half of the way to 0.02


def test_a_register_is_charged_once_for_its_clock() -> None:
    flop = read_power_library(LIBRARY, "tiny.lib").cells["flop"]
    assert (flop.clock, flop.next_state, flop.clear) == ("CK", "D", "~R")
    clock = flop.inputs["CK"]
    assert clock.rise_energy_pj == pytest.approx(
        0.01
    )  # the zero is an edge that the output's table holds
    assert clock.energy_pj == pytest.approx(0.015)
    # The least load has no charge in it; the edge of the clock is counted in every cycle already.
    assert flop.outputs["Q"].energy_at(0.1) == pytest.approx(0.03 - 0.01)


def test_a_clock_gate_is_known_by_its_pins_and_latches_are_left_out() -> None:
    cells = read_power_library(LIBRARY, "tiny.lib").cells
    assert (cells["gate"].clock, cells["gate"].enable) == ("CK", "EN")
    assert list(cells["gate"].outputs) == ["GCK"]
    assert "latch" not in cells


def test_wires_grow_with_the_loads_of_a_net() -> None:
    wires = read_power_library(LIBRARY, "tiny.lib").wire_loads["small"]
    assert [wires.capacitance_pf(loads) for loads in (1, 2, 3, 5)] == pytest.approx(
        [0.003, 0.005, 0.007, 0.011]
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("library (tiny)", "something (tiny)"), "not a Liberty file"),
        (("nom_voltage : 1.2;", ""), "nom_voltage is missing"),
        (('"1pW"', '"1mile"'), "leakage_power_unit 1mile: unknown"),
        (("internal_power", "external_power"), "has no internal_power tables"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused(change: tuple[str, str], told: str) -> None:
    with pytest.raises(InputError, match=f"tiny.lib: .*{told}"):
        read_power_library(LIBRARY.replace(*change), "tiny.lib")
