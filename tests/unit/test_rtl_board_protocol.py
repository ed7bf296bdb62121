"""Frames on a board's line: what is encoded is found again, whatever lies around it; what is damaged is not."""

import zlib

import hypothesis.strategies as st
from hypothesis import given

from flipcore.chip import load_chip
from flipcore.rtl.board import protocol
from flipcore.rtl.board.protocol import Decoder, Frame

frames = st.builds(
    Frame,
    number=st.integers(0, 15),
    kind=st.integers(0, 3),
    argument=st.integers(0, 3),
    payload=st.binary(max_size=70),
)
marks = st.lists(st.sampled_from([protocol.END, protocol.ESCAPE, 0xDC, 0xDD, 0]), max_size=40)


@given(st.lists(frames, max_size=5), st.integers(1, 9))
def test_frames_come_back_however_they_are_cut(sent: list[Frame], size: int) -> None:
    line = b"".join(map(protocol.encode, sent))
    decoder = Decoder()
    found = []
    for first in range(0, len(line), size):
        found += decoder.feed(line[first : first + size])
    assert found == sent
    assert decoder.damaged == 0


@given(marks.map(bytes), frames)
def test_a_frame_is_found_behind_noise(noise: bytes, frame: Frame) -> None:
    assert Decoder().feed(noise + protocol.encode(frame))[-1] == frame


@given(frames, st.data())
def test_a_flipped_bit_is_seen(frame: Frame, data: st.DataObject) -> None:
    line = bytearray(protocol.encode(frame))
    line[data.draw(st.integers(1, len(line) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    assert frame not in Decoder().feed(bytes(line))


def test_a_frame_as_the_document_says() -> None:
    frame = Frame(3, protocol.SAMPLE, protocol.LEARN, bytes([7, 0xC0, 0xDB]))
    content = bytes([0x35, 7, 0xC0, 0xDB])
    crc = zlib.crc32(content).to_bytes(4, "little")
    assert not {0xC0, 0xDB} & set(crc)
    assert protocol.encode(frame) == bytes([0xC0, 0x35, 7, 0xDB, 0xDC, 0xDB, 0xDD, *crc, 0xC0])


def test_noise_without_an_end_does_not_pile_up() -> None:
    decoder = Decoder()
    for _ in range(100):
        decoder.feed(bytes(1000))
    assert len(decoder._bytes) < 5000
    assert decoder.feed(bytes([protocol.END])) == []
    assert decoder.damaged == 1


def test_sizes() -> None:
    assert protocol.sample_bytes(load_chip("digits-up5k", ())) == 1 + 6 * 8
    header = protocol.words_header(2, 1, 0x012345, 64)
    assert header == bytes([0x21, 0x01, 0x23, 0x45, 64])
    assert len(header) == protocol.WORDS_HEADER
