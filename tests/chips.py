"""Chips of the tests: an oracle's plain chip dictionary as a chip description, and the other way round."""

from typing import Any

from flipcore.chip import Chip, Core, parse_chip
from flipcore.rtl.generate import chip_files


def small_chip() -> Chip:
    """Two cores with padded lanes in which a few samples flip weights, clip momenta and draw numbers."""
    document = {
        "name": "small",
        "inputs": 20,
        "steps": 3,
        "core": {
            "lanes": 4,
            "momentum_bits": 6,
            "gradient_shift": 5,
            "potential_bits": 4,
            "threshold": 3,
            "window": 6,
        },
        "layers": [{"neurons": 18}, {"neurons": 5}],
        "error": {"kind": "hinge", "margin": 12},
    }
    return parse_chip(document, "small")


def tiny_chip(*, upper: dict[str, Any], lower: dict[str, Any], error: dict[str, Any]) -> Chip:
    """Two cores of a few words, soon loaded, with axons, classes and kinds to ignore; cores and error as given."""
    document = {
        "name": "tiny",
        "inputs": 6,
        "steps": 2,
        "core": {
            "lanes": 2,
            "momentum_bits": 4,
            "gradient_shift": 3,
            "potential_bits": 4,
            "threshold": 1,
            "window": 4,
        },
        "layers": [{"neurons": 5, **lower}, {"neurons": 3, **upper}],
        "error": error,
    }
    return parse_chip(document, "tiny")


def planted(chip: Chip, sound: str, faulty: str) -> dict[str, str]:
    """The Verilog of a chip with a fault in it."""
    files = chip_files(chip)
    places = [file for file, text in files.items() if sound in text]
    assert places, "the text of the templates changed: plant the fault anew"
    for file in places:
        files[file] = files[file].replace(sound, faulty)
    return files


def chip_from_oracle(plain: dict[str, Any], name: str = "test") -> Chip:
    """Build the chip description of an oracle's chip dictionary."""
    error = dict(plain["error"])
    document = {
        "name": name,
        "inputs": plain["inputs"],
        "steps": plain["steps"],
        "error": error,
        "schedule": plain["schedule"],
        "layers": [_layer(core) for core in plain["cores"]],
    }
    return parse_chip(document, name)


def _layer(core: dict[str, Any]) -> dict[str, Any]:
    layer = {key: value for key, value in core.items() if key in Core.model_fields}
    if layer["trace_decay_shift"] is None:
        layer["trace_decay_shift"] = "none"
    return layer


def oracle_from_chip(chip: Chip) -> dict[str, Any]:
    """Build the oracle's chip dictionary of a chip description."""
    cores = []
    for core in chip.layers:
        plain = core.model_dump(exclude={"axons", "max_gradient_shift"})
        plain["flip_threshold"] = core.flip_threshold_value
        if plain["trace_decay_shift"] == "none":
            plain["trace_decay_shift"] = None
        cores.append(plain)
    return {
        "steps": chip.steps,
        "inputs": chip.inputs,
        "error": chip.error.model_dump(),
        "schedule": [stage.model_dump() for stage in chip.schedule],
        "cores": cores,
    }
