"""The spike raster of one test sample: input, hidden cores, and the readout's totals."""

from typing import Any

import numpy as np
import numpy.typing as npt

from flipcore.chip import Chip
from flipcore.report.chart import PALETTE, Chart, make_table, new_figure
from flipcore.report.run_arrays import Array

MOST_SPIKES = 12_000  # drawn in a panel; beyond, one row in several, or the page would grow heavy
POINTS_PER_INCH = 72.0


def raster_chart(recording: dict[str, Array], chip: Chip) -> Chart:
    """Spikes of the sample over the time steps, layer above layer, and how the readout adds up."""
    hidden = [recording[f"spikes_{c}"] for c in range(len(chip.layers) - 1)]
    panels = [("input", recording["input_spikes"])] + [
        (f"core {c}" if len(hidden) > 1 else "hidden", spikes) for c, spikes in enumerate(hidden)
    ]
    figure = new_figure(1.5 + 1.35 * len(panels))
    heights = [1.0] * len(panels) + [1.1]
    all_axes = figure.subplots(len(panels) + 1, 1, sharex=True, height_ratios=heights)
    notes = []
    for number, (axes, (name, spikes)) in enumerate(zip(all_axes, panels, strict=False)):
        colour = PALETTE["grey" if number == 0 else "blue"]
        every = _draw_spikes(axes, spikes, colour)
        axes.set_ylabel(f"{name}\n{spikes.shape[1]:,} neurons" if number else f"{name}\n{spikes.shape[1]:,} axons")  # fmt: skip
        if every > 1:
            notes.append(f"of the {name} one row in {every} is drawn")
    label, prediction = int(recording["label"]), int(recording["prediction"])
    _draw_totals(all_axes[-1], recording["outputs"], label, prediction)
    all_axes[-1].set_xlim(0.4, chip.steps + 0.6)
    all_axes[-1].set_xlabel("time step")
    verdict = "right" if label == prediction else f"wrong: it is {label}"
    counts = ", ".join(f"{name} {int(np.count_nonzero(spikes)):,}" for name, spikes in panels)
    finding = f"Class {prediction} wins, which is {verdict}. Spikes: {counts}"
    return Chart(
        name="spike-raster",
        title="Spikes of one test sample",
        alt=f"Raster of spikes over {chip.steps} time steps from input to readout. {finding}.",
        caption=f"A tick is a spike. Below, what the readout's neurons have summed up so far. {finding}.{' ' + '; '.join(notes).capitalize() + '.' if notes else ''}",
        figure=figure,
        numbers_shown=True,
        numbers=make_table(
            ("step", *(f"{name}, spikes" for name, _ in panels), "largest total", "its class"),
            (
                (
                    step + 1,
                    *(int(np.count_nonzero(spikes[step])) for _, spikes in panels),
                    int(totals.max()),
                    int(totals.argmax()),
                )
                for step, totals in enumerate(_totals(recording["outputs"]))
            ),
        ),
        data=make_table(
            ("what", "step", "index", "value"),
            [
                (name, int(step) + 1, int(index), 1)
                for name, spikes in panels
                for step, index in np.argwhere(spikes)
            ]
            + [
                ("readout output", step + 1, index, int(value))
                for step, row in enumerate(recording["outputs"])
                for index, value in enumerate(row)
            ],
        ),
    )


def _totals(outputs: Array) -> npt.NDArray[np.int64]:
    return np.cumsum(outputs.astype(np.int64), axis=0)


def _draw_spikes(axes: Any, spikes: Array, colour: str) -> int:
    """Draw ticks as one path; returns of how many rows one is drawn."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    every = max(1, -(-int(np.count_nonzero(spikes)) // MOST_SPIKES))
    steps, rows = np.nonzero(spikes[:, ::every])
    rows = rows * every
    ends = np.stack([np.stack([steps + 0.62, rows], 1), np.stack([steps + 1.38, rows], 1)], 1)
    vertices = ends.reshape(-1, 2)
    codes = np.tile([Outline.MOVETO, Outline.LINETO], len(steps))
    height = 1.1 * POINTS_PER_INCH
    width = float(np.clip(0.8 * height * every / spikes.shape[1], 0.5, 2.5))
    if len(steps):
        axes.add_patch(PathPatch(Outline(vertices, codes), fill=False, edgecolor=colour, lw=width))
    axes.set_ylim(spikes.shape[1] - 0.5, -0.5)
    axes.grid(visible=False)
    return every


def _draw_totals(axes: Any, outputs: Array, label: int, prediction: int) -> None:
    totals = _totals(outputs)
    steps = range(1, len(totals) + 1)
    for index in range(totals.shape[1]):
        if index not in (label, prediction):
            axes.plot(steps, totals[:, index], color=PALETTE["grey"], lw=0.8, alpha=0.6)
    chosen = [(prediction, "blue", f"{prediction}, chosen")]
    if label != prediction:
        chosen.append((label, "orange", f"{label}, true"))
    for index, colour, text in chosen:
        axes.plot(steps, totals[:, index], color=PALETTE[colour], lw=2)
        axes.annotate(
            text,
            (len(totals), totals[-1, index]),
            xytext=(-2, 4),
            textcoords="offset points",
            ha="right",
            color=PALETTE[colour],
        )
    axes.margins(y=0.2)
    axes.set_ylabel(f"readout\n{totals.shape[1]} totals")
