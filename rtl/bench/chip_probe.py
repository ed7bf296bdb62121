"""Reads and writes the memories and registers of the chip by their names in the hierarchy (docs/RTL.md)."""

from collections.abc import Iterable
from typing import Any

from cocotb.handle import ArrayObject, HierarchyObject

from flipcore.rtl.bench.chip_mismatch import (
    Mismatch,
    compare_word,
    expected_bits,
    first_differing_lane,
)
from flipcore.rtl.bench.chip_stores import Store

Handle = Any  # of a memory's word or a register; their types say too little to set them


class Probe:
    """Access to what is inside the chip; handles are looked up once."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Look into this module."""
        self._dut = dut
        self._handles: dict[str, Handle] = {}
        self._words: dict[str, dict[int, Handle]] = {}
        self.words_compared = 0
        self.bits_compared = 0

    @property
    def signals(self) -> list[str]:
        """Names of all that was looked at."""
        return sorted(self._handles)

    def has(self, path: str) -> bool:
        """Whether there is a register or array of this name: a netlist has bits of their own for some."""
        try:
            self.find(path)
        except AttributeError:
            return False
        return True

    def find(self, path: str) -> Handle:
        """The register or array of this name."""
        handle: Handle = self._handles.get(path)
        if handle is None:
            handle = self._dut
            for name in path.split("."):
                handle = handle[name]
            self._handles[path] = handle
        return handle

    def word(self, path: str, index: int) -> Handle:
        """One word of an array."""
        words = self._words.setdefault(path, {})
        handle = words.get(index)
        if handle is None:
            array = self.find(path)
            assert isinstance(array, ArrayObject), path
            handle = words[index] = array[index]
        return handle

    def compare(self, stores: Iterable[Store]) -> Mismatch | None:
        """The first difference, if there is one."""
        for store in stores:
            mismatch = self._compare(store)
            if mismatch:
                return mismatch
        return None

    def _compare(self, store: Store) -> Mismatch | None:
        indices = [-1] if store.words is None else store.words
        masks = store.masks or [-1] * len(indices)
        found = ""
        for index, expected, mask in zip(indices, store.values, masks, strict=True):
            handle = self.find(store.path) if index < 0 else self.word(store.path, index)
            found = str(handle.value)
            if not compare_word(found, expected, mask):
                counts = mask & ((1 << len(found)) - 1)
                lane = first_differing_lane(found, expected, counts, store.lane_bits)
                return Mismatch(
                    kind="bits",
                    signal=store.path,
                    expected=expected_bits(found, expected, counts),
                    found=found,
                    core=store.core,
                    word=index,
                    lane=lane,
                )
        self.words_compared += len(indices)
        self.bits_compared += len(indices) * len(found)
        return None

    def write(self, store: Store) -> None:
        """Put a store's contents into it, past the chip's own ports; they are there a time step later."""
        assert store.words is not None
        for index, value in zip(store.words, store.values, strict=True):
            self.word(store.path, index).value = value
