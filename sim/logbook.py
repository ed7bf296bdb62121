"""The log of a run that TensorBoard reads."""

from pathlib import Path

from flipcore.sim.run import Epoch


class Logbook:
    """Writes one point per epoch and figure into a run directory."""

    def __init__(self, run_dir: Path) -> None:
        """Open the log; a continued run adds a file of its own, as TensorBoard expects."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(run_dir / "tensorboard"))

    def write(self, epoch: Epoch) -> None:
        """Log an epoch's figures."""
        for name, value in (
            ("accuracy/train", epoch.train_accuracy),
            ("accuracy/test", epoch.test_accuracy),
            ("learning/flips", epoch.flips),
            ("learning/momentum_updates", epoch.momentum_updates),
            ("time/seconds", epoch.seconds),
        ):
            self._writer.add_scalar(name, value, epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the log."""
        self._writer.close()
