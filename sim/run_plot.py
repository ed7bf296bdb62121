"""Picture of a run: how it learnt, where the cycles go, what the memory holds."""

from pathlib import Path
from typing import Any

from flipcore.files import write_figure

SMALLEST_STORE = 0.005  # share of the chip below which a store is drawn with the rest


def plot_run(results: dict[str, Any], path: Path) -> None:
    """Draw a run's figures (as `results.figures` gives them, with memory) as SVG and PNG.

    Raises:
        InputError: the files cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(
        f"{results['name']} on {results['dataset']}, seed {results['seed']}: "
        f"{results['test_split']} accuracy {results['test_accuracy']:.2%}"
    )
    learning, flips, cycles, memory = figure.subplots(2, 2).flat
    epochs = [epoch["epoch"] + 1 for epoch in results["history"]]
    for key, label in (("train_accuracy", "training, before each update"),
                       ("test_accuracy", results["test_split"])):  # fmt: skip
        learning.plot(epochs, [100 * epoch[key] for epoch in results["history"]], label=label)
    learning.set(xlabel="epoch", ylabel="accuracy, %", title="Learning")
    learning.grid(alpha=0.3)
    learning.legend()
    flips.semilogy(epochs, [max(epoch["flips"], 0.5) for epoch in results["history"]], "C2")
    flips.set(xlabel="epoch", ylabel="flips", title="Weights flipped in each epoch")
    flips.grid(alpha=0.3)
    _draw_cycles(cycles, results)
    _draw_memory(memory, results["memory_bits"])
    write_figure(figure, path)


def _draw_cycles(axes: Any, results: dict[str, Any]) -> None:
    sides = [side for side in ("training", "inference") if _side(results, side)["samples"]]
    left = [0.0] * len(sides)
    for phase in _side(results, "training")["cycles_by_phase"]:
        widths = [_side(results, side)["cycles_by_phase"][phase] for side in sides]
        if any(widths):
            axes.barh(sides, widths, left=left, label=phase)
            left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set(xlabel="cycles per sample", title="Cycles by phase")
    axes.legend(fontsize="small", ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _side(results: dict[str, Any], side: str) -> dict[str, Any]:
    figures: dict[str, Any] = results["train" if side == "training" else side]
    return figures


def _draw_memory(axes: Any, bits: dict[str, int]) -> None:
    total = bits["total_chip"]
    stores = {name: value for name, value in bits.items() if not name.startswith("total_")}
    shown = {name: value for name, value in stores.items() if value >= SMALLEST_STORE * total}
    shown["all others"] = total - sum(shown.values())
    names = [name.replace("_", " ") for name in shown]
    bars = axes.barh(names, [value / 1000 for value in shown.values()], color="C4")
    axes.bar_label(bars, fmt="{:,.1f}", padding=3, fontsize="small")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set(xlabel="kbit", title=f"Memory of the chip, {total / 1000:,.0f} kbit")
