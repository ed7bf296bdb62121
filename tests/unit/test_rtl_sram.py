"""SRAM macros in the place of memories: what is read of them, which are taken, and that what they make up is the memory."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.rtl.liberty import Macro
from flipcore.rtl.sram import SramMacro, plan_memory, read_sram_macros, sram_box, sram_module

LIBERTY = """\
library (ram_typ) {{
  time_unit : "1ns";
  nom_voltage : 1.20;
  nom_temperature : 25;
  cell (ram_{size}) {{
    area : {area};
    pin (A_BM) {{ direction : input; }}
    bus (A_DOUT) {{
      direction : output;
      timing () {{
        cell_rise (table) {{ index_1("1.0"); values ("4.0,4.2"); }}
        rise_transition (table) {{ values ("0.5"); }}
      }}
    }}
    bus (A_DIN) {{ timing () {{ rise_constraint (table) {{ values ("0.3"); }} }} }}
  }}
}}
"""
SHEET = """\
| Timing            | Timing Type | Direction | wc_1d08V_125C | bc_1d32V_m55C | tc_1d20V_25C | Units |
| Clock to Data Out | Delay       | Rising    | 6.00e+00      | 2.00e+00      | 4.00e+00     | ns    |
| Clock to Data Out | Delay       | Falling   | 5.00e+00      | 1.00e+00      | 3.00e+00     | ns    |
"""
PORTS = {
    "clk_i": ("input", 1),
    "read_i": ("input", 1),
    "read_address_i": ("input", 4),
    "read_data_o": ("output", 5),
    "write_i": ("input", 1),
    "write_address_i": ("input", 4),
    "write_data_i": ("input", 5),
}


def memory(wrapper: str, words: int, bits: int) -> Macro:
    return Macro(module=f"{wrapper}_{words}x{bits}", wrapper=wrapper, words=words, bits=bits, count=1, ports=PORTS)  # fmt: skip


def macro(words: int, bits: int, area: float, *, two_ports: bool = False) -> SramMacro:
    return SramMacro(
        name=f"ram_{words}x{bits}",
        words=words,
        bits=bits,
        two_ports=two_ports,
        has_mask=True,
        has_test=True,
        area_um2=area,
        voltage=1.2,
        access_ns={},
        text="",
    )


def test_liberty_files_and_data_sheets_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.lib").write_text(LIBERTY.format(size="64x8", area=100))
    (tmp_path / "b.lib").write_text(LIBERTY.format(size="32x4", area=50))
    (tmp_path / "ram_64x8.txt").write_text(SHEET)
    (tmp_path / "notes.txt").write_text("none of a macro")
    first, second = read_sram_macros(tmp_path)
    assert (first.name, first.words, first.bits, first.area_um2) == ("ram_64x8", 64, 8, 100)
    assert (first.two_ports, first.has_mask, first.has_test) == (False, True, False)
    assert first.access_ns == {1.08: (125.0, 6.0), 1.32: (-55.0, 2.0), 1.2: (25.0, 4.0)}
    assert [second.is_timed_at(volt) for volt in (1.2, 1.08)] == [True, False]
    assert first.liberty_at(1.2) == first.text
    slow = first.liberty_at(1.08)
    assert slow == first.text.replace('"4.0,4.2"', '"6.0000,6.3000"')  # 6 of 4, and no other table


def test_a_folder_without_macros_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no Liberty file \(\.lib or \.lib\.gz\) of an SRAM macro"
    ):
        read_sram_macros(tmp_path)
    (tmp_path / "x.lib").write_text(LIBERTY.format(size="large", area=1))
    with pytest.raises(InputError, match=r"x\.lib: must hold one SRAM macro with words x bits"):
        read_sram_macros(tmp_path)


def test_the_least_area_is_taken() -> None:
    macros = [macro(64, 8, 100), macro(16, 8, 45), macro(64, 4, 40), macro(64, 8, 1, two_ports=True)]  # fmt: skip
    plan = plan_memory(memory("memory_1rw", 60, 8), macros)
    assert (plan.macro.name, plan.rows, plan.columns, plan.area_um2) == ("ram_64x4", 1, 2, 80)
    plan = plan_memory(memory("memory_1rw", 20, 5), macros)
    assert (plan.macro.name, plan.rows, plan.columns, plan.area_um2) == ("ram_64x4", 1, 2, 80)
    plan = plan_memory(memory("memory_1rw", 16, 8), macros)
    assert (plan.macro.name, plan.rows, plan.columns) == ("ram_16x8", 1, 1)
    with pytest.raises(InputError, match="memory_1r1w: no macro with such ports"):
        plan_memory(memory("memory_1r1w", 16, 8), macros[:3])


# What a data sheet says of a macro: it reads, writes, or does nothing, and data stay until the next read.
BEHAVIOUR = """\
  reg [{bits}:0] words [0:{last}];
  reg [{bits}:0] data;
  always @(posedge {read}_CLK) if ({read}_MEN & {read}_REN & ~{read}_WEN) data <= words[{read}_ADDR];
  always @(posedge {write}_CLK) if ({write}_MEN & {write}_WEN) words[{write}_ADDR] <= {write}_DIN;
  assign {read}_DOUT = data;
endmodule
"""
BENCH = """\
`timescale 1ns/1ns
module bench;
  reg clk = 0;
  reg read = 0, write = 0;
  reg [3:0] read_address = 0, write_address = 0;
  reg [4:0] write_data = 0;
  wire [4:0] own, wanted;
  {made} u_made (.clk_i(clk), .read_i(read), .read_address_i(read_address), .read_data_o(own), .write_i(write), .write_address_i(write_address), .write_data_i(write_data));
  {wrapper} #(.Words(11), .Bits(5), .AddressBits(4)) u_wrapper (.clk_i(clk), .read_i(read), .read_address_i(read_address), .read_data_o(wanted), .write_i(write), .write_address_i(write_address), .write_data_i(write_data));
  initial begin
{steps}
    $display("compared");
  end
endmodule
"""


@pytest.mark.parametrize("wrapper", ["memory_1rw", "memory_1r1w"])
def test_a_memory_of_macros_is_the_memory(wrapper: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog (Debian package) is missing")
    two_ports = wrapper == "memory_1r1w"
    ram = macro(4, 2, 1, two_ports=two_ports)
    plan = plan_memory(memory(wrapper, 11, 5), [ram])
    assert (plan.rows, plan.columns) == (3, 3)
    ports = {"read": "A", "write": "B" if two_ports else "A"}
    model = sram_box(ram).replace("(* blackbox *) ", "").replace("endmodule\n", "\n")
    model += BEHAVIOUR.format(bits=ram.bits - 1, last=ram.words - 1, **ports)
    draw = random.Random(1)
    steps = []
    for address in range(11):
        steps.append(f"write = 1; write_address = {address}; write_data = {draw.randrange(32)};")
    for _ in range(200):
        write, address = draw.randrange(2), draw.randrange(11)
        read = draw.randrange(2) if two_ports else 1 - write
        other = (address + draw.randrange(1, 11)) % 11
        steps.append(f"write = {write}; write_address = {address}; write_data = {draw.randrange(32)}; read = {read}; read_address = {other};")  # fmt: skip
    clock = ' #1 clk = 1; #1 clk = 0; if (own !== wanted) begin $display("differ"); $finish; end'
    bench = BENCH.format(made=plan.memory.module, wrapper=wrapper, steps="\n".join(f"    {step}{clock}" for step in steps))  # fmt: skip
    original = Path("rtl/templates") / f"{wrapper}.v.j2"
    (tmp_path / "all.v").write_text(model + sram_module(plan) + original.read_text() + bench)
    build = ["iverilog", "-g2005", "-s", "bench", "-o", tmp_path / "sim", tmp_path / "all.v"]
    subprocess.run(build, check=True, capture_output=True)
    ran = subprocess.run(["vvp", "-n", tmp_path / "sim"], check=True, capture_output=True, text=True)  # fmt: skip
    assert ran.stdout.split() == ["compared"]
