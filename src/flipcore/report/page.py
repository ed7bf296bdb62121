"""The page: rows, charts and words put together, written with the charts' files beside it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipcore.comparison.rows import Comparison
from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.report.chart import (
    PALETTE,
    Cell,
    Drawing,
    Table,
    chart_style,
    draw,
    inline_svg,
    write_files,
)
from flipcore.report.formats import SPACE
from flipcore.report.headline import Headline, make_headline
from flipcore.report.row_tables import CHIP_COLUMNS, COLUMNS, chip_lines, row_groups
from flipcore.report.sections import Basis, Section, make_sections
from flipcore.report.sources import read_source, report_command
from flipcore.report.subject import Subject, join_sources

REPORT_FILE = "report.html"
FIGURES = "figures"
LARGE = 1000.0  # from here on digits after the point say nothing
MOST_TABLE_ROWS = 400  # on the page; the CSV file has all
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written.

    Attributes:
        path: of the page.
        figures: files of its charts.
        comparison: the rows that it shows.
        headline: the outcome in words.
    """

    path: Path
    figures: tuple[Path, ...]
    comparison: Comparison
    headline: Headline


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write `report.html` and `figures/` into a folder and return the path of the page.

    Args:
        folders: of `flipcore compare` or `train`, or run directories of `simulate`; all on the same data, split and network.
        out: is made if it is not there.

    Raises:
        InputError: a folder is damaged, foreign or not finished, two do not belong together, or `out` cannot be written.
    """
    return make_report(folders, out).path


def make_report(folders: Sequence[Path], out: Path) -> Report:
    """As `write_report`, and say what was written.

    Raises:
        InputError: as there.
    """
    subject = join_sources([read_source(folder) for folder in folders])
    figure_folder = out / FIGURES
    with chart_style():
        sections, basis = make_sections(subject)
        drawings = {chart.name: draw(chart) for section in sections for chart in section.charts}
    page = _page(subject, sections, basis, drawings, report_command(folders, out))
    try:
        figure_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{figure_folder}: cannot be created: {error.strerror}") from None
    figures = [path for one in drawings.values() for path in write_files(one, figure_folder)]
    write_whole(out / REPORT_FILE, page.encode())
    return Report(
        path=out / REPORT_FILE,
        figures=tuple(figures),
        comparison=subject.comparison,
        headline=make_headline(subject.comparison),
    )


def _page(
    subject: Subject,
    sections: Sequence[Section],
    basis: Basis | None,
    drawings: Mapping[str, Drawing],
    command: str,
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flipcore.report", "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    comparison = subject.comparison
    return environment.get_template("report.html.j2").render(
        subject=subject,
        comparison=comparison,
        headline=make_headline(comparison),
        facts=_facts(subject),
        columns=COLUMNS,
        groups=row_groups(comparison.rows, comparison.headline_row),
        chip_columns=CHIP_COLUMNS,
        chip_lines=chip_lines(comparison.rows, comparison.headline_row),
        sections=sections,
        basis=basis,
        command=command,
        palette=PALETTE,
        svg={name: _svg(drawing) for name, drawing in drawings.items()},
        shown=_shown,
        clocks=_clocks(comparison),
        prose=_prose,
        title=_title(comparison),
        figures=FIGURES,
    )


def _svg(drawing: Drawing) -> Any:
    """The chart's SVG, which the template must not escape: it escapes its own text."""
    import markupsafe

    return markupsafe.Markup(inline_svg(drawing))


def _prose(text: str) -> Any:
    """A sentence with what stands between backticks as code, everything else escaped."""
    import markupsafe

    return markupsafe.Markup(_CODE.sub(r"<code>\1</code>", str(markupsafe.escape(text))))


def _title(comparison: Comparison) -> str:
    name, dataset = comparison.name, comparison.dataset
    return (
        f"{name if name == dataset else f'{name} on {dataset}'}: learning with one bit per synapse"
    )


def _clocks(comparison: Comparison) -> str:
    """The clock of the chips, or their clocks."""
    clocks = dict.fromkeys(row.chip.clock_mhz for row in comparison.rows if row.chip is not None)
    return ", ".join(f"{clock:g}{SPACE}MHz" for clock in clocks)


def _shown(table: Table) -> dict[str, Any]:
    """The numbers behind a chart as text, the first of them where they are many; `wordy` columns hold words."""
    return {
        "columns": table.columns,
        "wordy": [isinstance(cell, str) for cell in table.rows[-1]] if table.rows else [],
        "rows": [[_text(cell) for cell in row] for row in table.rows[:MOST_TABLE_ROWS]],
        "left_out": max(0, len(table.rows) - MOST_TABLE_ROWS),
    }


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= LARGE else f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _facts(subject: Subject) -> list[tuple[str, str]]:
    """What was compared, a name and a value each."""
    comparison = subject.comparison
    seeds = sorted({seed for row in comparison.rows for seed in row.seeds})
    seen = sorted({row.samples_seen for row in comparison.rows if row.samples_seen})
    facts = [
        ("Data", f"{comparison.dataset}, {comparison.training_samples:,} training samples"),
        ("Tested on", f"{comparison.test_samples:,} {comparison.test_split} samples"),
        ("Network", f"{subject.network}, binary weights, T{SPACE}={SPACE}{comparison.steps}"),
        ("Seeds", ", ".join(map(str, seeds)) or "none"),
    ]
    if seen:
        span = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
        facts.append(("Samples seen", f"{span} a row and seed"))
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
    facts += [
        ("From", ", ".join(map(str, subject.folders))),
        ("Figures of", f"{subject.written:%-d %B %Y}"),
        ("Versions", versions),
    ]
    return facts
