"""A chart of the report: how all of them look, and how one becomes inline SVG and files.

Matplotlib draws with the light palette. In the page each of its colours becomes a CSS variable, and ink becomes `currentColor`,
so that a chart follows the page into dark mode.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from flipcore.comparison.rows import Row
from flipcore.files import write_whole

WIDTH = 3.7  # inches: text of 8 points is 10 pixels high on a phone 360 pixels wide
PNG_DPI = 160
INK = "#1c2024"
PAPER = "#fffffe"  # white that nothing else has, so that the page can leave it out
PALETTE = {
    "blue": "#1463a5",
    "orange": "#c2560c",
    "green": "#137a5c",
    "purple": "#8f4a9c",
    "gold": "#a07800",
    "red": "#b3344c",
    "grey": "#6b7480",
}
SERIES = tuple(PALETTE.values())
# What has a colour of its own wherever it is drawn: stores of a chip, and parts of the software's state.
STORE_COLOURS = {"weight": "blue", "momentum": "orange", "trace": "green", "potential": "gold"}
DASHES: tuple[Any, ...] = ("--", ":", "-.", (0, (6, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.parse_math": False,  # names of chips and folders may hold dollar signs
    "svg.fonttype": "none",
    "svg.hashsalt": "flipcore",
    "hatch.linewidth": 0.5,
}
_LINKED_ID = re.compile(r"#([\w.-]+)")

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Numbers behind a chart; as text on the page, as they are in a CSV file."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawn chart with its words.

    Attributes:
        name: of its files and ids: letters, digits and hyphens.
        alt: what it shows, for those who do not see it.
        caption: how to read it.
        numbers: what stands under it on the page.
        data: what its CSV file holds; the same as `numbers` by default.
        numbers_shown: whether the numbers stand open from the start, as the legend of a picture.
    """

    name: str
    title: str
    alt: str
    caption: str
    figure: Any
    numbers: Table
    data: Table | None = None
    numbers_shown: bool = False


@dataclass(frozen=True)
class Drawing:
    """A chart as SVG and PNG, on white."""

    chart: Chart
    svg: bytes
    png: bytes


@contextmanager
def chart_style() -> Iterator[None]:
    """Charts that are made and written inside look like those of the report."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height: float, width: float = WIDTH) -> Any:
    """An empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def line_style(rows: Sequence[Row], index: int) -> dict[str, Any]:
    """How the line of a row is drawn in every chart: thick and solid for chips, dashed for software; told apart by marker and dashes as well."""
    row = rows[index]
    place = sum(other.where == row.where for other in rows[:index])
    is_chip = row.where == "chip"
    return {
        "color": SERIES[index % len(SERIES)],
        "linestyle": "-" if is_chip else DASHES[place % len(DASHES)],
        "linewidth": 2.0 if is_chip else 1.3,
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.0 if is_chip else 3.2,
        "markeredgewidth": 0.0,
        "label": row.label,
    }


def legend_below(figure: Any, axes: Any) -> None:
    """A legend under the axes, in two columns where the labels are short; the figure grows by its lines."""
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) <= 26 else 1
    lines = -(-len(labels) // columns)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.17 * lines)
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, handlelength=3.2, borderpad=0
    )


def plain_log_axis(axis: Any) -> None:
    """Ticks of a logarithmic axis as plain numbers such as 3,000."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def thousands_axis(axis: Any, most: int = 5, *, integer: bool = False) -> None:
    """Ticks of a linear axis with separators, at most so many; of things that are counted at integers."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, min_n_ticks=1 if integer else 3, integer=integer))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def draw(chart: Chart) -> Drawing:
    """Lay a chart out once and draw it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = chart.figure
    figure.set_facecolor(PAPER)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    svg, png = io.BytesIO(), io.BytesIO()
    # The canvases themselves: `savefig` would draw everything once more for its layout.
    svg_canvas: Any = FigureCanvasSVG(figure)
    svg_canvas.print_svg(svg, metadata={"Date": None})
    figure.set_dpi(PNG_DPI)
    png_canvas: Any = FigureCanvasAgg(figure)
    png_canvas.print_png(png)
    return Drawing(chart, svg.getvalue(), png.getvalue())


def inline_svg(drawing: Drawing) -> str:
    """The chart as an SVG element for the page: no fixed size, no paper, fonts of the page, colours as CSS variables, ids that are its own."""
    chart = drawing.chart
    root = ElementTree.fromstring(drawing.svg)
    _strip(root)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(name): _own_value(_local(name), value, chart.name)
            for name, value in element.attrib.items()
        }
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": chart.alt, "focusable": "false"}
    return ElementTree.tostring(root, encoding="unicode")


def _strip(root: Any) -> None:
    """Drop metadata, whose links the page must not have, and the style sheet, which would rule the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)


def _local(name: str) -> str:
    """A name without its XML namespace, as HTML wants it."""
    return name.rpartition("}")[2]


def _own_value(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href" and value.startswith("data:"):
        return value
    if name == "href" or "url(#" in value:
        return _LINKED_ID.sub(rf"#{prefix}-\1", value)
    if name != "style":
        return value
    for colour, hexadecimal in PALETTE.items():
        value = value.replace(hexadecimal, f"var(--{colour})")
    value = value.replace(PAPER, "none")
    kept = [
        part
        for part in value.replace(INK, "currentColor").split(";")
        if not part.strip().startswith("font-family")
    ]
    return _font_of_page(";".join(kept))


def _font_of_page(style: str) -> str:
    """Matplotlib names its own font, which readers may not have."""
    return re.sub(r"font: (?:[a-z0-9]+ )*?([\d.]+px) [^;]+", r"font-size: \1", style)


def write_files(drawing: Drawing, folder: Path) -> list[Path]:
    """Write a chart as SVG, PNG and CSV, each whole, on white.

    Raises:
        InputError: the files cannot be written.
    """
    chart = drawing.chart
    contents = {
        "svg": drawing.svg,
        "png": drawing.png,
        "csv": _csv(chart.data or chart.numbers).encode(),
    }
    for suffix, content in contents.items():
        write_whole(folder / f"{chart.name}.{suffix}", content)
    return [folder / f"{chart.name}.{suffix}" for suffix in contents]


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def make_table(columns: Iterable[str], rows: Iterable[Iterable[Cell]]) -> Table:
    """A table of these columns and rows."""
    return Table(tuple(columns), tuple(tuple(row) for row in rows))
