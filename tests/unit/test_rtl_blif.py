"""Netlists in BLIF, cut open at registers and instances."""

from pathlib import Path

import pytest

from flipcore.errors import CheckError
from flipcore.rtl.blif import ONE, CutModule, read_cut_modules, sources, write_logic

TEXT = """\
# written by yosys
.model top
.inputs clk a
.outputs y
.names $false
.latch d q re clk 2
.subckt $_DFF_PN1_ C=clk D=q Q=r R=a
.cname reg
.subckt box in_i=r out_o[0]=o
.cname u_box
.names a q d
11 1
.names q y
1 1
.names y z
1 1
.end
"""


def cut(tmp_path: Path, text: str = TEXT) -> dict[str, CutModule]:
    path = tmp_path / "top.blif"
    path.write_text(text)
    return read_cut_modules(path, {"box": {"in_i": "input", "out_o": "output"}})


def test_registers_and_instances_are_cut(tmp_path: Path) -> None:
    top = cut(tmp_path)["top"]
    assert (top.inputs, top.outputs) == ({"clk", "a"}, {"y"})
    assert {net: one.kind for net, one in top.registers.items()} == {"q": "$_DFF_P_", "r": "$_DFF_PN1_"}  # fmt: skip
    assert top.registers["q"].pins == {"C": "clk", "D": "d"}
    assert top.registers["r"].pins == {"C": "clk", "D": "q", "R": "a"}
    assert top.registers["q"].names == {"q", "y", "z"}
    assert top.children == {"u_box": "box"}
    assert top.child_inputs == {"u_box|in_i": "r"}
    assert top.child_outputs == {"u_box|out_o[0]": "o"}
    assert sources(top, ["y"]) == {"y", "q"}
    assert sources(top, ["d"]) == {"d", "a", "q"}


def test_logic_is_written_for_abc(tmp_path: Path) -> None:
    top = cut(tmp_path)["top"]
    path = tmp_path / "logic.blif"
    write_logic(path, top, {"a": ["a"], "both": ["q", "r"], "more": []}, {"y": "y", "k": ONE}, {"o": True})  # fmt: skip
    lines = path.read_text().splitlines()
    assert lines[1:3] == [".inputs a| both| more|", ".outputs |k |y"]
    for line in (".names both| q", ".names both| r", ".names |1 o", ".names |1 |k", ".names y |y"):
        assert lines[lines.index(line) + 1] == "1 1"
    assert not any(line.startswith((".latch", ".subckt")) for line in lines)


def test_an_unknown_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"top: yosys left a cell \$_SR_PP_"):
        cut(tmp_path, TEXT.replace("$_DFF_PN1_", "$_SR_PP_"))
