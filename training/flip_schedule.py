"""The published annealing of flip optimisers."""

import torch
from torch.optim.lr_scheduler import LRScheduler

from flipcore.errors import InputError


class FlipSchedule(LRScheduler):
    """Multiply the rate `lr` and the flip threshold `gamma` by a factor every so many epochs (Liang 2025: 0.1 every 50; 20 on ImageNet).

    Groups without a `gamma` have only their learning rate multiplied. T-BSO's `square_rate` stays.
    `gamma` is saved in the optimiser's state_dict, as `lr` is.

    Args:
        optimizer: whose groups are scheduled.
        every_epochs: at least 1.
        factor: of the rate, above 0 and at most 1.
        gamma_factor: of the threshold, above 0; as `factor` by default, as published.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        every_epochs: int = 50,
        factor: float = 0.1,
        gamma_factor: float | None = None,
        last_epoch: int = -1,
    ) -> None:
        """Schedule this optimiser; call `step` after each epoch.

        Raises:
            InputError: every_epochs is below 1, or a factor is out of range.
        """
        if every_epochs < 1:
            raise InputError(f"every_epochs={every_epochs}: must be at least 1")
        if not 0 < factor <= 1:
            raise InputError(f"factor={factor}: must be above 0 and at most 1")
        if gamma_factor is not None and not 0 < gamma_factor < float("inf"):
            raise InputError(f"gamma_factor={gamma_factor}: must be a number above 0")
        self.every_epochs = every_epochs
        self.factor = factor
        self.gamma_factor = factor if gamma_factor is None else gamma_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The groups' rates after this epoch."""
        factor = self.factor if self._is_due() else 1.0
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch."""
        super().step(epoch)
        if self._is_due():
            for group in self.optimizer.param_groups:
                if "gamma" in group:
                    group["gamma"] *= self.gamma_factor

    def _is_due(self) -> bool:
        return bool(self.last_epoch > 0 and self.last_epoch % self.every_epochs == 0)
