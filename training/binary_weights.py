"""The kinds of weight, their initial values, and what the network sees of each."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from flipcore import draws
from flipcore.errors import InputError
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.surrogate import at_least

WeightKind = Literal["float", "latent", "dense", "packed"]

WEIGHT_KINDS = ("float", "latent", "dense", "packed")
_TAG_FLOATS = 101  # outside the tags of the SPEC (R3-R7)
_TAG_ROUNDING = 102


def initial_signs(seed: int, layer: int, shape: tuple[int, ...]) -> Tensor:
    """Random signs -1.0 and +1.0 of a weight [out, ...], float32: those of a chip's core (R3).

    The chip's core has the inputs of a neuron as rows, in the order of the weight's flattened trailing axes.
    """
    out_features = shape[0]
    fan_in = torch.Size(shape[1:]).numel()
    bits = torch.from_numpy(draws.initial_weights(seed, layer, fan_in, out_features))
    return bits.t().contiguous().to(torch.float32).mul_(2).sub_(1).view(shape)


def make_weight(
    kind: WeightKind,
    shape: tuple[int, ...],
    *,
    seed: int,
    layer: int,
    momentum_format: str,
    bound: float,
) -> nn.Parameter | PackedWeight:
    """A new weight; its signs are the same in each kind.

    Args:
        kind: `float` and `latent`: uniform in -bound ... bound; `dense`: a parameter of exactly -1 and +1; `packed`: bits, of a matrix as [in, out].
        shape: [out, in] or [out, in, kernel, kernel].
        seed: seed of the network.
        layer: index of the layer in its network; layers of one seed differ.
        momentum_format: of `packed`.
        bound: of `float` and `latent`.

    Raises:
        InputError: unknown kind.
    """
    if kind not in WEIGHT_KINDS:
        raise InputError(f"kind={kind}: must be one of {', '.join(WEIGHT_KINDS)}")
    signs = initial_signs(seed, layer, shape)
    if kind == "dense":
        return nn.Parameter(signs)
    if kind == "packed":
        matrix = signs.t().contiguous() if signs.dim() == 2 else signs
        return PackedWeight(matrix, momentum_format, _subseed(seed, _TAG_ROUNDING, layer))
    magnitudes = torch.rand(shape, generator=layer_generator(seed, layer))
    return nn.Parameter(magnitudes.mul_(bound).mul_(signs))


def layer_generator(seed: int, layer: int) -> torch.Generator:
    """Generator of a layer's initial floats."""
    return torch.Generator().manual_seed(_subseed(seed, _TAG_FLOATS, layer))


def seen_weight(weight: Tensor, kind: WeightKind, *, channel_scale: bool) -> Tensor:
    """What a product uses of a parameter: itself, or the signs of a latent weight.

    Args:
        weight: [out, ...] of the kind `float`, `latent` or `dense`.
        kind: its kind.
        channel_scale: multiply the signs of a latent weight by its mean magnitude per output channel (AGMM,
            Liang et al. 2025); the scale counts as a constant in the backward pass.
    """
    if kind != "latent":
        return weight
    signs: Tensor = _LatentSign.apply(weight)
    if not channel_scale:
        return signs
    magnitude = weight.detach().abs()
    return signs * magnitude.mean(dim=tuple(range(1, weight.dim())), keepdim=True)


def signs_of(weight: Tensor) -> Tensor:
    """Signs of a weight as booleans, True for +1, which is also the sign of 0."""
    return weight >= 0


class _LatentSign(torch.autograd.Function):
    """Sign with sign(0) = +1; its gradient is that of the identity where |w| <= 1, else 0 (straight-through estimator)."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor) -> Tensor:
        ctx.save_for_backward(latent)
        return at_least(latent, 0.0).mul_(2).sub_(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_signs: Tensor) -> Tensor:
        (latent,) = ctx.saved_tensors
        return grad_signs * (latent.abs() <= 1)


def _subseed(seed: int, tag: int, layer: int) -> int:
    """A seed of 63 bits for a generator of torch."""
    return int(draws.stream(seed, tag, layer, count=1)[0]) >> 1
