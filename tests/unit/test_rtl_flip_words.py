"""The bench's reference: draws in the SPEC's order, and packing of lanes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from flipcore.chip import Core
from flipcore.rtl.bench import flip_words
from flipcore.rtl.flip_unit import FlipUnit

VECTORS = Path(__file__).parents[1] / "vectors"
UNIT = replace(
    FlipUnit.of(Core(axons=1, neurons=1, max_gradient_shift=9)),
    lanes=3,
    gradient_shift=24,
    max_gradient_shift=24,
)
TRACE = np.array([5, 0, 1, 0, 0, 9])
DRAWING_WORDS = [0, 2, 5]


def test_only_words_with_a_trace_draw_from_the_shared_generator() -> None:
    vectors = np.load(VECTORS / "rule_random.npz", allow_pickle=False)
    keys = vectors["expected_lane_keys"][:3].astype(np.int64)
    draws = vectors["expected_draws"][4, :3].astype(np.int64)
    seed = vectors["xorshift_states"][4:5].astype(np.int64)
    shift = np.full(len(TRACE), 24)
    noise = flip_words.draw_noise(UNIT, TRACE, shift, seed)
    np.testing.assert_array_equal(noise[DRAWING_WORDS], (draws[:, None] ^ keys) & 0xFFFFFF)


def test_a_draw_steps_the_generators_of_all_lanes() -> None:
    vectors = np.load(VECTORS / "rule_random.npz", allow_pickle=False)
    unit = replace(UNIT, random_source="per_lane")
    seeds = vectors["xorshift_states"][:3].astype(np.int64)
    draws = vectors["expected_draws"][:3, :3].astype(np.int64).T
    noise = flip_words.draw_noise(unit, TRACE, np.full(len(TRACE), 24), seeds)
    np.testing.assert_array_equal(noise[DRAWING_WORDS], draws & 0xFFFFFF)


def test_the_reference_learns_as_the_vectors_say() -> None:
    vectors = np.load(VECTORS / "rule_momentum_flip.npz", allow_pickle=False)
    for policy, keep in (("reset", 0), ("keep", 1)):
        for bits in np.unique(vectors["momentum_bits"]).tolist():
            cases = (vectors["keep"] == keep) & (vectors["momentum_bits"] == bits)
            unit = replace(UNIT, lanes=1, momentum_bits=bits, momentum_at_flip=policy)
            nothing = np.zeros(cases.sum(), dtype=np.int64)
            words = flip_words.Words(
                trace=nothing,
                error=nothing[:, None],
                weight=vectors["weight"][cases][:, None],
                momentum=vectors["momentum"][cases][:, None],
                shift_add=nothing,
                flip_threshold=vectors["flip_threshold"][cases],
                backward=nothing,
                tag=nothing,
                address=nothing,
            )
            learnt = flip_words.learn(unit, words, vectors["q"][cases][:, None])
            for name in ("weight", "momentum", "flip"):
                wanted = vectors[f"expected_{name}"][cases]
                got = getattr(learnt, {"flip": "flipped"}.get(name, name))[:, 0]
                np.testing.assert_array_equal(got, wanted, err_msg=f"{name}, {bits} bits, {policy}")


def test_lane_0_is_packed_lowest_in_twos_complement() -> None:
    assert flip_words.pack(np.array([[1, -2, 3], [-1, 0, 0]]), 4) == [0x3E1, 0x00F]


def test_made_words_stay_in_range_and_hold_the_rare_cases() -> None:
    unit = replace(UNIT, gradient_shift=6, max_gradient_shift=8)
    rng = np.random.default_rng(3)
    seeds = np.array([77])
    words = flip_words.make_words(unit, 2000, seeds, rng)
    assert np.abs(words.momentum).max() == 127
    assert np.abs(words.error).max() == 127
    assert words.trace.max() == 31
    rounded = flip_words.round_words(unit, words, seeds)
    learnt = flip_words.learn(unit, words, rounded)
    coverage = flip_words.count_coverage(unit, words, rounded, learnt)
    assert min(coverage.values()) > 10, coverage
