"""`flipcore rtl formal`."""

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.chip import load_chip
from flipcore.errors import CheckError, ToolError

try:
    from flipcore.rtl.formal.suite import Result, chosen_properties, prove_chip
    from flipcore.rtl.generate import chip_files
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None

FAILURES = Path("build/formal")


def prove(
    name: str,
    changes: tuple[str, ...],
    properties: tuple[str, ...],
    timeout_s: float,
    keep: Path | None,
    *,
    counters: bool,
    as_json: bool,
) -> None:
    """Prove and print; exit code 1 if a property fails or stays unknown."""
    chip = load_chip(name, changes)
    wanted = chosen_properties(properties)
    files = chip_files(chip, counters=counters)
    shown = sys.stderr.isatty()

    def tell(result: Result) -> None:
        if shown:
            line = f"{result.obligation.property.name}: {result.outcome.verdict}"
            print(f"{line} ({result.outcome.seconds:g} s)", file=sys.stderr)

    results = prove_chip(
        chip,
        files,
        wanted,
        counters=counters,
        timeout_s=timeout_s,
        keep=keep,
        failures=keep or FAILURES / chip.name,
        told=tell,
    )
    if as_json:
        print(json_format.dumps({"chip": chip.name, "proofs": [_document(one) for one in results]}))
    else:
        _print(chip.name, results)
    for verdict in ("failed", "unknown"):
        for one in results:
            if one.outcome.verdict == verdict:
                raise CheckError(f"{chip.name}: {_complaint(one)}")


def _complaint(result: Result) -> str:
    name, outcome = result.obligation.property.name, result.outcome
    place = f", module {result.obligation.module}"
    waves = f"; waves: {result.vcd}" if result.vcd else ""
    return f"{name}{place}: {outcome.verdict}: {outcome.detail}{waves}"


def _document(result: Result) -> dict[str, Any]:
    obligation = result.obligation
    return {
        "property": obligation.property.name,
        "statement": obligation.property.statement,
        "rules": obligation.property.rules,
        "module": obligation.module,
        "cores": list(obligation.cores),
        "parameters": dict(obligation.parameters),
        "reduced": list(obligation.reduced),
        **asdict(result.outcome),
        "vcd": result.vcd,
    }


def _print(name: str, results: list[Result]) -> None:
    console = Console()
    table = Table(title=f"Properties of the Verilog of {name}")
    for column in ("property", "module", "cores", "smaller than the chip", "method"):
        table.add_column(column)
    table.add_column("s", justify="right")
    table.add_column("verdict")
    for one in results:
        obligation, outcome = one.obligation, one.outcome
        sizes = [key for key in obligation.reduced if not key.endswith("Bits")]
        table.add_row(
            obligation.property.name,
            obligation.module,
            ", ".join(map(str, obligation.cores)),
            ", ".join(f"{key} {obligation.parameters[key]}" for key in sizes),
            outcome.method,
            f"{outcome.seconds:.1f}",
            outcome.verdict,
        )
    console.print(table)
    counts = {verdict: sum(one.outcome.verdict == verdict for one in results) for verdict in ("proven", "holds", "failed", "unknown")}  # fmt: skip
    console.print(
        f"{len(results)} proofs: {counts['proven']} proven, {counts['holds']} hold within their bound, "
        f"{counts['failed']} failed, {counts['unknown']} unknown.",
        highlight=False,
        soft_wrap=True,
    )
