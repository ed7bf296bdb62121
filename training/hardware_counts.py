"""Basic event counts of many chips at once: those of T12 that cost next to nothing beside the learning itself."""

from typing import Self

import torch
from torch import Tensor

from flipcore.chip import Chip
from flipcore.training.hardware_forward import Step
from flipcore.training.hardware_learning import Learnt

BASIC_NAMES = (
    "events",
    "spikes",
    "sops",
    "live_steps",
    "words_drawn",
    "momentum_updates",
    "flips",
)
_COLUMN = {name: index for index, name in enumerate(BASIC_NAMES)}


class BasicCounts:
    """Counts with the names of T12, kept where the chips are.

    Attributes:
        samples: samples that each chip counted.
        values: int64 [chips, cores, counts], columns in the order of BASIC_NAMES.
    """

    def __init__(self, chip: Chip, num_chips: int, device: torch.device) -> None:
        """Counts of nothing yet."""
        self.samples = 0
        self._neurons = [core.neurons for core in chip.layers]
        shape = (num_chips, len(self._neurons), len(BASIC_NAMES))
        self.values = torch.zeros(shape, dtype=torch.int64, device=device)

    def per_core(self, name: str) -> Tensor:
        """One count of every chip and core, int64 [chips, cores]."""
        return self.values[:, :, _COLUMN[name]]

    def totals(self) -> dict[str, int]:
        """Every count summed over chips and cores."""
        sums = self.values.sum((0, 1)).tolist()
        return dict(zip(BASIC_NAMES, sums, strict=True))

    def add_forward(self, step: Step) -> None:
        """Add a step's events, SOPs and spikes (T11)."""
        for c, events in enumerate(step.events):
            arrived = events.sum((1, 2))
            self.per_core("events")[:, c] += arrived
            self.per_core("sops")[:, c] += arrived * self._neurons[c]
            if c > 0:
                self.per_core("spikes")[:, c - 1] += arrived

    def add_learning(self, c: int, live: Tensor, learnt: Learnt) -> None:
        """Add an update of core c; `live`, bool [chips], says where any word was live."""
        self.per_core("live_steps")[:, c] += live
        self.per_core("words_drawn")[:, c] += learnt.words_drawn
        self.per_core("momentum_updates")[:, c] += learnt.momentum_updates
        self.per_core("flips")[:, c] += learnt.flips

    def add_draws(self, c: int, draws: Tensor) -> None:
        """Add the draws of a decay of core c, int64 [chips]."""
        self.per_core("words_drawn")[:, c] += draws

    def copy(self) -> Self:
        """An independent copy."""
        twin = object.__new__(type(self))
        twin.samples, twin._neurons, twin.values = self.samples, self._neurons, self.values.clone()
        return twin
