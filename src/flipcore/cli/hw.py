"""`flipcore hw sram`: the coefficients of a technology's SRAM, fitted to its macros."""

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.files import write_whole
from flipcore.hwmodel.sram_fit import Fit, fit_macros, sram_rows
from flipcore.hwmodel.sram_macros import Macro, read_macros
from flipcore.hwmodel.technology import format_rows


def sram(folder: Path, source: str, out: Path | None, *, as_json: bool) -> None:
    """Read, fit, print, and write the rows if asked."""
    macros = read_macros(folder)
    fits = fit_macros(macros)
    if out is not None:
        write_whole(out, format_rows(sram_rows(fits, source)).encode())
    if as_json:
        result = {"macros": [asdict(macro) for macro in macros], "fits": list(map(_document, fits))}
        print(json_format.dumps(result))
        return
    console = Console()
    for fit in fits:
        _print_fit(console, fit)
    _print_pins(console, macros)
    if out is not None:
        console.print(f"Rows are in {out}", highlight=False, soft_wrap=True)


def _document(fit: Fit) -> dict[str, Any]:
    return {
        "ports": fit.ports,
        "action": fit.action,
        "unit": fit.unit,
        "terms": dict(zip(fit.terms, fit.factors, strict=True)),
        "values": [
            {"macro": macro.name, "value": value, "model": model, "error": error, "left_out_error": left_out}
            for macro, value, model, error, left_out in zip(
                fit.macros, fit.values, fit.model, fit.errors, fit.left_out_errors, strict=True
            )
        ],
        "max_error": fit.max_error,
        "median_error": fit.median_error,
        "band": asdict(fit.band),
    }  # fmt: skip


def _print_fit(console: Console, fit: Fit) -> None:
    table = Table(title=f"{fit.action}, {fit.ports}, {fit.unit}")
    for column in ("macro", "value", "model", "error", "error when left out"):
        table.add_column(column, justify="right" if column != "macro" else "left")
    rows = zip(fit.macros, fit.values, fit.model, fit.errors, fit.left_out_errors, strict=True)
    for macro, value, model, error, left_out in rows:
        table.add_row(
            f"{macro.words}x{macro.bits}",
            f"{value:,.2f}",
            f"{model:,.2f}",
            f"{error:+.1%}",
            f"{left_out:+.1%}",
        )
    console.print(table)
    terms = " + ".join(
        f"{factor:.4g}" if term == "1" else f"{factor:.4g} {term}"
        for term, factor in zip(fit.terms, fit.factors, strict=True)
    )
    console.print(
        f"{terms}: error {fit.max_error:.1%} at most, {fit.median_error:.1%} in the median; "
        f"a macro left out is {fit.band.low:.2f} to {fit.band.high:.2f} times the model\n",
        highlight=False,
        soft_wrap=True,
    )


def _print_pins(console: Console, macros: Sequence[Macro]) -> None:
    """How much of the energy is not that of the clock edge."""
    read = max(macro.read_pins_pj / macro.read_pj for macro in macros)
    write = max(macro.write_pins_pj / macro.write_pj for macro in macros)
    console.print(
        f"Half of the address and data bits toggling is {read:.1%} of a read and {write:.1%} of a write, at most.",
        highlight=False,
        soft_wrap=True,
    )
