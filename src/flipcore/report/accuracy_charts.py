"""Charts over the samples seen: accuracy, and how many weights still flip."""

import math
from collections.abc import Sequence
from typing import Any

from flipcore.comparison.rows import Row
from flipcore.report.chart import (
    Chart,
    legend_below,
    line_style,
    make_table,
    new_figure,
    plain_log_axis,
    thousands_axis,
)
from flipcore.report.formats import percent

LOG_RATIO = 4  # of samples seen, beyond which they stand on a logarithmic axis


def accuracy_chart(rows: Sequence[Row], split: str) -> Chart | None:
    """Accuracy over the samples seen, a line per row with its spread; None where no row has a curve."""
    drawn = [(index, row) for index, row in enumerate(rows) if row.curve]
    if not drawn:
        return None
    figure = new_figure(2.7)
    axes = figure.subplots()
    for index, row in drawn:
        samples = [point.samples_seen for point in row.curve]
        means = [100 * point.accuracy_mean for point in row.curve]
        spreads = [100 * point.accuracy_std for point in row.curve]
        style = line_style(rows, index)
        axes.plot(samples, means, markevery=_some(len(samples)), **style)
        if any(spreads):
            below = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
            above = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
            axes.fill_between(samples, below, above, color=style["color"], alpha=0.15, linewidth=0)
    _samples_axis(axes, [row for _, row in drawn])
    axes.set_ylabel(f"{split} accuracy, %")
    legend_below(figure, axes)
    best = max((row for _, row in drawn), key=lambda row: row.curve[-1].accuracy_mean)
    last = [f"{row.label} {percent(row.curve[-1].accuracy_mean)}" for _, row in drawn]
    return Chart(
        name="accuracy",
        title="Accuracy over samples seen",
        alt=f"Line chart of {split} accuracy over training samples seen. At the end: {'; '.join(last)}.",
        caption=f"Mean over the seeds after each epoch; bands are one standard deviation. Highest at the end: {best.label}, {percent(best.curve[-1].accuracy_mean)}.",
        figure=figure,
        numbers=make_table(
            ("row", "samples seen", "accuracy, mean", "accuracy, standard deviation"),
            (
                (row.label, point.samples_seen, point.accuracy_mean, point.accuracy_std)
                for _, row in drawn
                for point in row.curve
            ),
        ),
    )


def flip_ratio_chart(rows: Sequence[Row]) -> Chart | None:
    """Share of weights whose sign an epoch changed, over the samples seen; None where no row knows it."""
    drawn = [
        (index, row, [point for point in row.curve if point.flip_ratio > 0])
        for index, row in enumerate(rows)
    ]
    drawn = [(index, row, points) for index, row, points in drawn if points]
    if not drawn:
        return None
    figure = new_figure(2.7)
    axes = figure.subplots()
    for index, _, points in drawn:
        samples = [point.samples_seen for point in points]
        ratios = [100 * point.flip_ratio for point in points]
        axes.plot(samples, ratios, markevery=_some(len(samples)), **line_style(rows, index))
    axes.set_yscale("log")
    plain_log_axis(axes.yaxis)
    _samples_axis(axes, [row for _, row, _ in drawn])
    axes.set_ylabel("weights flipped in an epoch, %")
    legend_below(figure, axes)
    ends = [
        f"{row.label} from {percent(points[0].flip_ratio)} to {percent(points[-1].flip_ratio)}"
        for _, row, points in drawn
    ]
    return Chart(
        name="flip-ratio",
        title="Flip ratio over samples seen",
        alt=f"Line chart of the share of weights whose sign changed from epoch to epoch. {'; '.join(ends)}.",
        caption="Share of binary weights whose sign at the end of an epoch is not that of its beginning, mean over the seeds, on a logarithmic axis.",
        figure=figure,
        numbers=make_table(
            ("row", "samples seen", "flip ratio"),
            (
                (row.label, point.samples_seen, point.flip_ratio)
                for _, row, points in drawn
                for point in points
            ),
        ),
    )


def _some(number: int) -> int:
    """How far apart markers are: ten to a line or so."""
    return math.ceil(number / 10)


def _samples_axis(axes: Any, rows: Sequence[Row]) -> None:
    ends = [row.curve[-1].samples_seen for row in rows]
    if max(ends) > LOG_RATIO * min(ends):
        axes.set_xscale("log")
        plain_log_axis(axes.xaxis)
    else:
        thousands_axis(axes.xaxis)
        axes.set_xlim(left=0)
    axes.set_xlabel("training samples seen")
