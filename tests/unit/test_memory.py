"""Bits of a chip's stores, worked out by hand from SPEC T13."""

from hypothesis import given
from hypothesis import strategies as st

from flipcore.chip import parse_chip
from flipcore.hwmodel.memory import core_stores, memory_bits, signed_bits
from tests.random_chips import Document, chip_documents

# 9 axons on 7 neurons on 3 neurons, 4 lanes: 2 words and 1 word a row, padding in both; 5 steps.
CHIP = parse_chip(
    {
        "name": "hand",
        "inputs": 9,
        "steps": 5,
        "core": {"lanes": 4, "momentum_bits": 6, "trace_bits": 3, "trace_unit": 1, "error_bits": 9},
        "layers": [
            {"neurons": 7, "potential_bits": 11, "random_source": "per_lane", "error_bits": 5},
            {"neurons": 3, "rule": "tbso"},
        ],
    },
    "hand",
)


def test_stores_of_a_hidden_core() -> None:
    assert core_stores(CHIP, 0) == {
        "weight": 9 * 2 * 4,
        "momentum": 9 * 2 * 4 * 6,
        "potential": 2 * 4 * 11,
        "spike": 2 * 4,
        "window": 2 * 4,
        "trace": 3 * 4 * 3,  # 9 rows are 3 words of 4
        "error": 2 * 4 * 5,
        "row_list": 9 * (4 + 3),  # rows 0 ... 8 need 4 bits; no window bit of inputs
        "event_list": 9 * 4,
        "event_map": 9,
        "live_words": 2,
        "generator": 4 * 32,
        "second_moment": 0,
    }


def test_stores_of_the_readout() -> None:
    assert core_stores(CHIP, 1) == {
        "weight": 7 * 1 * 4,
        "momentum": 7 * 1 * 4 * 6,
        "trace": 2 * 4 * 3,
        "error": 1 * 4 * 9,
        "row_list": 7 * (3 + 3 + 1),
        "event_list": 7 * 3,
        "event_map": 7,
        "live_words": 1,
        "generator": 32,
        "second_moment": 5 * 32,
        "output": 4 * 4,  # -7 ... 7
        "total": 4 * 7,  # -35 ... 35
    }


def test_stores_of_the_chip() -> None:
    bits = memory_bits(CHIP)
    both = {
        "weight": 72 + 28,
        "event_list": 36 + 21,
        "momentum": 432 + 168,
        "trace": 36 + 24,
        "row_list": 63 + 49,
        "error": 40 + 36,
        "live_words": 3,
        "event_map": 16,
        "generator": 160,
        "second_moment": 160,
        "potential": 88,
        "spike": 8,
        "window": 8,
        "output": 16,
        "total": 28,
    }
    inference = 100 + 57 + 16 + 88 + 8 + 16 + 28
    chip = sum(both.values())
    totals = {
        "total_inference": inference,
        "total_learning": chip - inference,
        "total_chip": chip,
    }
    assert bits == both | totals


def test_one_axon_has_an_index_of_one_bit() -> None:
    chip = parse_chip({"name": "one", "inputs": 1, "layers": [{"neurons": 2}]}, "one")
    stores = core_stores(chip, 0)
    assert (stores["event_list"], stores["row_list"]) == (1, 1 + 5)


def test_without_a_memory_of_earlier_steps_there_is_no_trace_memory() -> None:
    document = {"name": "x", "inputs": 3, "core": {"trace_decay_shift": "none"},
                "layers": [{"neurons": 2}]}  # fmt: skip
    chip = parse_chip(document, "x")
    assert core_stores(chip, 0)["trace"] == 0
    assert core_stores(chip, 0)["row_list"] == 3 * (2 + 5)  # it still carries the trace
    assert "trace" not in memory_bits(chip)


def test_an_error_of_the_total_needs_no_output_of_the_step() -> None:
    for kind in ("hinge", "softmax"):
        document = {"name": "x", "inputs": 3, "error": {"kind": kind, "of": "total"},
                    "layers": [{"neurons": 2}]}  # fmt: skip
        bits = memory_bits(parse_chip(document, "x"))
        assert "output" not in bits
        assert bits["total"] == 16 * 5  # -12 ... 12 in 4 steps, 16 lanes


def test_rounding_without_chance_needs_no_generator() -> None:
    for rounding in ("nearest", "floor"):
        document = {"name": "x", "inputs": 3, "core": {"rounding": rounding, "random_source": "per_lane"},
                    "layers": [{"neurons": 2}]}  # fmt: skip
        assert "generator" not in memory_bits(parse_chip(document, "x"))


@given(st.integers(0, 1 << 20))
def test_signed_bits_are_the_fewest_that_hold_both_signs(magnitude: int) -> None:
    bits = signed_bits(magnitude)
    assert magnitude <= (1 << (bits - 1)) - 1 or bits == 1 == magnitude + 1
    assert bits == 1 or magnitude > (1 << (bits - 2)) - 1


@given(chip_documents())
def test_stores_of_any_chip_hold_its_state(document: Document) -> None:
    chip = parse_chip(document, "x")
    bits = memory_bits(chip)
    assert bits["total_chip"] == bits["total_inference"] + bits["total_learning"]
    assert bits["weight"] >= sum(core.axons * core.neurons for core in chip.layers)
    assert all(value > 0 for value in bits.values())
