"""Pictures of estimates: energy by component and phase, memory by store, area."""

from pathlib import Path
from typing import Any

from flipcore.files import write_figure

SMALLEST_SHARE = 0.01  # below which a component is drawn with the rest
SIDES = {"train_sample": "training", "inference": "inference"}
PJ_PER_NJ = 1000.0
UM2_PER_MM2 = 1e6


def plot_estimate(figures: dict[str, Any], path: Path) -> None:
    """Draw an estimate's figures (as `estimate_figures` gives them) as SVG and PNG.

    Raises:
        InputError: the files cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8), layout="constrained")
    figure.suptitle(
        f"{figures['name']}, {figures['clock_mhz']:g} MHz: {figures['technology_title']}"
    )
    training, inference, memory, area = figure.subplots(2, 2).flat
    for axes, side in ((training, "train_sample"), (inference, "inference")):
        _draw_energy(axes, figures, side)
    _draw_memory(memory, figures["memory_bits"])
    _draw_area(area, figures)
    write_figure(figure, path)


def plot_comparison(chips: list[dict[str, Any]], path: Path) -> None:
    """Draw energy per training sample and inference, area and latency of several estimates, with their bounds.

    Raises:
        InputError: the files cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.5 + 0.6 * len(chips)), layout="constrained")
    panels = (
        ("energy of a training sample, nJ", [chip["energy_pj"]["train_sample"] for chip in chips], PJ_PER_NJ),
        ("energy of an inference, nJ", [chip["energy_pj"]["inference"] for chip in chips], PJ_PER_NJ),
        ("area, mm²", [chip["area_um2"] for chip in chips], UM2_PER_MM2),
    )  # fmt: skip
    names = [f"{number}: {chip['name']}" for number, chip in enumerate(chips, 1)]
    for axes, (label, bands, unit) in zip(figure.subplots(1, 3), panels, strict=True):
        shown = [(name, band) for name, band in zip(names, bands, strict=True) if band]
        values = [band["value"] / unit for _, band in shown]
        bounds = [
            [(band["value"] - band["low"]) / unit for _, band in shown],
            [(band["high"] - band["value"]) / unit for _, band in shown],
        ]
        axes.barh([name for name, _ in shown], values, xerr=bounds, capsize=3)
        axes.set(xlabel=label)
        axes.invert_yaxis()
    write_figure(figure, path)


def plot_accuracy(figures: dict[str, Any], path: Path) -> None:
    """Draw the accuracy of every point of a sweep over the energy of a training sample and over the area, with their bounds.

    Raises:
        InputError: the files cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    figure.suptitle(f"{figures['name']} on {figures['dataset']}: {figures['technology_title']}")
    points = figures["points"]
    panels = (
        ("energy of a training sample without I/O, nJ", [row["energy_without_io_pj"]["train_sample"] for row in points], PJ_PER_NJ),
        ("energy of an inference without I/O, nJ", [row["energy_without_io_pj"]["inference"] for row in points], PJ_PER_NJ),
        ("area, mm²", [row["area_um2"] for row in points], UM2_PER_MM2),
    )  # fmt: skip
    for axes, (label, bands, unit) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        for row, band in zip(points, bands, strict=True):
            if band:
                value, low, high = (band[bound] / unit for bound in ("value", "low", "high"))
                accuracy = 100 * row["accuracy_mean"]
                name = ", ".join(map(str, row["values"].values()))
                axes.errorbar(
                    [value], [accuracy], xerr=[[value - low], [high - value]],
                    yerr=[100 * (row["accuracy_ci95"] or 0.0)], fmt="o", capsize=2, lw=0.8,
                )  # fmt: skip
                axes.annotate(name, (value, accuracy), xytext=(4, 4), textcoords="offset points", fontsize="small")  # fmt: skip
        axes.set(xlabel=label)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("accuracy, %")
    write_figure(figure, path)


def _largest_components(figures: dict[str, Any]) -> list[str]:
    """Components that show in training or in inference, so that both pictures have the same colours."""
    names: dict[str, None] = {}
    for side, parts in figures["energy_by"].items():
        limit = SMALLEST_SHARE * figures["energy_pj"][side]["value"]
        names |= dict.fromkeys(
            name for name, band in parts["component"].items() if band["value"] > limit
        )
    return list(names)


def _draw_energy(axes: Any, figures: dict[str, Any], side: str) -> None:
    """A bar for each phase, stacked by component, with the bounds of the phase."""
    axes.set(title=f"Energy of {SIDES[side]}: not counted", xlabel="nJ per sample")
    if side not in figures["energy_by"]:
        return
    total = _in_nj(figures["energy_pj"][side])
    axes.set_title(
        f"Energy of {SIDES[side]}: {total['value']:,.1f} nJ ({total['low']:,.1f} … {total['high']:,.1f})"
    )
    parts = figures["energy_by"][side]
    phases = {phase: _in_nj(band) for phase, band in parts["phase"].items() if band["value"]}
    largest = _largest_components(figures)
    left = [0.0] * len(phases)
    for number, name in enumerate([*largest, "all others"]):
        widths = []
        for phase in phases:
            inside = parts["phase_and_component"][phase]
            own = inside.get(name, {"value": 0.0})["value"]
            rest = sum(band["value"] for other, band in inside.items() if other not in largest)
            widths.append((rest if name == "all others" else own) / PJ_PER_NJ)
        axes.barh(list(phases), widths, left=left, label=name.replace("_", " "), color=f"C{number}")
        left = [a + b for a, b in zip(left, widths, strict=True)]
    bounds = [
        [band["value"] - band["low"] for band in phases.values()],
        [band["high"] - band["value"] for band in phases.values()],
    ]
    axes.errorbar(left, list(phases), xerr=bounds, fmt="none", ecolor="black", capsize=3)
    axes.set_xlim(left=0.0)
    axes.margins(x=0.05)
    axes.invert_yaxis()
    axes.legend(fontsize="small", loc="lower right")


def _in_nj(band: dict[str, float]) -> dict[str, float]:
    return {name: energy_pj / PJ_PER_NJ for name, energy_pj in band.items()}


def _draw_memory(axes: Any, bits: dict[str, int]) -> None:
    stores = {name: value for name, value in bits.items() if not name.startswith("total_")}
    _draw_shares(axes, {name: value / 1000 for name, value in stores.items()})
    axes.set(xlabel="kbit", title=f"Memory by store: {bits['total_chip'] / 1000:,.0f} kbit")


def _draw_area(axes: Any, figures: dict[str, Any]) -> None:
    areas = figures["area_by_component"]
    total = figures["area_um2"]
    _draw_shares(axes, {name: band["value"] / UM2_PER_MM2 for name, band in areas.items()})
    axes.set(
        xlabel="mm²",
        title=f"Area: {total['value'] / UM2_PER_MM2:,.2f} mm² "
        f"({total['low'] / UM2_PER_MM2:,.2f} … {total['high'] / UM2_PER_MM2:,.2f})",
    )


def _draw_shares(axes: Any, values: dict[str, float]) -> None:
    total = sum(values.values())
    shown = {name: value for name, value in values.items() if value >= SMALLEST_SHARE * total}
    shown["all others"] = total - sum(shown.values())
    bars = axes.barh([name.replace("_", " ") for name in shown], list(shown.values()), color="C4")
    axes.bar_label(bars, fmt="{:,.2f}", padding=3, fontsize="small")
    axes.margins(x=0.15)
    axes.invert_yaxis()
