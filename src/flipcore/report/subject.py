"""What one report is about: the rows of one folder, or of several that belong together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from flipcore.comparison.rows import Comparison, Row
from flipcore.errors import InputError
from flipcore.report.sources import Source


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Everything that the report is made of.

    Attributes:
        comparison: all rows together; `steps` are those of the first folder.
        network: in words.
        run_dir: run directory of the headline chip; None where there is no chip.
        commands: that make the folders again.
        written: when the newest figures were.
    """

    comparison: Comparison
    network: str
    run_dir: Path | None
    folders: tuple[Path, ...]
    commands: tuple[str, ...]
    written: datetime

    @property
    def headline(self) -> Row | None:
        """The chip row of the pictures."""
        name = self.comparison.headline_row
        return self.comparison.row(name) if name else None


def join_sources(sources: Sequence[Source]) -> Subject:
    """The rows of all sources in one comparison, labelled with their folder where a name repeats.

    Raises:
        InputError: there are none, one is given twice, or two do not belong together.
    """
    if not sources:
        raise InputError("a report needs a folder at least")
    first = sources[0]
    for index, other in enumerate(sources[1:], 1):
        _check_together(first, other)
        if any(other.folder.resolve() == earlier.folder.resolve() for earlier in sources[:index]):
            raise InputError(f"{other.folder}: is given twice")
    names = Counter(row.name for source in sources for row in source.comparison.rows)
    same_steps = len({source.comparison.steps for source in sources}) == 1
    rows: list[Row] = []
    headline, run_dir = "", None
    for number, source in enumerate(sources, 1):
        for row in source.comparison.rows:
            label = row.label if same_steps else f"{row.label}, T = {source.comparison.steps}"
            joined = replace(row, label=label)
            if names[row.name] > 1:
                joined = replace(row, name=f"{row.name}-{number}", label=f"{label} ({source.folder.name})")  # fmt: skip
            rows.append(joined)
            if not headline and row.name == source.comparison.headline_row:
                headline, run_dir = joined.name, source.run_dirs.get(row.name)
    versions: dict[str, str] = {}
    for source in sources:
        for name, version in source.comparison.versions.items():
            known = versions.get(name, "").split(", ")
            if version not in known:
                versions[name] = ", ".join(filter(None, [*known, version]))
    return Subject(
        comparison=replace(
            first.comparison, rows=tuple(rows), headline_row=headline, versions=versions
        ),
        network=first.network,
        run_dir=run_dir,
        folders=tuple(source.folder for source in sources),
        commands=tuple(source.command for source in sources),
        written=max(source.written for source in sources),
    )


def _check_together(first: Source, other: Source) -> None:
    """Refuse what must not stand side by side."""
    one, two = first.comparison, other.comparison
    for what, mine, its in (
        ("data set", one.dataset, two.dataset),
        ("network", first.network, other.network),
        ("test split", one.test_split, two.test_split),
        ("number of test samples", one.test_samples, two.test_samples),
    ):
        if mine != its:
            raise InputError(
                f"{first.folder} and {other.folder} do not belong together: {what} {mine} and {its}"
            )
