"""Boards with an iCE40 UP5K that a bitstream can be made for, and their pins."""

from dataclasses import dataclass

from flipcore.errors import InputError

DEFAULT_BOARD = "icebreaker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A board.

    Attributes:
        name: as the command line says it.
        title: its full name.
        clock_mhz: of the crystal, which is the chip's clock.
        clock_pin, receive_pin, transmit_pin: of the FPGA; received is what comes from the host.
        led_pin: of a LED that lights when driven low; None: the top level has no such port.
        flash_select_pin: of the flash's chip select, where the flash shares the pins of the serial line.
        wiring: what has to be done to the board, one sentence.
    """

    name: str
    title: str
    clock_mhz: int
    clock_pin: int
    receive_pin: int
    transmit_pin: int
    led_pin: int | None
    flash_select_pin: int | None
    wiring: str


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="icebreaker",
            title="1BitSquared iCEBreaker 1.0",
            clock_mhz=12,
            clock_pin=35,
            receive_pin=6,
            transmit_pin=9,
            led_pin=11,
            flash_select_pin=None,
            wiring="Nothing to wire: USB brings power, the bitstream and the serial line (the second port).",
        ),
        Board(
            name="upduino",
            title="tinyVision.ai UPduino 3",
            clock_mhz=12,
            clock_pin=20,
            receive_pin=15,
            transmit_pin=14,
            led_pin=None,
            flash_select_pin=16,
            wiring="Close the jumper OSC (R16), which brings the 12 MHz clock to pin 20; USB does the rest.",
        ),
    )
}


def find_board(name: str) -> Board:
    """Look a board up.

    Raises:
        InputError: there is no such board.
    """
    if name not in BOARDS:
        raise InputError(f"--board {name}: must be one of {', '.join(BOARDS)}")
    return BOARDS[name]


def pin_constraints(board: Board) -> str:
    """Text of the constraints file (.pcf) of the top level `board_top`."""
    pins = {"clk_i": board.clock_pin, "uart_rx_i": board.receive_pin}
    pins["uart_tx_o"] = board.transmit_pin
    if board.led_pin is not None:
        pins["led_no"] = board.led_pin
    if board.flash_select_pin is not None:
        pins["flash_cs_no"] = board.flash_select_pin
    lines = [f"# {board.title}: {board.wiring}"]
    lines += [f"set_io {port} {pin}" for port, pin in pins.items()]
    lines.append(f"set_frequency clk_i {board.clock_mhz}")
    return "\n".join([*lines, ""])
