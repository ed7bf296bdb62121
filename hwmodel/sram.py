"""What a memory costs: cut into macros of sizes that the technology has measured, or built of flip-flops if that is smaller."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from flipcore.errors import InputError
from flipcore.hwmodel.technology import (
    REGISTER_FILE,
    SRAM_COMPONENTS,
    Band,
    Ports,
    SramRange,
    Technology,
)


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """A memory: words, bits of a word, and ports (`1rw`: one access per cycle; `1r1w`: a read and a write)."""

    words: int
    bits: int
    ports: Ports


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """What a memory costs.

    Attributes:
        read_pj: Energy of reading a word: all macros that hold a part of it; other bank rows rest.
        write_pj: Energy of writing a word.
        leakage_nw: Static power of all macros.
        area_um2: Area of all macros. What selects between bank rows is left out.
        macros: Words, bits and number of the macros; with flip-flops, of the one register file.
        extrapolated: In words, each way in which the cost goes beyond the sizes measured.
        luts: On an FPGA, LUT4 beside the macros or flip-flops; else 0.
        built_of: SRAM macros, or flip-flops.
    """

    read_pj: Band
    write_pj: Band
    leakage_nw: Band
    area_um2: Band
    macros: tuple[tuple[int, int, int], ...]
    extrapolated: tuple[str, ...]
    luts: Band
    built_of: Literal["sram", "flip-flops"] = "sram"


@dataclass(frozen=True, slots=True)
class _Split:
    """A memory as a grid of equal macros: rows of banks by the word, columns side by side in a word."""

    rows: int
    columns: int
    words: int
    bits: int

    @property
    def macros(self) -> int:
        return self.rows * self.columns


def memory_cost(technology: Technology, shape: MemoryShape) -> MemoryCost:
    """Price a memory: of all ways to cut it into equal macros the one with the least area, ties to fewer macros.

    Words that are too few, or too narrow, are priced as those of the smallest macro. A technology with a register file
    builds a memory of flip-flops where that is smaller, or as its own rule says.

    Raises:
        InputError: The memory has no words or bits, or the technology has no memories with such ports.
    """
    if shape.words < 1 or shape.bits < 1:
        raise InputError(f"a memory of {shape.words} words of {shape.bits} bits: 1 or more of each")
    costs = [_register_cost(technology, shape)] if technology.rows(REGISTER_FILE) else []
    if shape.ports in technology.sram_ranges:
        costs.append(_sram_cost(technology, shape, technology.sram_ranges[shape.ports]))
    if not costs:
        raise InputError(f"{technology.name}: prices no memories with {shape.ports} ports")
    if technology.register_limit is not None and len(costs) > 1:
        registers, sram = costs
        macros = sum(number for _, _, number in sram.macros)
        return registers if shape.words * shape.bits <= technology.register_limit * macros else sram
    return min(costs, key=lambda cost: cost.area_um2.value)


def _sram_cost(technology: Technology, shape: MemoryShape, sizes: SramRange) -> MemoryCost:
    component = SRAM_COMPONENTS[shape.ports]

    def area(split: _Split) -> float:
        return _macro_cost(technology, component, "area", split).value * split.macros

    split = min(_splits(shape, sizes), key=lambda split: (area(split), split.macros))

    def cost(action: str, times: int) -> Band:
        return _macro_cost(technology, component, action, split) * times

    return MemoryCost(
        read_pj=cost("read", split.columns),
        write_pj=cost("write", split.columns),
        leakage_nw=cost("leakage", split.macros),
        area_um2=cost("area", split.macros),
        macros=((split.words, split.bits, split.macros),),
        extrapolated=tuple(_below(shape, sizes)),
        luts=cost("luts", split.macros),
    )


def _macro_cost(technology: Technology, component: str, action: str, split: _Split) -> Band:
    return technology.cost(component, action, {"words": split.words, "bits": split.bits})


def _splits(shape: MemoryShape, sizes: SramRange) -> Iterator[_Split]:
    """Every number of columns that the widths allow, each with as few rows as the sizes allow."""
    fewest = -(-shape.bits // sizes.largest_bits)
    most = max(fewest, -(-shape.bits // sizes.smallest_bits))
    for columns in range(fewest, most + 1):
        bits = max(sizes.smallest_bits, -(-shape.bits // columns))
        most_words = min(sizes.largest_words, sizes.largest_cells // bits)
        rows = -(-shape.words // max(1, most_words))
        yield _Split(rows, columns, max(sizes.smallest_words, -(-shape.words // rows)), bits)


def _below(shape: MemoryShape, sizes: SramRange) -> Iterator[str]:
    if shape.words < sizes.smallest_words:
        yield f"{shape.words} words priced as {sizes.smallest_words}, the fewest measured"
    if shape.bits < sizes.smallest_bits:
        yield f"{shape.bits} bits priced as {sizes.smallest_bits}, the narrowest word measured"


def _register_cost(technology: Technology, shape: MemoryShape) -> MemoryCost:
    def cost(action: str) -> Band:
        features = {"words": shape.words, "bits": shape.bits}
        return technology.cost(REGISTER_FILE, action, features)

    return MemoryCost(
        read_pj=cost("read"),
        write_pj=cost("write"),
        leakage_nw=cost("leakage"),
        area_um2=cost("area"),
        macros=((shape.words, shape.bits, 1),),
        extrapolated=(),
        luts=cost("luts"),
        built_of="flip-flops",
    )
