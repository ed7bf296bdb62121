"""On-chip learning in the simulator: runs and what they gave."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from rich.console import Console

from flipcore import session
from flipcore.api.chips import as_chip
from flipcore.chip import Chip, parse_chip
from flipcore.cli.tables import print_results
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim.layout import ChipState, empty_state, weight_bits
from flipcore.sim.results import create_run_dir
from flipcore.sim.run import Epoch, Progress, Run, Settings
from flipcore.sim.storage import load_weights

if TYPE_CHECKING:
    import pandas

RUN_FILE = "run.json"
TABLE_WIDTH = 100


@dataclass(frozen=True)
class Side:
    """Means of a sample, in training or in inference.

    Attributes:
        samples: how many were counted; with 0 every mean is 0.
        latency_us: at the chip's clock.
        flips: of all samples together.
        cycles_by_phase: cycles of a sample by phase of the SPEC (T1-T9).
    """

    samples: int
    cycles_per_sample: float
    latency_us: float
    sops_per_sample: float
    spikes_per_sample: float
    flips: int
    momentum_updates_per_sample: float
    cycles_by_phase: dict[str, float]


@dataclass(frozen=True)
class Simulation:
    """A finished run of the simulated chip. `print` it for its tables.

    Attributes:
        chip, dataset, seed: what fixed it.
        test_accuracy: share of the test samples classified right.
        train, inference: means of a sample.
        history: one entry per epoch.
        memory_bits: bits of every store, and sums.
        train_counts, inference_counts: every event counted, the currency of `estimate`.
        weights: of each core, +1 and -1, int8 [axons, neurons].
        warnings: what the run showed that is worth a look, in words.
        run_dir: where its files are; None for a run that was kept in memory.
        figures: the same figures as the command prints them with --json.
    """

    chip: Chip
    dataset: str
    seed: int
    test_accuracy: float
    train: Side
    inference: Side
    history: tuple[Epoch, ...]
    memory_bits: dict[str, int]
    train_counts: EventCounts = field(repr=False)
    inference_counts: EventCounts = field(repr=False)
    weights: tuple[npt.NDArray[np.int8], ...] = field(repr=False)
    warnings: tuple[str, ...]
    run_dir: Path | None
    figures: dict[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls, chip: Chip, state: ChipState, counts: tuple[EventCounts, EventCounts], figures: dict[str, Any]
    ) -> Self:  # fmt: skip
        """The result from a run's figures, its state at the end and its counts of training and inference."""
        folder = figures.get("run_dir")
        return cls(
            chip=chip,
            dataset=figures["dataset"],
            seed=figures["seed"],
            test_accuracy=figures["test_accuracy"],
            train=Side(**figures["train"]),
            inference=Side(**figures["inference"]),
            history=tuple(Epoch(**epoch) for epoch in figures["history"]),
            memory_bits=figures["memory_bits"],
            train_counts=counts[0],
            inference_counts=counts[1],
            weights=tuple(_signs(state, chip, c) for c in range(len(chip.layers))),
            warnings=tuple(figures["warnings"]),
            run_dir=Path(folder) if folder else None,
            figures=figures,
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """One line per epoch, its number as the index (needs pandas, extra `pandas`)."""
        import pandas

        return pandas.DataFrame([vars(epoch) for epoch in self.history]).set_index("epoch")

    def __str__(self) -> str:
        """The tables that the command prints."""
        text = io.StringIO()
        print_results(self.chip, self.figures, Console(file=text, width=TABLE_WIDTH))
        return text.getvalue().strip()


class _Unwatched:
    """An observer that neither shows nor stops anything."""

    def on_chunk(self, progress: Progress, epoch_samples: int, flips: int) -> None:
        """Nothing to show."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Nothing to log."""

    def should_stop(self) -> bool:
        """Never."""
        return False


def simulate(
    chip: Chip | str | Path = "digits",
    *,
    dataset: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    validation: float = 0.0,
    weights: Path | str | None = None,
    out: Path | str | None = None,
) -> Simulation:
    """Learn a data set on the simulated chip, one sample at a time.

    Args:
        chip: a chip, the name of a preset, or a YAML file.
        dataset: as in `flipcore simulate --dataset`; the chip's own by default.
        epochs: the chip's own number by default; 0 only classifies.
        seed: of weights, order of samples and rounding; the same seed gives the same bits on any machine.
        validation: test on this share of the training split, held out, in place of the test split.
        weights: start from the weights.npz of an earlier run.
        out: run directory to write, new or empty; nothing is written by default.

    Raises:
        InputError: a value breaks a rule, or the data do not fit the chip.
    """
    chip = as_chip(chip)
    settings = Settings(
        dataset=dataset or chip.workload.dataset,
        epochs=chip.workload.epochs if epochs is None else epochs,
        seed=seed,
        validation=validation,
        weights="" if weights is None else str(weights),
    )
    run = session.prepare_run(chip, session.load_data(chip, settings, None), settings)
    if out is not None:
        create_run_dir(Path(out))
        return _result(run, session.finish_run(run, Path(out), _unwatched, _silent))
    session.compile_loops(run, _silent)
    run.train(_Unwatched(), None)
    return _result(run, session.run_figures(run))


def open_run(run_dir: Path | str) -> Simulation:
    """Read a finished run directory, of the command or of `simulate(out=...)`.

    Raises:
        InputError: it is none, or damaged.
    """
    run_dir = Path(run_dir)
    path = run_dir / RUN_FILE
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        chip = parse_chip(figures["chip"], f"{path}: chip")
        counts = figures["counts"]
        both = (EventCounts.from_dict(counts["train"]), EventCounts.from_dict(counts["inference"]))
        state = empty_state(chip)
        load_weights(run_dir / "weights.npz", chip, state)
        return Simulation.of(chip, state, both, {**figures, "run_dir": str(run_dir)})
    except FileNotFoundError:
        raise InputError(f"{run_dir}: no {RUN_FILE}: not the directory of a finished run") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged or not of a run: {type(error).__name__} {error}") from None  # fmt: skip


def _result(run: Run, figures: dict[str, Any]) -> Simulation:
    counts = (run.train_counts, run.inference_counts)
    return Simulation.of(run.chip, run.engine.state, counts, figures)


def _signs(state: ChipState, chip: Chip, c: int) -> npt.NDArray[np.int8]:
    signs: npt.NDArray[np.int8] = 2 * weight_bits(state, chip, c).astype(np.int8) - 1
    return signs


def _silent(_line: str) -> None:
    """Tell nobody."""


@contextmanager
def _unwatched() -> Iterator[_Unwatched]:
    yield _Unwatched()
