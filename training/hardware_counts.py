"""Basic event counts of many chips at once: those of T12 that cost next to nothing beside the learning itself."""

import torch
from torch import Tensor

from flipcore.chip import Chip
from flipcore.training.hardware_forward import Step
from flipcore.training.hardware_learning import Learnt

FORWARD_NAMES = ("events", "spikes", "sops")
LEARNING_NAMES = ("live_steps", *Learnt._fields)
BASIC_NAMES = (*FORWARD_NAMES, *LEARNING_NAMES)
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
        neurons = [core.neurons for core in chip.layers]
        self._neurons = torch.tensor(neurons, dtype=torch.int64, device=device)
        shape = (num_chips, len(neurons), len(BASIC_NAMES))
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
        arrived = torch.stack([events.sum((1, 2)) for events in step.events], dim=1)
        self.per_core("events").add_(arrived)
        self.per_core("sops").add_(arrived * self._neurons)
        self.per_core("spikes")[:, :-1] += arrived[:, 1:]

    def add_learning(self, c: int, live: Tensor, learnt: Learnt) -> None:
        """Add an update of core c; `live`, bool [chips], says where any word was live."""
        self.values[:, c, len(FORWARD_NAMES) :] += torch.stack((live, *learnt), dim=1)

    def add_draws(self, c: int, draws: Tensor) -> None:
        """Add the draws of a decay of core c, int64 [chips]."""
        self.per_core("words_drawn")[:, c] += draws
