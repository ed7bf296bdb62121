# SPDX-License-Identifier: Apache-2.0
"""The oracle against published values, cases worked out by hand, and its committed vectors."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import numpy as np
import pytest

from tests import oracle_rules as rules
from tests.make_vectors import VECTORS, generate
from tests.oracle import COUNT_NAMES, Oracle
from tests.vector_chips import DEFAULT, SYSTEMS

M64 = 2**64


def test_mix_is_splitmix64() -> None:
    # published outputs of SplitMix64 for seed 1234567
    state, outputs = 1234567, []
    for _ in range(5):
        state = (state + rules.GOLDEN) % M64
        outputs.append(rules.mix(state))
    assert outputs == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_stream_without_tags_continues_splitmix64_from_its_first_output() -> None:
    # R2: h is output 0 of SplitMix64(seed); the stream is SplitMix64 seeded with h
    first = 6457827717110365317
    expected = [rules.mix((first + k * rules.GOLDEN) % M64) for k in (1, 2)]
    assert list(islice(rules.stream(1234567), 2)) == expected
    tagged = rules.mix(first ^ rules.mix((3 + rules.GOLDEN) % M64))
    assert next(rules.stream(1234567, 3)) == rules.mix((tagged + rules.GOLDEN) % M64)


def test_xorshift32_matches_published_values() -> None:
    # Marsaglia's example (13, 17, 5) from 2463534242, and the sequence from 1
    assert rules.xorshift32(2463534242) == 723471715
    assert rules.xorshift32(723471715) == 2497366906
    state, outputs = 1, []
    for _ in range(4):
        state = rules.xorshift32(state)
        outputs.append(state)
    assert outputs == [270369, 67634689, 2647435461, 307599695]


def test_generator_seed_of_zero_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "stream", lambda *_: iter([0xABCD00000000]))
    assert rules.generator_seed(1, 2, 3) == 1


def test_sigma_delta_starts_half_full() -> None:
    # N2: 128 reaches 256 at once and then every second step, 127 one step later; 0 never;
    # 255 loses 1 a step from 128, and so misses only step 128 (from 0)
    events = rules.sigma_delta([128, 0, 127, 255], 4)
    assert events == [[0, 3], [2, 3], [0, 3], [2, 3]]
    counts = [sum(0 in step for step in rules.sigma_delta([255], n)) for n in (128, 129, 256)]
    assert counts == [128, 128, 255]


@pytest.mark.parametrize(
    ("v", "current", "expected"),
    [
        (0, 127, (127, False)),
        (1, 127, (127, True)),
        (0, -128, (-128, False)),
        (-1, -128, (-128, True)),
    ],
)
def test_integrate_clips_to_the_width(v: int, current: int, expected: tuple[int, bool]) -> None:
    assert rules.integrate(v, current, 8) == expected


@pytest.mark.parametrize(
    ("v", "changes", "expected"),
    [
        (10, {}, (0, True, True)),  # at the threshold: fires; 10 - 10 leaves nothing to leak
        (9, {}, (9 - 2, False, True)),  # 9 >> 2 = 2
        (7, {}, (7 - 1, False, False)),  # |7 - 10| = 3 is not < 3
        (-9, {}, (-9 + 3, False, False)),  # -9 >> 2 = -3
        (30, {}, (20 - 5, True, False)),
        (30, {"reset": "zero"}, (0, True, False)),
        (30, {"neuron": "if"}, (20, True, False)),
    ],
)
def test_fire(v: int, changes: dict[str, Any], expected: tuple[int, bool, bool]) -> None:
    core = {"threshold": 10, "window": 3, "reset": "subtract", "neuron": "lif", "leak_shift": 2}
    assert rules.fire(v, core | changes) == expected


def test_trace_falls_to_zero_and_saturates() -> None:
    a, seen = 15, []
    for _ in range(9):
        a = rules.trace(a, False, 4, 6, 2)
        seen.append(a)
    # a - ceil(a / 4)
    assert seen == [11, 8, 6, 4, 3, 2, 1, 0, 0]
    assert rules.trace(13, True, 4, 6, 2) == 15  # 13 - 4 + 6
    assert rules.trace(12, True, 4, 6, None) == 6
    assert rules.trace(12, False, 4, 6, None) == 0


def test_hinge() -> None:
    assert rules.hinge([5, 3, 3], 0, 2) == [0, 0, 0]  # the margin itself is enough
    assert rules.hinge([5, 3, 3], 0, 3) == [-64, 64, 0]  # ties: the lowest rival
    assert rules.hinge([4, 4, 4], 0, 1) == [-64, 64, 0]
    assert rules.hinge([4, 4, 4], 1, 1) == [64, -64, 0]


def test_softmax() -> None:
    # sharpness 2: indices 0, 1, 4 -> 255, 199, 94, sum 548 -> 29, 23, 10
    assert rules.softmax([4, 3, 0], 1, 2) == [29, 23 - 64, 10]
    assert rules.softmax([0, 0, 0], 2, 0) == [21, 21, 21 - 64]
    assert rules.softmax([900, 0], 1, 0) == [64, -64]
    assert rules.softmax([900, 0], 0, 0) == [0, 0]
    assert [round(255 * np.exp(-k / 4)) for k in range(32)] == list(rules.EXP)


def test_backward_rounds_to_nearest_and_clips() -> None:
    cases = {1: 0, 2: 1, 5: 1, 6: 2, -2: 0, -3: -1, 9999: 127, -9999: -127}
    assert {s: rules.backward(s, 2, 8, True) for s in cases} == cases
    assert rules.backward(9999, 2, 8, False) == 0
    assert rules.backward(-7, 0, 8, True) == -7


def test_gradient_rounding() -> None:
    # g = -3 * 5 = -15, s = 3
    assert rules.gradient(3, -5, 3, "floor", 7) == -2
    assert rules.gradient(3, -5, 3, "nearest", 7) == -2  # -11 >> 3
    assert rules.gradient(3, -5, 3, "stochastic", 0xFF8 + 6) == -2  # -9 >> 3
    assert rules.gradient(3, -5, 3, "stochastic", 0xFF8 + 7) == -1  # -8 >> 3
    assert rules.gradient(3, -5, 0, "nearest", 7) == -15
    assert rules.gradient(3, 0, 3, "stochastic", 0xFFFFFFFF) == 0


@pytest.mark.parametrize(
    ("bit", "m", "q", "at_flip", "expected"),
    [
        (1, 3, 2, "reset", (1, 5, False, False)),  # at the threshold: no flip
        (1, 3, 3, "reset", (0, 0, True, False)),
        (1, 3, 3, "keep", (0, 6, True, False)),
        (0, -3, -3, "keep", (1, -6, True, False)),
        (0, 3, 3, "reset", (0, 6, False, False)),  # the weight agrees: w*m < 0
        (1, 6, 9, "keep", (0, 7, True, True)),
        (1, -6, -9, "keep", (1, -7, False, True)),
        (1, 7, 0, "reset", (1, 7, False, False)),  # q = 0: no test although w*m > gamma
    ],
)
def test_momentum_and_flip(bit: int, m: int, q: int, at_flip: str, expected: Any) -> None:
    assert rules.momentum_flip(bit, m, q, 4, 5, at_flip) == expected


def test_decay() -> None:
    assert rules.decay(7, 2, "floor", 0) == 6
    assert rules.decay(-7, 2, "floor", 0) == -5
    assert rules.decay(-1, 4, "floor", 0) == 0
    assert rules.decay(7, 2, "nearest", 0) == 5
    assert rules.decay(1, 2, "stochastic", 3) == 0
    assert rules.decay(1, 2, "stochastic", 2) == 1


def test_second_moment_and_threshold() -> None:
    core = {"square_shift": 2, "average_shift": 1, "threshold_gain": 3, "threshold_shift": 1}
    core |= {"momentum_bits": 8}
    # Q = 70 * 10 >> 2 = 175; v = 100 + (75 >> 1)
    assert rules.second_moment(100, 70, 10, core) == 137
    # Q = 0: -100 >> 1; and an odd difference floors
    assert rules.second_moment(100, 0, 10, core) == 50
    assert rules.second_moment(5, 0, 10, core) == 2
    assert rules.second_moment(0, 2**34, 2**28, core) == 2**32 - 1
    assert rules.tbso_threshold(137, core) == 16  # isqrt 11, 33 >> 1
    assert rules.tbso_threshold(2**32 - 1, core) == 126


def _tiny(**changes: Any) -> dict[str, Any]:
    """Two inputs, two hidden neurons, readout of two; words of 2 lanes; no rounding noise."""
    hidden = DEFAULT | {"neurons": 2, "lanes": 2, "neuron": "if", "threshold": 2, "window": 2}
    hidden |= {"rounding": "floor", "gradient_shift": 0, "flip_threshold": 100, "trace_unit": 1}
    hidden |= {"trace_decay_shift": None, "error_shift": 0, **changes}
    error = {"kind": "hinge", "margin": 1, "of": "step"}
    return {"steps": 1, "inputs": 2, "error": error, "schedule": [], "cores": [hidden, hidden]}


def test_one_training_step_by_hand() -> None:
    log: list[dict[str, Any]] = []
    oracle = Oracle(_tiny(), 1, log)
    oracle.weights = [[[1, 0], [1, 1]], [[1, 0], [0, 0]]]
    # V = (2, 0): neuron 0 spikes; |2-2| < 2 sets its window bit, |0-2| < 2 does not.
    # Readout: row 0 = (+1, -1).
    # Label 1: z = (1, -1), delta = (64, -64). Row 0 of core 1: S = 64 + 64, clipped to 127.
    assert oracle.train([[0, 1]], 1) == 0
    deltas = {record["core"]: record["delta"] for record in log if "delta" in record}
    assert deltas == {1: [64, -64], 0: [127, 0]}
    # momentum of core 1: row 0 has trace 1, row 1 has none; w*m = 64 and 64, not above 100
    assert oracle.momentum[1] == [[64, -64], [0, 0]]
    assert oracle.weights[1] == [[1, 0], [0, 0]]
    # core 0: both rows have trace 1, m = 127 > 100 with w = +1: flipped and reset
    assert oracle.weights[0] == [[0, 0], [0, 1]]
    assert oracle.momentum[0] == [[0, 0], [0, 0]]
    first, second = oracle.counts["train"]
    assert {name: value for name, value in first.items() if value} == {
        "events": 2, "spikes": 1, "sops": 4, "live_steps": 1, "words_visited": 2,
        "words_updated": 2, "momentum_updates": 2, "flips": 2, "weight_reads": 2 + 2,
        "weight_writes": 2, "momentum_reads": 2, "momentum_writes": 2, "potential_writes": 1,
        "row_list_writes": 2, "row_list_reads": 2, "error_writes": 1,
        "error_reads": 2, "event_list_writes": 2, "event_list_reads": 2,
        "input_cycles": 2 + 1 + 1, "forward_cycles": 1 * (2 + 3), "spikes_cycles": 2 + 1,
        "trace_cycles": 2 + 2, "update_cycles": 4 + 2 * 1 + 2,
    }  # fmt: skip
    assert {name: value for name, value in second.items() if value} == {
        "events": 1, "sops": 2, "live_steps": 1, "words_visited": 1, "words_updated": 1,
        "momentum_updates": 2, "weight_reads": 1 + 1, "momentum_reads": 1, "momentum_writes": 1,
        "row_list_writes": 1, "row_list_reads": 1, "error_writes": 1,
        "error_reads": 1, "event_list_writes": 1, "event_list_reads": 1, "total_writes": 1,
        "total_reads": 1, "forward_cycles": 1 * (1 + 3), "trace_cycles": 2 + 1,
        "error_cycles": 2 + 2 + 1, "update_cycles": 4 + 1 + 1 + (1 + 1), "predict_cycles": 2 + 2,
    }  # fmt: skip


@pytest.mark.parametrize(("decay_shift", "words", "cycles"), [(None, 0, 2 + 1), (2, 1, 2 + 2)])
def test_trace_memory_of_one_port_costs_a_cycle_where_there_is_one(
    decay_shift: int | None, words: int, cycles: int
) -> None:
    oracle = Oracle(_tiny(trace_decay_shift=decay_shift, trace_unit=4) | {"steps": 2}, 1)
    oracle.train([[0], [1]], 0)
    first = oracle.counts["train"][0]
    assert (first["trace_reads"], first["trace_writes"]) == (words, 2 * words)
    rows = [1, 1 if decay_shift is None else 2]  # row 0 keeps its trace only in a memory
    assert first["row_list_writes"] == sum(rows)
    assert first["trace_cycles"] == 2 * cycles


@pytest.mark.parametrize(
    ("kind", "of", "expected"),
    [
        # 3 steps: 2 reads with the sum, 1 for the prediction; then 1 or 3 in each step's error
        ("hinge", "step", 2 + 1),
        ("softmax", "step", 2 + 1),
        ("hinge", "total", 2 + 1 + 3 * 1),
        ("softmax", "total", 2 + 1 + 3 * 3),
    ],
)
def test_reads_of_the_total(kind: str, of: str, expected: int) -> None:
    error = {"kind": kind, "of": of, "margin": 1, "sharpness": 0}
    oracle = Oracle(_tiny() | {"steps": 3, "error": error}, 1)
    oracle.train([[0], [], [1]], 0)
    oracle.infer([[0], [], [1]])
    assert oracle.counts["train"][1]["total_reads"] == expected
    assert oracle.counts["inference"][1]["total_reads"] == 2 + 1
    assert oracle.counts["train"][0]["total_reads"] == 0


def test_evaluation_changes_nothing_that_learning_reads() -> None:
    chip = SYSTEMS["ragged_words"]
    plain, disturbed = Oracle(chip, 5), Oracle(chip, 5)
    for k in range(6):
        events = [[(k + t) % 14] for t in range(chip["steps"])]
        disturbed.infer(events)
        assert plain.train(events, k) == disturbed.train(events, k)
    assert plain.weights == disturbed.weights
    assert plain.momentum == disturbed.momentum
    assert plain.generators == disturbed.generators
    assert plain.counts["train"] == disturbed.counts["train"]
    assert disturbed.samples == {"train": 6, "inference": 6}


def test_scrub_visits_its_rows_and_draws_once_per_word() -> None:
    chip = _tiny(decay="scrub", scrub_period=2, decay_shift=1, rounding="stochastic")
    oracle = Oracle(chip, 1)
    oracle.momentum[0] = [[100, 100], [100, 100]]
    oracle.train([[]], 0)  # sample 0: row 0; no events, so no trace: UPDATE draws nothing in core 0
    assert oracle.momentum[0] == [[50, 50], [100, 100]]
    oracle.train([[]], 0)
    assert oracle.momentum[0] == [[50, 50], [50, 50]]
    assert oracle.counts["train"][0]["words_drawn"] == 2
    assert oracle.generators[0] == [
        rules.xorshift32(rules.xorshift32(rules.generator_seed(1, 0, 0)))
    ]
    assert oracle.counts["train"][0]["decay_cycles"] == 2 * (2 + 1 + 1)


def test_shared_source_gives_each_lane_its_key() -> None:
    chip = _tiny(rounding="stochastic", gradient_shift=16)
    oracle = Oracle(chip, 1)
    r = rules.xorshift32(rules.generator_seed(1, 0, 0))
    assert oracle.counts["train"][0]["words_drawn"] == 0
    oracle.mode, oracle.count = "train", oracle.counts["train"]
    assert oracle._draw(0) == [r, r ^ 0x9E3779B9]
    assert oracle.counts["train"][0]["words_drawn"] == 1


def test_schedule_stage_starts_at_its_sample() -> None:
    oracle = Oracle(SYSTEMS["schedule"], 1)
    stages = []
    for _ in range(9):
        stages.append(oracle._stage())
        oracle.train([[], [], [], []], 0)
    assert stages == [(1, 1)] * 4 + [(0, 2)] * 3 + [(2, 8)] * 2


def test_counts_have_the_names_of_the_specification() -> None:
    assert len(COUNT_NAMES) == len(set(COUNT_NAMES)) == 39
    oracle = Oracle(SYSTEMS["one_lane"], 1)
    assert all(tuple(c) == COUNT_NAMES for mode in oracle.counts.values() for c in mode)


def test_vectors_cover_every_option() -> None:
    cores = [core for chip in SYSTEMS.values() for core in chip["cores"]]
    wanted: dict[str, set[Any]] = {
        "memory_ports": {"1rw", "1r1w"},
        "neuron": {"lif", "if"},
        "reset": {"subtract", "zero"},
        "rule": {"bso", "tbso"},
        "rounding": {"stochastic", "nearest", "floor"},
        "random_source": {"shared", "per_lane"},
        "momentum_at_flip": {"reset", "keep"},
        "decay": {"none", "scrub", "dense"},
        "lanes": {1, 3, 16, 64},
        "momentum_bits": {2, 3, 8, 16},
        "trace_decay_shift": {None},
    }
    for name, values in wanted.items():
        assert values <= {core[name] for core in cores}, name
    errors = {(chip["error"]["kind"], chip["error"]["of"]) for chip in SYSTEMS.values()}
    assert len(errors) == 4
    assert {len(chip["cores"]) for chip in SYSTEMS.values()} == {1, 2, 4}


def test_vectors_are_what_the_oracle_says() -> None:
    generated = generate()
    assert {path.stem for path in VECTORS.glob("*.npz")} == set(generated)
    for name, arrays in generated.items():
        with np.load(VECTORS / f"{name}.npz", allow_pickle=False) as stored:
            assert set(stored.files) == set(arrays), name
            for key, array in arrays.items():
                np.testing.assert_array_equal(stored[key], array, err_msg=f"{name}: {key}")
    total = sum(path.stat().st_size for path in VECTORS.glob("*.npz"))
    assert total < 1_000_000


def test_stored_chip_is_json() -> None:
    with np.load(VECTORS / "system_schedule.npz", allow_pickle=False) as stored:
        assert json.loads(str(stored["chip"])) == SYSTEMS["schedule"]
        assert int(stored["spec_version"]) == rules.SPEC_VERSION
