"""Synthesis: what is read from Liberty files and netlists, and what is told when it cannot run."""

import gzip
from pathlib import Path

import pytest

from flipcore.errors import CheckError, InputError, ToolError
from flipcore.rtl import place_ice40
from flipcore.rtl.generate import flip_unit_files
from flipcore.rtl.liberty import Macro, macro_liberty, read_liberty
from flipcore.rtl.place_ice40 import DEVICES, scan_harness
from flipcore.rtl.synth import Options, synthesize
from flipcore.rtl.yosys import Design, named_macros
from tests.cores import core_shape

LIBERTY = """\
/* comment with { a brace */
library (tiny_typ) {
  time_unit : "1ps";
  nom_process : 1; nom_voltage : 1.2;
  nom_voltage : 1.2;
  nom_temperature : 25.0;
  cell (inv) {
    area : 1.5;
    pin (A) { direction : input; }
    pin (Y) {
      direction : output;
      function : "!A";
    }
  }
  cell ("buf_4") {
    area : 3;
    pin (A) { direction : input; }
    pin (Y) {
      direction : output;
      function : "(A)";
    }
  }
  cell (dff) {
    area : 10.25;
    ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (D) { direction : input; }
    pin (CK) { direction : input; }
    pin (Q) {
      direction : output;
      function : "IQ";
    }
  }
  cell (gate) {
    area : 8;
    dont_use : true;
    latch (IQ, IQN) { enable : "G"; }
    pin (G) { direction : input; }
    pin (Q) { direction : output; }
  }
}
"""


@pytest.mark.parametrize("packed", [False, True])
def test_liberty_corner_and_cells(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "tiny.lib"
    path.write_bytes(gzip.compress(LIBERTY.encode()) if packed else LIBERTY.encode())
    library = read_liberty(path)
    assert (library.name, library.voltage, library.temperature) == ("tiny_typ", 1.2, 25.0)
    assert library.time_ps == 1.0
    assert {name: (cell.kind, cell.area) for name, cell in library.cells.items()} == {
        "inv": ("logic", 1.5),
        "buf_4": ("logic", 3.0),
        "dff": ("flip-flop", 10.25),
        "gate": ("latch", 8.0),
    }
    assert library.cells["dff"].inputs == 2
    assert library.cells["dff"].outputs == ("Q",)
    assert not library.cells["gate"].usable
    assert library.driver == "buf_4"


@pytest.mark.parametrize("content", [b"", b"library (x) { }", b"\x1f\x8bbroken", b"hello"])
def test_what_is_no_liberty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.lib"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.lib: "):
        read_liberty(path)


def test_a_missing_liberty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.lib: cannot be read: "):
        synthesize({}, "flip_unit", f"liberty:{tmp_path / 'none.lib'}", Options())


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(InputError, match=r"--target ice41: must be liberty:FILE or one of ice40-"):
        synthesize({}, "flip_unit", "ice41", Options())


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match=r"^yosys: not found: .*\(Debian package `yosys`\)$"):
        synthesize(flip_unit_files(core_shape({})), "flip_unit", "ice40-hx8k", Options())


def _design() -> Design:
    macro = Macro(
        module="$paramod$1",
        wrapper="memory_1rw",
        words=20,
        bits=3,
        count=2,
        ports={"clk_i": ("input", 1), "write_data_i": ("input", 3), "read_data_o": ("output", 3)},
    )
    ports = {
        "clk_i": ("input", 1),
        "rst_ni": ("input", 1),
        "a_i": ("input", 4),
        "y_o": ("output", 2),
    }
    return Design(top="unit", sources=[], macros=[macro], ports=ports)


def test_memories_are_counted_by_word_bit_and_instance() -> None:
    design = _design()
    assert design.memory_bits == 20 * 3 * 2
    assert design.port_bits == 8
    (named,) = named_macros(design)
    assert named.module == "memory_1rw_20x3"


def test_liberty_of_a_memory_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "memories.lib"
    path.write_text(macro_liberty(named_macros(_design()), time_ps=1.0, access_ns=2.0))
    library = read_liberty(path)
    assert set(library.cells) == {"memory_1rw_20x3"}
    assert 'cell_rise (scalar) { values ("2000"); }' in library.text
    assert library.text.count("clock : true") == 1


def test_the_harness_registers_every_port() -> None:
    text = scan_harness(_design())
    assert "    .a_i(inputs_q[3:0])" in text
    assert "    .y_o(outputs[1:0])" in text
    assert "  reg  [4:0] inputs_q;" in text


def test_devices_hold_what_their_data_sheets_say() -> None:
    assert DEVICES["ice40-hx8k"].memory_bits == 32 * 4096
    assert DEVICES["ice40-up5k"].memory_bits == 30 * 4096 + 4 * 256 * 1024


@pytest.mark.parametrize(
    "told",
    [
        "ERROR: Failed to expand region (0, 0) |_> (25, 31) of 5381 ICESTORM_LCs",
        "ERROR: Unable to place cell 'a', no BELs remaining to implement cell type 'ICESTORM_LC'",
    ],
)
def test_a_device_that_is_too_small_is_an_answer(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A design of 3,921 LUT4 with its registers took 5,381 cells of 5,280, which only the placer knows."""
    monkeypatch.setattr(
        place_ice40, "run_program", lambda *_, **__: (1, f"Info: packing\n{told}\n")
    )
    assert not place_ice40.place(tmp_path, DEVICES["ice40-up5k"], seed=1).fits


def test_another_failure_of_the_placer_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_ice40, "run_program", lambda *_, **__: (1, "ERROR: no netlist\n"))
    with pytest.raises(CheckError, match="no netlist"):
        place_ice40.place(tmp_path, DEVICES["ice40-up5k"], seed=1)
