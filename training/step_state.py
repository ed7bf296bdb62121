"""What lives from one time step to the next, and is forgotten between samples."""

from collections.abc import Mapping

from torch import Tensor, nn


class StepState(nn.Module):
    """A module that remembers its last time step.

    The state is no buffer: it is neither saved nor broadcast, and its shape is the batch's.
    """

    def reset_state(self) -> None:
        """Forget: the next call is the first step of new samples."""
        raise NotImplementedError

    def state_tensors(self) -> Mapping[str, Tensor]:
        """The tensors remembered now, by name."""
        raise NotImplementedError


def reset_state(model: nn.Module) -> None:
    """Begin new samples: forget potentials, traces and step counters everywhere in a model."""
    for module in model.modules():
        if isinstance(module, StepState):
            module.reset_state()
