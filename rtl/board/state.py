"""What a chip keeps between samples, and the registers that hold it (RTL.md, Register bus)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip, Core
from flipcore.rtl.board.words import Registers, pack_words, register_layout, unpack_words
from flipcore.rtl.flip_unit import FlipUnit

CHIP, WEIGHT, MOMENTUM, GENERATOR, SECOND_MOMENT = range(5)  # regions
STATUS, SAMPLES = 1, 2  # indices of the first; the counter has two registers
_WHOLE = 4  # bytes of a register

Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CoreState:
    """What a core keeps between samples.

    Attributes:
        weights: bits, [axons, neurons].
        momentum: [axons, neurons].
        generators: states, one or one a lane; none unless rounding is stochastic.
        second_moment: of T-BSO, [steps]; empty for `bso`.
    """

    weights: Matrix
    momentum: Matrix
    generators: list[int]
    second_moment: list[int]


@dataclass(frozen=True)
class BoardState:
    """What a chip keeps between samples: its cores, and the number of samples learnt (O5)."""

    cores: list[CoreState]
    sample_counter: int


@dataclass(frozen=True)
class Block:
    """Registers that follow one another.

    Attributes:
        region, core: of their address.
        index: of the first.
        count: how many there are.
        width: bytes of each that hold something.
    """

    region: int
    core: int
    index: int
    count: int
    width: int


def state_blocks(chip: Chip) -> list[Block]:
    """The registers that hold a chip's state, in the order of `to_registers`."""
    blocks = [Block(CHIP, 0, SAMPLES, 2, _WHOLE)]
    for c, core in enumerate(chip.layers):
        blocks.append(_memory_block(WEIGHT, c, core, core.lanes))
        blocks.append(_memory_block(MOMENTUM, c, core, core.lanes * core.momentum_bits))
        if _num_generators(core):
            blocks.append(Block(GENERATOR, c, 0, _num_generators(core), _WHOLE))
        if core.rule == "tbso":
            blocks.append(Block(SECOND_MOMENT, c, 0, chip.steps, _WHOLE))
    return blocks


def to_registers(chip: Chip, state: BoardState) -> list[Registers]:
    """Contents of the registers of each block."""
    counter = state.sample_counter
    contents = [np.array([counter & 0xFFFFFFFF, counter >> 32], np.uint32)]
    for core, values in zip(chip.layers, state.cores, strict=True):
        contents.append(pack_words(values.weights, core.lanes, 1))
        contents.append(pack_words(values.momentum, core.lanes, core.momentum_bits))
        if _num_generators(core):
            contents.append(np.array(values.generators, np.uint32))
        if core.rule == "tbso":
            contents.append(np.array(values.second_moment, np.uint32))
    return contents


def from_registers(chip: Chip, contents: list[Registers]) -> BoardState:
    """The state that the registers of the blocks hold."""
    by_place = {
        (block.region, block.core): registers
        for block, registers in zip(state_blocks(chip), contents, strict=True)
    }
    low, high = by_place[CHIP, 0].tolist()
    empty = np.zeros(0, np.uint32)
    cores = []
    for c, core in enumerate(chip.layers):
        sizes = (core.axons, core.neurons, core.lanes)
        bits = core.momentum_bits
        cores.append(
            CoreState(
                weights=unpack_words(by_place[WEIGHT, c], *sizes, 1, signed=False),
                momentum=unpack_words(by_place[MOMENTUM, c], *sizes, bits, signed=True),
                generators=by_place.get((GENERATOR, c), empty).tolist(),
                second_moment=by_place.get((SECOND_MOMENT, c), empty).tolist(),
            )
        )
    return BoardState(cores, low | high << 32)


def first_difference(expected: BoardState, found: BoardState) -> str | None:
    """Say where two states of a chip differ; None if they are equal."""
    if expected.sample_counter != found.sample_counter:
        return f"sample counter: {found.sample_counter}, expected {expected.sample_counter}"
    for c, (one, other) in enumerate(zip(expected.cores, found.cores, strict=True)):
        for name in ("weights", "momentum"):
            differing = np.argwhere(getattr(one, name) != getattr(other, name))
            if len(differing):
                i, n = differing[0].tolist()
                return (
                    f"core {c}: {len(differing)} {name} differ, the first of synapse ({i}, {n}): "
                    f"{getattr(other, name)[i, n]}, expected {getattr(one, name)[i, n]}"
                )
        for name in ("generators", "second_moment"):
            if getattr(one, name) != getattr(other, name):
                return f"core {c}: {name}: {getattr(other, name)}, expected {getattr(one, name)}"
    return None


def _memory_block(region: int, c: int, core: Core, word_bits: int) -> Block:
    layout = register_layout(word_bits)
    return Block(region, c, 0, core.axons * core.words * layout.pitch, layout.width)


def _num_generators(core: Core) -> int:
    return FlipUnit.of(core).generators
