"""Options of `flipcore rtl formal` and `flipcore rtl equal`; their work is in modules of its own."""

from pathlib import Path
from typing import Annotated

import typer

from flipcore.cli.options import ChipArgument, JsonOption, SetOption

FORMAL_EPILOG = (
    "Examples: `flipcore rtl formal digits` · "
    "`flipcore rtl formal my_chip.yaml --property flip_rule --property spikes_once --keep build/formal`"
)
EQUAL_EPILOG = "Examples: `flipcore rtl equal digits` · `flipcore rtl equal my_chip.yaml --no-counters --keep build/equal`"

CountersOption = Annotated[bool, typer.Option("--counters/--no-counters", help="With the performance counters.")]  # fmt: skip


def formal(
    chip: ChipArgument = "digits",
    changes: SetOption = None,
    properties: Annotated[list[str] | None, typer.Option("--property", metavar="NAME", help="Prove this property only. Repeatable; all that the chip has by default.")] = None,
    counters: CountersOption = True,
    timeout: Annotated[float, typer.Option(metavar="S", min=1.0, help="Seconds for each proof; after them it is unknown.")] = 120.0,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep checkers and logs here; without it, only what a failed property leaves, in build/formal.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Prove properties of a chip's Verilog with yosys-smtbmc and cvc5; exit code 1 if one fails or stays unknown."""
    from flipcore.cli import formal as command

    command.prove(
        chip,
        tuple(changes or ()),
        tuple(properties or ()),
        timeout,
        keep,
        counters=counters,
        as_json=json,
    )


def equal(
    chip: ChipArgument = "digits",
    changes: SetOption = None,
    counters: CountersOption = True,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep netlists and logs here.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Prove that a chip's Verilog, what pyverilog writes back of it, and its synthesised netlist are the same; exit code 1 if not."""
    from flipcore.cli import equality as command

    command.prove(chip, tuple(changes or ()), keep, counters=counters, as_json=json)
