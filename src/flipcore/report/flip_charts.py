"""Which weights flipped, and when: a map of the synapses of every core, and the flip ratio of each core."""

from typing import Any

import numpy as np

from flipcore.chip import Chip
from flipcore.report.chart import (
    DASHES,
    MARKERS,
    SERIES,
    Chart,
    legend_below,
    make_table,
    new_figure,
    plain_log_axis,
    thousands_axis,
)
from flipcore.report.formats import percent
from flipcore.report.run_arrays import Array

# From early to late; both ends stand out from white and from near black.
_MAP_COLOURS = ("#86a8d8", "#7d7fd0", "#a35fb8", "#c9477f", "#d9480f")


def flip_map(flips: dict[str, Array], chip: Chip) -> Chart:
    """A pixel per synapse: the last epoch that changed its sign."""
    from matplotlib.colors import LinearSegmentedColormap

    epochs = len(flips["flip_ratio"])
    colours = LinearSegmentedColormap.from_list("epochs", _MAP_COLOURS)
    cores = len(chip.layers)
    sizes = [_upright(flips[f"last_epoch_{c}"], is_readout=c == cores - 1) for c in range(cores)]
    heights = [float(np.clip(map_.shape[0] / map_.shape[1], 0.22, 0.8)) for map_ in sizes]
    figure = new_figure(0.9 + sum(3.2 * height + 0.35 for height in heights))
    all_axes = figure.subplots(cores, 1, squeeze=False, height_ratios=heights)[:, 0]
    image = None
    for c, (axes, map_) in enumerate(zip(all_axes, sizes, strict=True)):
        image = axes.imshow(
            np.ma.masked_equal(map_, 0),
            cmap=colours,
            vmin=1,
            vmax=max(epochs, 2),
            aspect="auto",
            interpolation="none",
        )
        across, down = ("axon", "class") if c == cores - 1 else ("neuron", "axon")
        axes.set(xlabel=across, ylabel=down)
        axes.set_title(f"core {c}{', readout' if c == cores - 1 else ''}", loc="left")
        axes.grid(visible=False)
    bar = figure.colorbar(
        image, ax=list(all_axes), location="bottom", shrink=0.6, aspect=30, pad=0.02
    )
    bar.set_label("last epoch in which the sign changed")
    bar.outline.set_visible(False)
    thousands_axis(bar.ax.xaxis, 5, integer=True)
    never = [float(np.mean(flips[f"last_epoch_{c}"] == 0)) for c in range(cores)]
    finding = ", ".join(f"core {c} {percent(share, 1)}" for c, share in enumerate(never))
    return Chart(
        name="flip-map",
        title="Which weights flipped, and when last",
        alt=f"Map of all synapses, coloured by the last epoch that changed their sign. Never changed at the end of any epoch: {finding}.",
        caption=f"One pixel per synapse; those that no epoch changed stay empty: {finding}.",
        figure=figure,
        numbers=_counts(flips, cores, epochs),
    )


def _upright(map_: Array, *, is_readout: bool) -> Array:
    """Hidden neurons run from left to right in both cores that they belong to."""
    return map_.T if is_readout else map_


def _counts(flips: dict[str, Array], cores: int, epochs: int) -> Any:
    counts = [
        np.bincount(flips[f"last_epoch_{c}"].astype(np.int64).ravel(), minlength=epochs + 1)
        for c in range(cores)
    ]
    return make_table(
        ("last epoch that changed the sign", *(f"synapses of core {c}" for c in range(cores))),
        (
            ("never" if epoch == 0 else epoch, *(int(count[epoch]) for count in counts))
            for epoch in range(epochs + 1)
        ),
    )


def core_ratio_chart(flips: dict[str, Array]) -> Chart | None:
    """Flip ratio of each core over the epochs; None where there was no epoch."""
    ratios = flips["flip_ratio"].astype(np.float64)
    if not ratios.any():
        return None
    figure = new_figure(2.4)
    axes = figure.subplots()
    epochs = np.arange(1, len(ratios) + 1)
    for c, ratio in enumerate(ratios.T):
        shown = ratio > 0
        axes.plot(
            epochs[shown],
            100 * ratio[shown],
            color=SERIES[c % len(SERIES)],
            marker=MARKERS[c % len(MARKERS)],
            markersize=4,
            markeredgewidth=0,
            linestyle="-" if c == 0 else DASHES[(c - 1) % len(DASHES)],
            markevery=max(1, len(ratios) // 10),
            label=f"core {c}",
        )
    axes.set_yscale("log")
    plain_log_axis(axes.yaxis)
    thousands_axis(axes.xaxis, integer=True)
    axes.set(xlabel="epoch", ylabel="weights flipped, %")
    legend_below(figure, axes)
    finding = "; ".join(
        f"core {c} from {percent(ratio[0])} in the first epoch to {percent(ratio[-1])} in the last"
        for c, ratio in enumerate(ratios.T)
    )
    return Chart(
        name="flip-ratio-by-core",
        title="Flip ratio of each core",
        alt=f"Line chart of the share of each core's weights that an epoch changed. {finding}.",
        caption=f"Share of a core's signs that are others at the end of an epoch than at its beginning: {finding}.",
        figure=figure,
        numbers=make_table(
            ("epoch", *(f"flip ratio of core {c}" for c in range(ratios.shape[1]))),
            ((epoch + 1, *map(float, row)) for epoch, row in enumerate(ratios)),
        ),
    )
