"""Technologies from CSV files: those of the package by name, others by their path."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from flipcore.errors import InputError
from flipcore.hwmodel.technology.bibliography import cited_sources, read_sources
from flipcore.hwmodel.technology.rows import (
    COSTS,
    MEMORY_UNITS,
    RANGE_UNITS,
    REGISTER_LIMIT,
    SCALED_BY,
    Table,
    read_table,
)
from flipcore.hwmodel.technology.types import (
    REGISTER_FILE,
    SRAM_COMPONENTS,
    Coefficient,
    Ports,
    Source,
    SramRange,
    Technology,
)


def technology_names() -> list[str]:
    """Names of the technologies that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv"))


def load_technology(name_or_path: str) -> Technology:
    """Load a technology of the package by name, or one from a file that ends in .csv.

    The sources of a file are those of the package and of a `sources.yaml` beside it.

    Raises:
        InputError: The name is unknown; a row, a source or a fact is missing or wrong.
    """
    bibliography = read_sources(_folder() / "sources.yaml")
    if name_or_path.endswith(".csv"):
        path = Path(name_or_path)
        beside = path.parent / "sources.yaml"
        if beside.is_file():
            bibliography = bibliography | read_sources(beside)
        return _build(path.stem, read_table(path), bibliography)
    return _build(name_or_path, read_table(_shipped(name_or_path)), bibliography)


def check_sources(folder: Path | None = None) -> None:
    """Check that the rows of all CSV files of a folder and its `sources.yaml` know the same sources.

    Args:
        folder: By default, the technologies of the package.

    Raises:
        InputError: A row names a source that is not there, or a source stands there that no row names.
    """
    where: Traversable = _folder() if folder is None else folder
    bibliography = read_sources(where / "sources.yaml")
    cited: set[str] = set()
    for entry in sorted(where.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".csv"):
            table = read_table(entry)
            cited_sources(table, bibliography)
            cited |= {row.source for row in table.rows}
    for key in sorted(bibliography.keys() - cited):
        raise InputError(
            f"{where / 'sources.yaml'}: {key}: no row of a technology names this source"
        )


def _folder() -> Traversable:
    return resources.files("flipcore.hwmodel") / "technologies"


def _shipped(name: str) -> Traversable:
    known = technology_names()
    if name not in known:
        raise InputError(
            f"{name}: no such technology (there are: {', '.join(known)}; a file name ends in .csv)"
        )
    return _folder() / f"{name}.csv"


def _build(name: str, table: Table, bibliography: Mapping[str, Source]) -> Technology:
    """A technology of checked rows, with the rows it takes from its base."""
    facts = {row.action: row for row in table.rows if row.component == "technology"}
    for fact in ("node", "voltage"):
        if fact not in facts or facts[fact].band.value == 0:
            raise InputError(f"{table.where}: no row technology,{fact} with a value above 0")
    if not table.comments:
        raise InputError(f"{table.where}: no title: the first line is a comment, `# title`")
    own = Technology(
        name=name,
        title=table.comments[0],
        notes=tuple(comment for comment in table.comments[1:] if comment),
        node_nm=facts["node"].band.value,
        voltage_v=facts["voltage"].band.value,
        coefficients=tuple(row for row in table.rows if row.unit in COSTS),
        sources=cited_sources(table, bibliography),
        sram_ranges=_sram_ranges(table),
        register_limit=_register_limit(table),
    )
    scales = [row for row in table.rows if row.component == "scale"]
    return _with_base(own, table.where, scales, bibliography) if scales else own


def _with_base(
    own: Technology, where: str, scales: list[Coefficient], bibliography: Mapping[str, Source]
) -> Technology:
    """Add the components that a technology has not of its own, scaled from its base."""
    bases = {row.term for row in scales}
    factors = {row.action: row.band for row in scales}
    if len(bases) > 1 or factors.keys() != set(SCALED_BY.values()):
        raise InputError(
            f"{where}: scale: there must be one row each for energy, area and leakage, of one base"
        )
    table = read_table(_shipped(bases.pop()))
    if any(row.component == "scale" for row in table.rows):
        raise InputError(f"{where}: scale: the base {table.where} is itself scaled")
    has = {row.component for row in own.coefficients}
    taken = [
        replace(
            row,
            band=row.band.times(factors[SCALED_BY[row.unit]]),
            corner=f"{row.corner}, scaled to {own.node_nm:g} nm, {own.voltage_v:g} V",
        )
        for row in table.rows
        if row.unit in SCALED_BY and row.component not in has
    ]
    cited = cited_sources(table, bibliography)
    ranges = {
        ports: sizes
        for ports, sizes in _sram_ranges(table).items()
        if SRAM_COMPONENTS[ports] not in has
    }
    return replace(
        own,
        coefficients=own.coefficients + tuple(taken),
        sources=own.sources | {row.source: cited[row.source] for row in taken},
        sram_ranges=own.sram_ranges | ranges,
        register_limit=own.register_limit if REGISTER_FILE in has else _register_limit(table),
    )


def _register_limit(table: Table) -> int | None:
    for row in table.rows:
        if (row.component, row.action) == (REGISTER_FILE, REGISTER_LIMIT):
            return int(row.band.value)
    return None


def _sram_ranges(table: Table) -> dict[Ports, SramRange]:
    ranges: dict[Ports, SramRange] = {}
    for ports, component in SRAM_COMPONENTS.items():
        rows = [row for row in table.rows if row.component == component]
        if not rows:
            continue
        sizes = {row.action: int(row.band.value) for row in rows if row.unit == "count"}
        missing = [
            name
            for name in (*MEMORY_UNITS, *RANGE_UNITS)
            if name not in {row.action for row in rows}
        ]
        if missing:
            raise InputError(f"{table.where}: {component}: no row {', '.join(missing)}")
        if (
            sizes["smallest_words"] > sizes["largest_words"]
            or sizes["smallest_bits"] > sizes["largest_bits"]
            or sizes["smallest_words"] * sizes["smallest_bits"] > sizes["largest_cells"]
        ):
            raise InputError(
                f"{table.where}: {component}: the smallest macro is larger than the largest"
            )
        ranges[ports] = SramRange(**sizes)
    return ranges
