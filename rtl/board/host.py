"""What a host does with a board: find that it is the right chip, load and read its state, have it learn samples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.rtl.board import protocol
from flipcore.rtl.board.link import Command, Identity, Link
from flipcore.rtl.board.shape import fingerprint
from flipcore.rtl.board.state import (
    CHIP,
    STATUS,
    Block,
    BoardState,
    from_registers,
    state_blocks,
    to_registers,
)
from flipcore.rtl.board.words import Registers

Progress = Callable[[int], None]  # hears how many bytes have gone over the line
Bitmaps = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """What a board says of a sample: the class, and the cycles that the SPEC counts (T1-T9)."""

    prediction: int
    cycles: int


def connect(link: Link, chip: Chip, port: str) -> Identity:
    """Make sure that the board is there and holds this chip, and settle with it; returns what it said at first.

    Raises:
        InputError: nobody answers, or it is another chip or another version of the protocol.
    """
    identity = link.greet()
    if identity is None:
        raise InputError(
            f"--port {port}: no board answers: is it the right port, and the bitstream loaded?"
        )
    if identity.version != protocol.VERSION:
        raise InputError(
            f"--port {port}: the board speaks version {identity.version} of the protocol, "
            f"this is version {protocol.VERSION}: build its bitstream anew"
        )
    if identity.fingerprint != fingerprint(chip):
        raise InputError(
            f"--port {port}: the board holds another chip ({identity.fingerprint:08x}) than "
            f"{chip.name} ({fingerprint(chip):08x}): build and load its bitstream"
        )
    if link.greet(settle=True) is None:
        raise InputError(f"--port {port}: the board does not answer any more")
    return identity


def state_bytes(chip: Chip) -> int:
    """Bytes of registers that hold the state of a chip: what its progress goes to."""
    return sum(block.count * block.width for block in state_blocks(chip))


def load_state(link: Link, chip: Chip, state: BoardState, progress: Progress) -> None:
    """Write all that a chip needs after reset.

    Raises:
        CheckError: the board stops to answer.
    """
    commands: list[Command] = []
    for block, registers in zip(state_blocks(chip), to_registers(chip, state), strict=True):
        commands += _write_commands(block, registers)
    done = 0
    for command, _ in zip(commands, link.run(commands), strict=True):
        done += len(command.payload) - protocol.WORDS_HEADER
        progress(done)


def read_state(link: Link, chip: Chip, progress: Progress) -> BoardState:
    """Read all that a chip keeps between samples.

    Raises:
        CheckError: the board stops to answer.
    """
    done = 0

    def count(number: int) -> None:
        progress(done + number)

    contents = []
    for block in state_blocks(chip):
        contents.append(read_registers(link, block, count))
        done += block.count * block.width
    return from_registers(chip, contents)


def read_status(link: Link) -> int:
    """Error bits and state of the chip's event stream (RTL.md, `status`)."""
    return int(read_registers(link, Block(CHIP, 0, STATUS, 1, 4), lambda _: None)[0])


def run_samples(link: Link, samples: Iterable[tuple[Bitmaps, int | None]]) -> Iterator[Answer]:
    """Have samples learnt, or only classified, in order.

    Args:
        link: to a board that has been loaded.
        samples: the bitmap of each step, uint8 [steps, ceil(inputs / 8)], input i in bit i % 8 of byte
            i // 8, and the label; None classifies without learning.

    Raises:
        CheckError: the board stops to answer.
    """
    for answer in link.run(_sample_command(bitmaps, label) for bitmaps, label in samples):
        yield Answer(answer[0], int.from_bytes(answer[1:], "little"))


def read_registers(link: Link, block: Block, progress: Progress) -> Registers:
    """Read registers that follow one another, uint32 [count].

    Raises:
        CheckError: the board stops to answer.
    """
    received = bytearray()
    for answer in link.run(_read_commands(block)):
        received += answer
        progress(len(received))
    padded = np.zeros((block.count, 4), np.uint8)
    padded[:, : block.width] = np.frombuffer(received, np.uint8).reshape(block.count, block.width)
    return padded.view("<u4").astype(np.uint32).reshape(-1)


def _sample_command(bitmaps: Bitmaps, label: int | None) -> Command:
    if label is None:
        return Command(protocol.SAMPLE, 0, bitmaps.tobytes())
    return Command(protocol.SAMPLE, protocol.LEARN, bytes([label]) + bitmaps.tobytes())


def _parts(block: Block) -> Iterator[tuple[int, int]]:
    """First register, from 0, and number of registers of each frame."""
    most = protocol.MAX_DATA // block.width
    for first in range(0, block.count, most):
        yield first, min(most, block.count - first)


def _read_commands(block: Block) -> Iterator[Command]:
    for first, count in _parts(block):
        header = protocol.words_header(block.region, block.core, block.index + first, count)
        yield Command(protocol.READ, block.width - 1, header)


def _write_commands(block: Block, registers: Registers) -> Iterator[Command]:
    # The board takes the highest byte first.
    content = registers.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 4 - block.width :]
    for first, count in _parts(block):
        header = protocol.words_header(block.region, block.core, block.index + first, count)
        yield Command(
            protocol.WRITE, block.width - 1, header + content[first : first + count].tobytes()
        )
