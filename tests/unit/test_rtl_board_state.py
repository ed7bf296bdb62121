"""A chip's state in registers: the words that SPEC S2 lays out, and back."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flipcore.chip import Chip, parse_chip
from flipcore.rtl.board.state import (
    Block,
    BoardState,
    CoreState,
    first_difference,
    from_registers,
    state_blocks,
    to_registers,
)
from flipcore.rtl.board.words import pack_words, register_layout, unpack_words


def chip() -> Chip:
    core = {"lanes": 3, "momentum_bits": 12, "random_source": "per_lane"}
    layers = [{"neurons": 4}, {"neurons": 5, "rule": "tbso"}]
    return parse_chip({"name": "x", "inputs": 6, "steps": 2, "core": core, "layers": layers}, "x")


def state(seed: int) -> BoardState:
    rng = np.random.default_rng(seed)
    cores = [
        CoreState(
            weights=rng.integers(0, 2, shape),
            momentum=rng.integers(-2047, 2048, shape),
            generators=rng.integers(1, 1 << 32, 3).tolist(),
            second_moment=moments,
        )
        for shape, moments in (((6, 4), []), ((4, 5), [7, 1 << 31]))
    ]
    return BoardState(cores, (5 << 32) + 6)


@given(st.integers(1, 64), st.integers(1, 16), st.integers(1, 9), st.integers(0, 99))
def test_words_come_back(lanes: int, bits: int, neurons: int, seed: int) -> None:
    low, high = (0, 2) if bits == 1 else (-(1 << (bits - 1)), 1 << (bits - 1))
    values = np.random.default_rng(seed).integers(low, high, (3, neurons))
    words = pack_words(values, lanes, bits)
    assert words.dtype == np.uint32
    assert len(words) == 3 * -(-neurons // lanes) * register_layout(lanes * bits).pitch
    found = unpack_words(words, 3, neurons, lanes, bits, signed=bits > 1)
    assert (found == values).all()


def test_words_are_those_of_the_register_bus() -> None:
    values = np.array([[1, -2, 3, -4, 5]])
    assert pack_words(values, 2, 8).tolist() == [0xFE01, 0xFC03, 0x0005]
    # 3 lanes of 16 bits are 48: two registers a word
    assert pack_words(values, 3, 16).tolist() == [0xFFFE0001, 0x00000003, 0x0005FFFC, 0]
    layout = register_layout(33 * 2)
    assert (layout.used, layout.pitch, layout.width) == (3, 4, 4)
    assert register_layout(9).width == 2


def test_state_comes_back_from_its_registers() -> None:
    registers = to_registers(chip(), state(1))
    assert [len(one) for one in registers] == [block.count for block in state_blocks(chip())]
    assert first_difference(state(1), from_registers(chip(), registers)) is None


def test_blocks_of_the_preset_in_order() -> None:
    assert state_blocks(chip())[:4] == [
        Block(0, 0, 2, 2, 4),  # sample counter
        Block(1, 0, 0, 12, 1),  # weights: 6 rows of 2 words
        Block(2, 0, 0, 24, 4),  # momentum: 36 bits a word
        Block(3, 0, 0, 3, 4),  # generators
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("weights", "core 1: 1 weights differ, the first of synapse (2, 3): "),
        ("momentum", "core 1: 1 momentum differ, the first of synapse (2, 3): "),
    ],
)
def test_a_difference_is_named(name: str, text: str) -> None:
    changed = state(1)
    getattr(changed.cores[1], name)[2, 3] ^= 1
    assert (first_difference(state(1), changed) or "").startswith(text)


def test_other_differences_are_named() -> None:
    one, other = state(1), state(1)
    other.cores[0].generators[2] = 9
    assert (first_difference(one, other) or "").startswith("core 0: generators: ")
    counted = BoardState(one.cores, 3)
    assert first_difference(one, counted) == f"sample counter: 3, expected {one.sample_counter}"
