"""`flipcore report`: its options and help; the work is in `cli.report`."""

from pathlib import Path
from typing import Annotated

import typer

from flipcore.cli.options import JsonOption

REPORT_EPILOG = (
    "Examples: `flipcore report runs/compare-digits` · "
    "`flipcore report runs/digits-seed0 runs/train-digits --out build/report --open` · "
    "`flipcore report runs/compare-mnist --json`"
)


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of `compare` or `train`, or run directories of `simulate`; several stand side by side if data, split and network are the same.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of report.html and figures/; that of a single DIR by default, or one under runs/.")] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Make the report of finished runs, or set several side by side: one page that needs no network, and its figures as files."""
    from flipcore.cli import report as command

    command.run(tuple(folders), out, open_browser=open_browser, as_json=json)
