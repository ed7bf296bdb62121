"""`flipcore hw characterize` and `flipcore hw validate`: what the logic takes, from netlists that learn, and how far the model is from them."""

import json as json_format
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flipcore.errors import InputError, ToolError
from flipcore.files import write_whole
from flipcore.hwmodel.check import Check, check_record
from flipcore.hwmodel.logic_fit import Group, fit_logic, logic_rows
from flipcore.hwmodel.technology import format_rows, load_technology

try:
    from flipcore.rtl.characterize import FIT, VALIDATION, Subject, digest, measure
    from flipcore.rtl.generate import chip_files
    from flipcore.rtl.liberty import Library, read_liberty
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def characterize(
    liberty: Path, work: Path, source: str, out: Path | None, *, as_json: bool
) -> None:
    """Measure the chips that coefficients are fitted on, fit, and write the rows if asked."""
    library = read_liberty(liberty)
    groups = fit_logic(_records(FIT, library, work))
    if out is not None:
        corner = f"{library.voltage:g} V {library.temperature:g} C"
        write_whole(out, format_rows(logic_rows(groups, corner, source)).encode())
    if as_json:
        print(json_format.dumps({"groups": [_group_document(group) for group in groups]}))
        return
    _print_groups(groups)
    if out is not None:
        Console().print(f"Rows are in {out}", highlight=False, soft_wrap=True)


def validate(liberty: Path, work: Path, technology: str, *, as_json: bool) -> None:
    """Measure chips that no coefficient was fitted on, and hold the model against them."""
    priced = load_technology(technology)
    records = _records(VALIDATION, read_liberty(liberty), work)
    checks = [check_record(record, priced) for record in records]
    if as_json:
        print(json_format.dumps(_checks_document(checks)))
    else:
        _print_checks(checks)


def _records(subjects: Sequence[Subject], library: Library, work: Path) -> list[dict[str, Any]]:
    """A record of each subject: the one in the folder if it is of this Verilog and library, else a new one."""
    console = Console(stderr=True)
    records = []
    for number, subject in enumerate(subjects):
        path = work / f"{subject.name}.json"
        record = _read(path)
        wanted = digest(chip_files(subject.chip, counters=False), library)
        if record is None or record.get("digest") != wanted:
            console.print(
                f"{number + 1} of {len(subjects)}: {subject.name}: synthesis and simulation of its gates",
                highlight=False,
            )
            record = measure(subject, library)
            try:
                work.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{work}: cannot be written: {error.strerror}") from None
            write_whole(path, (json_format.dumps(record) + "\n").encode())
        records.append(record)
    return records


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json_format.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise InputError(f"{path}: not a record of a characterisation: remove it") from None
    return record if isinstance(record, dict) else None


def _group_document(group: Group) -> dict[str, Any]:
    return {
        "group": group.name,
        "unit": group.unit,
        "observations": len(group.observations),
        "median_error": group.median_error,
        "max_error": max(map(abs, group.errors)),
        "factors": [[*key, factor] for key, factor in group.factors.items()],
    }


def _print_groups(groups: Sequence[Group]) -> None:
    table = Table(title="Logic, and errors for chips that the fit did not see")
    table.add_column("component: action x term", no_wrap=True)
    table.add_column("factor", justify="right", no_wrap=True)
    for group in groups:
        table.add_row(
            f"[bold]{group.name}[/bold], {len(group.observations)} cores: "
            f"{group.median_error:.1%} in the median, {max(map(abs, group.errors)):.0%} at worst"
        )
        for (component, action, term), factor in group.factors.items():
            table.add_row(f"  {component}: {action} x {term}", f"{factor:.4g} {group.unit}")
        table.add_section()
    Console().print(table)


def _checks_document(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "chips": [
            {
                "name": check.name,
                "logic_pj": {"measured": check.logic_pj, "model": check.model_logic_pj},
                "memory_pj": check.memory_pj,
                "logic_error": check.logic_error,
                "total_error": check.total_error,
                "area_error": check.area_error,
                "by_component": check.components,
            }
            for check in checks
        ],
        "logic_error": _summary([check.logic_error for check in checks]),
        "total_error": _summary([check.total_error for check in checks]),
        "area_error": _summary([check.area_error for check in checks]),
    }


def _summary(errors: Sequence[float]) -> dict[str, float]:
    sizes = [abs(error) for error in errors]
    return {"median": statistics.median(sizes), "worst": max(sizes)}


def _print_checks(checks: Sequence[Check]) -> None:
    table = Table(title="The model against gates, on chips that it was not fitted on")
    columns = ("chip", "logic, nJ", "model, nJ", "error", "with memories, nJ", "error", "area, mm2", "error")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "chip" else "right")
    for check in checks:
        table.add_row(
            check.name,
            f"{check.logic_pj / 1e3:,.1f}",
            f"{check.model_logic_pj / 1e3:,.1f}",
            f"{check.logic_error:+.1%}",
            f"{(check.logic_pj + check.memory_pj) / 1e3:,.1f}",
            f"{check.total_error:+.1%}",
            f"{check.area_um2 / 1e6:.3f}",
            f"{check.area_error:+.1%}",
        )
    console = Console()
    console.print(table)
    for name, errors in (
        ("logic", [check.logic_error for check in checks]),
        ("total", [check.total_error for check in checks]),
        ("area of logic", [check.area_error for check in checks]),
    ):
        summary = _summary(errors)
        console.print(
            f"{name}: error {summary['median']:.1%} in the median, {summary['worst']:.1%} at worst",
            highlight=False,
        )
    console.print("cycles: equal in every phase, or there would be no record", highlight=False)
