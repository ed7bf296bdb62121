"""Products of weights and spikes whose weight gradient is taken with the trace in place of the spikes.

OTTT's gradient (Xiao et al. 2022, eq. 8; Liang et al. 2025): dL[t]/dW = zeta[t] (outer) a[t], zeta[t] the error at the
potential and a[t] the presynaptic trace, while the error that goes on to the layer below uses the weights
as usual. One forward product does for both. Two forms: the weight is a tensor of the graph and gets
a gradient; or it is packed, is unpacked for as long as a product takes, and its gradient goes straight
to the rule that flips it, so that no two layers' gradients exist at once.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from flipcore.errors import InputError
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.signal import Signal


def traced_linear(signal: Signal, weight: Tensor) -> Tensor:
    """Currents [batch, out] of spikes [batch, in] through a weight [out, in] of the graph."""
    spikes, trace, weight = _as_autocast(signal.spikes, signal.trace, weight)
    if trace is None:
        return functional.linear(spikes, weight)
    current: Tensor = _TracedLinear.apply(spikes, trace, weight)
    return current


def traced_conv2d(signal: Signal, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Currents [batch, out, height, width] of spikes [batch, in, ...] through a kernel [out, in, k, k] of the graph."""
    spikes, trace, weight = _as_autocast(signal.spikes, signal.trace, weight)
    if trace is None:
        return functional.conv2d(spikes, weight, stride=stride, padding=padding)
    current: Tensor = _TracedConv2d.apply(spikes, trace, weight, stride, padding)
    return current


def packed_linear(signal: Signal, weight: PackedWeight) -> Tensor:
    """Currents [batch, out] of spikes [batch, in] through a packed weight [in, out], axons as rows like a chip's core.

    A single sample reads and learns only the rows that have a spike or a trace.

    Raises:
        InputError: in the backward pass, if no optimiser learns the weight.
    """
    spikes, trace, _ = _as_autocast(signal.spikes, signal.trace, None)
    trace = spikes.detach() if trace is None else trace
    current: Tensor = _PackedLinear.apply(spikes, trace, weight.anchor, weight)
    return current


def packed_conv2d(signal: Signal, weight: PackedWeight, stride: int, padding: int) -> Tensor:
    """Currents [batch, out, height, width] of spikes [batch, in, ...] through a packed kernel [out, in, k, k].

    Raises:
        InputError: in the backward pass, if no optimiser learns the weight.
    """
    spikes, trace, _ = _as_autocast(signal.spikes, signal.trace, None)
    trace = spikes.detach() if trace is None else trace
    current: Tensor = _PackedConv2d.apply(spikes, trace, weight.anchor, weight, stride, padding)
    return current


def _as_autocast(
    spikes: Tensor, trace: Tensor | None, weight: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Everything in the dtype of the autocast region, if there is one; autocast does not see into custom functions."""
    device = spikes.device.type
    if not torch.is_autocast_enabled(device):
        return spikes, trace, weight
    dtype = torch.get_autocast_dtype(device)
    return (
        spikes.to(dtype),
        None if trace is None else trace.to(dtype),
        None if weight is None else weight.to(dtype),
    )


class _TracedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: Tensor, trace: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(trace, weight)
        return functional.linear(spikes, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        trace, weight = ctx.saved_tensors
        grad_spikes = grad @ weight if ctx.needs_input_grad[0] else None
        grad_weight = grad.t() @ trace if ctx.needs_input_grad[2] else None
        return grad_spikes, None, grad_weight


class _TracedConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, trace: Tensor, weight: Tensor, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(trace, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(spikes, weight, stride=stride, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None, None]:
        trace, weight = ctx.saved_tensors
        place = {"stride": ctx.stride, "padding": ctx.padding}
        grad_spikes = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_spikes = conv2d_input(trace.shape, weight, grad, **place)
        if ctx.needs_input_grad[2]:
            grad_weight = conv2d_weight(trace, weight.shape, grad, **place)
        return grad_spikes, None, grad_weight, None, None


class _PackedLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, trace: Tensor, anchor: Tensor, weight: PackedWeight
    ) -> Tensor:
        ctx.save_for_backward(trace)
        ctx.weight = weight
        if len(spikes) == 1 and weight.learns_rows:
            return weight.weighted_rows(spikes[0]).to(spikes.dtype).unsqueeze(0)
        return spikes @ weight.unpacked(spikes.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        (trace,) = ctx.saved_tensors
        weight = ctx.weight
        # Before the flips: the error goes through the weights that made the spikes.
        grad_spikes = grad @ weight.unpacked(grad.dtype).t() if ctx.needs_input_grad[0] else None
        if ctx.needs_input_grad[2]:
            learner = _learner(weight)
            if len(grad) == 1 and learner.learns_outer(weight):
                learner.learn_outer(weight, trace[0], grad[0])
            else:
                learner.learn(weight, trace.t() @ grad)
        return grad_spikes, None, _nothing(weight), None


class _PackedConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        spikes: Tensor,
        trace: Tensor,
        anchor: Tensor,
        weight: PackedWeight,
        stride: int,
        padding: int,
    ) -> Tensor:
        ctx.save_for_backward(trace)
        ctx.weight, ctx.stride, ctx.padding = weight, stride, padding
        return functional.conv2d(
            spikes, weight.unpacked(spikes.dtype), stride=stride, padding=padding
        )

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None, None, None, None]:
        (trace,) = ctx.saved_tensors
        weight = ctx.weight
        place = {"stride": ctx.stride, "padding": ctx.padding}
        grad_spikes = None
        if ctx.needs_input_grad[0]:
            grad_spikes = conv2d_input(trace.shape, weight.unpacked(grad.dtype), grad, **place)
        if ctx.needs_input_grad[2]:
            _learner(weight).learn(weight, conv2d_weight(trace, weight.shape, grad, **place))
        return grad_spikes, None, _nothing(weight), None, None, None


def _learner(weight: PackedWeight) -> FusedFlips:
    if weight.learner is None:
        raise InputError(
            "a packed weight has no optimiser: give it to FusedFlips before the backward pass"
        )
    return weight.learner


def _nothing(weight: PackedWeight) -> Tensor:
    """The gradient of the empty anchor: no element."""
    return torch.zeros_like(weight.anchor)
