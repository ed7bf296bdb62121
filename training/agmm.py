"""AGMM's gate (Liang et al., AAAI 2025): the size of a layer's input scales its gradients."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.signal import Signal
from flipcore.training.step_state import StepState

GateAxis = Literal["channel", "all"]


class GradientGate(StepState):
    """X'[t] = alpha[t] * S(E(X[t])) * X[t], S the logistic function, E a mean, alpha learned (1 at first).

    How the paper combines alpha with the sigmoid and which axis its mean takes is not known to us:
    by default E is the mean of each sample's channel over its pixels, `all` is the mean over the whole sample.
    Behind a fully connected layer both are the mean over its neurons. Gradients flow
    through X, the mean and alpha; the trace is scaled by the same factor, which is a constant to it.
    The gate is part of inference: a mean and a sigmoid per channel and step.

    Args:
        num_steps: time steps per sample, one alpha each.
        axis: what E averages over.

    Raises:
        InputError: no step, or an unknown axis.
    """

    def __init__(self, num_steps: int, axis: GateAxis = "channel") -> None:
        """Start with factors of 1."""
        super().__init__()
        if num_steps < 1:
            raise InputError(f"num_steps={num_steps}: must be at least 1")
        if axis not in ("channel", "all"):
            raise InputError(f"gate axis={axis}: must be channel or all")
        self.axis = axis
        self.alpha = nn.Parameter(torch.ones(num_steps))
        self._step = 0

    def forward(self, signal: Signal) -> Signal:
        """Gate one time step.

        Raises:
            InputError: more steps than there are factors, since the last reset_state.
        """
        if self._step >= len(self.alpha):
            raise InputError(
                f"step {self._step} of a gate for {len(self.alpha)} steps: reset_state between samples"
            )
        spikes = signal.spikes
        first = 2 if self.axis == "channel" and spikes.dim() > 2 else 1
        mean = spikes.mean(dim=tuple(range(first, spikes.dim())), keepdim=True)
        factor = self.alpha[self._step] * torch.sigmoid(mean)
        self._step += 1
        trace = None if signal.trace is None else signal.trace * factor.detach()
        return Signal(spikes * factor, trace)

    def reset_state(self) -> None:
        """Go back to the first step."""
        self._step = 0

    def state_tensors(self) -> Mapping[str, Tensor]:
        """None: the gate remembers only the number of the step."""
        return {}

    def extra_repr(self) -> str:
        """The parameters, for print(model)."""
        return f"num_steps={len(self.alpha)}, axis={self.axis}"
