"""Pickles of CIFAR: the original bytes are read, whatever else a pickle can ask for is refused."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.errors import InputError
from flipcore.training.data.restricted_pickle import read_batch

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def short(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def python2_array(
    array: np.ndarray, shape: tuple[int, int] | None = None, code: bytes = b"u1"
) -> bytes:
    """An array as Python 2's cPickle and the NumPy of 2009 wrote it, opcode by opcode."""
    rows, columns = shape or array.shape
    sizes = b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"
    values = b"T" + struct.pack("<i", array.size) + array.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t"
        b"(K\x01" + sizes + b"cnumpy\ndtype\nq\n" + short(code) + b"K\x00K\x01\x87Rq\x0b"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + values + b"tb"
    )


def python2_batch(array: bytes, labels: list[int]) -> bytes:
    listed = b"]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04"
        + listed + short(b"data") + array + b"U\tfilenames]U\x05a.pnga" + b"u."
    )  # fmt: skip


def test_reads_what_python_2_wrote() -> None:
    batch = read_batch(python2_batch(python2_array(PIXELS), [6, 9, 0]), "batch")
    assert batch.keys() == {b"batch_label", b"labels", b"data", b"filenames"}
    assert batch[b"batch_label"] == b"training batch 1 of 5"
    assert batch[b"labels"] == [6, 9, 0]
    assert batch[b"filenames"] == [b"a.png"]
    assert batch[b"data"].dtype == np.uint8
    assert np.array_equal(batch[b"data"], PIXELS)


@pytest.mark.parametrize("protocol", [3, 4])
def test_reads_what_this_numpy_writes(protocol: int) -> None:
    batch = read_batch(pickle.dumps({"data": PIXELS, "labels": [1, 2]}, protocol), "batch")
    assert np.array_equal(batch[b"data"], PIXELS)
    assert batch[b"labels"] == [1, 2]


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    content = pickle.dumps({"data": Call(os.mkdir, str(mark))}, protocol)
    with pytest.raises(InputError) as error:
        read_batch(content, "batch")
    assert not mark.exists()
    assert str(error.value) == (
        "batch: refused: the pickle asks for posix.mkdir, "
        "which is neither plain data nor a NumPy array"
    )
    pickle.loads(content)  # the pickle does work: it is the reader that refuses
    assert mark.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "builtins.getattr", "numpy.load", "numpy.core.multiarray.fromfile"]
)  # fmt: skip
def test_names_the_global_that_it_refuses(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    content = b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b"."
    with pytest.raises(InputError, match=f"refused: the pickle asks for {name}, which"):
        read_batch(content, "batch")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"(S'echo'\nios\nsystem\n.", "a pickle with INST: must be plain data"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "a pickle with NEWOBJ: must be plain data"),
        (b"\x80\x02\x82\x01.", "a pickle with EXT1: must be plain data"),
        (b"Pname\n.", "a pickle with PERSID: must be plain data"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1) + b"a.", "a pickle with BYTEARRAY8: must be"),
        (b"\x80\x02}r\xff\xff\xff\xff.", "corrupt: memo index 4294967295"),
        (b"\x80\x02}T\xff\xff\xff\x7fabc.", "not a pickle: expected 2147483647 bytes"),
        (b"", "not a pickle: pickle exhausted before seeing STOP"),
        (b"no pickle at all", "not a pickle: "),
        (b"\x80\x02(u.", "corrupt pickle: "),
        (b"\x80\x02].", "a pickle of list: must be a dictionary"),
        (b"\x80\x02}K\x01K\x02s.", "a key of type int: must be a string"),
    ],
)
def test_refuses_other_pickles(content: bytes, told: str) -> None:
    with pytest.raises(InputError) as error:
        read_batch(content, "batch")
    assert str(error.value).startswith(f"batch: {told}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (python2_array(PIXELS, shape=(3, 5)), "12 bytes: must be 15"),
        (python2_array(PIXELS, code=b"f8"), "values of type b'f8': must be uint8"),
        (python2_array(PIXELS, code=b"O8"), "values of type b'O8': must be uint8"),
        (python2_array(PIXELS).replace(b"\x86", b"\x85", 1), "not an array of bytes"),
        (python2_array(PIXELS).replace(b"tb\x89", b"tb\x88"), "stored column by column"),
        (python2_array(PIXELS)[:-2] + b"t0", "not an array of bytes"),  # no BUILD
    ],
)
def test_refuses_arrays_that_are_not_what_they_say(array: bytes, told: str) -> None:
    with pytest.raises(InputError) as error:
        read_batch(python2_batch(array, [1]), "batch")
    assert str(error.value).startswith(f"batch: data: {told}")


def test_a_pickle_cannot_change_what_the_next_one_meets() -> None:
    # BUILD with a pair sets attributes: here of the very class that stands for NumPy's.
    attack = b"\x80\x02}U\x04datacnumpy\nndarray\nN}X\x08\0\0\0as_arrayK\x01s\x86bs."
    batch = read_batch(attack, "batch")
    assert not isinstance(batch[b"data"], np.ndarray)
    good = read_batch(python2_batch(python2_array(PIXELS), [1]), "batch")
    assert np.array_equal(good[b"data"], PIXELS)


def test_any_damage_is_one_line() -> None:
    dice = np.random.default_rng(4)
    content = python2_batch(python2_array(PIXELS), [6, 9, 0])
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        damaged[dice.integers(len(content))] = dice.integers(256)
        try:
            read_batch(bytes(damaged[: dice.integers(1, 2 * len(content))]), "batch")
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 1000
