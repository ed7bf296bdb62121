"""A chip written down: the document and the YAML that parse back to it, and the JSON schema of a description."""

from typing import Any

import yaml

from flipcore.chip.model import CORE_FIELDS, DERIVED, Chip


def chip_schema() -> dict[str, Any]:
    """JSON schema of a chip description as it is written: `core` holds defaults, nothing derived is given."""
    schema = Chip.model_json_schema()
    core = schema["$defs"]["Core"]
    for name in DERIVED:
        del core["properties"][name]
        core["required"].remove(name)
    schema["properties"]["core"] = {
        "type": "object",
        "description": "parameters of every layer that does not give its own",
        "properties": {name: core["properties"][name] for name in CORE_FIELDS},
        "additionalProperties": False,
    }
    return schema


def chip_document(chip: Chip) -> dict[str, Any]:
    """Describe a chip as a document that parses back to the same chip, shared values under `core`."""
    document = chip.model_dump(exclude={"layers"})
    layers = [core.model_dump(exclude=set(DERIVED)) for core in chip.layers]
    shared = {
        key: layers[0][key]
        for key in CORE_FIELDS
        if all(layer[key] == layers[0][key] for layer in layers)
    }
    document["core"] = shared
    document["layers"] = [
        {key: value for key, value in layer.items() if key not in shared} for layer in layers
    ]
    return document


def chip_yaml(chip: Chip) -> str:
    """Write a chip as YAML that `load_chip` reads back to the same chip."""
    # PyYAML reads back some control characters otherwise than it wrote them, unless they are escaped.
    plain = chip.description.isprintable() and chip.workload.dataset.isprintable()
    return yaml.safe_dump(chip_document(chip), sort_keys=False, allow_unicode=plain)
