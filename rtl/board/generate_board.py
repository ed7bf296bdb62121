"""Verilog-2005 of a chip on a board: the chip's own files, its serial port, memories of the device, pins."""

import jinja2

from flipcore.rtl.board import protocol
from flipcore.rtl.board.boards import pin_constraints
from flipcore.rtl.board.shape import BoardShape
from flipcore.rtl.generate import chip_files

TOP = "board_top"
PINS_FILE = "board.pcf"
_MODULES = (
    "board_top",
    "uart_receiver",
    "uart_transmitter",
    "crc32_serial",
    "frame_receiver",
    "frame_transmitter",
    "command_decoder",
    "memory_1rw",
    "sb_spram256ka",
)
SIMULATION_FILE = "simulation.cpp"


def board_files(board: BoardShape) -> dict[str, str]:
    """Generate all that a bitstream is made of.

    Returns:
        File name to text; the top module is `board_top`. The same chip and board give the same bytes.
    """
    files = chip_files(board.chip, counters=False)
    files |= {f"{name}.v": _render(f"board/{name}.v", board) for name in _MODULES}
    files.setdefault("memory_1r1w.v", _render("memory_1r1w.v", board))
    files[PINS_FILE] = pin_constraints(board.kind)
    return dict(sorted(files.items()))


def simulation_text(board: BoardShape) -> str:
    """Generate the program that Verilator needs around the top level, C++."""
    return _render(f"board/{SIMULATION_FILE}", board)


def _render(name: str, board: BoardShape) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flipcore.rtl", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template(f"{name}.j2")
    return template.render(board=board, protocol_version=protocol.VERSION)
