"""`flipcore report`: write the page, say what it comes to."""

import json as json_format
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from flipcore.comparison.rows import comparison_document
from flipcore.report import make_report
from flipcore.sim.results import free_folder


def run(folders: Sequence[Path], out: Path | None, *, open_browser: bool, as_json: bool) -> None:
    """Write the report; by default beside the figures of a single folder."""
    if out is None:
        out = folders[0] if len(folders) == 1 else free_folder("report")
    report = make_report(folders, out)
    if as_json:
        print(
            json_format.dumps(
                {
                    "report": str(report.path),
                    "figures": [str(path) for path in report.figures],
                    "rows": comparison_document(report.comparison)["rows"],
                }
            )
        )
    else:
        console = Console()
        for sentence in report.headline.sentences:
            console.print(sentence, highlight=False, soft_wrap=True, markup=False)
        console.print(f"The report is {report.path}", highlight=False, soft_wrap=True, markup=False)
    if open_browser:
        webbrowser.open(report.path.resolve().as_uri())
