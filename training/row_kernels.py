"""Compiled loops over pieces of packed weights that lie on the CPU: rows that a single sample touches, or all there are.

Each pass over a row is a loop of its own without branches, so that it becomes vector instructions: as one loop they took six times as long.
"""

import numpy as np

from flipcore.sim.kernel_cache import compiled

# The eight signs of every byte of packed weights, lowest bit first.
SIGNS_OF_BYTE = (
    2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") - 1.0
).astype(np.float32)
# 1.5 * 2**23: added and taken off again, a float32 of less than 2**22 is rounded to whole numbers, ties to even.
_WHOLE = np.float32(12582912.0)


@compiled
def read_signs(bits, first, table, signs):
    """Unpack the weights from element `first` on into signs, float32 [columns]; `table` is SIGNS_OF_BYTE."""
    columns = signs.shape[0]
    if (first & 7) == 0 and (columns & 7) == 0:
        for byte in range(columns >> 3):
            eight = table[bits[(first >> 3) + byte]]
            for i in range(8):
                signs[8 * byte + i] = eight[i]
        return
    for j in range(columns):
        element = first + j
        signs[j] = np.float32(2 * ((np.int32(bits[element >> 3]) >> (element & 7)) & 1) - 1)


@compiled
def add_rows(bits, rows, factors, table, signs, sums):
    """Add up rows of weights -1 and +1, each times its factor.

    Args:
        bits: uint8, packed weights [rows, columns] in row-major order.
        rows: int64 [k].
        factors: float32 [k].
        table: SIGNS_OF_BYTE.
        signs: float32 [columns], room to work in.
        sums: float32 [columns], added to.
    """
    columns = sums.shape[0]
    for k in range(rows.shape[0]):
        read_signs(bits, rows[k] * columns, table, signs)
        factor = factors[k]
        for j in range(columns):
            sums[j] += factor * signs[j]


@compiled
def learn_rows(
    bits, levels, firsts, factors, gradients, noise, gain, offset, limit, largest, keep, table, signs, moved, flips
):  # fmt: skip
    """Add gradients to momentum levels with stochastic rounding, and flip where w * M > limit.

    The same operations in the same order as the tensors of IntegerMomentum and PackedWeight.learn, element by element in float32.

    Args:
        bits: uint8, packed weights, changed.
        levels: int8, of every weight, changed.
        firsts: int64 [k], where each piece of [columns] weights begins.
        factors: float32 [k], of each piece's gradient.
        gradients: float32 [k, columns], or [1, columns] for all pieces: an outer product with the factors.
        noise: int8 [k * columns] or longer, uniform.
        gain: float32, levels per unit of gradient.
        offset: float32, added to each noise.
        limit: float32, a whole number; levels beyond flip.
        largest: float32, a whole number; levels saturate at +- this.
        keep: whether a flip keeps the momentum.
        table: SIGNS_OF_BYTE.
        signs: float32 [columns], room to work in.
        moved: the same.
        flips: uint8 [columns], the same.

    Returns:
        How many of the levels visited are saturated now.
    """
    columns = gradients.shape[1]
    step = np.float32(2.0**-8)
    saturated = 0
    for k in range(firsts.shape[0]):
        first = firsts[k]
        factor = factors[k]
        gradient = gradients[min(k, gradients.shape[0] - 1)]
        row_levels = levels[first : first + columns]
        row_noise = noise[k * columns : (k + 1) * columns]
        for j in range(columns):
            level = factor * gradient[j] * gain + np.float32(row_levels[j])
            level = level + np.float32(row_noise[j]) * step + offset
            # Saturated before it is rounded, which gives the same and keeps `_WHOLE` within its range.
            level = level if level > -largest else -largest
            level = level if level < largest else largest
            moved[j] = (level + _WHOLE) - _WHOLE
        read_signs(bits, first, table, signs)
        any_flips = np.uint8(0)
        for j in range(columns):
            flips[j] = np.uint8(signs[j] * moved[j] > limit)
            any_flips |= flips[j]
        if any_flips:
            for j in range(columns):
                if flips[j]:
                    bits[(first + j) >> 3] ^= np.uint8(1 << ((first + j) & 7))
                    if not keep:
                        moved[j] = np.float32(0.0)
        row_saturated = np.int32(0)
        for j in range(columns):
            row_saturated += np.int32(abs(moved[j]) == largest)
        for j in range(columns):
            row_levels[j] = np.int8(np.int32(moved[j]))
        saturated += row_saturated
    return saturated
