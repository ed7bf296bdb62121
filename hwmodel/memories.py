"""The memories of a core as words x bits x ports, apart from its registers (SPEC T13): what is banked into macros and priced."""

from flipcore.chip import Chip
from flipcore.hwmodel.memory import core_stores
from flipcore.hwmodel.sram import MemoryShape

TWO_PORTS = ("weight", "momentum", "trace")  # with `1r1w`; the others never read and write at once
MEMORIES = (
    "weight",
    "momentum",
    "potential",
    "trace",
    "error",
    "row_list",
    "event_list",
    "total",
)


def core_memories(chip: Chip, c: int) -> dict[str, MemoryShape]:
    """Every memory of core c; a memory that the core lacks is left out."""
    core = chip.layers[c]
    stores = core_stores(chip, c)
    words = {
        "weight": core.axons * core.words,
        "momentum": core.axons * core.words,
        "potential": core.words,
        "trace": core.trace_words,
        "error": core.words,
        "row_list": core.axons,
        "event_list": core.axons,
        "total": core.words,
    }
    return {
        name: MemoryShape(
            words=words[name],
            bits=stores[name] // words[name],
            ports=core.memory_ports if name in TWO_PORTS else "1rw",
        )
        for name in MEMORIES
        if stores.get(name)
    }


def core_registers(chip: Chip, c: int) -> dict[str, int]:
    """Bits of every store of core c that is registers; those of no bits are left out."""
    return {
        name: bits for name, bits in core_stores(chip, c).items() if bits and name not in MEMORIES
    }
