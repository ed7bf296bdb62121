"""`flipcore nir`: a chip's network to the field's exchange format, and networks that fit a chip back from it."""

import json as json_format
from pathlib import Path
from typing import Annotated, Literal

import typer

from flipcore.cli.options import JsonOption
from flipcore.errors import InputError

nir_app = typer.Typer(
    no_args_is_help=True,
    help="Exchange networks with other tools as NIR, the Neuromorphic Intermediate Representation.",
)


@nir_app.command(
    "export",
    epilog="Examples: `flipcore nir export runs/digits-seed0 --out digits.nir` · "
    "`flipcore nir export my_chip.yaml --weights runs/my_chip-seed0/weights.npz --integrators lif --json`",
)
def export_command(
    source: Annotated[str, typer.Argument(help="The directory of a finished run; with --weights a preset, or a chip description that ends in .yaml.")],
    weights: Annotated[Path | None, typer.Option(metavar="NPZ", help="Weights of the chip: the weights.npz of a run.")] = None,
    integrators: Annotated[Literal["if", "lif"], typer.Option(help="How neurons without leak go out: as IF, or as LIF with a time constant of 2^60 steps for tools that do not run IF, such as snnTorch 1.0.")] = "if",
    out: Annotated[Path, typer.Option(metavar="FILE.nir", help="File to write.")] = Path("network.nir"),
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Write a chip's network, with its weights, as a NIR file that snnTorch, Norse and others read."""
    from flipcore.chip import load_chip
    from flipcore.files import write_whole
    from flipcore.hwmodel.estimate import run_workload
    from flipcore.sim.layout import empty_state, weight_bits
    from flipcore.sim.storage import load_weights
    from flipcore.training.nir_export import export_network, export_notes

    if weights is not None:
        chip = load_chip(source)
    elif Path(source).is_dir():
        chip = run_workload(Path(source)).chip
        weights = Path(source) / "weights.npz"
    else:
        raise InputError(f"{source}: no such run directory; a chip needs its --weights")
    state = empty_state(chip)
    load_weights(weights, chip, state)
    bits = [weight_bits(state, chip, c) for c in range(len(chip.layers))]
    content = export_network(chip, bits, integrators)
    write_whole(out, content)
    notes = export_notes(chip, integrators)
    sizes = [chip.inputs, *(core.neurons for core in chip.layers)]
    if json:
        figures = {"file": str(out), "name": chip.name, "network": sizes, "notes": notes}
        print(json_format.dumps(figures))
        return
    print(f"{out}: {chip.name}, {'-'.join(map(str, sizes))}, {len(content):,} bytes")
    for note in notes:
        print(f"  {note}")


@nir_app.command(
    "import",
    epilog="Examples: `flipcore nir import digits.nir --out build/digits` · "
    "`flipcore nir import other.nir --step-seconds 0.001 --set steps=16 --set core.momentum_bits=4` · "
    "`flipcore simulate build/digits/chip.yaml --weights build/digits/weights.npz --no-learn`",
)
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.nir", help="A NIR file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of chip.yaml and weights.npz.")] = Path("build/nir"),
    step_seconds: Annotated[float | None, typer.Option(min=1e-9, max=1e3, help="Length of a step, NIR's dt, by which tau becomes a leak; by default what flipcore's metadata say, or 0.0001.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What NIR does not say of the chip: steps=16, core.momentum_bits=4 (in every layer). Repeatable.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Read a NIR file whose network fits a chip with one bit per synapse; what does not fit is refused with node and reason."""
    from flipcore.chip import chip_yaml
    from flipcore.files import write_whole
    from flipcore.sim.layout import empty_state, store_weights
    from flipcore.sim.storage import write_weights
    from flipcore.training.nir_import import import_network

    network = import_network(file, tuple(changes or ()), step_seconds)
    chip = network.chip
    state = empty_state(chip)
    for c, bits in enumerate(network.weights):
        store_weights(state, chip, c, bits)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be created: {error.strerror}") from None
    chip_path, weights_path = out / "chip.yaml", out / "weights.npz"
    write_weights(weights_path, chip, state)
    write_whole(chip_path, chip_yaml(chip).encode())
    sizes = [chip.inputs, *(core.neurons for core in chip.layers)]
    if json:
        figures = {
            "name": chip.name,
            "network": sizes,
            "chip": str(chip_path),
            "weights": str(weights_path),
            "notes": network.notes,
        }
        print(json_format.dumps(figures))
        return
    print(f"{chip.name}, {'-'.join(map(str, sizes))}: {chip_path}, {weights_path}")
    for note in network.notes:
        print(f"  {note}")
    print(f"Go on with: flipcore simulate {chip_path} --weights {weights_path}")
