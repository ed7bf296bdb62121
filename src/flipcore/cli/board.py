"""`flipcore board`: make a bitstream, have a board learn, simulate one."""

import importlib
import json as json_format
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from flipcore.chip import Chip, load_chip
from flipcore.cli.board_session import Figures, Plan, train_on_board
from flipcore.cli.display import INTERRUPTED, RunDisplay
from flipcore.errors import CheckError, InputError, ToolError
from flipcore.files import write_whole
from flipcore.rtl.board import host
from flipcore.rtl.board.bitstream import Bitstream, build_bitstream
from flipcore.rtl.board.boards import BOARDS, DEFAULT_BOARD, find_board
from flipcore.rtl.board.generate_board import board_files
from flipcore.rtl.board.link import Link
from flipcore.rtl.board.shape import BoardShape
from flipcore.rtl.board.simulation import build_simulation, run_simulation
from flipcore.rtl.generate import write_files
from flipcore.sim.data import Dataset, load_dataset, split_validation
from flipcore.sim.engine import Engine
from flipcore.sim.run import Interrupted, check_fit
from flipcore.sim.storage import load_weights, write_weights

_READ_SECONDS = 0.005  # of a look at the serial port
WEIGHTS_FILE, FIGURES_FILE = "weights.npz", "figures.json"


@dataclass(frozen=True)
class BuildRequest:
    """What `board build` is asked for."""

    chip: str
    board: str
    changes: tuple[str, ...]
    baud: int
    out: Path
    seeds: Sequence[int]
    verilog_only: bool


@dataclass(frozen=True)
class TrainRequest:
    """What `board train` is asked for."""

    chip: str
    changes: tuple[str, ...]
    port: str
    dataset: str | None
    epochs: int | None
    seed: int
    weights: Path | None
    samples: int | None
    validation: float
    check: bool
    baud: int
    timeout_seconds: float
    out: Path | None


def build(request: BuildRequest, *, as_json: bool) -> None:
    """Make a bitstream and say what it takes."""
    kind = find_board(request.board)
    board = BoardShape(load_chip(request.chip, request.changes), kind, request.baud)
    document: dict[str, Any] = {"chip": board.chip.name, "board": kind.name, "baud": request.baud}
    document |= {"fingerprint": f"{board.fingerprint:08x}"}
    if request.verilog_only:
        paths = write_files(board_files(board), request.out)
        if as_json:
            print(json_format.dumps({**document, "files": [str(path) for path in paths]}))
        else:
            print(*paths, sep="\n")
        return
    result = build_bitstream(board, request.out, request.seeds)
    if as_json:
        print(json_format.dumps({**document, **asdict(result)}))
    else:
        _print_bitstream(board, result)


def train(request: TrainRequest, *, as_json: bool) -> None:
    """Have a board learn, then print figures."""
    chip = load_chip(request.chip, request.changes)
    console = Console(stderr=True)
    plan = Plan(
        chip=chip,
        dataset=_dataset(chip, request),
        epochs=chip.workload.epochs if request.epochs is None else request.epochs,
        seed=request.seed,
        samples=request.samples,
        check=request.check,
    )
    engine = Engine(chip, request.seed)
    if request.weights is not None:
        load_weights(request.weights, chip, engine.state)
    if request.out is not None:
        _make_folder(request.out)
    with _open_port(request.port, request.baud) as port, _Display(console) as display:
        link = Link(port, request.timeout_seconds)
        try:
            host.connect(link, chip, request.port)
            figures = train_on_board(link, plan, engine, display)
        except Interrupted:
            console.print("Interrupted; the board finished the samples that it had.")
            sys.exit(INTERRUPTED)
        except OSError as error:
            raise CheckError(f"--port {request.port}: the line broke: {error}") from None
    document = _document(plan, request, figures, link)
    if request.out is not None:
        write_weights(request.out / WEIGHTS_FILE, chip, engine.state)
        content = json_format.dumps(document, indent=2) + "\n"
        write_whole(request.out / FIGURES_FILE, content.encode())
    if as_json:
        print(json_format.dumps(document))
    else:
        _print_figures(document)


def simulate(chip: str, changes: tuple[str, ...], baud: int, out: Path) -> None:
    """Run a simulated board until Ctrl-C, and print the name of its terminal."""
    board = BoardShape(load_chip(chip, changes), BOARDS[DEFAULT_BOARD], baud)
    console = Console(stderr=True)
    console.print(f"Compiling {board.chip.name} with Verilator into {out} ...", highlight=False)
    program = build_simulation(board, out)
    stops = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # from here on they only end the wait
    with run_simulation(program) as simulation:
        print(simulation.port, flush=True)
        console.print(
            f"Now, in another terminal: flipcore board train --port {simulation.port} {chip}\n"
            "Ctrl-C ends the board.",
            highlight=False,
        )
        signal.sigwait(stops)
    console.print(f"{simulation.cycles or 0:,} cycles")


def _dataset(chip: Chip, request: TrainRequest) -> Dataset:
    dataset = load_dataset(request.dataset or chip.workload.dataset, num_steps=chip.steps)
    if request.validation:
        dataset = split_validation(dataset, request.validation, request.seed)
    check_fit(chip, dataset)
    return dataset


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: cannot be made: {error.strerror}") from None


@contextmanager
def _open_port(name: str, baud: int) -> Iterator[Any]:
    """A serial port of pyserial, which nobody else may use meanwhile."""
    try:
        serial = importlib.import_module("serial")
    except ModuleNotFoundError:
        raise ToolError("pyserial is missing: install flipcore[board]") from None
    try:
        port = serial.Serial(name, baud, timeout=_READ_SECONDS, exclusive=True)
    except (OSError, ValueError) as error:  # a SerialException is an OSError
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else error
        raise InputError(f"--port {name}: cannot be opened: {reason}") from None
    with port:
        try:
            port.set_low_latency_mode(
                True
            )  # answers wait up to 16 ms in some USB bridges otherwise
        except (AttributeError, OSError, ValueError):
            pass  # not every port can, none must
        yield port


class _Display(RunDisplay):
    """Progress bar on a terminal, and the ear for Ctrl-C."""

    def __init__(self, console: Console) -> None:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        super().__init__(bar, None)
        self._task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        """Begin a new bar in place of the old one."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total)

    def advance(self, done: int) -> None:
        """Move the bar."""
        assert self._task is not None
        self._bar.update(self._task, completed=done)


def _document(plan: Plan, request: TrainRequest, figures: Figures, link: Link) -> dict[str, Any]:
    clock_hz = 1e6 * plan.chip.clock_mhz
    samples, seconds = figures.train_samples, figures.train_seconds
    return {
        "name": plan.chip.name,
        "port": request.port,
        "dataset": request.dataset or plan.chip.workload.dataset,
        "test_split": "validation" if request.validation else "test",
        "epochs": plan.epochs,
        "seed": plan.seed,
        "test_accuracy": figures.test_accuracy,
        "test_samples": figures.test_samples,
        "train_samples": samples,
        "samples_per_second": samples / seconds if seconds else 0.0,
        "train_cycles_per_sample": figures.train_cycles / samples if samples else 0.0,
        "test_cycles_per_sample": figures.test_cycles / figures.test_samples,
        "chip_samples_per_second": clock_hz * samples / figures.train_cycles if samples else 0.0,
        "sent_bytes": link.sent_bytes,
        "received_bytes": link.received_bytes,
        "frames_sent_again": link.repeats,
        "damaged_frames": link.damaged,
        "checked": plan.check,
        "history": figures.history,
    }


def _print_bitstream(board: BoardShape, result: Bitstream) -> None:
    table = Table(show_header=False, title=f"{board.chip.name} on {board.kind.title}")
    table.add_row("bitstream", result.path)
    table.add_row("LUT4", f"{result.luts:,}")
    table.add_row("flip-flops", f"{result.flip_flops:,}")
    table.add_row("logic cells", f"{result.logic_cells:,} of 5,280")
    table.add_row("block RAMs", f"{result.block_rams} of 30")
    table.add_row("SPRAMs", f"{result.large_rams} of 4")
    table.add_row("fmax", f"{result.fmax_mhz:.2f} MHz, {result.clock_mhz} MHz needed")
    table.add_row("placement seed", str(result.seed))
    table.add_row("tools", "\n".join(result.tools))
    table.add_row("time", f"{result.seconds:,.0f} s")
    console = Console()
    console.print(table)
    console.print(board.kind.wiring, highlight=False)


def _print_figures(document: dict[str, Any]) -> None:
    table = Table(show_header=False, title=f"{document['name']} on {document['port']}")
    table.add_row("test accuracy", f"{document['test_accuracy']:.2%}")
    table.add_row("epochs", str(document["epochs"]))
    table.add_row("learning samples/s", f"{document['samples_per_second']:,.0f}")
    table.add_row("of the chip alone", f"{document['chip_samples_per_second']:,.0f}")
    table.add_row("cycles a learning sample", f"{document['train_cycles_per_sample']:,.0f}")
    table.add_row("cycles a test sample", f"{document['test_cycles_per_sample']:,.0f}")
    table.add_row("frames sent again", str(document["frames_sent_again"]))
    if document["checked"]:
        table.add_row("check", "predictions, cycles and final state equal the simulator's")
    Console().print(table)
