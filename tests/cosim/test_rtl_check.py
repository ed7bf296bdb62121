"""pyverilog reads what was generated: its bits are the memory table's, and the text that it writes back learns the same."""

import re
import shutil

import pytest

from flipcore.chip import Chip, load_chip
from flipcore.errors import CheckError
from flipcore.hwmodel.memory import core_stores
from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.random_chips import random_chips
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.chip_verify import ChipTask, verify_chip
from flipcore.rtl.generate import chip_files
from flipcore.rtl.syntax import (
    Design,
    core_bits,
    parameter_differences,
    read_design,
    store_differences,
)
from flipcore.rtl.tables import port_differences

pytest.importorskip("pyverilog", reason="pyverilog is not installed")
pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]

CHIPS = [load_chip("digits"), *random_chips(4, 3)]


def differences(chip: Chip, design: Design) -> list[str]:
    found = []
    for c, shape in enumerate(ChipShape(chip, True).cores):
        found += store_differences(design, c, core_stores(chip, c))
        values = {name: parameter.value for name, parameter in shape.parameters.items()}
        found += parameter_differences(design, c, values)
    return found


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_every_store_has_the_bits_of_the_memory_table(chip: Chip) -> None:
    files = chip_files(chip)
    design = read_design(files, "flip_chip")
    assert differences(chip, design) == []
    assert port_differences(files, design.instances) == []
    for c in range(len(chip.layers)):
        bits = core_bits(design, c)
        assert bits.counters == 39 * 32
        assert bits.stores["weight"] > 0
        assert all(name.partition(".")[0] != "u_event_counters" for name in bits.control)


@pytest.mark.parametrize("chip", CHIPS[1:3], ids=lambda chip: chip.name)
def test_the_text_written_back_learns_the_same(chip: Chip) -> None:
    design = read_design(chip_files(chip), "flip_chip")
    samples, state = random_samples(chip, 2, 5)
    task = ChipTask(chip=chip, files=design.round_trip, state=state, samples=samples, seed=5)
    check = verify_chip(task)
    assert check.mismatch == ""
    assert check.samples == 2


def test_a_register_too_wide_and_a_wrong_parameter_are_told() -> None:
    chip = load_chip("digits")
    files = chip_files(chip)
    event_input, core = files["event_input.v"], files["flip_core.v"]
    assert event_input.count("reg [Axons-1:0]     event_map_q;") == 1
    assert core.count(".Bits       (Lanes*PotentialBits)") == 1
    files["event_input.v"] = event_input.replace(
        "reg [Axons-1:0]     event_map_q;", "reg [Axons:0]       event_map_q;"
    )
    files["flip_core.v"] = core.replace(
        ".Bits       (Lanes*PotentialBits)", ".Bits       (Lanes*PotentialBits+1)"
    )
    override = re.compile(r"(\.Threshold *)\(5\)")
    assert len(override.findall(files["flip_chip.v"])) == 1
    files["flip_chip.v"] = override.sub(r"\1(6)", files["flip_chip.v"])
    found = differences(chip, read_design(files, "flip_chip"))
    assert "core 0: event_map: 65 bits in the Verilog, 64 in the memory table" in found
    assert "core 0: potential: 2,576 bits in the Verilog, 2,560 in the memory table" in found
    assert "u_core_0.u_fire: Threshold is 6, the generator's is 5" in found


def test_text_that_does_not_parse_is_refused() -> None:
    files = chip_files(load_chip("digits"))
    files["fire.v"] = files["fire.v"].replace("endmodule", "")
    with pytest.raises(CheckError, match=r"^flip_chip: pyverilog refuses it: "):
        read_design(files, "flip_chip")
