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
        f"{first['samples_seen']:,} samples seen, {first['test_samples']:,} {first['test_split']} samples, on {results['device']}",
        highlight=False,
    )
    table = Table()
    for column in (
        "algorithm",
        "accuracy",
        "seeds",
        "state, kbit",
        "allocated, KiB",
        "peak, KiB",
        "ms/sample",
        "flips, last epoch",
    ):
        table.add_column(column, justify="left" if column == "algorithm" else "right")
    for row in rows:
        spread = f" ± {row['accuracy_std']:.2%}" if len(row["seeds"]) > 1 else ""
        table.add_row(
            row["algorithm"],
            f"{row['accuracy_mean']:.2%}{spread}",
            str(len(row["seeds"])),
            f"{row['training_state_bits'] / 1000:,.0f}",
            f"{row['training_state_bytes'] / 1024:,.0f}",
            f"{row['training_peak_bytes'] / 1024:,.0f}" if row["training_peak_bytes"] else "-",
            f"{1000 * row['seconds_per_sample']:,.3f}",
            f"{row['last_flip_ratio']:.2%}",
        )
    console.print(table)
    console.print(
        "state: bits that training needs from step to step; allocated: bytes held for it; peak: all live tensors at once, "
        "measured while a batch was learnt",
        style="dim",
        soft_wrap=True,
    )
    console.print(f"Results are in {results['run_dir']}", highlight=False, soft_wrap=True)
