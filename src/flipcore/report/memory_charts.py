"""Charts of what training keeps: state by part, and peak bytes over the time steps."""

from collections.abc import Sequence
from typing import Any

from flipcore.comparison.rows import Row
from flipcore.report.chart import (
    PALETTE,
    Chart,
    line_style,
    make_table,
    new_figure,
    plain_log_axis,
    thousands_axis,
)
from flipcore.report.chart import legend_below as legend_under
from flipcore.report.formats import BIT_UNITS, BYTE_UNITS, quantity, times, unit_of

ZOOM = 4  # rows this many times smaller than the largest are drawn once more at their own scale
OTHERS = "all else"
# Names of parts, of the software's training state and of the chip's stores, under one colour each.
PARTS = {
    "binary weights": ("blue", ("binary weights", "weight")),
    "momentum": ("orange", ("momentum",)),
    "latent weights": ("purple", ("latent weights", "float parameters")),
    "optimiser moments": ("red", ("optimiser moments", "second moment", "second_moment")),
    "traces": ("green", ("traces", "trace", "row_list")),
    "potentials": ("gold", ("potentials", "potential", "spike", "window", "total", "output")),
}
_GROUP_OF = {part: group for group, (_, parts) in PARTS.items() for part in parts}
COLOURS = {group: PALETTE[colour] for group, (colour, _) in PARTS.items()} | {
    OTHERS: PALETTE["grey"]
}


def state_chart(rows: Sequence[Row]) -> Chart | None:
    """Training state by part, a stacked bar per row; None where no row has any."""
    drawn = [(row, parts) for row in rows if sum((parts := grouped(row)).values()) > 0]
    if not drawn:
        return None
    totals = [sum(parts.values()) for _, parts in drawn]
    small = [one for one, total in zip(drawn, totals, strict=True) if total * ZOOM <= max(totals)]
    panels = [drawn, *([small] if small and len(small) < len(drawn) else [])]
    figure = new_figure(0.5 + sum(0.33 * len(panel) + 0.55 for panel in panels))
    heights = [len(panel) + 1 for panel in panels]
    all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_bars(axes, panel)
    if len(panels) > 1:
        all_axes[1].set_title("the small ones at their own scale", loc="left")
    shown = [group for group in COLOURS if any(parts.get(group) for _, parts in drawn)]
    _legend(figure, shown)
    smallest, largest = (choose(zip(totals, range(len(totals)), strict=True)) for choose in (min, max))  # fmt: skip
    ratio = f"{drawn[largest[1]][0].label} keeps {times(largest[0] / smallest[0])} the bits of {drawn[smallest[1]][0].label}"
    return Chart(
        name="training-state",
        title="Training state by part",
        alt=f"Stacked bars of the bits that training keeps from step to step. {ratio}. "
        + "; ".join(
            f"{row.label} {quantity(total, BIT_UNITS)}"
            for (row, _), total in zip(drawn, totals, strict=True)
        )
        + ".",
        caption=f"Bits that training keeps from step to step; of a chip every store that it has. {ratio}.",
        figure=figure,
        numbers=make_table(
            ("row", "part", "bits"),
            (
                (row.label, part, bits)
                for row, _ in drawn
                for part, bits in (row.training_state_bits_by_part or {}).items()
            ),
        ),
    )


def grouped(row: Row) -> dict[str, int]:
    """Bits of a row's parts under the names that software and chip share."""
    sums: dict[str, int] = {}
    for part, bits in (row.training_state_bits_by_part or {}).items():
        group = _GROUP_OF.get(part, OTHERS)
        sums[group] = sums.get(group, 0) + bits
    return sums


def _draw_bars(axes: Any, panel: Sequence[tuple[Row, dict[str, int]]]) -> None:
    totals = [sum(parts.values()) for _, parts in panel]
    size, unit = unit_of(max(totals), BIT_UNITS)
    left = [0.0] * len(panel)
    places = range(len(panel))
    for group, colour in COLOURS.items():
        widths = [parts.get(group, 0) / size for _, parts in panel]
        if any(widths):
            axes.barh(places, widths, left=left, color=colour, height=0.62)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in zip(places, totals, strict=True):
        axes.annotate(
            quantity(total, BIT_UNITS),
            (total / size, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, [wrapped(row.label) for row, _ in panel])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 1.3 * max(totals) / size)
    thousands_axis(axes.xaxis, 4)
    axes.set_xlabel(unit)
    axes.set_ylim(len(panel) - 0.5, -0.5)


def wrapped(label: str) -> str:
    """A label in two lines where it is long."""
    import textwrap

    return "\n".join(textwrap.wrap(label, 22, max_lines=3, placeholder=" …"))


def _legend(figure: Any, groups: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS[group], label=group) for group in groups]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handlelength=1.0, borderpad=0)


def peak_chart(rows: Sequence[Row], steps: int) -> Chart | None:
    """Peak bytes of live tensors over the number of time steps, a line per row; None where it was not measured."""
    drawn = [
        (index, row)
        for index, row in enumerate(rows)
        if row.peak_bytes_by_steps and min(row.peak_bytes_by_steps.values()) > 0
    ]
    if not drawn:
        return None
    largest = max(max((row.peak_bytes_by_steps or {}).values()) for _, row in drawn)
    size, unit = unit_of(largest, BYTE_UNITS)
    figure = new_figure(2.7)
    axes = figure.subplots()
    growths: list[tuple[float, str]] = []
    for index, row in drawn:
        peaks = sorted((row.peak_bytes_by_steps or {}).items())
        axes.plot(
            [number for number, _ in peaks],
            [value / size for _, value in peaks],
            **line_style(rows, index),
        )
        growths.append((peaks[-1][1] / peaks[0][1], row.label))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    numbers = sorted({number for _, row in drawn for number in row.peak_bytes_by_steps or {}})
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.minorticks_off()
    plain_log_axis(axes.yaxis)
    axes.set(xlabel="time steps T", ylabel=f"peak, {unit}")
    legend_under(figure, axes)
    span = f"From {numbers[0]} to {numbers[-1]} time steps"
    told = [f"{label} {times(growth)}" for growth, label in growths]
    most, least = max(growths), min(growths)
    finding = f"{span} it grows most, {times(most[0])}, for {most[1]}, and least, {times(least[0])}, for {least[1]}"
    return Chart(
        name="peak-over-steps",
        title="Peak memory over the time steps",
        alt=f"Line chart on logarithmic axes of the peak bytes of training over time steps. {span} it grows: {'; '.join(told)}.",
        caption=f"Most bytes of live tensors while one batch is learnt, measured; of a chip its stores, from the description. {finding}. The rows were trained with T = {steps}.",
        figure=figure,
        numbers=make_table(
            ("row", "time steps", "peak bytes"),
            (
                (row.label, number, value)
                for _, row in drawn
                for number, value in sorted((row.peak_bytes_by_steps or {}).items())
            ),
        ),
    )
