"""The jobs of a comparison that need torch: trainings, and the growth of their memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flipcore.comparison.jobs import STEPS
from flipcore.comparison.line import Line, Stopped
from flipcore.comparison.request import Entry, Request, data_of_seed
from flipcore.sim.data import Dataset
from flipcore.sim.logbook import Logbook
from flipcore.training.data import SampleSet
from flipcore.training.data.samples import as_sample_set
from flipcore.training.distributed import local_device
from flipcore.training.memory_growth import measure_growth
from flipcore.training.torch_settings import configure_torch
from flipcore.training.training_folder import logged_values, train_in_folder
from flipcore.training.training_run import Epoch, Interrupted, Progress, TrainingRun


class _Watch:
    """Observer of a training."""

    def __init__(self, line: Line, logbook: Logbook, epochs: int) -> None:
        self._line = line
        self._logbook = logbook
        self._epochs = epochs

    def on_batch(self, progress: Progress, batches: int) -> None:
        """Tell how far it is."""
        self._line.tell((progress.epoch + progress.batch / batches) / self._epochs)

    def on_epoch(self, epoch: Epoch) -> None:
        """Log the epoch."""
        self._logbook.write_values(epoch.epoch, logged_values(epoch))

    def should_stop(self) -> bool:
        """Whether it is asked to."""
        return self._line.should_stop()


def train(
    request: Request, entry: Entry, dataset: Dataset, seed: int, run_dir: Path, line: Line
) -> None:
    """One training, from its checkpoint if there is one.

    Raises:
        Stopped: it was asked to stop; a checkpoint holds where it is.
        InputError: something is damaged, does not fit or cannot be written.
    """
    recipe = entry.recipe()
    configure_torch(recipe, deterministic=False)
    options = entry.parsed.options(seed, request.validation)
    samples = _samples(data_of_seed(request, dataset, seed))

    @contextmanager
    def watch(run: TrainingRun) -> Iterator[_Watch]:
        logbook = Logbook(run_dir, run.progress.epoch)
        try:
            yield _Watch(line, logbook, run.epochs)
        finally:
            logbook.close()

    try:
        train_in_folder(
            lambda: TrainingRun(recipe, options, samples, local_device("cpu")), run_dir, watch
        )
    except Interrupted:
        raise Stopped from None


def measure_memory(request: Request, entry: Entry, dataset: Dataset) -> dict[str, Any]:
    """Peaks over time steps, ready for JSON."""
    recipe = entry.recipe()
    configure_torch(recipe, deterministic=False)
    options = entry.parsed.options(request.first_seed, request.validation)
    own = data_of_seed(request, dataset, request.first_seed)
    growth = measure_growth(recipe, options, _samples(own), STEPS)
    return {
        "peak_bytes": {str(steps): peak for steps, peak in growth.peak_bytes.items()},
        "left_out": list(growth.left_out),
    }


def _samples(dataset: Dataset) -> SampleSet:
    # A fully connected network sees a sample flat, whatever its shape.
    return as_sample_set(dataset, (1, 1, dataset.num_axons))
