"""The command line: options and help here, each command's work in a module of its own, loaded when it runs."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from flipcore.cli.adapt_command import ADAPT_EPILOG, adapt
from flipcore.cli.board_command import board_app
from flipcore.cli.compare_command import COMPARE_EPILOG, compare
from flipcore.cli.formal_command import EQUAL_EPILOG, FORMAL_EPILOG, equal, formal
from flipcore.cli.nir import nir_app
from flipcore.cli.options import (
    ChipArgument,
    DatasetOption,
    EpochsOption,
    JsonOption,
    SeedOption,
    SetOption,
    ValidationOption,
    need_torch,
    refuse_beside,
)
from flipcore.cli.report_command import REPORT_EPILOG, report
from flipcore.errors import FlipcoreError, InputError

app = typer.Typer(
    name="flipcore",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Co-design of chips that learn with one bit per synapse: simulate, generate Verilog, price, train.",
)
rtl_app = typer.Typer(no_args_is_help=True, help="Generate and verify the Verilog of a chip.")
app.add_typer(rtl_app, name="rtl")
rtl_app.command(epilog=FORMAL_EPILOG)(formal)
rtl_app.command(epilog=EQUAL_EPILOG)(equal)
hw_app = typer.Typer(no_args_is_help=True, help="Measure what a technology costs.")
app.add_typer(hw_app, name="hw")
app.add_typer(nir_app, name="nir")
app.add_typer(board_app, name="board")
app.command(epilog=COMPARE_EPILOG)(compare)
app.command(epilog=ADAPT_EPILOG)(adapt)
app.command(epilog=REPORT_EPILOG)(report)


@app.command(
    epilog="Examples: `flipcore simulate digits` · `flipcore simulate mnist --epochs 2 --set core.momentum_bits=4` · "
    "`flipcore simulate my_chip.yaml --dataset npz:data.npz --json` · `flipcore simulate --resume runs/mnist-0` · `flipcore simulate digits --trace`"
)
def simulate(
    context: typer.Context,
    chip: ChipArgument = "digits",
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    changes: SetOption = None,
    weights: Annotated[Path | None, typer.Option(help="Start from the weights and momentum of an earlier run (its weights.npz); schedule and random numbers start anew.")] = None,
    learn: Annotated[bool, typer.Option("--learn/--no-learn", help="Only classify, do not learn.")] = True,
    validation: ValidationOption = 0.0,
    out: Annotated[Path | None, typer.Option(help="Run directory; a new one under runs/ by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue an interrupted run, bit for bit.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="After the run, learn and classify a few samples phase by phase: trace.json opens in ui.perfetto.dev, trace.npz holds spikes, potentials and flips.")] = False,
    trace_samples: Annotated[int | None, typer.Option(metavar="N", help="Samples of the trace, 2 by default.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Learn a data set on the simulated chip: accuracy, cycles, events, memory, flips."""
    from flipcore.cli import simulate as command

    if trace_samples is not None and not trace:
        raise InputError("--trace-samples: needs --trace")
    if trace_samples is not None and trace_samples < 1:
        raise InputError(f"--trace-samples {trace_samples}: must be 1 or more")
    traced = (trace_samples or 2) if trace else 0
    if resume is not None:
        refuse_beside(
            context,
            "--resume",
            "chip",
            "dataset",
            "seed",
            "changes",
            "weights",
            "learn",
            "validation",
            "out",
        )
        command.resume(resume, epochs, traced, as_json=json)
        return
    if not learn:
        refuse_beside(context, "--no-learn", "epochs")
    command.start(
        command.Request(
            chip=chip,
            changes=tuple(changes or ()),
            dataset=dataset,
            epochs=epochs if learn else 0,
            seed=seed,
            validation=validation,
            weights=weights,
            out=out,
            trace_samples=traced,
        ),
        as_json=json,
    )


@app.command(
    epilog="Examples: `flipcore sweep digits --vary core.momentum_bits=2,3,4,8 --seeds 5` · "
    "`flipcore sweep mnist --vary core.gradient_shift=7..11 --vary error.margin=2,4,8 --search 40 --validation 0.15`"
)
def sweep(
    chip: ChipArgument = "digits",
    vary: Annotated[list[str] | None, typer.Option(metavar="KEY=V1,V2,...", help="Values to try, or a range 7..11. Repeatable: all combinations.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per point, with seeds 0, 1, ...")] = 3,
    search: Annotated[int, typer.Option(min=0, metavar="POINTS", help="Try so many points, chosen by Optuna, in place of all.")] = 0,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    changes: SetOption = None,
    validation: ValidationOption = 0.0,
    processes: Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of results; started again, a sweep goes on where it was.")] = Path("sweeps/sweep"),
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Run many variants of a chip over several seeds: mean, confidence interval, CSV, plot."""
    from flipcore.cli import sweep as command

    command.run(
        command.Request(
            chip=chip,
            vary=tuple(vary or ()),
            seeds=seeds,
            search=search,
            dataset=dataset,
            epochs=epochs,
            changes=tuple(changes or ()),
            validation=validation,
            processes=processes or os.cpu_count() or 1,
            out=out,
        ),
        as_json=json,
    )


@app.command(
    epilog="Examples: `flipcore estimate mnist` · `flipcore estimate --from runs/mnist-seed0 --out build/estimate` · "
    "`flipcore estimate mnist --rate training.input_events=0.05 --json` · `flipcore estimate --compare digits mnist my_chip.yaml`"
)
def estimate(
    chips: Annotated[list[str] | None, typer.Argument(metavar="[CHIP]...", help="A preset, or a chip description that ends in .yaml; several with --compare. digits by default.")] = None,
    runs: Annotated[list[Path] | None, typer.Option("--from", metavar="RUN", help="Price the counts of a finished run (its run directory), or every point of a sweep (its folder). Repeatable with --compare.")] = None,
    technology: Annotated[str, typer.Option(help="Name of a technology, or a file of coefficients that ends in .csv.")] = "ihp-sg13g2",
    rates: Annotated[str | None, typer.Option(metavar="RATES", help="Activity without a run: measured rates by name, or a file that ends in .yaml; those nearest to the chip by default.")] = None,
    rate_changes: Annotated[list[str] | None, typer.Option("--rate", metavar="KEY=VALUE", help="Change a rate: inference.layers.0.spikes=0.1. Repeatable.")] = None,
    changes: SetOption = None,
    compare: Annotated[bool, typer.Option("--compare", help="Put several chips and runs side by side.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write figures (JSON, CSV), rates and plots here.")] = None,
    accelergy: Annotated[bool, typer.Option("--accelergy", help="With --out: action counts, ERT and ART as Accelergy reads them.")] = False,
    sanafe: Annotated[bool, typer.Option("--sanafe", help="With --out: the architecture for SANA-FE, and of a run the network.")] = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Energy, area, latency and power of a chip, from a run's counts or stated activity, with error bands."""
    from flipcore.cli import estimate as command

    command.run(
        command.Request(
            chips=tuple(chips or ()),
            runs=tuple(runs or ()),
            technology=technology,
            rates=rates,
            rate_changes=tuple(rate_changes or ()),
            changes=tuple(changes or ()),
            compare=compare,
            out=out,
            accelergy=accelergy,
            sanafe=sanafe,
        ),
        as_json=json,
    )


@app.command(
    epilog="Examples: `flipcore train digits` · `flipcore train mnist -a tbso -a bptt-adam --seeds 3` · "
    "`flipcore train cifar10-vgg11 --dataset cifar10:DIR --device cuda` · `flipcore train my_chip.yaml --set bso.gamma=1e-4 --json` · "
    "`torchrun --nproc-per-node 2 -m flipcore train digits`"
)
def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A recipe, a chip preset, or a YAML file of either: a chip is trained as the network that it is.")] = "digits",
    algorithms: Annotated[list[str] | None, typer.Option("--algorithm", "-a", help="bso, tbso, bop, bop-bptt, ottt-sgd, ottt-adam, bptt-sgd, bptt-adam or float. Repeatable; bso by default.")] = None,
    dataset: Annotated[str | None, typer.Option(help="As in `simulate`, or cifar10:PATH, cifar100:PATH, events:DIR, speech:PATH; the recipe's own by default.")] = None,
    epochs: EpochsOption = None,
    storage: Annotated[str, typer.Option(help="Of weights that flip: dense (a float each for sign and momentum, as published), or 1 bit and a momentum of packed-float32, packed-bfloat16, packed-int8 or packed-int4.")] = "packed-int8",
    gate: Annotated[bool, typer.Option("--gate", help="AGMM's gate in front of every binary layer.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="First seed of weights, order and rounding.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per algorithm, with seeds --seed, --seed + 1, ...")] = 1,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: tbso.gamma=0.5, batch_size=64, network.trace=sltt. Repeatable.")] = None,
    validation: ValidationOption = 0.0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    amp: Annotated[bool, typer.Option("--amp", help="Matrix products in bfloat16.")] = False,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Refuse operations that differ from run to run, at some speed.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of results; a new one under runs/ by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Continue what was begun in this folder; finished trainings are kept.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Train in PyTorch by the published algorithms: accuracy, flips, and the memory that training takes."""
    need_torch()
    from flipcore.cli import train as command

    if resume is not None:
        refuse_beside(
            context,
            "--resume",
            *(name for name in context.params if name not in ("resume", "json")),
        )
        command.resume(resume, as_json=json)
        return
    request = command.make_request(
        model,
        dataset,
        tuple(changes or ()),
        algorithms=tuple(algorithms or ("bso",)),
        storage=storage,
        gate=gate,
        amp=amp,
        first_seed=seed,
        seeds=seeds,
        epochs=epochs,
        validation=validation,
        device=device,
        deterministic=deterministic,
    )
    command.start(request, out, as_json=json)


@app.command(epilog="Examples: `flipcore presets` · `flipcore presets mnist > my_chip.yaml`")
def presets(
    name: Annotated[str | None, typer.Argument(help="Print this preset's YAML.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a chip description.")] = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """List the chips that come with flipcore, or print one to copy."""
    from flipcore.cli import presets as command

    command.show(name, schema=schema, as_json=json)


@rtl_app.command(
    epilog="Examples: `flipcore rtl generate digits --out build/digits` · "
    "`flipcore rtl generate my_chip.yaml --set core.lanes=32 --no-counters`"
)
def generate(
    chip: ChipArgument = "digits",
    changes: SetOption = None,
    counters: Annotated[bool, typer.Option("--counters/--no-counters", help="With performance counters on the register bus (SPEC T12), or without.")] = True,
    out: Annotated[Path, typer.Option(help="Folder of the Verilog files.")] = Path("build/rtl"),
) -> None:  # fmt: skip
    """Write the Verilog of a whole chip, `flip_chip` at the top, and list its files."""
    from flipcore.cli import verilog as command

    command.generate(chip, tuple(changes or ()), out, counters=counters)


@rtl_app.command(
    epilog="Examples: `flipcore rtl verify digits` · `flipcore rtl verify mnist --samples 2 --simulator verilator` · "
    "`flipcore rtl verify --random-chips 30 --samples 7 --vectors 0 --json` · fuzzing, as long as you like: "
    "`flipcore rtl verify --random-chips 100 --samples 20 --vectors 0 --seed 7`"
)
def verify(
    context: typer.Context,
    chip: ChipArgument = "digits",
    changes: SetOption = None,
    random_chips: Annotated[int, typer.Option(min=0, metavar="N", help="Verify N random chip descriptions in place of CHIP.")] = 0,
    dataset: Annotated[str | None, typer.Option(help="Where samples come from, as in `simulate`, or `random`: random events; the preset's own data set by default.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Samples that each chip learns in lock-step with the simulator.")] = 3,
    vectors: Annotated[int, typer.Option(min=0, help="Random words for the flip unit of each core.")] = 2000,
    simulator: Annotated[Literal["icarus", "verilator"], typer.Option(help="Verilator is faster once it has compiled, in a minute.")] = "icarus",
    seed: SeedOption = 0,
    keep: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the waves (VCD) of a difference.")] = Path("build/verify"),
    netlist: Annotated[bool, typer.Option("--netlist", help="Run the chip as the netlist that yosys makes of it; flip units apart stay Verilog.")] = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Run a chip's Verilog in lock-step with the simulator: every bit and cycle; exit code 1 at the first difference."""
    from flipcore.cli import verification as command

    if random_chips:
        refuse_beside(context, "--random-chips", "chip", "changes", "dataset")
    command.verify(
        command.Request(
            chip=chip,
            changes=tuple(changes or ()),
            random_chips=random_chips,
            dataset=dataset,
            simulator=simulator,
            vectors=vectors,
            samples=samples,
            seed=seed,
            keep=keep,
            netlist=netlist,
        ),
        as_json=json,
    )


@rtl_app.command(
    epilog="Examples: `flipcore rtl check digits` · `flipcore rtl check my_chip.yaml --samples 5 --json`"
)
def check(
    chip: ChipArgument = "digits",
    changes: SetOption = None,
    counters: Annotated[bool, typer.Option("--counters/--no-counters", help="With the performance counters.")] = True,
    samples: Annotated[int, typer.Option(min=0, help="Samples that the text written back by pyverilog runs in lock-step with the simulator.")] = 1,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Read a chip's Verilog with pyverilog: ports and parameters against the tables, every store's bits against the memory figures."""
    from flipcore.cli import check as command

    command.check(chip, tuple(changes or ()), samples, seed, counters=counters, as_json=json)


@rtl_app.command(
    epilog="Examples: `flipcore rtl synth digits --target ice40-hx8k` · "
    "`flipcore rtl synth digits --top flip_unit --core 1 --target liberty:typical.lib --json` · "
    "`flipcore rtl synth digits --top flip_chip --target liberty:typical.lib --macros sram/ --corner slow.lib --corner fast.lib`"
)
def synth(
    context: typer.Context,
    chip: ChipArgument = "digits",
    target: Annotated[str, typer.Option(help="liberty:FILE (plain or gzipped), ice40-hx8k or ice40-up5k.")] = "ice40-hx8k",
    top: Annotated[str, typer.Option(metavar="MODULE", help="flip_chip, flip_unit or any other module that is generated.")] = "flip_unit",
    core: Annotated[int, typer.Option(min=0, help="Core (layer) of a flip unit and its modules.")] = 0,
    changes: SetOption = None,
    counters: Annotated[bool, typer.Option("--counters/--no-counters", help="With the performance counters.")] = True,
    period: Annotated[float, typer.Option(metavar="NS", min=0.01, help="Clock period wanted in a cell library.")] = 5.0,
    memory_access: Annotated[float, typer.Option(metavar="NS", min=0.0, help="Clock to data of memories in a cell library.")] = 0.0,
    macros: Annotated[Path | None, typer.Option(metavar="DIR", help="Put the SRAM macros of this folder (Liberty files, data sheets) in the memories' place; a whole chip in a cell library.")] = None,
    corner: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="With --macros: time the netlist with this Liberty file of the cells, too. Repeatable.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the placement on an FPGA.")] = 1,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep netlists, reports and logs here.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Synthesise a module with yosys: cells, area and critical path, or LUTs, memories and speed on iCE40."""
    from flipcore.cli import synthesis as command

    options = command.Options(
        period_ns=period, memory_access_ns=memory_access, seed=seed, keep=keep
    )
    if macros is not None:
        refuse_beside(context, "--macros", "core", "memory_access", "seed")
        command.synth_with_macros(
            chip,
            tuple(changes or ()),
            target,
            top,
            tuple(corner or ()),
            macros,
            options,
            counters=counters,
            as_json=json,
        )
        return
    if corner:
        raise InputError("--corner: needs --macros")
    command.synth(
        chip, tuple(changes or ()), target, top, core, options, counters=counters, as_json=json
    )


@hw_app.command(
    epilog="Examples: `flipcore hw sram --macros sram/` · "
    "`flipcore hw sram --macros sram/ --source my-pdk --out build/sram.csv`"
)
def sram(
    macros: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the macros' Liberty files (.lib, .lib.gz), all of one corner, and their data sheets (.txt).")],
    source: Annotated[str, typer.Option(metavar="KEY", help="Source that the rows name.")] = "ihp-sg13g2-sram",
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="Write the rows for a technology's CSV here.")] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Fit energy, static power and area of a technology's SRAM to its macros, and say how well the fit holds."""
    from flipcore.cli import hw as command

    command.sram(macros, source, out, as_json=json)


LibertyOption = Annotated[Path, typer.Option(metavar="FILE", help="Liberty file of the cells, with power tables; plain or gzipped.")]  # fmt: skip
WorkOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the records; those that are there and still hold are not measured again.")]  # fmt: skip


@hw_app.command(
    epilog="Examples: `flipcore hw characterize --liberty cells.lib.gz` · "
    "`flipcore hw characterize --liberty cells.lib.gz --out build/logic.csv`"
)
def characterize(
    liberty: LibertyOption,
    work: WorkOption = Path("characterization"),
    source: Annotated[
        str, typer.Option(metavar="KEY", help="Source that the rows name.")
    ] = "gate-level",
    out: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write the rows for a technology's CSV here.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Synthesise chips, let their gates learn in simulation, and fit what each action of the logic takes (about half an hour)."""
    from flipcore.cli import characterization as command

    command.characterize(liberty, work, source, out, as_json=json)


@hw_app.command(
    epilog="Examples: `flipcore hw validate --liberty cells.lib.gz` · "
    "`flipcore hw validate --liberty cells.lib.gz --technology build/mine.csv`"
)
def validate(
    liberty: LibertyOption,
    work: WorkOption = Path("characterization"),
    technology: Annotated[
        str, typer.Option(help="Technology whose logic is held against the gates.")
    ] = "ihp-sg13g2",
    json: JsonOption = False,
) -> None:
    """Hold the model against the gates of chips that it was not fitted on: other sizes, other data (about half an hour)."""
    from flipcore.cli import characterization as command

    command.validate(liberty, work, technology, as_json=json)


def main() -> None:
    """Run the command line; a known error is one line on stderr and its exit code."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except FlipcoreError as error:
        _leave(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe went away; nothing is left to tell.
        _drop_output()
        sys.exit(0)
    except OSError as error:
        _drop_output()
        _leave(f"{error.filename or 'standard output'}: {error.strerror}", InputError.exit_code)


def _leave(message: str, exit_code: int) -> NoReturn:
    """Say why on one line, even where a name that was given holds line breaks, and exit."""
    print(f"flipcore: {' '.join(message.splitlines())}", file=sys.stderr)
    sys.exit(exit_code)


def _drop_output() -> None:
    """Let what cannot be written go nowhere, or Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
