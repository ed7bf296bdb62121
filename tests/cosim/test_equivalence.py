"""A chip's Verilog, what pyverilog writes back of it and its netlist are proven to be the same, a change in either is found, and the netlist learns in lock-step."""

import shutil
from pathlib import Path

import pytest

from flipcore.chip import parse_chip
from flipcore.errors import CheckError
from flipcore.rtl.equivalence import PROGRAMS, Reference
from flipcore.rtl.generate import chip_files
from flipcore.rtl.programs import run_program
from flipcore.rtl.syntax import read_design
from flipcore.rtl.yosys import SHIFT_MAP, SHIFT_MAP_FILE

pytest.importorskip("pyverilog", reason="pyverilog is not installed")
pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")

from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.chip_verify import ChipCheck, ChipTask, verify_chip

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in (*PROGRAMS, "iverilog")),
        reason="yosys, berkeley-abc or iverilog (Debian packages of these names) is missing",
    ),
]

CHIP = parse_chip(
    {
        "name": "netlist",
        "inputs": 37,
        "steps": 2,
        "core": {
            "lanes": 2,
            "momentum_bits": 6,
            "gradient_shift": 5,
            "potential_bits": 4,
            "threshold": 3,
            "window": 6,
        },
        "layers": [{"neurons": 5}, {"neurons": 3}],
        "error": {"kind": "hinge", "margin": 12},
    },
    "netlist",
)
FILES = chip_files(CHIP, counters=False)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference(FILES, tmp_path_factory.mktemp("verilog"))


@pytest.fixture(scope="module")
def netlist(reference: Reference) -> str:
    return reference.synthesise()


def test_what_pyverilog_writes_back_is_the_same(reference: Reference, tmp_path: Path) -> None:
    text = read_design(FILES, "flip_chip").round_trip
    found = reference.compare_text(text, "round trip", tmp_path)
    assert found.difference == ""
    assert found.fewer == 0
    assert found.modules == found.identical > 20
    assert found.registers > 400


def test_the_netlist_is_the_same(reference: Reference, netlist: str, tmp_path: Path) -> None:
    found = reference.compare_netlist(netlist, "netlist", tmp_path)
    assert found.difference == ""
    assert 0 < found.fewer < 20
    assert found.nets > 3000


CHANGES = {
    "event_input": ("event_map_q[event_axon_i] <= 1'b1;", "event_map_q[event_axon_i ^ 1] <= 1'b1;"),
    "spike_output": ("run_o          = run_i & ~stall;", "run_o          = run_i;"),
    "xorshift32": ("state_q <= 32'd1;", "state_q <= 32'd3;"),
}


@pytest.mark.parametrize("module", CHANGES)
def test_a_changed_text_differs_in_its_module(
    reference: Reference, module: str, tmp_path: Path
) -> None:
    old, new = CHANGES[module]
    text = FILES[f"{module}.v"]
    assert text.count(old) == 1
    files = {**FILES, f"{module}.v": text.replace(old, new)}
    found = reference.compare_text(files, "changed", tmp_path)
    assert found.difference.startswith(f"{module}: "), found


ONE_BIT_SHIFT = """\
module \\mapped
  wire input 1 \\bit_i
  wire width {distance} input 2 \\right_i
  wire width {width} output 3 \\bits_o
  cell $shift \\shift
    parameter \\A_SIGNED 0
    parameter \\B_SIGNED 1
    parameter \\A_WIDTH 1
    parameter \\B_WIDTH {distance}
    parameter \\Y_WIDTH {width}
    connect \\A \\bit_i
    connect \\B \\right_i
    connect \\Y \\bits_o
  end
end
"""


@pytest.mark.parametrize(("width", "distance"), [(5, 3), (7, 2), (8, 4), (13, 6), (33, 9)])
def test_a_bit_goes_where_the_shift_of_yosys_takes_it(
    width: int, distance: int, tmp_path: Path
) -> None:
    (tmp_path / SHIFT_MAP_FILE).write_text(SHIFT_MAP)
    (tmp_path / "shift.il").write_text(ONE_BIT_SHIFT.format(width=width, distance=distance))
    script = [
        "read_rtlil shift.il",
        "copy mapped theirs",
        f"techmap -map {SHIFT_MAP_FILE} mapped",
        "select -assert-none mapped/t:$shift",
        "miter -equiv -flatten mapped theirs both",
        "techmap both",
        "sat -verify -prove trigger 0 both",
    ]
    run_program("yosys", ["-Q", "-T", "-p", "; ".join(script)], tmp_path, "shift.log")


def test_an_equal_module_of_other_text_is_proven(reference: Reference, tmp_path: Path) -> None:
    old, new = "run_o          = run_i & ~stall;", "run_o          = ~(stall | ~run_i);"
    text = FILES["spike_output.v"]
    assert text.count(old) == 1
    files = {**FILES, "spike_output.v": text.replace(old, new)}
    found = reference.compare_text(files, "rewritten", tmp_path)
    assert found.difference == ""
    assert found.identical == found.modules - 1


@pytest.fixture(scope="module")
def changed_netlist(netlist: str) -> str:
    """Lane 0 tells of a flip where there is none, and the other way round."""
    line = next(one for one in netlist.splitlines() if "flipped_o[0] = " in one)
    changed = netlist.replace(line, line.replace("= ", "= ~(", 1).replace(";", ");"), 1)
    assert changed != netlist
    return changed


def test_a_changed_netlist_differs(
    reference: Reference, changed_netlist: str, tmp_path: Path
) -> None:
    found = reference.compare_netlist(changed_netlist, "changed", tmp_path)
    assert found.difference.startswith("momentum_flip: "), found


def verify_netlist(files: dict[str, str], samples: int) -> ChipCheck:
    inputs, state = random_samples(CHIP, samples, 5)
    return verify_chip(
        ChipTask(chip=CHIP, files=files, state=state, samples=inputs, seed=5, has_counters=False)
    )


def test_the_netlist_learns_in_lock_step(reference: Reference, netlist: str) -> None:
    check = verify_netlist(reference.simulation_files(netlist), 4)
    assert check.mismatch == ""
    assert check.samples == 4
    assert check.coverage["flips_to_one"] + check.coverage["flips_to_zero"] > 0
    assert "u_core_0.u_fire.spike_q" in check.signals


def test_the_bench_finds_a_change_of_the_netlist(
    reference: Reference, changed_netlist: str
) -> None:
    check = verify_netlist(reference.simulation_files(changed_netlist), 4)
    assert "weight" in check.mismatch


def test_verilog_that_yosys_refuses_is_told_in_a_line(tmp_path: Path) -> None:
    files = {**FILES, "fire.v": FILES["fire.v"].replace("endmodule", "")}
    with pytest.raises(CheckError, match=r"yosys: .*ERROR"):
        Reference(files, tmp_path)
