"""Chip descriptions by name."""

from collections.abc import Mapping
from pathlib import Path

from flipcore.chip import Chip, parse_chip, read_chip_document, set_field


def load(chip: str | Path = "digits", changes: Mapping[str, object] | None = None) -> Chip:
    """Load a preset, or a chip description from a YAML file.

    Args:
        chip: name of a preset, or path of a file that ends in .yaml.
        changes: fields to set first, such as `{"core.momentum_bits": 4, "layers.0.neurons": 128}`.

    Raises:
        InputError: there is no such chip, or a value breaks a rule; names field, value and rule.
    """
    document, source = read_chip_document(str(chip))
    for path, value in (changes or {}).items():
        set_field(document, path, value)
    return parse_chip(document, source)


def as_chip(chip: Chip | str | Path) -> Chip:
    """The chip itself, or the one that is meant by a name."""
    return chip if isinstance(chip, Chip) else load(chip)
