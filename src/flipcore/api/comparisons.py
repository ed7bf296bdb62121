"""Software beside the chip: the comparison of `flipcore compare`, and its report."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flipcore.cli.compare_table import print_comparison
from flipcore.comparison.finish import finish_comparison
from flipcore.comparison.jobs import Job
from flipcore.comparison.request import Request, create_folder, make_request
from flipcore.comparison.rows import Comparison, Row, read_comparison
from flipcore.comparison.rows_csv import rows_csv
from flipcore.report import write_report
from flipcore.sim.results import free_folder

if TYPE_CHECKING:
    import pandas

TABLE_WIDTH = 100


@dataclass(frozen=True)
class Compared:
    """A finished comparison. `print` it for its tables and what they say.

    Attributes:
        rows: one per way to train, in software or on a chip.
        folder: where its runs and figures lie.
        report: the page to look at.
        comparison: the whole of it, as compare.json holds it.
    """

    rows: tuple[Row, ...]
    folder: Path
    report: Path
    comparison: Comparison = field(repr=False)

    def to_pandas(self) -> "pandas.DataFrame":
        """One line per row, its name as the index, the columns of compare.csv (needs pandas, extra `pandas`)."""
        import pandas

        return pandas.read_csv(io.StringIO(rows_csv(self.rows)), index_col="name")

    def __str__(self) -> str:
        """The tables that the command prints."""
        text = io.StringIO()
        console = Console(file=text, width=TABLE_WIDTH)
        print_comparison(self.comparison, self.folder, self.report, console)
        return text.getvalue().strip()


def compare(
    preset: str | Path = "digits",
    *,
    algorithms: Sequence[str] = (),
    seeds: int | None = None,
    epochs: int | None = None,
    samples: int | None = None,
    dataset: str | None = None,
    validation: float = 0.0,
    technology: str = "ihp-sg13g2",
    processes: int = 0,
    out: Path | str | None = None,
) -> Compared:
    """Train the same network on the same data in software and on the chip, and write a report.

    Args:
        preset: a preset, a recipe, or a YAML file of either.
        algorithms: such as `bptt-adam`, `bso`, `bso:dense`, `tbso+gate`, `chip:8`, `chip-tbso:8`; the task's own by default.
        seeds: runs of each; the task's number by default.
        epochs: of each; by default those of its recipe or its chip.
        samples: learn only so many training samples, the same for all.
        dataset: as in `flipcore compare --dataset`.
        validation: share of the training split that is held out and tested on in place of the test split.
        technology: that chips are priced in.
        processes: runs at once; 0 for one per processor.
        out: new folder of results; one under runs/ by default.

    Raises:
        InputError: a value breaks a rule, or a run failed. What was done is kept: `resume_comparison` goes on.
    """
    request = make_request(
        str(preset),
        algorithms=algorithms,
        seeds=seeds,
        epochs=epochs,
        samples=samples,
        dataset=dataset,
        validation=validation,
        technology=technology,
    )
    folder = Path(out) if out is not None else free_folder(f"compare-{request.chip['name']}")
    create_folder(folder, request)
    return resume_comparison(folder, processes=processes)


def resume_comparison(folder: Path | str, *, processes: int = 0) -> Compared:
    """Do what is left of a comparison, also of one that was interrupted or killed.

    Raises:
        InputError: the folder holds none, is in use, or something in it is damaged.
    """
    folder = Path(folder)
    comparison = finish_comparison(folder, processes or os.cpu_count() or 1, _unwatched, _silent)
    return Compared(comparison.rows, folder, write_report([folder], folder), comparison)


def open_comparison(folder: Path | str) -> Compared:
    """Read a finished comparison and make its report again.

    Raises:
        InputError: the folder holds none, or it is damaged.
    """
    folder = Path(folder)
    comparison = read_comparison(folder)
    return Compared(comparison.rows, folder, write_report([folder], folder), comparison)


class _Unwatched:
    """A watcher that neither shows nor stops anything."""

    def on_start(self, job: Job) -> None:
        """Nothing to show."""

    def on_fraction(self, job: Job, fraction: float) -> None:
        """Nothing to show."""

    def on_done(self, job: Job, result: Any) -> None:
        """Nothing to show."""

    def should_stop(self) -> bool:
        """Never."""
        return False


@contextmanager
def _unwatched(_request: Request, _jobs: list[Job]) -> Iterator[_Unwatched]:
    yield _Unwatched()


def _silent(_line: str) -> None:
    """Tell nobody."""
