# SPDX-License-Identifier: Apache-2.0
"""Write tests/vectors: inputs and the oracle's answers, for all implementations of the SPEC.

`python -m tests.make_vectors`. The inputs come from the SPEC's own streams (R2), so that the same
version writes the same arrays everywhere. The columns are described in tests/vectors/README.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from tests import oracle_rules as rules
from tests.oracle import COUNT_NAMES, Oracle
from tests.vector_chips import SYSTEMS, check_coverage, samples_of

VECTORS = Path(__file__).parent / "vectors"
ROUNDINGS = ("stochastic", "nearest", "floor")
AT_FLIP = ("reset", "keep")
Table = dict[str, list[Any]]
Arrays = dict[str, np.ndarray[Any, Any]]


class Dice:
    """Pseudo-random integers from stream(2026, tag)."""

    def __init__(self, tag: int) -> None:
        self.outputs = rules.stream(2026, tag)

    def between(self, low: int, high: int) -> int:
        """One integer of low ... high."""
        return low + next(self.outputs) % (high - low + 1)

    def near(self, value: int, spread: int = 2) -> int:
        """An integer close to a value at which something changes."""
        return value + self.between(-spread, spread)


def _table(columns: str, rows: Sequence[Sequence[Any]]) -> Table:
    names = columns.split()
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def integrate_fire() -> Table:
    """N3, N4; leak_shift 0 stands for an `if` neuron."""
    dice, rows = Dice(1), []
    for bits, subtract, leak in product((4, 7, 12, 16, 24), (0, 1), (0, 1, 3, 15)):
        top = 2 ** (bits - 1) - 1
        for case in range(16):
            theta = (1, top, dice.between(1, top), dice.between(1, top))[case % 4]
            window = (1, 2**bits, dice.between(1, top), dice.between(1, 2**bits))[case // 4]
            v = dice.between(-top - 1, top)
            # directed: around the threshold, the ends of the window, past the ends of the width
            goals = (theta, theta + window, theta - window, top, -top - 1, 2 * top, -2 * top)
            goal = dice.near(goals[case % 7]) if case < 14 else dice.between(-4 * top, 4 * top)
            core = {"threshold": theta, "window": window, "leak_shift": leak}
            core |= {"reset": "subtract" if subtract else "zero", "neuron": "lif" if leak else "if"}
            held, clipped = rules.integrate(v, goal - v, bits)
            answer = rules.fire(held, core)
            rows.append((v, goal - v, bits, theta, window, subtract, leak, *answer, clipped))
    return _table(
        "potential current potential_bits threshold window reset_subtract leak_shift"
        " expected_potential expected_spike expected_window expected_clipped",
        rows,
    )


def trace() -> Table:
    """N5; decay_shift 0 stands for `none`."""
    dice, rows = Dice(2), []
    for bits, shift, active in product(range(1, 9), range(8), (0, 1)):
        top = 2**bits - 1
        for a in (0, 1, top, dice.between(0, top), dice.between(0, top)):
            unit = (1, top, dice.between(1, top))[dice.between(0, 2)]
            answer = rules.trace(a, bool(active), bits, unit, shift or None)
            rows.append((a, active, bits, unit, shift, answer))
    return _table("trace active trace_bits trace_unit decay_shift expected_trace", rows)


def _readouts(dice: Dice, count: int) -> list[tuple[int, int, list[int]]]:
    """Neurons, label and z padded to 12; every third with many ties."""
    cases = []
    for case in range(count):
        neurons = dice.between(2, 12)
        reach = (2, 12, 300)[case % 3]
        z = [dice.between(-reach, reach) for _ in range(neurons)]
        cases.append((neurons, dice.between(0, neurons - 1), z + [0] * (12 - neurons)))
    cases += [(5, label, [0] * 12) for label in range(5)]  # all equal
    cases.append((2, 0, [2**20, -(2**20)] + [0] * 10))
    cases.append((2, 1, [2**20, -(2**20)] + [0] * 10))
    return cases


def error() -> Table:
    """N6 (argmax) and N7, both kinds."""
    dice, rows = Dice(3), []
    for neurons, label, z in _readouts(dice, 400):
        inner = z[:neurons]
        rival = max(x for n, x in enumerate(inner) if n != label)
        margin = dice.near(inner[label] - rival, 1) if dice.between(0, 1) else dice.between(1, 40)
        sharpness = dice.between(0, 8)
        pad = [0] * (12 - neurons)
        rows.append(
            (
                *(neurons, label, z, margin, sharpness, rules.argmax(inner)),
                rules.hinge(inner, label, margin) + pad,
                rules.softmax(inner, label, sharpness) + pad,
            )
        )
    return _table(
        "neurons label z margin sharpness expected_argmax expected_hinge expected_softmax", rows
    )


def backward() -> Table:
    """N8, from the sum on."""
    dice, rows = Dice(4), []
    for shift, bits in product((0, 1, 2, 5, 9, 15), (4, 8, 12)):
        top = 2 ** (bits - 1) - 1
        half = (1 << shift) >> 1
        for edge in (0, half, -half, (top << shift) + half, -(top << shift) - half, top << shift):
            rows += [(edge + near, shift, bits, 1) for near in (-1, 0, 1)]
        for window in (0, 1, 1, 1):
            rows.append(
                (dice.between(-(2 << (shift + bits)), 2 << (shift + bits)), shift, bits, window)
            )
    rows += [(sign * 4096 * 2047, 15, 12, 1) for sign in (-1, 1)]
    full = [(*row, rules.backward(row[0], row[1], row[2], bool(row[3]))) for row in rows]
    return _table("sum error_shift error_bits window expected_delta", full)


def gradient() -> Table:
    """N9, N10; rounding 0 stochastic, 1 nearest, 2 floor; random is the lane's 32-bit number."""
    dice, rows = Dice(5), []
    for shift, (code, rounding) in product((0, 1, 3, 6, 11, 24), enumerate(ROUNDINGS)):
        for case in range(30):
            a = (0, 1, 255, dice.between(0, 255))[case % 4]
            delta = (-64, 64, -1, 1, 0, 2047, -2047, dice.between(-127, 127))[case % 8]
            random = (0, rules.MASK32)[case // 4 % 2] if case < 8 else dice.between(0, rules.MASK32)
            q = rules.gradient(a, delta, shift, rounding, random)
            rows.append((a, delta, shift, code, random, q))
    return _table("trace delta gradient_shift rounding random expected_q", rows)


def momentum_flip() -> Table:
    """N11, N12; keep 1 is `momentum_at_flip: keep`."""
    dice, rows = Dice(6), []
    for bits, keep, bit in product((2, 3, 4, 8, 16), (0, 1), (0, 1)):
        top = 2 ** (bits - 1) - 1
        for gamma in sorted({0, top // 2, max(0, top - 2), top - 1}):
            cases = [(0, 0), (top, 0), (-top, 0), (top, 1), (-top, -1), (top, 9999), (-top, -9999)]
            for edge in (gamma - 1, gamma, gamma + 1, -gamma - 1, -gamma, 1 - gamma):
                m = dice.between(-top, top)
                cases.append((m, edge - m))
            cases += [(dice.between(-top, top), dice.between(-top, top)) for _ in range(6)]
            for m, q in cases:
                answer = rules.momentum_flip(bit, m, q, bits, gamma, AT_FLIP[keep])
                rows.append((bit, m, q, bits, gamma, keep, *answer))
    return _table(
        "weight momentum q momentum_bits flip_threshold keep"
        " expected_weight expected_momentum expected_flip expected_clipped",
        rows,
    )


def decay() -> Table:
    """N13, one lane."""
    dice, rows = Dice(7), []
    for shift, bits, (code, rounding) in product(
        (1, 2, 4, 7, 15), (2, 4, 8, 16), enumerate(ROUNDINGS)
    ):
        top = 2 ** (bits - 1) - 1
        for m in (0, 1, -1, top, -top, dice.between(-top, top), dice.between(-top, top)):
            for random in (0, rules.MASK32, dice.between(0, rules.MASK32)):
                rows.append((m, shift, code, random, rules.decay(m, shift, rounding, random)))
    return _table("momentum decay_shift rounding random expected_momentum", rows)


def tbso() -> Table:
    """N14: v and the threshold that follows from it."""
    dice, rows = Dice(8), []
    for case in range(600):
        core = {
            "square_shift": dice.between(0, 31),
            "average_shift": dice.between(0, 15),
            "threshold_gain": (1, 65535, dice.between(1, 65535))[case % 3],
            "threshold_shift": dice.between(0, 31),
            "momentum_bits": dice.between(2, 16),
        }
        squares = [1 << dice.between(0, 34), 1 << dice.between(0, 28)]
        sums = [dice.between(0, s) for s in squares] if case % 10 else [0, squares[1]]
        v = (0, rules.MASK32, 1 << dice.between(0, 31), dice.between(0, rules.MASK32))[case % 4]
        if case % 5 == 0:  # isqrt just below, at and above a square
            v = max(0, dice.near(dice.between(1, 65535) ** 2, 1))
            core["average_shift"], sums = 15, [0, 0] if case % 2 else sums
        after = rules.second_moment(v, sums[0], sums[1], core)
        rows.append((*sums, v, *core.values(), after, rules.tbso_threshold(after, core)))
    return _table(
        "sum_delta_squares sum_trace_squares second_moment square_shift average_shift"
        " threshold_gain threshold_shift momentum_bits expected_second_moment expected_threshold",
        rows,
    )


def random() -> Arrays:
    """R1 to R5."""
    dice = Dice(9)
    seeds = [0, 1, 2**32, 2**63, rules.MASK64] + [next(dice.outputs) for _ in range(5)]
    tags = [(dice.between(0, 9), dice.between(0, 4095)) for _ in seeds]
    states = [1, rules.MASK32, 0x80000000] + [dice.between(1, rules.MASK32) for _ in range(13)]
    draws = []
    for state in states:
        row = [rules.xorshift32(state)]
        for _ in range(7):
            row.append(rules.xorshift32(row[-1]))
        draws.append(row)
    return {
        "mix_inputs": np.array(seeds, np.uint64),
        "expected_mix": np.array([rules.mix(s) for s in seeds], np.uint64),
        "stream_seeds": np.array(seeds, np.uint64),
        "stream_tags": np.array(tags, np.int64),
        "expected_streams": np.array(
            [list(islice(rules.stream(s, *t), 8)) for s, t in zip(seeds, tags, strict=True)],
            np.uint64,
        ),
        "weights_seed": np.array(7, np.int64),
        "expected_weights_core0": np.array(rules.initial_weights(7, 0, 13, 9), np.uint8),
        "expected_weights_core2": np.array(rules.initial_weights(7, 2, 9, 1), np.uint8),
        "order_seed": np.array(7, np.int64),
        "expected_orders": np.array([rules.sample_order(7, e, 100) for e in range(3)], np.int64),
        "generator_seed": np.array(7, np.int64),
        "expected_generators": np.array(
            [[rules.generator_seed(7, c, lane) for lane in range(64)] for c in range(3)], np.uint32
        ),
        "xorshift_states": np.array(states, np.uint32),
        "expected_draws": np.array(draws, np.uint32),
        "expected_lane_keys": np.array([rules.lane_key(lane) for lane in range(64)], np.uint32),
    }


def sigma_delta() -> Arrays:
    """N2 of pixels: all 256 values over 20 steps."""
    spikes = np.zeros((20, 256), np.uint8)
    for t, axons in enumerate(rules.sigma_delta(list(range(256)), 20)):
        spikes[t, axons] = 1
    return {"pixels": np.arange(256), "expected_spikes": spikes}


def system(name: str, number: int) -> Arrays:
    """Run one small chip over its samples; `mode` 1 trains, 0 evaluates."""
    chip, seed = SYSTEMS[name], 1000 + number
    samples, oracle = samples_of(name, number), Oracle(chip, seed)
    spikes = np.zeros((len(samples), chip["steps"], chip["inputs"]), np.uint8)
    predictions = []
    for k, sample in enumerate(samples):
        for t, axons in enumerate(sample.events):
            spikes[k, t, axons] = 1
        if sample.training:
            predictions.append(oracle.train(sample.events, sample.label, sample.offered))
        else:
            predictions.append(oracle.infer(sample.events, sample.offered))
    check_coverage(name, oracle)
    arrays: Arrays = {
        "chip": np.array(json.dumps(chip)),
        "seed": np.array(seed),
        "mode": np.array([sample.training for sample in samples], np.uint8),
        "labels": np.array([sample.label for sample in samples]),
        "spikes": spikes,
        "offered": np.array([sample.offered for sample in samples]),
        "count_names": np.array(COUNT_NAMES),
        "expected_predictions": np.array(predictions),
        "expected_samples": np.array([oracle.samples["train"], oracle.samples["inference"]]),
    }
    for c in range(len(chip["cores"])):
        arrays[f"expected_weights_{c}"] = np.array(oracle.weights[c], np.uint8)
        arrays[f"expected_momentum_{c}"] = np.array(oracle.momentum[c], np.int32)
        arrays[f"expected_generators_{c}"] = np.array(oracle.generators[c], np.uint32)
        arrays[f"expected_second_moment_{c}"] = np.array(oracle.second_moment[c], np.uint32)
        for mode in ("train", "inference"):
            counts = oracle.counts[mode][c]
            arrays[f"expected_{mode}_counts_{c}"] = np.array([counts[n] for n in COUNT_NAMES])
    return arrays


def generate() -> dict[str, Arrays]:
    """All vectors by file name without its ending."""
    files: dict[str, Arrays] = {}
    for make in (integrate_fire, trace, error, backward, gradient, momentum_flip, decay, tbso):
        table = make()
        files[f"rule_{make.__name__}"] = {k: np.array(v, np.int64) for k, v in table.items()}
    files |= {"rule_random": random(), "rule_sigma_delta": sigma_delta()}
    for number, name in enumerate(SYSTEMS):
        files[f"system_{name}"] = system(name, number)
    return {
        name: {"spec_version": np.array(rules.SPEC_VERSION), **arrays}
        for name, arrays in files.items()
    }


def main() -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=VECTORS, help="folder to write to")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrays in generate().items():
        np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
