"""Pixels of any number type, scaled to 0 ... 255."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError
from flipcore.sim.data.npy_member import NpyMember
from flipcore.sim.data.store import Spool, UInt8s

LARGEST = 2**53  # up to here integers are exact in float64, and value * 510 fits into int64

Values = npt.NDArray[Any]


def largest_value(member: NpyMember, counted: npt.NDArray[np.bool_]) -> float:
    """Find the largest value of the rows that `counted`, bool [n], selects; check all rows.

    Raises:
        InputError: a value is not finite, negative or above 2**53.
    """
    largest = 0.0
    for start, block in member.blocks():
        values = (
            block.astype(np.float64) if block.dtype.kind == "f" else block
        )  # LARGEST is beyond float16
        bad = np.flatnonzero(~((values >= 0) & (values <= LARGEST)))  # so that NaN is bad, too
        if len(bad):
            raise InputError(_told(member, start, block, int(bad[0])))
        chosen = block[counted[start : start + len(block)]]
        largest = max(largest, float(chosen.max(initial=0)))
    return largest


def scale(block: Values, largest: float) -> UInt8s:
    """Scale 0 ... `largest` to 0 ... 255, rounded half up; larger values become 255."""
    if block.dtype.kind == "f":
        clipped = np.minimum(block.astype(np.float64), largest)
        return np.floor(clipped * 255.0 / largest + 0.5).astype(np.uint8)
    whole = int(largest)
    clipped_integers = np.minimum(block.astype(np.int64), whole)
    return ((clipped_integers * 510 + whole) // (2 * whole)).astype(np.uint8)


def spool_scaled(member: NpyMember, spool: Spool, convert: Callable[[Values], UInt8s]) -> None:
    """Append all rows of an array to `spool`, each block through `convert`."""
    for _, block in member.blocks():
        spool.write(np.ascontiguousarray(convert(block)).data)


def _told(member: NpyMember, start: int, block: Values, bad: int) -> str:
    row, column = divmod(bad, block.shape[1])
    place = ", ".join(map(str, [start + row, *np.unravel_index(column, member.shape[1:])]))
    return f"{member.where}[{place}]: {block[row, column]}: pixels must be finite and 0 ... 2**53"
