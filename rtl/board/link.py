"""The line to a board: frames go out in order, are repeated until they are answered, and are executed exactly once (BOARD.md)."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from flipcore.errors import CheckError
from flipcore.rtl.board import protocol
from flipcore.rtl.board.protocol import Decoder, Frame

TIMEOUT_SECONDS = 0.25  # without progress, what is not answered is sent again
TRIES = 20  # without progress
_READ_BYTES = 4096


class Port(Protocol):
    """A serial port, as pyserial has it; `read` waits for a byte for a short while."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int, /) -> bytes:
        """Read bytes; none after a while in which none came."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""


@dataclass(frozen=True)
class Command:
    """What a board is to do: a frame without its number."""

    kind: int
    argument: int
    payload: bytes


@dataclass(frozen=True)
class Identity:
    """What a board says of itself.

    Attributes:
        version: of the protocol.
        fingerprint: of the chip.
        expected: sequence number that it executes next.
        settled: a host has settled with it since its reset.
    """

    version: int
    fingerprint: int
    expected: int
    settled: bool


@dataclass
class _UnderWay:
    """A frame that was sent, and its answer if that has come."""

    frame: Frame
    answer: bytes | None = None


class Link:
    """Sends commands and brings their answers back.

    Attributes:
        repeats: frames sent again so far.
        sent_bytes, received_bytes: of the line so far.
    """

    def __init__(self, port: Port, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Use a port; nothing is sent yet."""
        self._port = port
        self._timeout = timeout_seconds
        self._decoder = Decoder()
        self._number = 0
        self.repeats = 0
        self.sent_bytes = 0
        self.received_bytes = 0

    @property
    def damaged(self) -> int:
        """Damaged frames received so far."""
        return self._decoder.damaged

    def greet(self, tries: int = TRIES, *, settle: bool = False) -> Identity | None:
        """Ask who is there; None if nobody answers.

        Args:
            tries: how often to ask.
            settle: the board executes frames from now on, and this link goes on with its number.
        """
        argument = protocol.SETTLE if settle else 0
        for _ in range(tries):
            self._send(Frame(0, protocol.HELLO, argument, b""))
            deadline = time.monotonic() + self._timeout
            while time.monotonic() < deadline:
                for frame in self._receive():
                    identity = _identity(frame)
                    if identity is not None and (identity.settled or not settle):
                        self._number = identity.expected
                        return identity
        return None

    def run(self, commands: Iterable[Command]) -> Iterator[bytes]:
        """Have commands executed in order; yields the payload of each one's answer.

        Raises:
            CheckError: the board stops to answer.
        """
        waiting = iter(commands)
        under_way: deque[_UnderWay] = deque()
        is_more = True
        tries = 0
        deadline = time.monotonic() + self._timeout
        while is_more or under_way:
            while is_more and len(under_way) < protocol.WINDOW:
                command = next(waiting, None)
                is_more = command is not None
                if command is not None:
                    under_way.append(_UnderWay(self._number_of(command)))
                    self._send(under_way[-1].frame)
            if not under_way:
                break
            has_progress = self._take_answers(under_way)
            if has_progress:
                tries = 0
                deadline = time.monotonic() + self._timeout
            while under_way and under_way[0].answer is not None:
                yield under_way.popleft().answer or b""
            if under_way and time.monotonic() > deadline:
                tries += 1
                self._repeat(under_way, tries)
                deadline = time.monotonic() + self._timeout

    def _number_of(self, command: Command) -> Frame:
        frame = Frame(self._number, command.kind, command.argument, command.payload)
        self._number = (self._number + 1) % protocol.NUMBERS
        return frame

    def _take_answers(self, under_way: deque[_UnderWay]) -> bool:
        """Put the answers that have come to their frames; tells whether one was new."""
        has_progress = False
        for frame in self._receive():
            for one in under_way:
                if frame.header == one.frame.header and one.answer is None:
                    one.answer = frame.payload
                    has_progress = True
        return has_progress

    def _repeat(self, under_way: deque[_UnderWay], tries: int) -> None:
        if tries > TRIES:
            raise CheckError(
                f"the board does not answer any more: {TRIES} tries of {self._timeout:g} s each, "
                f"{self.damaged} damaged frames"
            )
        for one in under_way:
            if one.answer is None:
                self.repeats += 1
                self._send(one.frame)

    def _send(self, frame: Frame) -> None:
        content = protocol.encode(frame)
        self._port.write(content)
        self.sent_bytes += len(content)

    def _receive(self) -> list[Frame]:
        received = self._port.read(max(1, min(self._port.in_waiting, _READ_BYTES)))
        self.received_bytes += len(received)
        return self._decoder.feed(received)


def _identity(frame: Frame) -> Identity | None:
    if frame.kind != protocol.HELLO or len(frame.payload) != 5:
        return None
    version, number = frame.payload[0], int.from_bytes(frame.payload[1:], "little")
    return Identity(version, number, frame.number, bool(frame.argument & protocol.SETTLE))
