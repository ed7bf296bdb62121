"""The host against the simulated top level of a board, over a real pseudo-terminal: what the chip learns is what the simulator learns."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.chip import Chip, load_chip
from flipcore.cli.board_session import Figures, Plan, train_on_board
from flipcore.errors import CheckError, InputError, ToolError
from flipcore.rtl.board import host
from flipcore.rtl.board.boards import BOARDS
from flipcore.rtl.board.link import Link, Port
from flipcore.rtl.board.shape import BoardShape
from flipcore.rtl.board.simulation import Simulation, build_simulation, run_simulation
from flipcore.sim.data import load_dataset
from flipcore.sim.engine import Engine
from tests.datasets import striped_pixels
from tests.e2e.command import figures_of, flipcore

serial = pytest.importorskip("serial", reason="pyserial is not installed: no host can run")
pytestmark = pytest.mark.cosim

CHIP = """
name: tiny
inputs: 20
steps: 3
core: {lanes: 2, memory_ports: 1rw, neuron: if, potential_bits: 8, threshold: 3, window: 8, trace_bits: 1, trace_unit: 1, trace_decay_shift: none, gradient_shift: 1}
layers: [{neurons: 150, error_bits: 4, error_shift: 4}, {neurons: 5, lanes: 3, momentum_bits: 12, gradient_shift: 5}]
error: {kind: hinge, margin: 6}
schedule: [{after_samples: 20, gradient_shift_add: 1}]
workload: {dataset: "npz:tiny.npz", epochs: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chip and its data."""
    path = tmp_path_factory.mktemp("board")
    pixels, labels = striped_pixels(60, 20, 5, 0)
    np.savez(path / "tiny.npz", x_train=pixels[:40], y_train=labels[:40], x_test=pixels[40:], y_test=labels[40:])  # fmt: skip
    (path / "tiny.yaml").write_text(CHIP)
    return path


@pytest.fixture(scope="module")
def chip(folder: Path) -> Chip:
    return load_chip(str(folder / "tiny.yaml"), ())


@pytest.fixture(scope="module")
def program(chip: Chip, folder: Path) -> Path:
    """The simulated board, compiled."""
    board = BoardShape(chip, BOARDS["icebreaker"], 3_000_000)
    # Momentum of the first core in an SPRAM, two words a row; that of the second in a block RAM.
    assert board.large_memories == [(1500, 16)]
    return build(board, folder / "simulation")


def build(board: BoardShape, folder: Path) -> Path:
    try:
        return build_simulation(board, folder)
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def simulation(program: Path) -> Iterator[Simulation]:
    with run_simulation(program) as simulation:
        yield simulation


class NoisyPort:
    """A port that changes, loses and repeats bytes, both ways, and makes up some."""

    def __init__(self, port: Any, kind: str) -> None:
        self._port = port
        self._kind = kind
        self._rng = random.Random(kind)
        self.spoilt = 0

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return int(self._port.in_waiting)

    def read(self, size: int, /) -> bytes:
        """Read bytes."""
        return self._spoil(self._port.read(size))

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        return int(self._port.write(self._spoil(data)))

    def _spoil(self, data: bytes) -> bytes:
        result = bytearray()
        for byte in data:
            if self._rng.random() > 0.001:
                result.append(byte)
                continue
            self.spoilt += 1
            flipped = byte ^ 1 << self._rng.randrange(8)
            noise = self._rng.randbytes(5)
            result += {
                "flipped": bytes([flipped]),
                "lost": b"",
                "repeated": bytes([byte, byte]),
                "made up": bytes([byte]) + noise,
            }[self._kind]
        return bytes(result)


def learn(chip: Chip, folder: Path, port: Port, timeout: float) -> tuple[Figures, Engine, Link]:
    """Train for two epochs, held to the simulator."""
    dataset = load_dataset(f"npz:{folder / 'tiny.npz'}", num_steps=chip.steps)
    plan = Plan(chip=chip, dataset=dataset, epochs=2, seed=7, samples=None, check=True)
    engine = Engine(chip, 7)
    link = Link(port, timeout)
    host.connect(link, chip, "PORT")
    return train_on_board(link, plan, engine, Silent()), engine, link


class Silent:
    """Watches nothing and never stops."""

    def begin(self, what: str, total: int) -> None:
        """Hear that something begins."""

    def advance(self, done: int) -> None:
        """Hear how far it is."""

    def should_stop(self) -> bool:
        """Never."""
        return False


def test_a_board_learns_what_the_simulator_learns(
    chip: Chip, folder: Path, simulation: Simulation
) -> None:
    with serial.Serial(simulation.port, 3_000_000, timeout=0.005) as port:
        figures, engine, link = learn(chip, folder, port, 5.0)
        assert engine.state.sample_counter == 80
        assert figures.train_samples == 80
        assert link.repeats == link.damaged == 0
        again, _, other = learn(chip, folder, port, 5.0)  # another host, without a reset
        assert again.test_accuracy == figures.test_accuracy
        assert other.repeats == 0


@pytest.mark.parametrize("kind", ["flipped", "lost", "repeated", "made up"])
def test_a_noisy_line_changes_nothing(
    chip: Chip, folder: Path, simulation: Simulation, kind: str
) -> None:
    with serial.Serial(simulation.port, 3_000_000, timeout=0.005) as port:
        noisy = NoisyPort(port, kind)
        _, engine, link = learn(chip, folder, noisy, 0.1)
    assert engine.state.sample_counter == 80
    assert noisy.spoilt > 5
    assert link.repeats > 0


def test_the_check_sees_a_wrong_bit(chip: Chip, folder: Path, simulation: Simulation) -> None:
    dataset = load_dataset(f"npz:{folder / 'tiny.npz'}", num_steps=chip.steps)
    plan = Plan(chip=chip, dataset=dataset, epochs=0, seed=7, samples=3, check=True)
    engine = Engine(chip, 7)

    class Spoiler(Silent):
        def begin(self, what: str, total: int) -> None:
            if what == "read the weights":
                engine.state.weights[0] ^= 1

    with serial.Serial(simulation.port, 3_000_000, timeout=0.005) as port:
        link = Link(port, 5.0)
        host.connect(link, chip, "PORT")
        with pytest.raises(CheckError, match=r"differs from the simulator's: core 0: 1 weights"):
            train_on_board(link, plan, engine, Spoiler())


def test_another_chip_is_refused(chip: Chip, folder: Path, simulation: Simulation) -> None:
    other = load_chip(str(folder / "tiny.yaml"), ("layers.0.threshold=4",))
    with (
        serial.Serial(simulation.port, 3_000_000, timeout=0.005) as port,
        pytest.raises(InputError, match=r"^--port PORT: the board holds another chip \("),
    ):
        host.connect(Link(port, 5.0), other, "PORT")


def test_the_command_trains_and_keeps_weights(folder: Path, simulation: Simulation) -> None:
    words = ("board", "train", "tiny.yaml", "--port", simulation.port, "--baud", "3000000")
    done = flipcore(*words, "--check", "--timeout", "5", "--out", "out", "--json", folder=folder)
    figures = figures_of(done)
    assert figures["checked"] is True
    assert figures["train_samples"] == 80
    assert len(figures["history"]) == 2
    assert json.loads((folder / "out" / "figures.json").read_text()) == figures
    words += ("--epochs", "0", "--weights", "out/weights.npz", "--timeout", "5", "--json")
    tested = figures_of(flipcore(*words, folder=folder))
    assert tested["test_accuracy"] == figures["test_accuracy"]
    assert tested["train_samples"] == 0


@pytest.mark.slow
def test_the_preset_learns_fast_enough(tmp_path: Path) -> None:
    chip = load_chip("digits-up5k", ())
    program = build(BoardShape(chip, BOARDS["icebreaker"]), tmp_path)
    dataset = load_dataset("digits", num_steps=chip.steps)
    cycles = []
    for samples in (
        10,
        110,
    ):  # what both take to load, test and read back cancels, but for 100 tests
        plan = Plan(chip=chip, dataset=dataset, epochs=1, seed=0, samples=samples, check=True)
        with run_simulation(program) as simulation, serial.Serial(simulation.port, timeout=0.005) as port:  # fmt: skip
            link = Link(port, 10.0)
            host.connect(link, chip, "PORT")
            figures = train_on_board(link, plan, Engine(chip, 0), Silent())
        cycles.append((simulation.cycles or 0, figures.train_cycles + figures.test_cycles))
    whole, own = (late - early for early, late in zip(*cycles, strict=True))
    print(f"{whole / 200:,.0f} cycles a sample, {own / 200:,.0f} of them the chip's own")
    assert own < whole < 1.15 * own  # the line is no bottleneck
    assert 12e6 / (whole / 200) > 200
