"""Tables of `flipcore rtl verify`."""

from typing import Any

from rich.console import Console

from flipcore.chip import Chip
from flipcore.cli.tables import number_table
from flipcore.rtl.bench.random_chips import all_options, hit_options
from flipcore.rtl.chip_verify import ChipCheck
from flipcore.rtl.verify import FlipUnitCheck

MOST_SHOWN = 6  # chips named beside an option


def print_result(
    console: Console,
    flip_units: list[tuple[str, FlipUnitCheck]],
    chips: list[tuple[Chip, ChipCheck]],
    document: dict[str, Any],
    *,
    shows_options: bool,
) -> None:
    """Print what was compared, the coverage, and for random chips which option was hit where."""
    if flip_units:
        _print_flip_units(console, flip_units)
    if chips:
        _print_chips(console, chips)
    if shows_options:
        _print_options(console, [chip for chip, _ in chips])
    _print_counts(console, "Functional coverage", "what", document["coverage"])
    if chips:
        _print_counts(console, "Phase transitions", "from > to", document["transitions"])
    mismatches = document["bit_mismatches"], document["cycle_mismatches"]
    console.print(
        f"{document['lane_updates']:,} lane updates, {document['samples']:,} samples, "
        f"{document['cycles']:,} cycles, {document['words_compared']:,} words compared: "
        f"[bold]{mismatches[0]} bit mismatches, {mismatches[1]} cycle mismatches[/]; "
        f"{document['seconds']:.1f} s in {document['simulator']}",
        highlight=False,
        soft_wrap=True,
    )


def _print_flip_units(console: Console, units: list[tuple[str, FlipUnitCheck]]) -> None:
    table = number_table("Flip units", "unit", "words", "lane updates", "bit mismatches", "s")
    for name, check in units:
        table.add_row(
            name,
            f"{check.words:,}",
            f"{check.lane_updates:,}",
            str(check.bit_mismatches),
            f"{check.seconds:.1f}",
        )
    console.print(table)


def _print_chips(console: Console, chips: list[tuple[Chip, ChipCheck]]) -> None:
    titles = ("chip", "samples", "phases", "cycles", "signals", "words", "counters", "mismatches")
    table = number_table("Chips, after every phase", *titles, "s")
    for _, check in chips:
        numbers = (check.samples, check.phases, check.cycles, len(check.signals))
        more = (check.words_compared, check.counters, int(bool(check.mismatch)))
        table.add_row(
            check.chip, *(f"{number:,}" for number in (*numbers, *more)), f"{check.seconds:.1f}"
        )
    console.print(table)


def _print_options(console: Console, chips: list[Chip]) -> None:
    table = number_table("Options hit by the random chips", "option", "chips", "which")
    hits = [hit_options(chip) for chip in chips]
    for option in all_options():
        which = [str(k) for k, hit in enumerate(hits) if option in hit]
        shown = " ".join(which[:MOST_SHOWN]) + (" ..." if len(which) > MOST_SHOWN else "")
        table.add_row(option, str(len(which)), shown)
    console.print(table)


def _print_counts(console: Console, title: str, what: str, counts: dict[str, int]) -> None:
    table = number_table(title, what, "times")
    for name, times in sorted(counts.items()):
        shown = name.replace("_", " ").replace(">", " > ")
        table.add_row(shown, f"{times:,}", style="" if times else "yellow")
    console.print(table)
