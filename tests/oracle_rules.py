# SPDX-License-Identifier: Apache-2.0
"""Stateless half of the scalar oracle: one function per rule, of plain Python integers.

Written from docs/SPEC.md alone and importing nothing of flipcore, so that an error shared by the
simulator and the Verilog cannot hide here. Slow on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

SPEC_VERSION = 2
MASK32, MASK64 = 2**32 - 1, 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
EXP = (255, 199, 155, 120, 94, 73, 57, 44, 35, 27, 21, 16, 13, 10, 8, 6,
       5, 4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)  # N7  # fmt: skip


def clip(x: int, m: int) -> int:
    """Symmetric clip of the SPEC's preamble."""
    return max(-m, min(m, x))


def mix(z: int) -> int:
    """R1."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


def stream(seed: int, *tags: int) -> Iterator[int]:
    """R2: the outputs 0, 1, ... of a stream."""
    h = mix((seed + GOLDEN) & MASK64)
    for tag in tags:
        h = mix(h ^ mix((tag + GOLDEN) & MASK64))
    while True:
        h = (h + GOLDEN) & MASK64
        yield mix(h)


def initial_weights(seed: int, core: int, axons: int, neurons: int) -> list[list[int]]:
    """R3: weight bits [axon][neuron]."""
    outputs = stream(seed, 1, core)  # output i*N + n is the next one
    return [[next(outputs) >> 63 for _ in range(neurons)] for _ in range(axons)]


def sample_order(seed: int, epoch: int, n: int) -> list[int]:
    """R4."""
    outputs = stream(seed, 2, epoch)
    return [i for _, i in sorted((next(outputs), i) for i in range(n))]


def generator_seed(seed: int, core: int, lane: int) -> int:
    """R5, the seed."""
    return (next(stream(seed, 3, core, lane)) & MASK32) or 1


def xorshift32(r: int) -> int:
    """R5, one draw."""
    r ^= (r << 13) & MASK32
    r ^= r >> 17
    return r ^ ((r << 5) & MASK32)


def lane_key(lane: int) -> int:
    """R5, K_l."""
    return (lane * 0x9E3779B9) & MASK32


def sigma_delta(pixels: list[int], steps: int) -> list[list[int]]:
    """N2: events of each step, ascending."""
    accumulators, events = [128] * len(pixels), []
    for _ in range(steps):
        spiking = []
        for i, x in enumerate(pixels):
            accumulators[i] += x
            if accumulators[i] >= 256:
                accumulators[i] -= 256
                spiking.append(i)
        events.append(spiking)
    return events


def integrate(v: int, current: int, bits: int) -> tuple[int, bool]:
    """N3: the potential and whether it was clipped."""
    exact = v + current
    v = max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, exact))
    return v, v != exact


def fire(v: int, core: dict[str, Any]) -> tuple[int, bool, bool]:
    """N4: potential, spike, window bit."""
    threshold: int = core["threshold"]
    window = abs(v - threshold) < core["window"]
    spike = v >= threshold
    if spike:
        v = v - threshold if core["reset"] == "subtract" else 0
    if core["neuron"] == "lif":
        v -= v >> int(core["leak_shift"])
    return v, spike, window


def trace(a: int, active: bool, bits: int, unit: int, decay_shift: int | None) -> int:
    """N5."""
    k = decay_shift
    decayed = 0 if k is None else a - ((a + (1 << k) - 1) >> k)
    return min((1 << bits) - 1, decayed + unit * active)


def argmax(values: list[int]) -> int:
    """The lowest index of the largest value (N6)."""
    return values.index(max(values))


def hinge(z: list[int], label: int, margin: int) -> list[int]:
    """N7, hinge. A readout of one neuron has no c*: no error."""
    delta = [0] * len(z)
    others = [n for n in range(len(z)) if n != label]
    if others:
        rival = max(others, key=lambda n: (z[n], -n))
        if z[label] - z[rival] < margin:
            delta[label], delta[rival] = -64, 64
    return delta


def softmax(z: list[int], label: int, sharpness: int) -> list[int]:
    """N7, softmax."""
    e = [EXP[min(((max(z) - x) << 2) >> sharpness, 31)] for x in z]
    return [64 * e[n] // sum(e) - 64 * (n == label) for n in range(len(z))]


def backward(total: int, error_shift: int, error_bits: int, window: bool) -> int:
    """N8: δ_i from S_i."""
    rounded = (total + ((1 << error_shift) >> 1)) >> error_shift
    return clip(rounded, 2 ** (error_bits - 1) - 1) if window else 0


def rounding_number(rounding: str, shift: int, random: int) -> int:
    """N10, the number rho added before the shift."""
    return {"stochastic": random & ((1 << shift) - 1), "nearest": (1 << shift) >> 1, "floor": 0}[
        rounding
    ]


def gradient(a: int, delta: int, shift: int, rounding: str, random: int) -> int:
    """N9 and N10."""
    return (a * delta + rounding_number(rounding, shift, random)) >> shift if delta != 0 else 0


def momentum_flip(
    bit: int, m: int, q: int, bits: int, threshold: int, at_flip: str
) -> tuple[int, int, bool, bool]:
    """N11 and N12 of one lane: weight bit, momentum, flipped, clipped."""
    if q == 0:
        return bit, m, False, False
    exact = m + q
    m = clip(exact, 2 ** (bits - 1) - 1)
    flipped = (2 * bit - 1) * m > threshold
    if flipped:
        return 1 - bit, 0 if at_flip == "reset" else m, True, m != exact
    return bit, m, False, m != exact


def decay(m: int, shift: int, rounding: str, random: int) -> int:
    """N13, one lane."""
    return m - ((m + rounding_number(rounding, shift, random)) >> shift)


def second_moment(v: int, sum_delta2: int, sum_trace2: int, core: dict[str, Any]) -> int:
    """N14, v[t]."""
    q = (sum_delta2 * sum_trace2) >> core["square_shift"]
    return int(min(MASK32, v + ((q - v) >> core["average_shift"])))


def tbso_threshold(v: int, core: dict[str, Any]) -> int:
    """N14, gamma."""
    gamma = (core["threshold_gain"] * math.isqrt(v)) >> core["threshold_shift"]
    return int(min(gamma, 2 ** (core["momentum_bits"] - 1) - 2))
