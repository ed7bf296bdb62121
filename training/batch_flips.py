"""Flip optimiser over packed weights for rules that update once per batch, as Bop does."""

from collections.abc import Callable

import torch
from torch import Tensor

from flipcore.training.fused_flips import FusedFlips
from flipcore.training.packed_weight import PackedWeight


class BatchFlips(FusedFlips):
    """FusedFlips that only adds up the gradients of the backward passes and takes one step of the rule in `step`.

    From the first backward pass of a batch to its `step` it holds a float32 gradient of each weight, which FusedFlips never does.
    """

    @torch.no_grad()
    def learn(self, weight: PackedWeight, gradient: Tensor) -> None:
        """Add to the weight's gradient.

        Raises:
            InputError: the weight is not one of this optimiser's.
        """
        self._name(weight)
        state = self.state[weight.anchor]
        if "gradient" in state:
            state["gradient"] += gradient
        else:
            state["gradient"] = gradient.to(torch.float32, copy=True)

    def learns_outer(self, weight: PackedWeight) -> bool:
        """Never: gradients are added up whole."""
        return False

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Evaluate the closure, if given, then let every weight that has a gradient learn.

        Raises:
            InputError: a gradient is not finite or beyond 2**63.
        """
        loss = super().step(closure)
        for weight in self.names:
            gradient = self.state.pop(weight.anchor, {}).get("gradient")
            if gradient is not None:
                super().learn(weight, gradient)
        return loss
