"""Compiled loops that turn samples into input events (N2)."""

import numpy as np

from flipcore import numerics
from flipcore.sim.kernel_cache import compiled

INPUT_THRESHOLD = numerics.INPUT_THRESHOLD
INPUT_START = numerics.INPUT_START


def encode_pixels(pixels, num_steps, events, starts):
    """Make the sigma-delta events of pixels; returns how many there are.

    Args:
        pixels: uint8 [samples, axons].
        num_steps: steps of the network.
        events: int32, large enough for samples * steps * axons + 1, written.
        starts: int64 [samples * steps + 1], written: where the events of each step start.
    """
    num_axons = pixels.shape[1]
    lit = np.empty(num_axons + 1, np.int32)
    level = np.empty(num_axons + 1, np.int64)
    return _encode_pixels(pixels, num_steps, events, starts, lit, level)


@compiled
def _encode_pixels(pixels, num_steps, events, starts, lit, level):
    """The loop of `encode_pixels`: `lit` lists the pixels of a sample that are not 0, `level` holds their accumulators."""
    num_samples, num_axons = pixels.shape
    total = 0
    starts[0] = 0
    for sample in range(num_samples):
        num_lit = 0
        for i in range(num_axons):
            lit[num_lit] = i
            num_lit += pixels[sample, i] != 0
        level[:num_lit] = INPUT_START
        for t in range(num_steps):
            for k in range(num_lit):
                raised = level[k] + pixels[sample, lit[k]]
                spike = numerics.fires(raised, INPUT_THRESHOLD)
                level[k] = numerics.reset_potential(raised, spike, INPUT_THRESHOLD, 1)
                events[total] = lit[k]
                total += spike
            starts[sample * num_steps + t + 1] = total
    return total


@compiled
def unpack_bitmaps(bitmaps, num_axons, events, starts):
    """Events of recorded bitmaps, uint8 [samples, steps, bytes], axon i in bit i % 8 of byte i // 8; returns how many."""
    num_samples, num_steps, num_bytes = bitmaps.shape
    total = 0
    starts[0] = 0
    for sample in range(num_samples):
        for t in range(num_steps):
            for b in range(num_bytes):
                bits = bitmaps[sample, t, b]
                if bits != 0:
                    for k in range(8):
                        if (bits >> k) & 1 and b * 8 + k < num_axons:
                            events[total] = b * 8 + k
                            total += 1
            starts[sample * num_steps + t + 1] = total
    return total
