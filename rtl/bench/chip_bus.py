"""The chip's register bus: its address map, and a driver that makes one transfer after the other (docs/RTL.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge

from flipcore.rtl.bench import streams

CHIP, WEIGHT, MOMENTUM, GENERATOR, SECOND_MOMENT, COUNTERS = range(6)
IDENTITY, STATUS, SAMPLES_LOW, SAMPLES_HIGH = range(4)  # indices of region CHIP
IDENTITY_VALUE = 0x464C4950  # FLIP
UNKNOWN = -1  # in place of a value that was read with x or z in it
PIECE = 0xFFFFFFFF


def address(region: int, core: int, index: int) -> int:
    """Address of a register."""
    return region << 28 | core << 24 | index


@dataclass(frozen=True)
class Pieces:
    """How a memory word is spread over 32-bit registers.

    Attributes:
        used: pieces that hold bits of the word.
        pitch: registers from one word to the next.
    """

    used: int
    pitch: int

    @classmethod
    def of(cls, word_bits: int) -> "Pieces":
        """Pieces of a word, lowest first."""
        used = -(-word_bits // 32)
        return cls(used, 1 << (used - 1).bit_length())

    def split(self, word: int) -> list[int]:
        """Contents of the registers of a word."""
        return [word >> (32 * piece) & PIECE for piece in range(self.used)]

    def join(self, pieces: Sequence[int]) -> int:
        """The word that these registers hold; UNKNOWN if one is."""
        if UNKNOWN in pieces:
            return UNKNOWN
        return sum(piece << (32 * place) for place, piece in enumerate(pieces))


class Bus:
    """Drives the register bus."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Take over the bus's inputs; the driver offers nothing yet."""
        self._edge = RisingEdge(streams.logic(dut, "clk_i"))
        self._valid = streams.logic(dut, "bus_valid_i")
        self._ready = streams.logic(dut, "bus_ready_o")
        self._is_ready = RisingEdge(self._ready)
        self._write = streams.logic(dut, "bus_write_i")
        self._address = streams.bits(dut, "bus_address_i")
        self._wdata = streams.bits(dut, "bus_wdata_i")
        self._rdata = streams.bits(dut, "bus_rdata_o")
        self.transfers = 0
        self.stop()

    def stop(self) -> None:
        """Offer nothing."""
        self._valid.value = 0

    async def write(self, registers: Iterable[tuple[int, int]]) -> None:
        """Write values to addresses, in order."""
        self._write.value = 1
        for place, value in registers:
            self._address.value = place
            self._wdata.value = value
            await self._transfer()
        self.stop()

    async def read(self, addresses: Iterable[int]) -> list[int]:
        """Read addresses, in order; a value with an unknown bit is UNKNOWN."""
        values = []
        self._write.value = 0
        for place in addresses:
            self._address.value = place
            await self._transfer()
            bits = str(self._rdata.value)
            values.append(int(bits, 2) if set(bits) <= {"0", "1"} else UNKNOWN)
        self.stop()
        return values

    async def _transfer(self) -> None:
        """Offer what the inputs say until it is taken."""
        self._valid.value = 1
        await self._edge
        while self._ready.value != 1:
            await (
                self._is_ready
            )  # polling every cycle of a sample would take most of the bench's time
            await self._edge
        self.transfers += 1
