"""Compiled loops over the rows of a packed matrix that a single sample touches, for weights that lie on the CPU."""

import numpy as np

from flipcore.sim.kernel_cache import compiled


@compiled
def add_rows(bits, rows, factors, sums):
    """Add up rows of weights -1 and +1, each times its factor.

    Args:
        bits: uint8, packed weights [rows, columns] in row-major order.
        rows: int64 [k].
        factors: float32 [k].
        sums: float32 [columns], added to.
    """
    columns = sums.shape[0]
    for k in range(rows.shape[0]):
        element = rows[k] * columns
        for j in range(columns):
            bit = (np.int32(bits[element >> 3]) >> np.int32(element & 7)) & np.int32(1)
            sums[j] += factors[k] * np.float32(2 * bit - 1)  # no branch: bits are as good as random
            element += 1


@compiled
def learn_rows(
    bits, levels, rows, row_factor, column_factor, noise, gain, offset, limit, largest, keep
):
    """Add an outer product to momentum levels with stochastic rounding, and flip where w * M > limit.

    The same operations in the same order as the tensors of IntegerMomentum and PackedWeight.learn, element by element in float32.

    Args:
        bits: uint8, packed weights [rows, columns] in row-major order, changed.
        levels: int8 [rows * columns], changed.
        rows: int64 [k].
        row_factor: float32 [k].
        column_factor: float32 [columns].
        noise: int8 [k * columns] or longer, uniform.
        gain: float32, levels per unit of gradient.
        offset: float32, added to each noise.
        limit: int64, levels beyond flip.
        largest: int64, levels saturate at +- this.
        keep: whether a flip keeps the momentum.

    Returns:
        How many of the levels visited are saturated now.
    """
    columns = column_factor.shape[0]
    step = np.float32(2.0**-8)
    draw = 0
    saturated = 0
    for k in range(rows.shape[0]):
        element = rows[k] * columns
        for j in range(columns):
            moved = row_factor[k] * column_factor[j] * gain + np.float32(levels[element])
            moved = moved + np.float32(noise[draw]) * step + offset
            level = min(max(np.int64(np.rint(moved)), -largest), largest)
            bit = (bits[element >> 3] >> (element & 7)) & 1
            if (level > limit and bit == 1) or (level < -limit and bit == 0):
                bits[element >> 3] ^= np.uint8(1 << (element & 7))
                if not keep:
                    level = 0
            levels[element] = level
            saturated += level == largest or level == -largest
            element += 1
            draw += 1
    return saturated
