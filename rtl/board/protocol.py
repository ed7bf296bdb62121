"""Frames of a board's serial line: what they hold, how they are told apart and checked (BOARD.md)."""

import zlib
from dataclasses import dataclass

from flipcore.chip import Chip

VERSION = 1

# Bytes that mark, as in SLIP (RFC 1055).
END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD

HELLO, SAMPLE, READ, WRITE = range(4)  # bits 3:2 of a header
SETTLE = 1  # of HELLO: the board executes frames from now on
LEARN = 1  # of SAMPLE: its first byte is the label

NUMBERS = 16  # sequence numbers
WINDOW = 7  # frames under way at a time: the board keeps eight answers
WORDS_HEADER = 5  # region and core, index (3 bytes), count
MAX_DATA = 64  # bytes of words in a frame
FRAME_BYTES = 5  # of a frame besides its payload: header, CRC
_CRC_BYTES = 4
_LONGEST = 1 << 11  # no frame has so many bytes: what goes on without an end is noise


@dataclass(frozen=True)
class Frame:
    """A frame: a header and what follows.

    Attributes:
        number: sequence number, 0 ... 15.
        kind: HELLO, SAMPLE, READ or WRITE.
        argument: 0 ... 3; of HELLO and SAMPLE a flag, of READ and WRITE the bytes of a word less 1.
        payload: all between header and CRC.
    """

    number: int
    kind: int
    argument: int
    payload: bytes

    @property
    def header(self) -> int:
        """First byte of the frame."""
        return self.number << 4 | self.kind << 2 | self.argument


def encode(frame: Frame) -> bytes:
    """Bytes of a frame on the line, from its END to its END."""
    content = bytes([frame.header]) + frame.payload
    content += zlib.crc32(content).to_bytes(_CRC_BYTES, "little")
    # The escape goes first, or it would escape the escapes of the end.
    content = content.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    content = content.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END]) + content + bytes([END])


class Decoder:
    """Finds frames in the bytes of a line; what is damaged is dropped, and counted."""

    def __init__(self) -> None:
        """Begin between two frames."""
        self._bytes = bytearray()
        self.damaged = 0

    def feed(self, received: bytes) -> list[Frame]:
        """Take bytes as they came; returns the frames that end in them."""
        frames = []
        *ended, rest = (bytes(self._bytes) + received).split(bytes([END]))
        for content in ended:
            frame = decode(content)
            if frame is not None:
                frames.append(frame)
            elif content:
                self.damaged += 1
        self._bytes = bytearray(rest[-_LONGEST:])
        return frames


def decode(content: bytes) -> Frame | None:
    """The frame between two ENDs; None if it is damaged."""
    content = content.replace(bytes([ESCAPE, ESCAPED_END]), bytes([END]))
    content = content.replace(bytes([ESCAPE, ESCAPED_ESCAPE]), bytes([ESCAPE]))
    body, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if not body or zlib.crc32(body) != int.from_bytes(crc, "little"):
        return None
    header = body[0]
    return Frame(header >> 4, header >> 2 & 3, header & 3, body[1:])


def sample_bytes(chip: Chip) -> int:
    """Payload of a training sample: the label, then a bitmap for each step."""
    return 1 + chip.steps * -(-chip.inputs // 8)


def words_header(region: int, core: int, index: int, count: int) -> bytes:
    """Begin of the payload of READ and WRITE."""
    return bytes([region << 4 | core]) + index.to_bytes(3, "big") + bytes([count])
