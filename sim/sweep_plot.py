"""Plot of a sweep: accuracy over the first field that varies, a line for each setting of the others."""

import io
from pathlib import Path

from flipcore.sim.storage import write_whole
from flipcore.sim.sweep import Point

MOST_LINES = 10


def plot_points(points: list[Point], path: Path) -> Path | None:
    """Draw accuracy with its confidence interval as SVG; None if there are too many fields or points to read."""
    if not points or len(points[0].values) > 3:
        return None
    key, *others = points[0].values
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
        numeric = all(isinstance(point.values[key], int | float) for point in line)
        ordered = sorted(line, key=lambda p: p.values[key]) if numeric else line  # type: ignore[arg-type,return-value]
        axes.errorbar(
            [p.values[key] if numeric else str(p.values[key]) for p in ordered],
            [100 * p.accuracy_mean for p in ordered],
            yerr=[100 * p.accuracy_ci95 if p.runs > 1 else 0 for p in ordered],
            marker="o",
            capsize=3,
            label=label or None,
        )
    axes.set_xlabel(key)
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    if others:
        axes.legend(fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    write_whole(path, buffer.getvalue())
    return path
