"""Tables that the commands print."""

from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.chip import Chip

SMALLEST_STORE = 100  # bits; below, the table would say 0.0 kbit


def print_results(chip: Chip, results: dict[str, Any], console: Console) -> None:
    """Print a run's figures."""
    train, inference = results["train"], results["inference"]
    network = "-".join(map(str, [chip.inputs, *(core.neurons for core in chip.layers)]))
    console.print(
        f"\n{chip.name}: {network}, {chip.steps} steps, 1-bit weights, "
        f"{chip.layers[0].momentum_bits}-bit momentum, {results['dataset']}, seed {results['seed']}, "
        f"{results['epochs']} epochs",
        highlight=False,
    )
    console.print(
        f"[bold]{results['test_split']} accuracy {results['test_accuracy']:.2%}[/] of {results['test_samples']} samples"
        + (
            f" · learnt at {results['samples_per_second']:,.0f} samples/s"
            if train["samples"]
            else ""
        ),
        highlight=False,
    )
    table = Table(title=f"Per sample, at {chip.clock_mhz:g} MHz")
    for column in ("", "cycles", "latency", "SOPs", "spikes", "momentum updates", "flips in all"):
        table.add_column(column, justify="right" if column else "left")
    for name, side in (("training", train), ("inference", inference)):
        if side["samples"]:
            table.add_row(
                name,
                f"{side['cycles_per_sample']:,.0f}",
                f"{side['latency_us']:,.1f} µs",
                f"{side['sops_per_sample']:,.0f}",
                f"{side['spikes_per_sample']:,.0f}",
                f"{side['momentum_updates_per_sample']:,.0f}",
                f"{side['flips']:,}",
            )
    console.print(table)
    _print_memory(console, results)
    for warning in results["warnings"]:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False, soft_wrap=True)
    if results.get("run_dir"):
        console.print(f"Results are in {results['run_dir']}", highlight=False, soft_wrap=True)


def _print_memory(console: Console, results: dict[str, Any]) -> None:
    stores = results["memory_bits"]
    table = Table(title="Memory of the chip, kbit")
    table.add_column("store")
    table.add_column("kbit", justify="right")
    for store, bits in stores.items():
        is_sum = store.startswith("total_")
        # The readout's totals are a store of that name (T13), and no sum.
        name = "readout total" if store == "total" else store.replace("_", " ")
        if bits >= SMALLEST_STORE or is_sum:
            table.add_row(name, f"{bits / 1000:,.1f}", style="bold" if is_sum else "")
    console.print(table)
    _print_alternatives(console, results["training_state_bits"])


def _print_alternatives(console: Console, states: dict[str, dict[str, int]]) -> None:
    table = Table(title="The same network trained in other ways, kbit")
    for column in ("", "learning adds", "", "whole chip", ""):
        table.add_column(column, justify="right" if table.columns else "left")
    own = states["this chip"]
    own_learning = own["synapse_state"] + own["other_state"]
    for name, bits in states.items():
        learning = bits["synapse_state"] + bits["other_state"]
        table.add_row(
            name,
            *memory_cells(learning, own_learning),
            *memory_cells(bits["inference"] + learning, own["inference"] + own_learning),
        )
    console.print(table)
    console.print(
        "What is counted of each way: docs/ENERGY.md; `flipcore estimate` gives its area and energy.",
        highlight=False,
    )


def memory_cells(bits: int, of_chip: int) -> tuple[str, str]:
    """Memory in kbit, and how many times that of this chip it is."""
    return f"{bits / 1000:,.0f}", f"{bits / of_chip:.1f} x"


def number_table(title: str, *columns: str) -> Table:
    """An empty table of numbers, to the right, behind a first column of names."""
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
