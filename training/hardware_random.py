"""The chip's generators (R5) for many draws at once: the state after any number of steps is computed, not stepped to."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from flipcore import numerics
from flipcore.chip import MAX_GRADIENT_SHIFT, Core

_DIGIT_BITS = 5
_DIGITS = 5  # counts below 2**25: no update or decay of a core draws more than A * J <= 2**22 times
_BASE = 1 << _DIGIT_BITS
_BYTE = 0xFF
# No rounding uses more low bits of a random number than this (S4), so that lanes fit 32-bit integers.
NOISE_BITS = numerics.noise_mask(MAX_GRADIENT_SHIFT)


def _apply(columns: npt.NDArray[np.int64], states: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Product over GF(2) of a matrix, given by its 32 columns in the last axis, and states of any shape."""
    bits = (states[..., None] >> np.arange(32)) & 1
    product: npt.NDArray[np.int64] = np.bitwise_xor.reduce(bits * columns, axis=-1)
    return product


def _power_columns() -> npt.NDArray[np.int64]:
    """Columns of the generator's matrix raised to digit * 32**place, int64 [places, digits, 32]."""
    unit = np.int64(1) << np.arange(32, dtype=np.int64)
    columns = np.empty((_DIGITS, _BASE, 32), np.int64)
    power: npt.NDArray[np.int64] = numerics.xorshift32(unit)
    for place in range(_DIGITS):
        columns[place, 0] = unit
        for digit in range(1, _BASE):
            columns[place, digit] = _apply(power, columns[place, digit - 1])
        power = _apply(power, columns[place, _BASE - 1])
    return columns


def _byte_tables() -> npt.NDArray[np.int64]:
    """What each byte of a state contributes to each power's product, int64 [places, digits, 4, 256]."""
    columns = _power_columns().reshape(_DIGITS, _BASE, 4, 1, 8)
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    tables: npt.NDArray[np.int64] = np.bitwise_xor.reduce(columns * bits, axis=-1)
    return tables


class GeneratorJumps:
    """Jumps of xorshift32 (R5): a step is linear over GF(2), so that k steps are one matrix.

    A count is taken apart into digits of five bits; for each, four table look-ups (one per byte of the state) multiply by the
    digit's power of the step's matrix. Every state is thus found from its core's present one, independently of all others.
    """

    def __init__(self, device: torch.device) -> None:
        """Build the tables, 0.7 MB, from `numerics.xorshift32` itself."""
        self._tables = [
            torch.from_numpy(table.reshape(-1).astype(np.uint32).view(np.int32)).to(device)
            for table in _byte_tables()
        ]
        byte = torch.arange(4, dtype=torch.int32, device=device)
        self._shifts = 8 * byte
        self._starts = 256 * byte

    def after(self, states: Tensor, counts: Tensor, most: int) -> Tensor:
        """States after `counts` steps.

        Args:
            states: int32, the 32 bits of a generator.
            counts: int32, 0 ... most, of a shape that broadcasts with that of the states.
            most: an upper bound of the counts, below 2**25; what lies above it costs nothing.

        Returns:
            int32 in the broadcast shape.
        """
        place = 0
        while most >> (place * _DIGIT_BITS):
            digit = (counts >> (place * _DIGIT_BITS)) & (_BASE - 1)
            states = self._multiply(self._tables[place], digit << 10, states)
            place += 1
        return states

    def _multiply(self, table: Tensor, start: Tensor, states: Tensor) -> Tensor:
        """Sum over GF(2) of what the four bytes contribute, each from its 256 entries of a digit that begins at `start`.

        All four at once, bytes foremost; `index_select` is on a processor several times faster than brackets.
        """
        dims = max(start.dim(), states.dim())
        each_byte = (4, *(1 for _ in range(dims)))
        places = ((states >> self._shifts.view(each_byte)) & _BYTE) + (
            start + self._starts.view(each_byte)
        )
        parts = table.index_select(0, places.view(-1)).view_as(places)
        return parts[0] ^ parts[1] ^ parts[2] ^ parts[3]


class LaneNoise:
    """What the lanes of a core add before they round (N10, N13, R5, R6).

    Attributes:
        draws: whether a visited word draws at all.
    """

    def __init__(self, core: Core, jumps: GeneratorJumps, device: torch.device) -> None:
        """Prepare the lane constants of a core."""
        self.draws = core.rounding == "stochastic"
        self._nearest = core.rounding == "nearest"
        self._per_lane = core.random_source == "per_lane"
        self._words = core.words
        self._most = core.axons * core.words
        self._jumps = jumps
        lanes = torch.arange(core.lanes, dtype=torch.int64, device=device)
        self._keys = (numerics.lane_key(lanes) & NOISE_BITS).to(torch.int32)

    def draw_rows(self, generators: Tensor, rows: Tensor, words_in_row: Tensor) -> Tensor:
        """Let every word of some rows draw, in the order of O3 and O4, and move the generators on in place (R6).

        Args:
            generators: int64 [chips, generators].
            rows: bool [chips, axons].
            words_in_row: int64 [chips], words that are visited in each of these rows.

        Returns:
            int32 [chips, axons + 1, generators], what the generators hold when a row of these is reached, and at last.
        """
        rows_before = functional.pad(rows.cumsum(1), (1, 0))
        before = (rows_before * words_in_row[:, None]).to(torch.int32)
        states = generators.to(torch.int32)[:, None, :]
        reached = self._jumps.after(states, before[:, :, None], self._most)
        generators.copy_(reached[:, -1].to(torch.int64) & numerics.WORD_MASK)
        return reached

    def of_words(self, reached: Tensor, ranks: Tensor, shift: Any) -> Tensor:
        """Noise of words that draw (N10).

        Args:
            reached: int32 [..., generators], of each word's row, from `draw_rows`.
            ranks: int32 [...], 1 for the first word of its row; its shape broadcasts with that of the rows.
            shift: int, or int32 [..., 1]: bits that the rounding drops.

        Returns:
            int32 [..., lanes], 0 ... 2**shift - 1.
        """
        low = self._jumps.after(reached, ranks[..., None], self._words) & NOISE_BITS
        if not self._per_lane:
            low = low ^ self._keys
        return low & numerics.noise_mask(shift)

    def constant(self, shift: Any) -> Any:
        """What a core adds that does not draw (N10): an int, or int32 in the shape of the shift."""
        return numerics.nearest_noise(shift) if self._nearest else 0
