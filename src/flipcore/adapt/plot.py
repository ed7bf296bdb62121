"""Picture of adaptations: one small panel per disturbance, accuracy over the samples learnt in it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flipcore.adapt.rows import RECOVERED, Row
from flipcore.files import write_figure

COLUMNS = 4
SMALLEST_HEIGHT = 10.0  # of a panel, points of accuracy


def plot_rows(rows: Sequence[Row], title: str, path: Path) -> None:
    """Draw before, drop and recovery of each row as SVG and PNG; the band is a standard deviation over the seeds.

    Raises:
        InputError: the files cannot be written.
    """
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(rows))
    lines = math.ceil(len(rows) / columns)
    figure = Figure(figsize=(3.1 * max(columns, 2), 2.5 * lines + 1), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    panels = figure.subplots(lines, columns, squeeze=False)
    for axes, row in zip(panels.flat, rows, strict=False):
        _draw(axes, row)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy, %")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=3, loc="outside lower center", fontsize="small")
    write_figure(figure, path)


def _draw(axes: Any, row: Row) -> None:
    samples = [point.samples for point in row.curve]
    means = [100 * point.accuracy_mean for point in row.curve]
    spreads = [100 * (point.accuracy_std or 0.0) for point in row.curve]
    axes.axhline(100 * row.before, color="0.4", linestyle="--", label="before the disturbance")
    below, above = (
        [mean + sign * spread for mean, spread in zip(means, spreads, strict=True)]
        for sign in (-1, 1)
    )
    axes.fill_between(samples, below, above, color="C0", alpha=0.2, linewidth=0)
    axes.plot(samples, means, "C0", label="learning in the disturbed world")
    axes.plot(samples[:1], means[:1], "C3o", label="after the disturbance", clip_on=False)
    if row.until_recovered is not None:
        axes.axvline(row.until_recovered.samples, color="C2", linewidth=1)
        axes.annotate(
            f"{RECOVERED:.0%} back",
            (row.until_recovered.samples, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            fontsize="x-small",
            color="C2",
        )
    # Linear up to the first measured point, so that the start is there, and logarithmic beyond.
    axes.set_xscale("symlog", linthresh=samples[1], linscale=0.3)
    axes.set_xlim(0, samples[-1])
    ticks = [0, *(10**k for k in range(8) if 1.5 * samples[1] < 10**k <= samples[-1])]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    # A chance image more or less must not fill a panel.
    top = max(100 * row.before, *above) + 1
    axes.set_ylim(max(0.0, min(*below, top - SMALLEST_HEIGHT) - 1), top)
    axes.set_title(row.disturbance, fontsize="small")
    axes.set_xlabel("samples learnt", fontsize="small")
    axes.tick_params(labelsize="x-small")
    axes.grid(alpha=0.3)
