"""Spikes with a surrogate gradient: a step in the forward pass, a bump in the backward pass."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flipcore.errors import InputError

SurrogateName = Literal["sigmoid", "rectangle"]


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """Derivative that stands in for that of the step function.

    With x = (u - threshold) / threshold, so that shapes do not depend on the scale of potentials:
    sigmoid: ds/du = slope * S(slope*x) * (1 - S(slope*x)) / threshold, S the logistic function;
    rectangle: ds/du = [|x| < width/2] / (width * threshold). A width of 2 is the chip's window Ω = θ (N4).

    Attributes:
        name: `sigmoid` (Liang et al. 2025: slope 4) or `rectangle`.
        slope: steepness of the sigmoid.
        width: width of the rectangle in units of the threshold.

    Raises:
        InputError: unknown name; slope or width not above 0.
    """

    name: SurrogateName = "sigmoid"
    slope: float = 4.0
    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no derivative."""
        if self.name not in ("sigmoid", "rectangle"):
            raise InputError(f"surrogate={self.name}: must be sigmoid or rectangle")
        for field in ("slope", "width"):
            value = getattr(self, field)
            if not 0 < value < float("inf"):
                raise InputError(f"surrogate {field}={value}: must be a number above 0")

    def spikes(self, potential: Tensor, threshold: float) -> Tensor:
        """Spikes s = [u >= threshold] as 0.0 and 1.0, in the dtype and shape of the potential."""
        spikes: Tensor
        if self.name == "sigmoid":
            spikes = _SigmoidSpike.apply(potential, threshold, self.slope / threshold)
        else:
            spikes = _RectangleSpike.apply(potential, threshold, self.width * threshold)
        return spikes


def at_least(values: Tensor, bound: float) -> Tensor:
    """[values >= bound] as 0.0 and 1.0, in the dtype and shape of `values`; no part of a graph."""
    # Straight into floats: a tenth of the time of comparing to booleans and converting those.
    return torch.ge(values.detach(), bound, out=torch.empty_like(values, requires_grad=False))


class _SigmoidSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, steepness: float) -> Tensor:
        ctx.save_for_backward(potential)
        ctx.threshold = threshold
        ctx.steepness = steepness
        return at_least(potential, threshold)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor) -> tuple[Tensor, None, None]:
        (potential,) = ctx.saved_tensors
        sigmoid = (potential - ctx.threshold).mul_(ctx.steepness).sigmoid_()
        grad = torch.ops.aten.sigmoid_backward(grad_spikes, sigmoid).mul_(ctx.steepness)
        return grad, None, None


class _RectangleSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: float, width: float) -> Tensor:
        ctx.save_for_backward((potential - threshold).abs_() < width / 2)
        ctx.width = width
        return at_least(potential, threshold)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        return (grad_spikes * window).mul_(1 / ctx.width), None, None
