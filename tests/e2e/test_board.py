"""`flipcore board` as a user runs it, without a board: what it writes, what it refuses."""

import os
import tty
from pathlib import Path

import pytest

from tests.e2e.command import figures_of, flipcore, one_line_of


def test_verilog_and_pins_are_written(tmp_path: Path) -> None:
    words = ("board", "build", "--board", "upduino", "--out", "out", "--verilog-only", "--json")
    figures = figures_of(flipcore(*words, folder=tmp_path))
    assert figures["board"] == "upduino"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {Path(file).name for file in figures["files"]} == written
    assert {"board.pcf", "board_top.v", "flip_chip.v", "memory_1rw.v"} <= written
    assert "set_io flash_cs_no 16\n" in (tmp_path / "out" / "board.pcf").read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("build", "--board", "arty"), "--board arty: must be one of icebreaker, upduino"),
        (("build", "--baud", "7000000"), "--baud 7000000: must divide the clock of 12 MHz"),
        (("train", "--port", "/dev/none"), "--port /dev/none: cannot be opened: No such file"),
        (("train", "mnist", "--port", "x", "--dataset", "digits"), "digits: 64 inputs a sample"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], text: str, tmp_path: Path) -> None:
    if words[0] == "train":
        pytest.importorskip("serial", reason="pyserial is not installed")
    assert text in one_line_of(flipcore("board", *words, folder=tmp_path))


def test_nobody_answers(tmp_path: Path) -> None:
    pytest.importorskip("serial", reason="pyserial is not installed")
    near, far = os.openpty()
    tty.setraw(far)
    try:
        words = ("board", "train", "--port", os.ttyname(far), "--timeout", "0.01")
        line = one_line_of(flipcore(*words, folder=tmp_path))
    finally:
        os.close(near)
        os.close(far)
    assert "no board answers: is it the right port, and the bitstream loaded?" in line
