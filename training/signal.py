"""What flows from layer to layer in one time step."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Signal(NamedTuple):
    """Spikes of one time step with their presynaptic traces.

    Attributes:
        spikes: float [batch, ...]; 0 or 1 behind a neuron, real behind a pooling layer or a gate.
        trace: float, the shape of `spikes`, never part of a graph; None where gradients need none
            (evaluation, and back-propagation through time).
    """

    spikes: Tensor
    trace: Tensor | None

    def map(self, linear: Callable[[Tensor], Tensor]) -> "Signal":
        """Apply a linear operation (pooling, flattening) to spikes and trace alike.

        The trace is a weighted sum of spikes, so that what is linear may be done after the sum.
        """
        return Signal(linear(self.spikes), None if self.trace is None else linear(self.trace))
