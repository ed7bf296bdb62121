"""The log of a run that TensorBoard reads."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flipcore.errors import InputError
from flipcore.sim.run import Epoch


class Logbook:
    """Writes one point per epoch and figure into a run directory.

    It writes at once and in this thread: behind tensorboardX's own writer a full disk would go unheard and block the run.
    """

    def __init__(self, run_dir: Path, epoch: int) -> None:
        """Open the log; a run continued in `epoch` adds a file of its own, as TensorBoard expects.

        Raises:
            InputError: the folder cannot be written.
        """
        with _without_torch():
            from tensorboardX.event_file_writer import EventsWriter
        self._folder = run_dir / "tensorboard"
        with self._told():
            self._folder.mkdir(exist_ok=True)
            # Its name holds the second; two parts of a run may begin in the same one.
            self._writer = EventsWriter(str(self._folder / "events"), f".epoch{epoch}")

    def write(self, epoch: Epoch) -> None:
        """Log an epoch's figures.

        Raises:
            InputError: the log cannot be written.
        """
        values = {
            "accuracy/train": epoch.train_accuracy,
            "accuracy/test": epoch.test_accuracy,
            "learning/flips": epoch.flips,
            "learning/flip_ratio": epoch.flip_ratio,
            "learning/momentum_updates": epoch.momentum_updates,
            "time/seconds": epoch.seconds,
        }
        self.write_values(epoch.epoch, values)

    def write_values(self, step: int, values: Mapping[str, float]) -> None:
        """Log figures by name, one point each.

        Raises:
            InputError: the log cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        with self._told():
            for name, value in values.items():
                point = Event(wall_time=time.time(), step=step, summary=scalar(name, value))
                self._writer.write_event(point)
            self._writer.flush()

    def close(self) -> None:
        """Close the log."""
        with self._told():
            self._writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written: {error.strerror}") from None


@contextmanager
def _without_torch() -> Iterator[None]:
    """Keep torch out while tensorboardX is imported: it takes it where it finds it, which costs seconds."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]
