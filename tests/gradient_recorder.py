"""A learner that keeps the gradients that packed weights hand over, and flips nothing."""

from torch import Tensor, nn

from flipcore.training.models import binary_weights
from flipcore.training.packed_weight import PackedWeight


class GradientRecorder:
    """Stands in for FusedFlips; `gradients` holds the last one of each weight by name."""

    def __init__(self, model: nn.Module) -> None:
        self.gradients: dict[str, Tensor] = {}
        self._names: dict[PackedWeight, str] = {}
        for name, weight in binary_weights(model):
            assert isinstance(weight, PackedWeight)
            self._names[weight] = name
            weight.learner = self  # type: ignore[assignment]

    def learn(self, weight: PackedWeight, gradient: Tensor) -> None:
        """Keep a copy of the gradient."""
        self.gradients[self._names[weight]] = gradient.clone()
