"""What the top level of a chip on a board consists of, and how the host finds that it is the right chip."""

import json
import zlib
from dataclasses import dataclass
from functools import cached_property

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.rtl.board import protocol
from flipcore.rtl.board.boards import Board
from flipcore.rtl.board.words import register_layout
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.flip_unit import index_bits

SPRAMS = 4  # of an iCE40 UP5K
SPRAM_ROWS = 1 << 14
SPRAM_ROW_BITS = 16
BLOCK_RAM_BITS = 4096
MAX_SLOT_BITS = 10  # eight slots of 1 kB are 16 of the 30 block RAMs
MIN_CYCLES_PER_BIT = 4
DEFAULT_BAUD = 1_000_000

_UNSEEN = ("name", "description", "clock_mhz", "workload")  # what a bitstream does not depend on


def fingerprint(chip: Chip) -> int:
    """Number of 32 bits that tells chips apart: equal where all that a bitstream depends on is equal."""
    document = chip.model_dump(mode="json", exclude=set(_UNSEEN))
    text = json.dumps([protocol.VERSION, document], sort_keys=True)
    return zlib.crc32(text.encode())


@dataclass(frozen=True)
class BoardShape:
    """A chip with its serial port, as its Verilog needs it.

    Attributes:
        chip: the description.
        kind: the board.
        baud: bits per second of the serial line.

    Raises:
        InputError: the chip or the rate does not suit a board.
    """

    chip: Chip
    kind: Board
    baud: int = DEFAULT_BAUD

    def __post_init__(self) -> None:
        """Refuse what the top level cannot do."""
        cycles = 1e6 * self.kind.clock_mhz / self.baud
        if cycles < MIN_CYCLES_PER_BIT or abs(cycles / round(cycles) - 1) > 0.01:
            raise InputError(
                f"--baud {self.baud}: must divide the clock of {self.kind.clock_mhz} MHz into "
                f"{MIN_CYCLES_PER_BIT} cycles a bit or more, to 1 %"
            )
        if self.chip.classes > 1 << 8:
            raise InputError(
                f"{self.chip.name}: {self.chip.classes} classes: a board answers with one byte, at most 256"
            )
        if self.slot_bits > MAX_SLOT_BITS:
            raise InputError(
                f"{self.chip.name}: a sample of {self.chip.steps} steps and {self.chip.inputs} inputs takes "
                f"{protocol.sample_bytes(self.chip)} bytes: a board's buffer holds at most "
                f"{(1 << MAX_SLOT_BITS) - protocol.FRAME_BYTES}"
            )

    @property
    def title(self) -> str:
        """Chip and board, one line."""
        return f"{ChipShape(self.chip, counters=False).title} On {self.kind.title}."

    @property
    def fingerprint(self) -> int:
        """The chip's number."""
        return fingerprint(self.chip)

    @property
    def cycles_per_bit(self) -> int:
        """Clock cycles of a bit on the line."""
        return round(1e6 * self.kind.clock_mhz / self.baud)

    @property
    def timer_bits(self) -> int:
        """Bits that count them."""
        return index_bits(self.cycles_per_bit)

    @property
    def slot_bits(self) -> int:
        """Bits of an address in a slot of received frames."""
        payload = max(protocol.sample_bytes(self.chip), protocol.WORDS_HEADER + protocol.MAX_DATA)
        return index_bits(payload + protocol.FRAME_BYTES)

    @property
    def reply_bits(self) -> int:
        """Bits of an address in a slot of answers: its length, the frame without its CRC."""
        return index_bits(protocol.MAX_DATA + 3)

    @property
    def axon_bits(self) -> int:
        """Bits of an input's index, three at least: they also choose a bit of a byte."""
        return max(3, index_bits(self.chip.inputs))

    @property
    def step_bits(self) -> int:
        """Bits of a step's index."""
        return index_bits(self.chip.steps)

    @property
    def data_bits(self) -> int:
        """Bits of the event stream's data."""
        return max(index_bits(self.chip.inputs), index_bits(self.chip.classes))

    @property
    def class_bits(self) -> int:
        """Bits of a prediction."""
        return index_bits(self.chip.classes)

    @property
    def index_bits(self) -> int:
        """Bits of a register's index; the decoder takes it in by bytes."""
        most = max(
            core.axons * core.words * register_layout(bits).pitch
            for core in self.chip.layers
            for bits in (core.lanes, core.lanes * core.momentum_bits)
        )
        return max(9, index_bits(most))

    @cached_property
    def large_memories(self) -> list[tuple[int, int]]:
        """Words and bits of the memories of one port that lie in SPRAMs: the largest that fit one."""
        candidates = [
            (core.axons * core.words, bits)
            for core in self.chip.layers
            if core.memory_ports == "1rw"
            for bits in (core.lanes, core.lanes * core.momentum_bits)
            if core.axons * core.words * bits > BLOCK_RAM_BITS
            and core.axons * core.words * _pitch(bits) <= SPRAM_ROWS * SPRAM_ROW_BITS
        ]
        candidates.sort(key=lambda memory: -memory[0] * memory[1])
        return candidates[:SPRAMS]

    @property
    def large_condition(self) -> str:
        """Verilog condition that a memory's size is one of them."""
        sizes = dict.fromkeys(self.large_memories)
        tests = [f"(Words == {words} && Bits == {bits})" for words, bits in sizes]
        return "      " + "\n      || ".join(tests or ["1'b0"])


def _pitch(bits: int) -> int:
    """Bits that a word takes in a row of an SPRAM, which writes four at least; a wider one fits none."""
    if bits > SPRAM_ROW_BITS:
        return SPRAM_ROWS * SPRAM_ROW_BITS
    return max(4, 1 << (bits - 1).bit_length())
