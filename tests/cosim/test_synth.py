"""Synthesis of the flip unit with the real programs, in a real cell library and on an iCE40."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flipcore.rtl.generate import flip_unit_files
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
