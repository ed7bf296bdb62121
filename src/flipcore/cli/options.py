"""Options that several commands share, and what they refuse before any work is loaded."""

import importlib.util
from typing import Annotated

import typer

from flipcore.errors import InputError, ToolError

ChipArgument = Annotated[
    str, typer.Argument(help="A preset, or a chip description that ends in .yaml.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the chip: core.momentum_bits=4 (in every layer), layers.0.neurons=128. Repeatable."),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of weights, order and rounding.")]
DatasetOption = Annotated[
    str | None,
    typer.Option(help="digits, mnist, fashion-mnist, kmnist, idx:DIR, npz:FILE or nmnist:PATH; the preset's own by default."),
]  # fmt: skip
EpochsOption = Annotated[int | None, typer.Option(min=0, help="Epochs; the preset's by default.")]
ValidationOption = Annotated[
    float,
    typer.Option(min=0.0, max=0.9, help="Test on this share of the training split, held out, in place of the test split."),
]  # fmt: skip


def need_torch() -> None:
    """Say which extra is missing before an import does it in many lines."""
    if importlib.util.find_spec("torch") is None:
        raise ToolError("torch is missing: install it with `pip install 'flipcore[train]'`")


def refuse_beside(context: typer.Context, option: str, *others: str) -> None:
    """Refuse options that would be ignored beside this one."""
    names = {
        parameter.name: "/".join([*parameter.opts, *parameter.secondary_opts])
        for parameter in context.command.params
    }
    for other in others:
        source = context.get_parameter_source(other)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{names[other]}: cannot be given with {option}, which settles it")
