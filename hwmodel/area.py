"""Area of a chip: its memories in macros, and its logic."""

from dataclasses import dataclass

from flipcore.chip import Chip
from flipcore.hwmodel.components import has_component
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.memories import core_memories
from flipcore.hwmodel.sram import memory_cost
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology


@dataclass(frozen=True, slots=True)
class AreaRow:
    """Area of one component of one core; `kind` is memory or logic."""

    core: int
    kind: str
    component: str
    area_um2: Band


def chip_area(chip: Chip, technology: Technology) -> tuple[AreaRow, ...]:
    """Area of every memory and module, in um2; wiring between them is what the technology's rows hold of it.

    Raises:
        InputError: the technology has no memory that the chip needs.
    """
    rows = []
    for c in range(len(chip.layers)):
        for name, shape in core_memories(chip, c).items():
            rows.append(AreaRow(c, "memory", name, memory_cost(technology, shape).area_um2))
        features = core_features(chip, c)
        for component in LOGIC_COMPONENTS:
            if has_component(chip, c, component) and any(
                row.action == "area" for row in technology.rows(component)
            ):
                area = technology.cost(component, "area", features)
                rows.append(AreaRow(c, "logic", component, area))
    return tuple(rows)


def total_area(rows: tuple[AreaRow, ...]) -> Band:
    """Area of all rows, in um2."""
    return Band.total(row.area_um2 for row in rows)


def chip_luts(chip: Chip, technology: Technology) -> Band:
    """LUT4 of a chip on an FPGA, those beside its memories included; 0 in other technologies."""
    parts = []
    for c in range(len(chip.layers)):
        parts += [memory_cost(technology, shape).luts for shape in core_memories(chip, c).values()]
        features = core_features(chip, c)
        parts += [
            technology.cost(component, "luts", features)
            for component in LOGIC_COMPONENTS
            if has_component(chip, c, component)
        ]
    return Band.total(parts)


def memory_warnings(chip: Chip, technology: Technology) -> list[str]:
    """What is extrapolated beyond the macros that were measured, in words, a line for each kind of memory."""
    lines: dict[str, list[str]] = {}
    for c in range(len(chip.layers)):
        for name, shape in core_memories(chip, c).items():
            for reason in memory_cost(technology, shape).extrapolated:
                where = f"{name.replace('_', ' ')} memory of core {c} ({shape.words:,} x {shape.bits} bits)"
                lines.setdefault(reason, []).append(where)
    return [f"{', '.join(places)}: extrapolated: {reason}" for reason, places in lines.items()]
