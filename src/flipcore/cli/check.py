"""`flipcore rtl check`: another parser's view of a chip's Verilog against the tables, and the text that it writes back against the simulator."""

import json as json_format
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from flipcore.chip import Chip, load_chip
from flipcore.errors import CheckError, ToolError
from flipcore.hwmodel.memory import core_stores

try:
    from flipcore.rtl import syntax
    from flipcore.rtl.bench.chip_inputs import random_samples
    from flipcore.rtl.chip_shape import ChipShape
    from flipcore.rtl.chip_verify import ChipTask, verify_chip
    from flipcore.rtl.generate import chip_files
    from flipcore.rtl.tables import port_differences
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None


def check(
    name: str, changes: tuple[str, ...], samples: int, seed: int, *, counters: bool, as_json: bool
) -> None:
    """Compare and print; exit code 1 if anything differs."""
    chip = load_chip(name, changes)
    files = chip_files(chip, counters=counters)
    design = syntax.read_design(files, "flip_chip")
    differences = [
        *port_differences(files, design.instances),
        *_differences(chip, design, counters),
    ]
    cores = [syntax.core_bits(design, c) for c in range(len(chip.layers))]
    round_trip = ""
    if samples:
        events, state = random_samples(chip, samples, seed)
        task = ChipTask(
            chip=chip, files=design.round_trip, state=state, samples=events, seed=seed,
            has_counters=counters,
        )  # fmt: skip
        round_trip = verify_chip(task).mismatch
        differences += [f"round trip: {round_trip}"] if round_trip else []
    result = {
        "chip": chip.name,
        "modules": len(files),
        "instances": len(design.instances),
        "store_bits": [core.stores for core in cores],
        "control_bits": [core.control for core in cores],
        "counter_bits": [core.counters for core in cores],
        "memory_output_bits": [core.memory_outputs for core in cores],
        "round_trip_samples": samples,
        "differences": differences,
    }
    if as_json:
        print(json_format.dumps(result))
    else:
        _print(chip, design, cores, samples, differences)
    if differences:
        raise CheckError(f"{chip.name}: {differences[0]}")


def _differences(chip: Chip, design: syntax.Design, counters: bool) -> Iterator[str]:
    for c, shape in enumerate(ChipShape(chip, counters).cores):
        yield from syntax.store_differences(design, c, core_stores(chip, c))
        values = {name: parameter.value for name, parameter in shape.parameters.items()}
        yield from syntax.parameter_differences(design, c, values)


def _print(
    chip: Chip,
    design: syntax.Design,
    cores: list[syntax.CoreBits],
    samples: int,
    differences: list[str],
) -> None:
    console = Console()
    table = Table(title=f"Bits of {chip.name}, as pyverilog reads its Verilog")
    table.add_column("store (SPEC T13)")
    for c in range(len(cores)):
        table.add_column(f"core {c}", justify="right")
    for store in syntax.STORES:
        table.add_row(store.replace("_", " "), *(f"{core.stores[store]:,}" for core in cores))
    table.add_section()
    table.add_row("control", *(f"{sum(core.control.values()):,}" for core in cores))
    table.add_row("counters", *(f"{core.counters:,}" for core in cores))
    table.add_row("memory outputs", *(f"{core.memory_outputs:,}" for core in cores))
    console.print(table)
    console.print(
        f"{len(design.instances)} instances; ports, parameters and stores compared: "
        f"{len(differences)} differences. Text written back by pyverilog: {samples} samples in lock-step.",
        highlight=False,
        soft_wrap=True,
    )
