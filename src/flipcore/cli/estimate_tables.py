"""Tables of `flipcore estimate`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.cli.tables import memory_cells, number_table

Figures = dict[str, Any]
Bounds = dict[str, float]

PJ_UNITS = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
UW_UNITS = ((1e6, "W"), (1e3, "mW"), (1.0, "µW"), (1e-3, "nW"))
UM2_UNITS = ((1e6, "mm²"),)
SMALLEST_SHARE = 0.001  # of all, below which a part is not shown
SIDES = ("train_sample", "inference")
ENERGIES = (
    ("training sample", "train_sample"),
    ("inference", "inference"),
    ("per SOP, inference", "per_sop"),
    ("per SOP, training", "learning_per_sop"),
    ("epoch of training", "epoch"),
)
WITHOUT_IO = "Without I/O: of the cores alone, as inside a larger chip, and as published energies per SOP are stated."
BOUNDS = ("value", "low", "high")


def _unit(value: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """The unit that suits a value, and its size."""
    return next(((factor, unit) for factor, unit in units if value >= factor), units[-1])


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _short(band: Bounds | None, units: tuple[tuple[float, str], ...]) -> str:
    """A value with its bounds in per cent of it, `1.66 µJ -7/+8%`."""
    if not band:
        return "-"
    if not band["high"]:
        return "0"
    value = band["value"]
    factor, unit = _unit(value, units)
    if not value:
        return f"0 … {_number(band['high'] / factor)} {unit}"
    below, above = (100 * abs(band[name] / value - 1) for name in ("low", "high"))
    bounds = f"±{below:.0f}%" if round(below) == round(above) else f"-{below:.0f}/+{above:.0f}%"
    return f"{_number(value / factor)} {unit} {bounds}"


def energy_text(band: Bounds | None) -> str:
    """An energy in the unit that suits it, with its bounds."""
    return _short(band, PJ_UNITS)


def _power(band: Bounds | None) -> str:
    return _short(band, UW_UNITS)


def area_text(band: Bounds | None) -> str:
    """An area in mm², with its bounds."""
    return _short(band, UM2_UNITS)


def _time(microseconds: float | None) -> str:
    return "-" if microseconds is None else f"{microseconds:,.1f} µs"


def _network(figures: Figures) -> str:
    return "-".join(map(str, figures["network"]))


def print_estimate(figures: Figures, out: Path | None) -> None:
    """Print one estimate on stdout."""
    console = Console()
    print_line(
        console,
        f"\n{figures['name']}: {_network(figures)}, {figures['steps']} steps, at {figures['clock_mhz']:g} MHz "
        f"in {figures['technology']}: {figures['technology_title']}",
    )
    print_line(console, f"Counts of {figures['counts_from']}")
    console.print(_totals(figures))
    console.print(_phases(figures))
    console.print(_components(figures))
    console.print(_memories(figures))
    console.print(_alternatives(figures))
    for warning in figures["warnings"]:
        print_line(console, f"[yellow]warning:[/] {warning}")
    print_sources(console, figures)
    if out is not None:
        print_line(console, f"Files are in {out}")


def print_sources(console: Console, figures: Figures) -> None:
    """Print what a technology leaves out, and each of its sources once, however many of its tables are used."""
    for note in figures["notes"]:
        print_line(console, f"note: {note}")
    years: dict[tuple[str, ...], dict[int, None]] = {}
    for one in figures["sources"]:
        years.setdefault((one["authors"], one["title"], one["url"]), {})[one["year"]] = None
    for (authors, title, url), found in years.items():
        print_line(console, f"source: {authors}: {title} ({', '.join(map(str, found))}), {url}")


def print_line(console: Console, text: str) -> None:
    """Print a line of text as it is, however wide the terminal."""
    console.print(text, highlight=False, soft_wrap=True)


def _totals(figures: Figures) -> Table:
    power, latency = figures["power_uw"], figures["latency_us"]
    table = number_table("Energy, time and power", "", "value", "low", "high")
    for name, band, units in (
        *((name, band, PJ_UNITS) for name, band in _energies(figures)),
        ("power while training", power["training"], UW_UNITS),
        ("power while classifying", power["inference"], UW_UNITS),
        ("power idle, clock running", power["idle"], UW_UNITS),
        ("power idle, clock stopped", power["clock_stopped"], UW_UNITS),
        ("area", figures["area_um2"], UM2_UNITS),
    ):
        if band:
            factor, unit = _unit(band["value"], units)
            table.add_row(name, *(f"{_number(band[key] / factor)} {unit}" for key in BOUNDS))
    if figures["fpga"]:
        table.add_row("LUT4", *(_number(figures["fpga"]["luts"][key]) for key in BOUNDS))
        table.add_row("block RAMs", f"{figures['fpga']['block_rams']:,}")
    table.add_row("latency of a training sample", _time(latency["train_sample"]))
    table.add_row("latency of an inference", _time(latency["inference"]))
    if _prices_io(figures):
        table.caption = WITHOUT_IO
    return table


def _energies(figures: Figures) -> Iterator[tuple[str, Bounds | None]]:
    """Energies of a chip with pads, then of its cores alone, where I/O has a price."""
    for name, key in ENERGIES:
        yield name, figures["energy_pj"][key]
    if _prices_io(figures):
        for name, key in ENERGIES:
            yield f"{name}, without I/O", figures["energy_without_io_pj"][key]


def _prices_io(figures: Figures) -> bool:
    return bool(figures["energy_without_io_pj"] != figures["energy_pj"])


def _phases(figures: Figures) -> Table:
    table = number_table("Energy by phase, core and cause", "", "training sample", "inference")
    for kind, title in (("phase", "{}"), ("core", "core {}"), ("what", "{}")):
        for key in _keys(figures, kind):
            table.add_row(title.format(key), *(_part(figures, side, kind, key) for side in SIDES))
        table.add_section()
    return table


def _keys(figures: Figures, kind: str) -> list[str]:
    """What is not negligible in training or in inference."""
    keys: dict[str, None] = {}
    for side, parts in figures["energy_by"].items():
        limit = SMALLEST_SHARE * figures["energy_pj"][side]["value"]
        keys |= dict.fromkeys(key for key, band in parts[kind].items() if band["value"] > limit)
    return list(keys)


def _part(figures: Figures, side: str, kind: str, key: str) -> str:
    parts = figures["energy_by"].get(side)
    return energy_text(parts[kind].get(key)) if parts else "-"


def _components(figures: Figures) -> Table:
    table = number_table("By component", "", "training", "inference", "area", "kbit")
    areas, bits = figures["area_by_component"], figures["memory_bits"]
    limit = SMALLEST_SHARE * figures["area_um2"]["value"]
    keys = dict.fromkeys(_keys(figures, "component"))
    keys |= dict.fromkeys(key for key, band in areas.items() if band["value"] > limit)
    for key in keys:
        # A module may have the name of a sum among the stores.
        is_store = any(row["memory"] == key for row in figures["memories"])
        table.add_row(
            _name(key),
            *(_part(figures, side, "component", key) for side in SIDES),
            area_text(areas[key]) if key in areas else "-",
            f"{bits[key] / 1000:,.1f}" if is_store else "-",
        )
    return table


def _name(component: str) -> str:
    # The readout's totals are a store of that name (T13), and no sum.
    shown = {"total": "readout total", "io": "I/O"}
    return shown.get(component, component.replace("_", " "))


def _memories(figures: Figures) -> Table:
    table = number_table("Memories", "", "words x bits", "ports", "built of", "kbit")
    for row in figures["memories"]:
        parts = ", ".join(f"{count} of {words}x{bits}" for words, bits, count in row["macros"])
        table.add_row(
            f"{_name(row['memory'])}, core {row['core']}",
            f"{row['words']:,} x {row['bits']}",
            row["ports"],
            f"SRAM: {parts}" if row["built_of"] == "sram" else row["built_of"],
            f"{row['words'] * row['bits'] / 1000:,.1f}",
        )
    table.add_section()
    bits = figures["memory_bits"]
    registers = bits["total_chip"] - sum(row["words"] * row["bits"] for row in figures["memories"])
    for name, number in (
        ("registers", registers),
        ("needed to classify", bits["total_inference"]),
        ("added by learning", bits["total_learning"]),
    ):
        table.add_row(name, "", "", "", f"{number / 1000:,.1f}")
    return table


def _alternatives(figures: Figures) -> Table:
    table = number_table(
        "What learning adds to the chip, and other ways to train the same network",
        "", "kbit", "", "memory area", "memory energy",
    )  # fmt: skip
    own = figures["alternatives"][0]
    for row in figures["alternatives"]:
        table.add_row(
            row["name"],
            *memory_cells(row["learning_bits"], own["learning_bits"]),
            area_text(row["learning_area_um2"]),
            energy_text(row["learning_pj"]),
        )
    table.caption = (
        "Energy of a training sample. A whole chip has the bits needed to classify besides. Floating-point state is 32 bits per synapse beside the 1-bit weight; each word with trace and error is read and "
        "written once; decay of momentum and moments is left out, which favours the alternatives."
    )
    return table


def print_comparison(chips: list[Figures]) -> None:
    """Print several estimates side by side on stdout."""
    console = Console()
    first = chips[0]
    names = [f"{number}: {chip['name']}" for number, chip in enumerate(chips, 1)]
    table = number_table(f"In {first['technology']}: {first['technology_title']}", "", *names)
    table.add_row("network", *(_network(chip) for chip in chips))
    table.add_row("steps", *(str(chip["steps"]) for chip in chips))
    table.add_row("clock", *(f"{chip['clock_mhz']:g} MHz" for chip in chips))
    for row in zip(*(_energies(chip) for chip in chips), strict=True):
        table.add_row(row[0][0], *(energy_text(band) for _, band in row))
    for name, key in (("training latency", "train_sample"), ("inference latency", "inference")):
        table.add_row(name, *(_time(chip["latency_us"][key]) for chip in chips))
    for name, key in (("training power", "training"), ("inference power", "inference"), ("idle power", "idle")):  # fmt: skip
        table.add_row(name, *(_power(chip["power_uw"][key]) for chip in chips))
    table.add_row("area", *(area_text(chip["area_um2"]) for chip in chips))
    for name, key in (("memory", "total_chip"), ("for learning", "total_learning")):
        table.add_row(
            f"{name}, kbit", *(f"{chip['memory_bits'][key] / 1000:,.0f}" for chip in chips)
        )
    console.print(table)
    for name, chip in zip(names, chips, strict=True):
        print_line(console, f"{name}: counts of {chip['counts_from']}")
        for warning in chip["warnings"]:
            print_line(console, f"[yellow]warning:[/] {name}: {warning}")
