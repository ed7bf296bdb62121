"""The netlist of a small chip learns what the simulator learns, and its toggles are weighed, in a real cell library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flipcore.rtl.characterize import RANDOM, Subject, measure
from flipcore.rtl.liberty import Library, read_liberty

pytestmark = pytest.mark.cosim

Find = Callable[[str, str], Path]
# Seven lanes: a synthesis once took a shift by a multiple of them for another (docs/VERIFICATION.md).
CHANGES = ("inputs=25", "layers=[{neurons: 3}, {neurons: 2}]", "core.lanes=7", "steps=2")
SUBJECT = Subject(name="tiny", preset="digits", changes=CHANGES, dataset=RANDOM, samples=4)


@pytest.fixture(scope="module")
def library(require_tool: Find, data_dir: Path) -> Library:
    for program in ("yosys", "iverilog"):
        require_tool(program, program)
    libraries = sorted((data_dir / "tech").glob("*/stdcell/*typ*.lib.gz"))
    if not libraries:
        pytest.skip("no Liberty file in the folder of real data")
    return read_liberty(libraries[0])


@pytest.fixture(scope="module")
def record(library: Library) -> dict[str, Any]:
    return measure(SUBJECT, library)  # compares predictions and the cycles of phases


def test_energy_lies_where_the_work_is(record: dict[str, Any]) -> None:
    phases = record["phases"]
    busy = phases["update 0"]["toggles_pj"]
    assert busy["0"] / phases["update 0"]["cycles"] > 1  # pJ a cycle
    assert busy["0"] > 5 * busy.get("1", 0.0)
    above = phases["error 1"]["toggles_pj"]
    assert above["1"] > 5 * above.get("0", 0.0)
    assert phases["update 0"]["counts"]["words_visited"] > 0


def test_gated_clocks_take_a_part_of_what_all_registers_would(record: dict[str, Any]) -> None:
    for module in ("0", "1"):
        every_register = 0.03 * record["flip_flops"][module]  # pJ a cycle, about, in this library
        assert 0 < record["clock_pj"][module] < 0.5 * every_register
        assert record["leakage_nw"][module] > 0
        assert record["area_um2"][module] > 1000
