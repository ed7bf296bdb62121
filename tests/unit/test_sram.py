"""The price of a memory: how it is cut into macros, what is extrapolated, when flip-flops are smaller."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipcore.errors import InputError
from flipcore.hwmodel.sram import MemoryShape, memory_cost
from flipcore.hwmodel.technology import (
    REGISTER_FILE,
    Ports,
    SramRange,
    Technology,
    load_technology,
    technology_names,
)

IHP = load_technology("ihp-sg13g2")
PORTS: tuple[Ports, ...] = ("1rw", "1r1w")


def without_flip_flops(technology: Technology) -> Technology:
    rows = tuple(row for row in technology.coefficients if row.component != REGISTER_FILE)
    return replace(technology, coefficients=rows)


SRAM_ONLY = [without_flip_flops(load_technology(name)) for name in technology_names()]
shapes = st.builds(MemoryShape, st.integers(1, 50_000), st.integers(1, 600), st.sampled_from(PORTS))


@given(st.sampled_from(SRAM_ONLY), shapes)
def test_macros_hold_the_memory_and_lie_in_the_range(
    technology: Technology, shape: MemoryShape
) -> None:
    sizes = technology.sram_ranges[shape.ports]
    cost = memory_cost(technology, shape)
    ((words, bits, count),) = cost.macros
    assert words * bits * count >= shape.words * shape.bits
    assert sizes.smallest_words <= words <= sizes.largest_words
    assert sizes.smallest_bits <= bits <= sizes.largest_bits
    assert words * bits <= sizes.largest_cells
    # A grid of macros: columns hold the bits of a word, rows all the words.
    columns = -(-shape.bits // bits)
    assert count % columns == 0
    assert count // columns * words >= shape.words
    too_small = shape.words < sizes.smallest_words or shape.bits < sizes.smallest_bits
    assert bool(cost.extrapolated) == too_small
    for band in (cost.read_pj, cost.write_pj, cost.leakage_nw, cost.area_um2):
        assert 0 <= band.low <= band.value <= band.high


@given(st.sampled_from(SRAM_ONLY), shapes, st.integers(0, 5000))
def test_more_words_never_take_less_area(
    technology: Technology, shape: MemoryShape, more: int
) -> None:
    smaller = memory_cost(technology, shape)
    larger = memory_cost(technology, replace(shape, words=shape.words + more))
    assert larger.area_um2.value >= smaller.area_um2.value * (1 - 1e-9)


@given(st.sampled_from(SRAM_ONLY), shapes, st.integers(0, 200))
def test_wider_words_never_take_less_area(
    technology: Technology, shape: MemoryShape, more: int
) -> None:
    smaller = memory_cost(technology, shape)
    larger = memory_cost(technology, replace(shape, bits=shape.bits + more))
    # Narrower macros may be cut into more words each, and waste fewer of them to rounding.
    assert larger.area_um2.value >= smaller.area_um2.value * 0.98


@given(st.sampled_from(PORTS), st.integers(1, 1024), st.integers(1, 32), st.data())
def test_energy_grows_with_words_and_bits_of_one_macro(
    ports: Ports, words: int, bits: int, data: st.DataObject
) -> None:
    technology = without_flip_flops(IHP)
    fewer = MemoryShape(data.draw(st.integers(1, words)), data.draw(st.integers(1, bits)), ports)
    large, small = (
        memory_cost(technology, MemoryShape(words, bits, ports)),
        memory_cost(technology, fewer),
    )
    for name in ("read_pj", "write_pj", "leakage_nw", "area_um2"):
        assert getattr(large, name).value >= getattr(small, name).value


def test_one_macro_costs_what_its_rows_say() -> None:
    cost = memory_cost(IHP, MemoryShape(256, 16, "1rw"))
    macro = {"words": 256, "bits": 16}
    assert cost.built_of == "sram"
    assert cost.macros == ((256, 16, 1),)
    assert cost.extrapolated == ()
    assert cost.read_pj == IHP.cost("sram_1rw", "read", macro)
    assert cost.area_um2 == IHP.cost("sram_1rw", "area", macro)


def test_only_the_banks_of_the_word_are_accessed() -> None:
    """20000 words are 3 rows of macros, 100 bits are 2 columns of 50: an access is to 2 of 6."""
    technology = replace(IHP, sram_ranges={"1rw": SramRange(64, 8192, 8, 64, 8192 * 64)})
    cost = memory_cost(technology, MemoryShape(20_000, 100, "1rw"))
    assert cost.macros == ((6667, 50, 6),)
    macro = {"words": 6667, "bits": 50}
    assert cost.read_pj == IHP.cost("sram_1rw", "read", macro) * 2
    assert cost.write_pj == IHP.cost("sram_1rw", "write", macro) * 2
    assert cost.leakage_nw == IHP.cost("sram_1rw", "leakage", macro) * 6
    assert cost.area_um2 == IHP.cost("sram_1rw", "area", macro) * 6


def test_too_small_memories_cost_what_the_smallest_macro_does() -> None:
    technology = without_flip_flops(IHP)
    cost = memory_cost(technology, MemoryShape(3, 5, "1rw"))
    assert cost.read_pj == memory_cost(technology, MemoryShape(64, 8, "1rw")).read_pj
    assert cost.extrapolated == (
        "3 words priced as 64, the fewest measured",
        "5 bits priced as 8, the narrowest word measured",
    )


def test_few_wide_words_are_flip_flops() -> None:
    wide = memory_cost(IHP, MemoryShape(4, 512, "1rw"))
    assert wide.built_of == "flip-flops"
    assert wide.macros == ((4, 512, 1),)
    assert wide.extrapolated == ()
    assert wide.area_um2.value < memory_cost(without_flip_flops(IHP), MemoryShape(4, 512, "1rw")).area_um2.value  # fmt: skip
    assert memory_cost(IHP, MemoryShape(1024, 16, "1rw")).built_of == "sram"


def test_a_technology_without_such_memories() -> None:
    technology = replace(without_flip_flops(IHP), sram_ranges={"1rw": IHP.sram_ranges["1rw"]})
    with pytest.raises(InputError, match="ihp-sg13g2: prices no memories with 1r1w ports"):
        memory_cost(technology, MemoryShape(64, 8, "1r1w"))


@pytest.mark.parametrize(("words", "bits"), [(0, 8), (8, 0), (-1, 8)])
def test_a_memory_of_nothing(words: int, bits: int) -> None:
    with pytest.raises(InputError, match="1 or more of each"):
        memory_cost(IHP, MemoryShape(words, bits, "1rw"))
