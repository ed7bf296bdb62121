"""Plot of a sweep: accuracy over the first field that varies, a line for each setting of the others."""

import io
from pathlib import Path

from flipcore.files import write_whole
from flipcore.sim.sweep import Point

MOST_LINES = 10
MOST_FIELDS = 3


def plot_points(points: list[Point], path: Path) -> Path | None:
    """Draw accuracy with its confidence interval as SVG; None if there is too much to read."""
    if not points or len(points[0].values) > MOST_FIELDS:
        return None
    key, *others = points[0].values
    ticks = _ordered({point.values[key]: None for point in points})
    lines: dict[str, list[Point]] = {}
    for point in points:
        label = ", ".join(f"{name.split('.')[-1]} {point.values[name]}" for name in others)
        lines.setdefault(label, []).append(point)
    if len(lines) > MOST_LINES:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for label, line in lines.items():
        line.sort(key=lambda point: ticks.index(point.values[key]))
        axes.errorbar(
            [ticks.index(point.values[key]) for point in line],
            [100 * point.accuracy_mean for point in line],
            yerr=[100 * point.accuracy_ci95 if point.runs > 1 else 0 for point in line],
            marker="o",
            capsize=3,
            label=label or None,
        )
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    axes.set_xlabel(key)
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    if others:
        axes.legend(fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    write_whole(path, buffer.getvalue())
    return path


def _ordered(values: dict[str | int | float | bool | None, None]) -> list[object]:
    """Numbers in ascending order, anything else as it came."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return [*sorted(numbers)] if len(numbers) == len(values) else [*values]
