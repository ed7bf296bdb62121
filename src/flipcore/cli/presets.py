"""`flipcore presets`."""

import json as json_format
import sys

from rich.console import Console
from rich.table import Table

from flipcore.chip import chip_document, chip_schema, load_chip, preset_names, preset_text


def show(name: str | None, *, schema: bool, as_json: bool) -> None:
    """Print the schema, one preset, or the list of presets."""
    if schema:
        print(json_format.dumps(chip_schema(), indent=2))
        return
    if name is not None:
        if as_json:
            print(json_format.dumps(chip_document(load_chip(name))))
        else:
            sys.stdout.write(preset_text(name))
        return
    chips = [load_chip(preset) for preset in preset_names()]
    if as_json:
        rows = [
            {
                "name": chip.name,
                "description": chip.description,
                "inputs": chip.inputs,
                "layers": [core.neurons for core in chip.layers],
                "steps": chip.steps,
                "dataset": chip.workload.dataset,
                "epochs": chip.workload.epochs,
            }
            for chip in chips
        ]
        print(json_format.dumps({"presets": rows}))
        return
    table = Table(title="Presets: flipcore simulate NAME")
    for column in ("name", "network", "steps", "momentum", "data set", "epochs", "description"):
        table.add_column(column, no_wrap=column == "name")  # what a user copies stays whole
    for chip in chips:
        table.add_row(
            chip.name,
            "-".join(map(str, [chip.inputs, *(core.neurons for core in chip.layers)])),
            str(chip.steps),
            f"{chip.layers[0].momentum_bits} bit",
            chip.workload.dataset,
            str(chip.workload.epochs),
            chip.description,
        )
    Console().print(table)
