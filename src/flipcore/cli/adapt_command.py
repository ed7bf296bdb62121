"""`flipcore adapt`: its options and help; the work is in `cli.adapt`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from flipcore.cli.options import (
    DatasetOption,
    EpochsOption,
    JsonOption,
    SetOption,
    ValidationOption,
)

ADAPT_EPILOG = (
    "Examples: `flipcore adapt digits --disturb rotate:20 --disturb dead-neurons:0.2` · "
    "`flipcore adapt runs/digits-seed0 --disturb all --seeds 5 --out build/adapt` · "
    "`flipcore adapt mnist --disturb shift:3 --samples 5000 --json`"
)


def adapt(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="[RUN|PRESET|CHIP.yaml]", help="The directory of a finished run of `simulate`; or a preset, or a chip description that ends in .yaml, which is trained first.")] = "digits",
    disturb: Annotated[list[str] | None, typer.Option(metavar="KIND[:AMOUNT]", help="rotate:DEGREES, shift:PIXELS, shear:SLANT, contrast:FACTOR, noise:SHARE, invert, new-class:CLASS; of the chip dead-synapses:SHARE, stuck-bits:SHARE, momentum-stuck:SHARE, dead-neurons:SHARE; none, or all of them with `all`. Repeatable; all by default.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Training samples of the disturbed world; one epoch by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repeats, with seeds 0, 1, ... of faults, noise and order of the samples; the trained weights are the same.")] = 3,
    schedule: Annotated[Literal["compress", "restart", "continue"], typer.Option(help="Where the chip's schedule of gradient shifts stands when it learns on: passed through once more in the samples that there are, begun anew as in training, or at its end, where training left it (docs/studies/adapt.md says when which).")] = "continue",
    technology: Annotated[str, typer.Option(help="Name of a technology, or a file of coefficients that ends in .csv.")] = "ihp-sg13g2",
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training that goes before.")] = 0,
    changes: SetOption = None,
    validation: ValidationOption = 0.0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of results, started again it goes on where it was; under runs/ by default.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Disturb a trained chip or its world, let it learn on: what comes back, after how many samples and joules."""
    from flipcore.cli import adapt as command

    command.run(
        context,
        command.Request(
            source=source,
            disturb=tuple(disturb or ("all",)),
            samples=samples,
            seeds=seeds,
            schedule=schedule,
            technology=technology,
            dataset=dataset,
            epochs=epochs,
            seed=seed,
            changes=tuple(changes or ()),
            validation=validation,
            out=out,
        ),
        as_json=json,
    )
