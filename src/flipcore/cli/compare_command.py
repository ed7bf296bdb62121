"""`flipcore compare`: its options and help; the work is in `cli.compare`."""

from pathlib import Path
from typing import Annotated

import typer

from flipcore.cli.options import (
    DatasetOption,
    EpochsOption,
    JsonOption,
    ValidationOption,
    refuse_beside,
)

COMPARE_EPILOG = (
    "Examples: `flipcore compare digits` · `flipcore compare mnist --algorithms bso,bptt-adam,chip:8 --samples 10000` · "
    "`flipcore compare my_chip.yaml -a bso:dense -a bso+gate -a chip --seeds 5 --json` · `flipcore compare --resume runs/compare-digits`"
)


def compare(
    context: typer.Context,
    preset: Annotated[str, typer.Argument(help="A chip preset, a recipe of `train`, or a YAML file of either; its network must be a chip's.")] = "digits",
    algorithms: Annotated[list[str] | None, typer.Option("--algorithms", "-a", metavar="NAME[,NAME...]", help="Software: bptt-adam, ottt-adam, bop, bso, tbso or any other of `train`, with +gate for AGMM's gate, :dense or :packed-int4 for another storage. Chip: chip:BITS and chip-tbso:BITS of momentum. Repeatable; the preset's own list by default.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs per row, with seeds --seed, --seed + 1, ...; the preset's by default.")] = None,
    epochs: EpochsOption = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Learn only so many training samples, the same in every row; all by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="First seed of weights, order and rounding.")] = 0,
    dataset: DatasetOption = None,
    validation: ValidationOption = 0.0,
    technology: Annotated[str, typer.Option(help="Name of a technology, or a file of coefficients that ends in .csv.")] = "ihp-sg13g2",
    processes: Annotated[int, typer.Option(min=0, help="Runs at a time; 0: one per processor.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of results; a new one under runs/ by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue what was begun in this folder; finished runs are kept.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Train one network in software and on the chip with the same data: accuracy, memory, time, energy side by side."""
    from flipcore.cli import compare as command

    if resume is not None:
        refuse_beside(
            context,
            "--resume",
            *(name for name in context.params if name not in ("resume", "json")),
        )
        command.resume(resume, as_json=json)
        return
    command.start(
        command.Asked(
            preset=preset,
            algorithms=tuple(algorithms or ()),
            seeds=seeds,
            epochs=epochs,
            samples=samples,
            first_seed=seed,
            dataset=dataset,
            validation=validation,
            technology=technology,
            processes=processes,
            out=out,
        ),
        as_json=json,
    )
