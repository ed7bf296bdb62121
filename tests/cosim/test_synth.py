"""Synthesis of the flip unit with the real programs, in a real cell library and on an iCE40."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flipcore.chip import parse_chip
from flipcore.rtl.asic import synthesize_asic
from flipcore.rtl.generate import chip_files, flip_unit_files
from flipcore.rtl.synth import Ice40Result, LibraryResult, Options, synthesize
from tests.cores import core_shape

pytestmark = pytest.mark.cosim

Find = Callable[[str, str], Path]

UNIT = {"lanes": 2, "gradient_shift": 4, "max_gradient_shift": 5}


def test_flip_unit_in_a_cell_library(require_tool: Find, data_dir: Path, tmp_path: Path) -> None:
    require_tool("yosys", "yosys")
    require_tool("sta", "opensta")
    libraries = sorted((data_dir / "tech").glob("*/stdcell/*typ*.lib.gz"))
    if not libraries:
        pytest.skip("no Liberty file in the folder of real data")
    files = flip_unit_files(core_shape(UNIT, counters=False))
    options = Options(keep=tmp_path)
    result = synthesize(files, "flip_unit", f"liberty:{libraries[0]}", options)
    assert isinstance(result, LibraryResult)
    assert result.latches == 0
    assert result.flip_flops > 2 * 8  # at least the rounded gradients
    assert result.cells == sum(result.cells_by_name.values())
    assert 0 < result.critical_path_ns < 20
    assert result.meets_period == (result.critical_path_ns <= 5)
    assert result.memory_bits == 0
    assert (tmp_path / "netlist.v").is_file()
    json.dumps(result.cells_by_kind)


def test_a_chip_with_sram_macros_at_three_corners(
    require_tool: Find, data_dir: Path, tmp_path: Path
) -> None:
    require_tool("yosys", "yosys")
    require_tool("sta", "opensta")
    cells = data_dir / "tech" / "ihp-sg13g2" / "stdcell"
    corners = [cells / f"sg13g2_stdcell_{corner}.lib.gz" for corner in ("typ_1p20V_25C", "slow_1p08V_125C", "fast_1p32V_m40C")]  # fmt: skip
    macros = data_dir / "tech" / "ihp-sg13g2" / "sram"
    if not all(path.exists() for path in (*corners, macros)):
        pytest.skip(
            "no Liberty files of the cells at three corners, or of SRAM, in the folder of real data"
        )
    chip = parse_chip(
        {"name": "banks", "inputs": 40, "steps": 1, "core": {"lanes": 2, "memory_ports": "1rw"}, "layers": [{"neurons": 30}, {"neurons": 4}]},
        "banks",
    )  # fmt: skip
    files = chip_files(chip, counters=False)
    result = synthesize_asic(files, corners[0], corners[1:], macros, period_ns=20.0, keep=tmp_path)
    control, first, last = result.modules
    assert (control.module, control.sram_um2) == ("control", 0)
    assert first.sram_um2 > last.sram_um2
    assert result.logic_um2 == pytest.approx(sum(part.logic_um2 for part in result.modules))
    placed = {memory.macro: memory for memory in result.memories if memory.macro}
    assert sum(m.area_um2 * m.count for m in placed.values()) <= result.sram_um2
    momentum = next(m for m in result.memories if (m.words, m.bits) == (600, 16))
    assert momentum.rows * int(momentum.macro.partition("1P_")[2].partition("x")[0]) >= 600
    assert any(memory.macro == "" for memory in result.memories)  # too small for a macro
    assert result.latches == 0
    typical, slow, fast = result.corners
    assert fast.path_ns < typical.path_ns < slow.path_ns
    assert typical.sram == "Liberty files"
    assert slow.sram == "clock to data of data sheets at 1.08 V, 125 C"
    assert typical.start.startswith(("u_core_", "u_control"))
    report = (tmp_path / f"path_{typical.library}.txt").read_text()
    assert report.startswith("Startpoint:")


def test_flip_unit_on_an_ice40(require_tool: Find) -> None:
    require_tool("yosys", "yosys")
    require_tool("nextpnr-ice40", "nextpnr-ice40")
    files = flip_unit_files(core_shape(UNIT, counters=False))
    result = synthesize(files, "flip_unit", "ice40-hx8k", Options())
    assert isinstance(result, Ice40Result)
    assert result.fits
    assert result.latches == 0
    assert 0 < result.luts < 2000
    assert result.fmax_mhz is not None and result.fmax_mhz > 5
    assert result.logic_cells is not None and result.logic_cells >= result.luts
