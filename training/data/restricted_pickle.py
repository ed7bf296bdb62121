"""Reading CIFAR's python batches, which are pickles, without running what a pickle asks for."""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError

# What plain containers, strings, numbers and the arrays of NumPy are made of. No persistent
# identifiers, no extension registry, and no instances of classes other than by REDUCE.
_ALLOWED_OPCODES = frozenset(
    """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
    FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2
    TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
    GLOBAL STACK_GLOBAL REDUCE BUILD
    """.split()
)
_MEMO_WRITES = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])


def read_batch(content: bytes, where: str) -> dict[bytes, Any]:
    """Read the dictionary of a pickled batch; strings of Python 2 come as bytes, keys always do.

    Arrays are uint8, of the pickle's bytes. The pickle can name nothing but NumPy's array and type,
    and even these are not NumPy's own: what it builds are records of plain data.

    Raises:
        InputError: it is corrupt, no dictionary, or asks for anything else, whose name is told.
    """
    _check_opcodes(content, where)
    unpickler = _Unpickler(content, where)
    found = unpickler.load_all()
    if not isinstance(found, dict):
        raise InputError(f"{where}: a pickle of {type(found).__name__}: must be a dictionary")
    batch: dict[bytes, Any] = {}
    for key, value in found.items():
        name = key.encode("utf-8", "replace") if isinstance(key, str) else key
        if not isinstance(name, bytes):
            raise InputError(f"{where}: a key of type {type(key).__name__}: must be a string")
        shown = f"{where}: {name.decode('utf-8', 'replace')}"
        batch[name] = value.as_array(shown) if isinstance(value, unpickler.array_type) else value
    return batch


def _check_opcodes(content: bytes, where: str) -> None:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _ALLOWED_OPCODES:
                raise InputError(f"{where}: a pickle with {opcode.name}: must be plain data")
            # The memo is a table as long as its largest index: an absurd one would fill the memory.
            if opcode.name in _MEMO_WRITES and int(argument or 0) > len(content):
                raise InputError(f"{where}: corrupt: memo index {argument}")
    except InputError:
        raise
    except Exception as error:  # what genops meets in damaged bytes is of many types
        raise InputError(f"{where}: not a pickle: {_first_line(error)}") from error


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, where: str) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._where = where
        # Of its own: a pickle can set attributes of a class that it can name.
        self._stand_ins, self.array_type = _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        stand_in = self._stand_ins.get((module, name))
        if stand_in is None:
            raise InputError(
                f"{self._where}: refused: the pickle asks for {module}.{name}, "
                "which is neither plain data nor a NumPy array"
            )
        return stand_in

    def load_all(self) -> Any:
        try:
            return self.load()
        except InputError:
            raise
        except Exception as error:  # damaged bytes can fail in any operation
            raise InputError(f"{self._where}: corrupt pickle: {_first_line(error)}") from error


def _stand_ins() -> tuple[dict[tuple[str, str], Callable[..., Any]], type[Any]]:
    """What takes the place of NumPy's names, whose own are not made for hostile arguments; and the type of its arrays."""

    class StoredType:
        def __init__(self, code: Any, *_: Any) -> None:
            self.code = code

        def __setstate__(self, state: Any) -> None:
            pass  # byte order and the like: a byte has none

    class StoredArray:
        def __init__(self) -> None:
            self.state: Any = None

        def __setstate__(self, state: Any) -> None:
            self.state = state

        def as_array(self, where: str) -> npt.NDArray[np.uint8]:
            match self.state:
                case (_, tuple(shape), StoredType(code=code), by_column, bytes(values)):
                    pass
                case _:
                    raise InputError(f"{where}: not an array of bytes")
            if code not in ("u1", b"u1", "|u1", b"|u1"):
                raise InputError(f"{where}: values of type {code!r}: must be uint8")
            if by_column:
                raise InputError(f"{where}: stored column by column: must be row by row")
            if len(shape) != 2 or any(type(size) is not int or size < 0 for size in shape):
                raise InputError(f"{where}: shape {shape}: must be two sizes")
            if shape[0] * shape[1] != len(values):
                raise InputError(f"{where}: {len(values)} bytes: must be {shape[0] * shape[1]}")
            return np.frombuffer(values, np.uint8).reshape(shape)

    class ArrayType:
        pass

    def reconstruct(*_: Any) -> StoredArray:
        return StoredArray()

    names: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("numpy", "ndarray"): ArrayType,
        ("numpy", "dtype"): StoredType,
    }
    return names, StoredArray


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
