"""The table that `flipcore train` prints."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_rows(results: dict[str, Any]) -> None:
    """Print one row per algorithm on stdout."""
    console = Console()
    rows = results["rows"]
    first = rows[0]
    console.print(
        f"\n{results['name']}: {results['dataset']}, {first['epochs']} epochs of batch {first['batch_size']}, "
        f"{first['samples_seen']:,} samples seen, seeds {', '.join(map(str, first['seeds']))}, {first['test_samples']:,} {first['test_split']} samples, on {results['device']}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table()
    for column in (
        "algorithm",
        "accuracy",
        "on the chip",
        "state, kbit",
        "peak, KiB",
        "ms/sample",
        "last flips",
    ):
        table.add_column(column, justify="left" if column == "algorithm" else "right")
    for row in rows:
        spread = f" ± {row['accuracy_std']:.2%}" if len(row["seeds"]) > 1 else ""
        table.add_row(
            row["algorithm"],
            f"{row['accuracy_mean']:.2%}{spread}",
            "-" if row["accuracy_on_chip_mean"] is None else f"{row['accuracy_on_chip_mean']:.2%}",
            f"{row['training_state_bits'] / 1000:,.0f}",
            f"{row['training_peak_bytes'] / 1024:,.0f}" if row["training_peak_bytes"] else "-",
            f"{1000 * row['seconds_per_sample']:,.3f}",
            f"{row['last_flip_ratio']:.2%}",
        )
    console.print(table)
    console.print(
        "on the chip: the signs of the weights in the integers of the simulated chip; state: bits that training needs from step to step; "
        "peak: bytes of all live tensors, measured while a batch was learnt; last flips: share of signs that the last epoch changed",
        style="dim",
        soft_wrap=True,
    )
    console.print(f"Results are in {results['run_dir']}", highlight=False, soft_wrap=True)
