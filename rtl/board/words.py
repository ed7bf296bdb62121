"""Memory words as the register bus carries them: pieces of 32 bits, lowest first (RTL.md)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PIECE_BITS = 32

Registers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class RegisterLayout:
    """How a memory word is spread over registers.

    Attributes:
        used: registers that hold bits of the word.
        pitch: registers from one word to the next.
        width: bytes of a register that hold bits of it.
    """

    used: int
    pitch: int
    width: int


def register_layout(word_bits: int) -> RegisterLayout:
    """The layout of words of some bits."""
    used = -(-word_bits // PIECE_BITS)
    width = 4 if used > 1 else -(-word_bits // 8)
    return RegisterLayout(used, 1 << (used - 1).bit_length(), width)


def pack_words(values: npt.NDArray[np.integer], lanes: int, lane_bits: int) -> Registers:
    """Put a matrix of a core into registers, two's complement where a value is negative.

    Args:
        values: [rows, neurons], each within `lane_bits`.
        lanes: P (S2).
        lane_bits: of a lane.

    Returns:
        uint32 [rows * words * pitch]; padded lanes (S2) and registers between words are 0.
    """
    rows, neurons = values.shape
    num_words = -(-neurons // lanes)
    padded = np.zeros((rows, num_words * lanes), np.int64)
    padded[:, :neurons] = values
    lane_values = padded.reshape(rows * num_words, lanes)
    bits = (lane_values[:, :, None] >> np.arange(lane_bits)) & 1
    layout = register_layout(lanes * lane_bits)
    flat = np.zeros((rows * num_words, layout.pitch * PIECE_BITS), np.uint8)
    flat[:, : lanes * lane_bits] = bits.reshape(rows * num_words, -1)
    return np.packbits(flat, axis=1, bitorder="little").view("<u4").astype(np.uint32).reshape(-1)


def unpack_words(
    registers: Registers, rows: int, neurons: int, lanes: int, lane_bits: int, *, signed: bool
) -> npt.NDArray[np.int64]:
    """Read the matrix back from the registers of `pack_words`, int64 [rows, neurons]."""
    layout = register_layout(lanes * lane_bits)
    raw = np.ascontiguousarray(registers.astype("<u4")).view(np.uint8)
    flat = np.unpackbits(raw.reshape(-1, layout.pitch * 4), axis=1, bitorder="little")
    bits = flat[:, : lanes * lane_bits].reshape(-1, lanes, lane_bits).astype(np.int64)
    values: npt.NDArray[np.int64] = (bits << np.arange(lane_bits)).sum(axis=2)
    if signed:
        values -= (values >> (lane_bits - 1)) << lane_bits
    return values.reshape(rows, -1)[:, :neurons]
