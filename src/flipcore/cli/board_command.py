"""`flipcore board`: options and help; the work is in `cli.board`."""

from pathlib import Path
from typing import Annotated

import typer

from flipcore.cli.options import (
    DatasetOption,
    EpochsOption,
    JsonOption,
    SeedOption,
    SetOption,
    ValidationOption,
)

board_app = typer.Typer(
    no_args_is_help=True, help="Put a chip on a real FPGA board, and have it learn there."
)

_PRESET = "digits-up5k"
BoardChipArgument = Annotated[
    str,
    typer.Argument(
        metavar="[CHIP]", help="A preset, or a chip description that ends in .yaml, that fits the board."
    ),
]  # fmt: skip
BoardOption = Annotated[str, typer.Option(help="icebreaker or upduino.")]
BaudOption = Annotated[int, typer.Option(min=1, help="Bits per second of the serial line; those of the bitstream.")]  # fmt: skip


@board_app.command(
    epilog="Examples: `flipcore board build --out build/board` · "
    "`flipcore board build my_chip.yaml --board upduino --out build/board` · then `iceprog build/board/board.bin`"
)
def build(
    chip: BoardChipArgument = _PRESET,
    board: BoardOption = "icebreaker",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of Verilog, pins, logs and bitstream.")
    ] = Path("build/board"),
    baud: BaudOption = 1_000_000,
    changes: SetOption = None,
    placements: Annotated[int, typer.Option(min=1, help="Placements to try at most, with seeds --seed, --seed + 1, ..., until one reaches the board's clock.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the first placement.")] = 1,
    verilog_only: Annotated[bool, typer.Option("--verilog-only", help="Write Verilog and pins, and make no bitstream.")] = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Make the bitstream of a chip with its serial port: synthesis, placement, routing (some minutes)."""
    from flipcore.cli import board as command

    command.build(
        command.BuildRequest(
            chip=chip,
            board=board,
            changes=tuple(changes or ()),
            baud=baud,
            out=out,
            seeds=range(seed, seed + placements),
            verilog_only=verilog_only,
        ),
        as_json=json,
    )


@board_app.command(
    epilog="Examples: `flipcore board train --port /dev/ttyUSB1` · "
    "`flipcore board train --port /dev/ttyUSB1 --epochs 5 --check --json` · "
    "`flipcore board train --port /dev/ttyUSB1 --weights runs/board/weights.npz --epochs 0`"
)
def train(
    port: Annotated[str, typer.Option(metavar="DEV", help="Serial port of the board, or what `flipcore board simulate` prints.")],
    chip: BoardChipArgument = _PRESET,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    changes: SetOption = None,
    weights: Annotated[Path | None, typer.Option(help="Start from the weights and momentum of an earlier run (its weights.npz).")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Learn, and test on, only so many samples of each epoch.")] = None,
    validation: ValidationOption = 0.0,
    check: Annotated[bool, typer.Option("--check", help="Simulate the same beside it: each prediction, the cycles, and the state at the end must be equal.")] = False,
    baud: BaudOption = 1_000_000,
    timeout: Annotated[float, typer.Option(min=0.01, metavar="SECONDS", help="Without an answer for so long, what is not answered is sent again.")] = 0.25,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write weights and figures here.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Have a chip learn a data set on its board: samples go over the serial line, predictions and weights come back."""
    from flipcore.cli import board as command

    command.train(
        command.TrainRequest(
            chip=chip,
            changes=tuple(changes or ()),
            port=port,
            dataset=dataset,
            epochs=epochs,
            seed=seed,
            weights=weights,
            samples=samples,
            validation=validation,
            check=check,
            baud=baud,
            timeout_seconds=timeout,
            out=out,
        ),
        as_json=json,
    )


@board_app.command(
    epilog="Examples: `flipcore board simulate` · `flipcore board simulate my_chip.yaml --out build/simulation`"
)
def simulate(
    chip: BoardChipArgument = _PRESET,
    changes: SetOption = None,
    baud: BaudOption = 1_000_000,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the compiled simulation; one that is there is used again.")] = Path("build/board-simulation"),
) -> None:  # fmt: skip
    """Run the board's top level in Verilator behind a pseudo-terminal and print its name, until Ctrl-C: everything works as with a board."""
    from flipcore.cli import board as command

    command.simulate(chip, tuple(changes or ()), baud, out)
