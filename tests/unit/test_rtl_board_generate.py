"""The top level of a board: its text, its pins, what does not suit a board, and what the tools are told."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from flipcore.chip import Chip, load_chip
from flipcore.errors import CheckError, InputError, ToolError
from flipcore.rtl.board import bitstream
from flipcore.rtl.board.boards import BOARDS, find_board, pin_constraints
from flipcore.rtl.board.generate_board import board_files
from flipcore.rtl.board.shape import BoardShape, fingerprint
from flipcore.rtl.generate import write_files
from flipcore.rtl.yosys import Netlist

CHIPS = {
    "preset": ("digits-up5k", ()),
    "many_lanes": ("digits-up5k", ("layers.0.lanes=4", "layers.1.lanes=10", "inputs=37")),
    "one_input": ("digits-up5k", ("inputs=1", "steps=1", "layers.0.neurons=2")),
    "two_ports": ("digits", ("layers.0.neurons=12",)),
    "many_inputs": ("digits-up5k", ("inputs=700", "core.rule=tbso")),
}


def shape(name: str, board: str = "icebreaker", baud: int = 1_000_000) -> BoardShape:
    preset, changes = CHIPS[name]
    return BoardShape(load_chip(preset, changes), BOARDS[board], baud)


def preset(*changes: str) -> Chip:
    return load_chip("digits-up5k", changes)


@pytest.mark.parametrize("name", CHIPS)
def test_text_is_plain_and_tidy(name: str) -> None:
    files = board_files(shape(name))
    assert files == board_files(shape(name))
    for file, text in files.items():
        if not file.endswith(".v") or file == "flip_chip.v":
            continue
        assert text.isascii()
        assert text.endswith("\n`default_nettype wire\n"), file
        assert text.upper().count(f"MODULE {file.removesuffix('.v').upper()} ") == 1
        for line in text.splitlines():
            assert len(line) <= 100, (file, line)
            assert line == line.rstrip()
            assert "+:" not in line
        assert "\n\n\n" not in text


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", CHIPS)
def test_verilator_finds_nothing_wrong(name: str, board: str, tmp_path: Path) -> None:
    if shutil.which("verilator") is None:
        pytest.skip("verilator (Debian package `verilator`) is missing")
    paths = write_files(board_files(shape(name, board)), tmp_path)
    sources = [str(path) for path in paths if path.suffix == ".v"]
    quiet = ["-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL"]
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", *quiet, "--top-module", "board_top", *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_pins_of_each_port() -> None:
    for board in BOARDS.values():
        pins = pin_constraints(board)
        ports = [line.split()[1] for line in pins.splitlines() if line.startswith("set_io")]
        top = board_files(BoardShape(preset(), board))["board_top.v"].partition(");")[0]
        declared = [
            line.partition("//")[0].strip(" ,").split()[-1]
            for line in top.splitlines()
            if line.startswith(("  input", "  output"))
        ]
        assert sorted(ports) == sorted(declared)
        assert f"set_frequency clk_i {board.clock_mhz}\n" in pins
    assert "set_io uart_rx_i 6\n" in pin_constraints(BOARDS["icebreaker"])


def test_large_memories_lie_in_sprams() -> None:
    board = shape("preset")
    assert board.large_memories == [(4096, 16), (1280, 8), (4096, 2)]
    assert "(Words == 4096 && Bits == 16)" in board_files(board)["memory_1rw.v"]
    assert BoardShape(preset("inputs=256"), BOARDS["icebreaker"]).large_memories == [
        (16384, 16), (16384, 2), (1280, 8),
    ]  # fmt: skip
    assert shape("two_ports").large_memories == []


def test_slots_hold_the_longest_frame() -> None:
    assert shape("preset").slot_bits == 7
    assert shape("many_inputs").slot_bits == 10  # 529 bytes a sample


@pytest.mark.parametrize(
    ("changes", "baud", "text"),
    [
        ((), 5_000_000, "--baud 5000000: must divide the clock of 12 MHz into 4 cycles a bit"),
        ((), 2_600_000, "--baud 2600000: must divide"),
        (("inputs=2000",), 1_000_000, "a sample of 6 steps and 2000 inputs takes 1501 bytes"),
        (("layers.1.neurons=300",), 1_000_000, "300 classes: a board answers with one byte"),
    ],
)
def test_what_does_not_suit_a_board(changes: tuple[str, ...], baud: int, text: str) -> None:
    with pytest.raises(InputError) as refused:
        BoardShape(preset(*changes), BOARDS["icebreaker"], baud)
    assert text in str(refused.value)


def test_an_unknown_board() -> None:
    with pytest.raises(InputError, match=r"^--board arty: must be one of icebreaker, upduino$"):
        find_board("arty")


def test_fingerprint_is_of_what_the_bitstream_depends_on() -> None:
    same = preset("name=other", "clock_mhz=48", "workload.epochs=3")
    assert fingerprint(same) == fingerprint(preset())
    others = [preset(), preset("core.threshold=6"), preset("steps=5"), preset("error.margin=5")]
    assert len(set(map(fingerprint, others))) == len(others)
    text = board_files(shape("preset"))["frame_transmitter.v"]
    assert f"32'h{fingerprint(preset()):08X}" in text


FULL = """Info: 	         ICESTORM_LC:  5766/ 5280   109%
Info: 	        ICESTORM_RAM:    13/   30    43%
Info: 	      ICESTORM_SPRAM:     5/    4   125%
ERROR: Failed to expand region (0, 0) |_> (25, 31) of 5766 ICESTORM_LCs
"""


def tools(
    monkeypatch: pytest.MonkeyPatch, printed: str, status: int, speeds: list[float]
) -> list[str]:
    """Put programs in place of the real ones: a placement that prints this and reaches these speeds; returns its seeds."""
    seeds: list[str] = []

    def run(
        name: str, arguments: list[str], folder: Path, log: str, *, may_fail: bool = False
    ) -> tuple[int, str]:
        if name == "icepack":
            (folder / arguments[1]).write_bytes(b"bits")
        else:
            seeds.append(arguments[arguments.index("--seed") + 1])
            speed = speeds[len(seeds) - 1] if speeds else 0.0
            report = {
                "fmax": {"clk": {"achieved": speed}},
                "utilization": {"ICESTORM_LC": {"used": 5067}},
            }
            (folder / "report.json").write_text(json.dumps(report))
        return status, printed

    cells = {"SB_LUT4": 3965, "SB_DFF": 600, "SB_DFFER": 1010, "SB_SPRAM256KA": 3}
    monkeypatch.setattr(bitstream, "run_program", run)
    monkeypatch.setattr(bitstream, "require_program", lambda name: None)
    monkeypatch.setattr(bitstream, "program_version", lambda name, argument: name)
    monkeypatch.setattr(
        bitstream, "map_to_ice40", lambda *_, **__: Netlist(cells=cells, registers={})
    )
    return seeds


def test_a_chip_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools(monkeypatch, FULL, 1, [])
    with pytest.raises(CheckError) as refused:
        bitstream.build_bitstream(shape("preset"), tmp_path, [1])
    assert str(refused.value) == (
        "digits-up5k does not fit 1BitSquared iCEBreaker 1.0: "
        "5,766 logic cells of 5,280, 5 SPRAMs of 4"
    )


def test_placements_are_tried_until_one_is_fast_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seeds = tools(monkeypatch, "", 0, [11.9, 12.51, 14.0])
    result = bitstream.build_bitstream(shape("preset"), tmp_path, [3, 4, 5])
    assert seeds == ["3", "4"]
    assert (result.seed, result.fmax_mhz, result.logic_cells) == (4, 12.51, 5067)
    assert (result.luts, result.flip_flops, result.large_rams) == (3965, 1610, 3)
    assert Path(result.path).read_bytes() == b"bits"


def test_no_placement_is_fast_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools(monkeypatch, "", 0, [11.9, 11.0])
    with pytest.raises(CheckError, match=r"only 11\.90 MHz with seed 1, 11\.00 MHz with seed 2: "):
        bitstream.build_bitstream(shape("preset"), tmp_path, [1, 2])
    assert not (tmp_path / "board.bin").exists()


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def found(name: str) -> str | None:
        return None if name == "icepack" else f"/usr/bin/{name}"

    monkeypatch.setattr("flipcore.rtl.programs.shutil.which", found)
    with pytest.raises(
        ToolError, match=r"^icepack: not found: .* \(Debian package `fpga-icestorm`\)"
    ):
        bitstream.build_bitstream(shape("preset"), tmp_path, [1])
    assert not list(tmp_path.iterdir())
