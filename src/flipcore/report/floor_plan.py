"""A picture of the chip: its memories and its logic as rectangles, their areas to scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flipcore.hwmodel.area import total_area
from flipcore.hwmodel.estimate import Estimate
from flipcore.hwmodel.memories import core_memories
from flipcore.report.chart import INK, PALETTE, STORE_COLOURS, WIDTH, Chart, make_table, new_figure
from flipcore.report.formats import AREA_UNITS, BIT_UNITS, Units, banded, percent, quantity, unit_of

COLOURS = {**STORE_COLOURS, "logic": "grey"}
OTHER_MEMORY = "purple"
POINTS_PER_INCH = 72.0
FONT_POINTS = 7.5
CHARACTER = 0.56  # width of a character in font sizes, on average
LINE = 1.25  # height of a line in font sizes


@dataclass(frozen=True)
class Block:
    """A part of a core that is drawn as one rectangle; `bits` is 0 of logic."""

    core: int
    name: str
    bits: int
    area_um2: float


@dataclass(frozen=True)
class Rectangle:
    """Where something lies; in um from the lower left corner."""

    x: float
    y: float
    width: float
    height: float


def chip_blocks(estimate: Estimate) -> list[Block]:
    """Every memory, and of each core all its logic together; what has no area in the technology is left out."""
    chip = estimate.workload.chip
    blocks = []
    for c in range(len(chip.layers)):
        shapes = core_memories(chip, c)
        areas = [row for row in estimate.area if row.core == c]
        for row in areas:
            if row.kind == "memory":
                shape = shapes[row.component]
                blocks.append(Block(c, row.component, shape.words * shape.bits, row.area_um2.value))
        logic = sum(row.area_um2.value for row in areas if row.kind == "logic")
        blocks.append(Block(c, "logic", 0, logic))
    return [block for block in blocks if block.area_um2 > 0]


def place_blocks(blocks: Sequence[Block]) -> tuple[list[tuple[Block, Rectangle]], float]:
    """Lay the blocks out in a square, core by core; every area is exact, the arrangement is only a picture. Returns the side, too."""
    side = math.sqrt(sum(block.area_um2 for block in blocks))
    cores = sorted({block.core for block in blocks})
    by_core = {c: [block for block in blocks if block.core == c] for c in cores}
    sizes = {c: sum(block.area_um2 for block in by_core[c]) for c in cores}
    placed = []
    ordered = sorted(cores, key=lambda c: -sizes[c])
    whole = Rectangle(0.0, 0.0, side, side)
    for c, region in zip(ordered, _tiled([sizes[c] for c in ordered], whole), strict=True):
        parts = sorted(by_core[c], key=lambda block: -block.area_um2)
        tiles = _tiled([block.area_um2 for block in parts], region)
        placed += list(zip(parts, tiles, strict=True))
    return placed, side


def _tiled(areas: Sequence[float], region: Rectangle) -> list[Rectangle]:
    import squarify

    sizes = squarify.normalize_sizes(areas, region.width, region.height)
    tiles = squarify.squarify(sizes, region.x, region.y, region.width, region.height)
    return [Rectangle(tile["x"], tile["y"], tile["dx"], tile["dy"]) for tile in tiles]


def floor_plan(estimate: Estimate) -> Chart | None:
    """The chip's memories and logic to scale; None where the technology has no areas."""
    blocks = chip_blocks(estimate)
    if not blocks:
        return None
    placed, side = place_blocks(blocks)
    figure = new_figure(WIDTH - 0.1)
    axes = figure.subplots()
    unit = 1000.0 if side >= 1000 else 1.0
    units = [unit_of(side * side, AREA_UNITS)]  # one for all blocks, so that they compare
    points_per_um = (WIDTH - 0.7) * POINTS_PER_INCH / side
    for block, tile in placed:
        _draw_block(axes, block, tile, unit, units, points_per_um)
    _outline_cores(axes, placed, unit)
    axes.set_aspect("equal")
    axes.set(xlim=(0, side / unit), ylim=(0, side / unit))
    axes.set_xlabel("mm" if unit > 1 else "µm")
    axes.grid(visible=False)
    axes.locator_params(nbins=4)
    total = total_area(estimate.area)
    memory = sum(block.area_um2 for block in blocks if block.bits)
    largest = max(blocks, key=lambda block: block.area_um2)
    finding = (
        f"{banded(total, AREA_UNITS)}, memories {percent(memory / total.value, 0)} of it; "
        f"the largest block is the {_title(largest)} of core {largest.core}, {percent(largest.area_um2 / total.value, 0)}"
    )
    return Chart(
        name="floor-plan",
        title="The chip, to scale",
        alt=f"Rectangles of the chip's memories and logic, areas to scale: {finding}.",
        caption=f"Areas are to scale, positions are not a layout: {finding}. Heavy lines part the cores.",
        figure=figure,
        numbers_shown=True,
        numbers=make_table(
            ("core", "block", "bits", "area, µm²"),
            ((block.core, _title(block), block.bits or None, round(block.area_um2, 1)) for block, _ in placed),
        ),
    )  # fmt: skip


def _title(block: Block) -> str:
    return block.name.replace("_", " ") + (" memory" if block.bits else "")


def _draw_block(
    axes: Any, block: Block, tile: Rectangle, unit: float, units: Units, points_per_um: float
) -> None:
    from matplotlib.patches import Rectangle as Patch

    colour = PALETTE[COLOURS.get(block.name, OTHER_MEMORY)]
    corner = (tile.x / unit, tile.y / unit)
    size = (tile.width / unit, tile.height / unit)
    axes.add_patch(Patch(corner, *size, facecolor=colour, alpha=0.3, linewidth=0))
    axes.add_patch(Patch(corner, *size, fill=False, edgecolor=colour, linewidth=0.6))
    text, turned = fitting_label(
        block, units, tile.width * points_per_um, tile.height * points_per_um
    )
    if text:
        axes.text(
            corner[0] + size[0] / 2,
            corner[1] + size[1] / 2,
            text,
            ha="center",
            va="center",
            fontsize=FONT_POINTS,
            linespacing=LINE,
            rotation=90 if turned else 0,
        )


def fitting_label(block: Block, units: Units, width: float, height: float) -> tuple[str, bool]:
    """As much of name, bits and area as fits into so many points, and whether it stands upright; empty where nothing fits."""
    lines = [
        block.name.replace("_", " "),
        *([quantity(block.bits, BIT_UNITS)] if block.bits else []),
        quantity(block.area_um2, units),
    ]
    for number in range(len(lines), 0, -1):
        wide = max(map(len, lines[:number])) * CHARACTER * FONT_POINTS + 3
        high = number * LINE * FONT_POINTS + 2
        for turned, (across, along) in ((False, (width, height)), (True, (height, width))):
            if wide <= across and high <= along:
                return "\n".join(lines[:number]), turned
    return "", False


def _outline_cores(axes: Any, placed: Sequence[tuple[Block, Rectangle]], unit: float) -> None:
    from matplotlib.patches import Rectangle as Patch

    for core in {block.core for block, _ in placed}:
        tiles = [tile for block, tile in placed if block.core == core]
        x, y = min(tile.x for tile in tiles), min(tile.y for tile in tiles)
        right = max(tile.x + tile.width for tile in tiles)
        top = max(tile.y + tile.height for tile in tiles)
        axes.add_patch(
            Patch((x / unit, y / unit), (right - x) / unit, (top - y) / unit, fill=False, edgecolor=INK, linewidth=1.4)
        )  # fmt: skip
