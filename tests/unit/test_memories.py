"""Memories of a core: their words and bits are the stores of SPEC T13, and registers are the rest."""

from hypothesis import given

from flipcore.chip import parse_chip
from flipcore.hwmodel.memories import core_memories, core_registers
from flipcore.hwmodel.memory import core_stores
from flipcore.hwmodel.sram import MemoryShape
from tests.random_chips import Document, chip_documents

# 9 axons on 7 neurons on 3 neurons, 4 lanes: 2 words and 1 word a row; 5 steps.
DOCUMENT = {
    "name": "hand", "inputs": 9, "steps": 5,
    "core": {"lanes": 4, "momentum_bits": 6, "trace_bits": 3, "trace_unit": 1, "error_bits": 9},
    "layers": [{"neurons": 7, "potential_bits": 11}, {"neurons": 3, "rule": "tbso", "memory_ports": "1rw"}],
}  # fmt: skip


def test_memories_worked_out_by_hand() -> None:
    chip = parse_chip(DOCUMENT, "hand")
    assert core_memories(chip, 0) == {
        "weight": MemoryShape(18, 4, "1r1w"),
        "momentum": MemoryShape(18, 24, "1r1w"),
        "potential": MemoryShape(2, 44, "1rw"),
        "trace": MemoryShape(3, 12, "1r1w"),
        "error": MemoryShape(2, 36, "1rw"),
        "row_list": MemoryShape(9, 4 + 3, "1rw"),
        "event_list": MemoryShape(9, 4, "1rw"),
    }
    assert core_memories(chip, 1) == {
        "weight": MemoryShape(7, 4, "1rw"),
        "momentum": MemoryShape(7, 24, "1rw"),
        "trace": MemoryShape(2, 12, "1rw"),
        "error": MemoryShape(1, 36, "1rw"),
        "row_list": MemoryShape(7, 3 + 3 + 1, "1rw"),
        "event_list": MemoryShape(7, 3, "1rw"),
        "total": MemoryShape(1, 4 * 7, "1rw"),
    }
    assert core_registers(chip, 0) == {
        "event_map": 9,
        "spike": 8,
        "window": 8,
        "live_words": 2,
        "generator": 32,
    }
    assert core_registers(chip, 1) == {
        "event_map": 7,
        "output": 16,
        "live_words": 1,
        "generator": 32,
        "second_moment": 160,
    }


@given(chip_documents())
def test_memories_and_registers_are_all_stores(document: Document) -> None:
    chip = parse_chip(document, "x")
    for c in range(len(chip.layers)):
        memories = {
            name: shape.words * shape.bits for name, shape in core_memories(chip, c).items()
        }
        registers = core_registers(chip, c)
        assert not memories.keys() & registers.keys()
        stores = {name: bits for name, bits in core_stores(chip, c).items() if bits}
        assert memories | registers == stores
