"""Chip descriptions as YAML: files, presets, and changes from the command line."""

from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from flipcore.chip.model import Chip
from flipcore.chip.parse import near, one_line, parse_chip
from flipcore.errors import InputError

# PyYAML lets through what its constructors raise, of dates and numbers that are none for example.
YAML_DAMAGE = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)


class _TwiceError(yaml.YAMLError):
    """A key that stands twice in one mapping."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but for a key that is given twice: PyYAML keeps the last value without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a second value for a key, before `<<` brings in those that may be overridden."""
        mapping = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise _TwiceError(
                    f"line {line}: {one_line(key.value)}: is given twice, first in line {lines[name]}"
                )
            lines[name] = line
        return mapping


def _parse_yaml(text: str) -> Any:
    return yaml.load(text, _Loader)


def read_chip_document(name: str) -> tuple[dict[str, Any], str]:
    """Read the YAML of a preset or a file; returns the document and what to call it in errors.

    A name that ends in .yaml or .yml, or holds a path separator, is a file; anything else a preset.
    """
    return read_mapping(name, preset_text, "a chip description is"), name


def read_mapping(name: str, shipped: Callable[[str], str], what: str) -> dict[str, Any]:
    """Read YAML that is a mapping of fields: a file by its path, anything else by what the package ships.

    Args:
        name: a path if it ends in .yaml or .yml, or holds a path separator.
        shipped: text of what the package has under a name; refuses the others.
        what: the mapping is, as a sentence about it begins.

    Raises:
        InputError: it cannot be read, is not valid YAML, gives a key twice or is no mapping.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise InputError(f"{name}: cannot be read: {reason}") from None
    else:
        text = shipped(name)
    try:
        document = _parse_yaml(text)
    except YAML_DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: not valid YAML: {reason}") from None
    if not isinstance(document, dict):
        raise InputError(f"{name}: {what} a mapping of fields")
    return document


def load_chip(name: str, changes: Iterable[str] = ()) -> Chip:
    """Load a preset or a YAML file, with changes such as `core.momentum_bits=4` applied first."""
    document, source = read_chip_document(name)
    for change in changes:
        apply_change(document, change)
    return parse_chip(document, source)


def apply_change(document: dict[str, Any], change: str) -> None:
    """Set one value, given as `path.to.field=value` with a YAML value, in a chip document in place."""
    path, equals, text = change.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise InputError(f"{change}: write changes as field=value, such as core.momentum_bits=4")
    try:
        value = _parse_yaml(text)
    except YAML_DAMAGE:
        raise InputError(f"{change}: the value is not valid YAML") from None
    set_field(document, path, value)


def set_field(document: dict[str, Any], path: str, value: object) -> None:
    """Set the field at `path.to.field` of a chip document in place; nothing is checked but that there is such a place.

    `core.field` holds for every layer: a layer's own value of it is taken away.

    Raises:
        InputError: the path leads through something without fields, or past the end of a list.
    """
    keys = path.split(".")
    layers = document.get("layers")
    if keys[0] == "core" and len(keys) == 2 and isinstance(layers, list):
        for layer in layers:
            if isinstance(layer, dict):
                layer.pop(keys[1], None)
    place: Any = document
    for depth, key in enumerate(keys[:-1]):
        place = _step_into(place, key, ".".join(keys[: depth + 1]))
    if isinstance(place, list):
        place[_list_index(place, keys[-1], path)] = value
    elif isinstance(place, dict):
        place[keys[-1]] = value
    else:
        raise InputError(f"{path}: {'.'.join(keys[:-1])} holds no fields")


def _step_into(place: Any, key: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_list_index(place, key, path)]
    if isinstance(place, dict):
        if place.get(key) is None:
            place[key] = {}
        return place[key]
    raise InputError(f"{path}: holds no fields")


def _list_index(items: list[Any], key: str, path: str) -> int:
    if not key.removeprefix("-").isdecimal() or not -len(items) <= int(key) < len(items):
        raise InputError(f"{path}: {key} is not an index of a list of {len(items)}")
    return int(key)


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in _preset_folder().iterdir()
        if entry.name.endswith(".yaml")
    )


def preset_text(name: str) -> str:
    """YAML of a preset as it was written, comments and all.

    Raises:
        InputError: there is no such preset.
    """
    if name not in preset_names():
        raise InputError(
            f"{name}: no such preset{near(name, preset_names())} "
            f"(presets: {', '.join(preset_names())}; a file name ends in .yaml)"
        )
    return str(_preset_folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def _preset_folder() -> Any:
    return resources.files("flipcore").joinpath("presets")
