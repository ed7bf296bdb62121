"""The host's side of the line against a model of the board: every command is executed once and in order, whatever the line does."""

import random
from collections.abc import Iterator

import pytest

from flipcore.chip import load_chip
from flipcore.errors import CheckError, InputError
from flipcore.rtl.board import host, protocol
from flipcore.rtl.board.link import Command, Link
from flipcore.rtl.board.protocol import Decoder, Frame
from flipcore.rtl.board.shape import fingerprint

CHIP = load_chip("digits-up5k", ())


class ModelBoard:
    """A board that executes at once: what `frame_receiver` and `command_decoder` do, without the chip.

    It answers a sample with its number among those executed, and words with their header.
    """

    def __init__(self, *, number: int = 0, fingerprint: int = fingerprint(CHIP)) -> None:
        self.executed: list[bytes] = []
        self.version = protocol.VERSION
        self.settled = False
        self._expected = number
        self._fingerprint = fingerprint
        self._answers: dict[int, Frame] = {}
        self._decoder = Decoder()
        self._line = bytearray()

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self._line)

    def read(self, size: int, /) -> bytes:
        """Read bytes."""
        data, self._line = bytes(self._line[:size]), self._line[size:]
        return data

    def write(self, data: bytes, /) -> int:
        """Send bytes."""
        for frame in self._decoder.feed(data):
            self._take(frame)
        return len(data)

    def _take(self, frame: Frame) -> None:
        if frame.kind == protocol.HELLO:
            self.settled |= bool(frame.argument & protocol.SETTLE)
            identity = bytes([self.version]) + self._fingerprint.to_bytes(4, "little")
            self._send(Frame(self._expected, protocol.HELLO, int(self.settled), identity))
        elif not self.settled:
            return
        elif frame.number == self._expected:
            self.executed.append(frame.payload)
            payload = len(self.executed).to_bytes(4, "little")
            self._answers[frame.number] = Frame(frame.number, frame.kind, frame.argument, payload)
            self._expected = (self._expected + 1) % 16
            self._send(self._answers[frame.number])
        elif 1 <= (self._expected - frame.number) % 16 <= 7:
            self._send(self._answers[frame.number])

    def _send(self, frame: Frame) -> None:
        self._line += protocol.encode(frame)


class NoisyBoard(ModelBoard):
    """The same behind a line that changes, loses and repeats bytes, both ways."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = random.Random(seed)

    def read(self, size: int, /) -> bytes:
        """Read bytes."""
        return self._spoil(super().read(size))

    def write(self, data: bytes, /) -> int:
        """Send bytes."""
        super().write(self._spoil(data))
        return len(data)

    def _spoil(self, data: bytes) -> bytes:
        spoilt = bytearray()
        for byte in data:
            chance = self._rng.random()
            if chance < 0.002:
                continue
            spoilt.append(byte ^ (1 << self._rng.randrange(8) if chance < 0.004 else 0))
            if chance > 0.998:
                spoilt.append(byte)
        return bytes(spoilt)


def commands(number: int) -> Iterator[Command]:
    for k in range(number):
        yield Command(protocol.SAMPLE, k % 2, k.to_bytes(2, "little") * 10)


def settled_link(board: ModelBoard, timeout: float = 0.002) -> Link:
    link = Link(board, timeout)
    host.connect(link, CHIP, "PORT")
    return link


@pytest.mark.parametrize("first", [0, 11, 15])
def test_commands_are_executed_in_order(first: int) -> None:
    board = ModelBoard(number=first)
    answers = list(settled_link(board).run(commands(100)))
    assert board.executed == [command.payload for command in commands(100)]
    assert [int.from_bytes(answer, "little") for answer in answers] == list(range(1, 101))


@pytest.mark.parametrize("seed", range(4))
def test_on_a_noisy_line_each_is_executed_once(seed: int) -> None:
    board = NoisyBoard(seed)
    link = settled_link(board)
    answers = list(link.run(commands(300)))
    assert board.executed == [command.payload for command in commands(300)]
    assert [int.from_bytes(answer, "little") for answer in answers] == list(range(1, 301))
    assert link.repeats > 0


def test_commands_are_taken_only_as_they_are_sent() -> None:
    taken = 0

    def counted() -> Iterator[Command]:
        nonlocal taken
        for command in commands(50):
            taken += 1
            yield command

    answers = settled_link(ModelBoard()).run(counted())
    next(answers)
    assert taken <= protocol.WINDOW + 1


def test_a_link_goes_on_after_another_one() -> None:
    board = ModelBoard()
    list(settled_link(board).run(commands(5)))
    link = Link(board, 0.002)
    assert host.connect(link, CHIP, "PORT").settled
    list(link.run(commands(5)))
    assert board.executed == [command.payload for command in commands(5)] * 2


def test_a_board_that_was_reset_learns_nothing() -> None:
    board = ModelBoard()
    link = settled_link(board, 0.0005)
    list(link.run(commands(16)))
    board.settled = False  # as after a reset, in which it also expects number 0 again
    with pytest.raises(CheckError, match=r"^the board does not answer any more: 20 tries"):
        list(link.run(commands(1)))
    assert len(board.executed) == 16


def test_nobody_answers() -> None:
    class Silence(ModelBoard):
        def write(self, data: bytes, /) -> int:
            return len(data)

    with pytest.raises(InputError, match=r"^--port PORT: no board answers"):
        settled_link(Silence(), 0.0005)


def test_another_chip_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--port PORT: the board holds another chip \(0000002a\)"
    ):
        settled_link(ModelBoard(fingerprint=42))


def test_another_version_is_refused() -> None:
    board = ModelBoard()
    board.version = 9
    with pytest.raises(InputError, match=r"speaks version 9 of the protocol, this is version 1"):
        settled_link(board)
