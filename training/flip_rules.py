"""The published flip rules on dense tensors, in place; the one truth for rules in floating point.

With the rate r = 1 - beta, in float32 and in this order, every product and every sum rounded by itself:

    M <- (M * (1 - r)) + (G * r)                      momentum, an exponential moving average without bias correction
    w <- -w where w * M > gamma                       BSO (Liang 2025) and Bop (Helwegen 2019, its tau)
    v <- (v * (1 - r2)) + (mean(G * G) * r2)          T-BSO, one scalar per layer and time step
    w <- -w where w * M > sqrt(v + epsilon) * gamma   T-BSO

1 - r is taken in double precision before it is rounded to float32.
The mean square is accumulated in double precision, in which the squares are exact, and rounded once.
No fused multiply-add and no lerp: they would round differently on other machines.
A comparison with gamma >= 0 makes the flips, never sign(): a weight stays -1 or +1 whatever the momentum, 0 included.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flipcore.errors import InputError

AT_FLIP = ("keep", "reset")
# Gradients beyond have squares that are infinite in float32, which would raise T-BSO's threshold for ever.
GRADIENT_LIMIT = 2.0**63
# Bounds the copy in double precision; a multiple of every vector length.
_SQUARE_CHUNK = 1 << 17


def average_(momentum: Tensor, gradient: Tensor, rate: float | Tensor) -> None:
    """Move the momentum toward the gradient, in place."""
    momentum.mul_(1 - rate).add_(gradient * rate)


def flip_(weight: Tensor, momentum: Tensor, threshold: float | Tensor, keep_momentum: bool) -> None:
    """Flip the weights whose momentum agrees with their sign beyond the threshold, in place.

    Where a weight flips, its momentum becomes a zero of the momentum's sign, unless it is kept.
    """
    # 1.0 or 0.0, in the weights' own type: there the comparison is vectorised, to bool it is not.
    flips = (weight * momentum).gt_(threshold)
    if not keep_momentum:
        momentum.mul_(1 - flips)
    weight.mul_(flips.mul_(-2).add_(1))


def mean_square(gradient: Tensor) -> Tensor:
    """Mean of the squares, float32 [], accumulated in double precision chunk by chunk."""
    total = torch.zeros((), dtype=torch.float64, device=gradient.device)
    for chunk in gradient.reshape(-1).split(_SQUARE_CHUNK):
        wide = chunk.double()
        total += torch.dot(wide, wide)
    return (total / gradient.numel()).float()


def average_square_(second_moment: Tensor, square: Tensor, square_rate: float) -> None:
    """Move a second moment, float32 [], toward the mean square of a gradient, in place."""
    second_moment.mul_(1 - square_rate).add_(square * square_rate)


def adaptive_threshold(second_moment: Tensor, gamma: float, epsilon: float) -> Tensor:
    """T-BSO's flip threshold, float32 []."""
    return (second_moment + epsilon).sqrt() * gamma


def bso_step_(
    weight: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    *,
    rate: float | Tensor,
    gamma: float,
    keep_momentum: bool,
) -> None:
    """One step of BSO on tensors of one shape, float32, in place (Liang 2025)."""
    average_(momentum, gradient, rate)
    flip_(weight, momentum, gamma, keep_momentum)


def tbso_step_(
    weight: Tensor,
    momentum: Tensor,
    second_moment: Tensor,
    gradient: Tensor,
    *,
    rate: float | Tensor,
    square_rate: float,
    gamma: float,
    epsilon: float,
    keep_momentum: bool,
) -> None:
    """One step of T-BSO, in place (Liang 2025): as BSO's, with the second moment, float32 [], of the time step at hand."""
    average_(momentum, gradient, rate)
    average_square_(second_moment, mean_square(gradient), square_rate)
    flip_(weight, momentum, adaptive_threshold(second_moment, gamma, epsilon), keep_momentum)


def bop_step_(
    weight: Tensor, momentum: Tensor, gradient: Tensor, *, rate: float | Tensor, gamma: float
) -> None:
    """One step of Bop, in place (Helwegen 2019): flip iff |M| > gamma and sign(M) = sign(w), and keep M."""
    bso_step_(weight, momentum, gradient, rate=rate, gamma=gamma, keep_momentum=True)


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Make sure that the settings of a flip optimiser are in range.

    Raises:
        InputError: names the setting, after `where`, its value and the range.
    """
    for name in ("lr", "square_rate"):
        if name in settings and not 0 <= float(settings[name]) <= 1:
            raise InputError(f"{where}{name}={settings[name]}: must be 0 ... 1")
    for name in ("gamma", "epsilon"):
        if name in settings and not 0 <= float(settings[name]) < float("inf"):
            raise InputError(f"{where}{name}={settings[name]}: must be finite and not below 0")
    policy = settings["momentum_at_flip"]
    if policy not in AT_FLIP:
        raise InputError(f"{where}momentum_at_flip={policy!r}: must be one of {', '.join(AT_FLIP)}")


def refuse_wild_gradient(peak: float, name: str) -> None:
    """Make sure that a gradient, whose largest magnitude this is, is finite and within GRADIENT_LIMIT.

    Raises:
        InputError: names the gradient. A NaN in the momentum would lock its weight for ever.
    """
    if not peak <= GRADIENT_LIMIT:
        raise InputError(
            f"{name}, gradient: a value is infinite, not a number or beyond 2**63 (largest {peak})"
        )
