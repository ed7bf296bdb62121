"""The bibliography of technologies: where each number comes from."""

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from flipcore.errors import InputError
from flipcore.hwmodel.technology.rows import Table, read_text
from flipcore.hwmodel.technology.types import Source

SOURCE_FIELDS = ("title", "authors", "year", "where", "url", "note")


def read_sources(path: Traversable) -> dict[str, Source]:
    """Sources of a `sources.yaml` by their keys.

    Raises:
        InputError: the file cannot be read, or a source lacks a field or has one too many.
    """
    try:
        document: Any = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: must be a mapping from keys to sources")
    return {str(key): _source(f"{path}: {key}", str(key), entry) for key, entry in document.items()}


def _source(where: str, key: str, entry: Any) -> Source:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be a mapping with {', '.join(SOURCE_FIELDS)}")
    for name in SOURCE_FIELDS:
        if name not in entry:
            raise InputError(f"{where}: {name}: is missing")
    for name, value in entry.items():
        if name not in SOURCE_FIELDS:
            raise InputError(f"{where}: {name}: unknown, a source has {', '.join(SOURCE_FIELDS)}")
        wanted = int if name == "year" else str
        if type(value) is not wanted or (not value and name != "note"):
            kind = "a whole number" if name == "year" else "text"
            raise InputError(f"{where}: {name}: {value!r} is not {kind}")
    return Source(key=key, **entry)


def cited_sources(table: Table, bibliography: Mapping[str, Source]) -> dict[str, Source]:
    """The sources that the rows of a table name.

    Raises:
        InputError: a row names one that is not there.
    """
    for row, line in zip(table.rows, table.lines, strict=True):
        if row.source not in bibliography:
            raise InputError(
                f"{table.where}: line {line}: source: {row.source!r} is not in sources.yaml"
            )
    return {row.source: bibliography[row.source] for row in table.rows}
