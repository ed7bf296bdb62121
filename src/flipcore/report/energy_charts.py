"""Charts of a priced run: energy by phase and by component, with the bounds of the technology."""

from typing import Any

from flipcore.hwmodel.estimate import Estimate, estimate_figures
from flipcore.report.chart import (
    INK,
    PALETTE,
    STORE_COLOURS,
    Chart,
    make_table,
    new_figure,
    thousands_axis,
)
from flipcore.report.formats import ENERGY_UNITS, banded, percent, quantity, unit_of
from flipcore.report.memory_charts import OTHERS

LARGEST_COMPONENTS = 6  # that have a colour of their own; the others are drawn together
COMPONENT_BARS = 10
SIDES = {"train_sample": "training sample", "inference": "inference"}


def phase_chart(estimate: Estimate) -> Chart | None:
    """Energy of a training sample by phase, stacked by component; None of a run that learnt nothing."""
    figures = estimate_figures(estimate)
    parts = figures["energy_by"].get("train_sample")
    if parts is None or estimate.training is None:
        return None
    phases = {name: band for name, band in parts["phase"].items() if band["value"]}
    size, unit = unit_of(max(band["value"] for band in phases.values()), ENERGY_UNITS)
    figure = new_figure(0.9 + 0.32 * len(phases))
    axes = figure.subplots()
    places = range(len(phases))
    left = [0.0] * len(phases)
    groups = _groups(parts["component"])
    colours = _colours(groups)
    for group, components in groups.items():
        widths = [
            sum(
                band["value"]
                for name, band in parts["phase_and_component"][phase].items()
                if name in components
            )
            / size
            for phase in phases
        ]
        if any(widths):
            axes.barh(places, widths, left=left, height=0.62, color=colours[group], label=group)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    _bounds(axes, list(phases.values()), size, list(places), horizontal=left)
    axes.set_yticks(places, list(phases))
    _finish(axes, f"{unit} per training sample")
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.17 * -(-len(labels) // 3))
    figure.legend(handles, labels, loc="outside lower left", ncols=3, handlelength=1.0, borderpad=0)
    total = estimate.training.per_sample_pj
    first, *_ = sorted(phases, key=lambda phase: -phases[phase]["value"])
    finding = f"The phase {first} takes {percent(phases[first]['value'] / total.value, 0)} of {quantity(total.value, ENERGY_UNITS)}"
    return Chart(
        name="energy-by-phase",
        title="Energy of a training sample by phase",
        alt=f"Stacked bars of energy per training sample by phase and component. {finding}.",
        caption=f"{finding}. Whiskers are the bounds of the phase in the technology.",
        figure=figure,
        numbers=make_table(
            ("phase", "component", "pJ", "low", "high"),
            (
                (phase, component, band["value"], band["low"], band["high"])
                for phase in phases
                for component, band in parts["phase_and_component"][phase].items()
            ),
        ),
    )


def _groups(components: dict[str, dict[str, float]]) -> dict[str, tuple[str, ...]]:
    """The largest components each alone, then all others together."""
    ordered = sorted(components, key=lambda name: -components[name]["value"])
    groups = {_words(name): (name,) for name in ordered[:LARGEST_COMPONENTS]}
    rest = tuple(ordered[LARGEST_COMPONENTS:])
    return {**groups, OTHERS: rest}


def _colours(groups: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Stores keep the colour that they have in other charts; the rest take what is left, the last group grey."""
    own = {group: STORE_COLOURS[group] for group in groups if group in STORE_COLOURS}
    free = iter([colour for colour in PALETTE if colour not in own.values() and colour != "grey"])
    return {
        group: PALETTE["grey" if group == OTHERS else own.get(group) or next(free)]
        for group in groups
    }


def component_chart(estimate: Estimate) -> Chart:
    """Energy by component, of a training sample beside an inference."""
    by_side = {
        side: parts["component"] for side, parts in estimate_figures(estimate)["energy_by"].items()
    }
    largest = {
        name: max(parts.get(name, {"value": 0.0})["value"] for parts in by_side.values())
        for name in dict.fromkeys(name for parts in by_side.values() for name in parts)
    }
    names = sorted(largest, key=lambda name: -largest[name])[:COMPONENT_BARS]
    size, unit = unit_of(largest[names[0]], ENERGY_UNITS)
    figure = new_figure(0.75 + 0.3 * len(names))
    axes = figure.subplots()
    height = 0.72 / len(by_side)
    for number, (side, parts) in enumerate(by_side.items()):
        places = [place + (number - (len(by_side) - 1) / 2) * height for place in range(len(names))]
        bands = [parts.get(name, {"value": 0.0, "low": 0.0, "high": 0.0}) for name in names]
        values = [band["value"] / size for band in bands]
        colour = PALETTE["blue" if side == "train_sample" else "gold"]
        axes.barh(places, values, height=0.9 * height, color=colour, label=SIDES[side])
        _bounds(axes, bands, size, places, horizontal=values)
    axes.set_yticks(range(len(names)), [_words(name) for name in names])
    _finish(axes, f"{unit} per sample")
    axes.legend(loc="lower right")
    energies = [
        (side, energy.per_sample_pj)
        for side, energy in (("training sample", estimate.training), ("inference", estimate.inference))
        if energy is not None
    ]  # fmt: skip
    finding = "; ".join(f"{side}: {banded(energy, ENERGY_UNITS)}" for side, energy in energies)
    return Chart(
        name="energy-by-component",
        title="Energy by component",
        alt=f"Bars of energy per sample by component, the {len(names)} largest. In all, {finding}.",
        caption=f"The {len(names)} largest components; whiskers are bounds. In all, {finding}.",
        figure=figure,
        numbers=make_table(
            ("sample", "component", "pJ", "low", "high"),
            (
                (SIDES[side], component, band["value"], band["low"], band["high"])
                for side, parts in by_side.items()
                for component, band in parts.items()
                if band["high"]
            ),
        ),
    )


def _bounds(
    axes: Any,
    bands: list[dict[str, float]],
    size: float,
    places: list[Any],
    *,
    horizontal: list[float],
) -> None:
    below = [(band["value"] - band["low"]) / size for band in bands]
    above = [(band["high"] - band["value"]) / size for band in bands]
    axes.errorbar(
        horizontal,
        places,
        xerr=[below, above],
        fmt="none",
        ecolor=INK,
        elinewidth=0.7,
        capsize=2,
    )


def _finish(axes: Any, label: str) -> None:
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlim(left=0)
    thousands_axis(axes.xaxis, 5)
    axes.set_xlabel(label)
    axes.invert_yaxis()


def _words(component: str) -> str:
    return component.replace("_", " ")
