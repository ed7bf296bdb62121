"""How many binary weights changed sign since a moment: the flip ratio of an epoch (AGMM, Liang et al. 2025)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.binary_weights import signs_of
from flipcore.training.models import binary_weights
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.packing import pack_flags


@dataclass(frozen=True)
class FlipRatio:
    """Shares of weights whose sign changed, 0 ... 1.

    Attributes:
        total: of all binary weights.
        layers: of each layer, by the name of its weight.
    """

    total: float
    layers: dict[str, float]


class FlipMeter:
    """Compares the signs of all binary weights with those of a snapshot; keeps one bit per weight.

    pi = sum of [sign(W) differs from sign(W of the snapshot)] / |W|. A weight that flips and flips back counts as
    unchanged. Takes its first snapshot when it is made.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take the first snapshot."""
        self._weights = binary_weights(model)
        self._snapshot: list[Tensor] = []
        self.snapshot()

    def snapshot(self) -> None:
        """Compare with the present signs from now on."""
        self._snapshot = [_packed_signs(weight).clone() for _, weight in self._weights]

    def state(self) -> list[Tensor]:
        """The snapshot, for a checkpoint: uint8, one tensor per layer."""
        return self._snapshot

    def load_state(self, snapshot: list[Tensor]) -> None:
        """Go on from a saved snapshot.

        Raises:
            InputError: it is of another network.
        """
        mine = [tuple(signs.shape) for signs in self._snapshot]
        saved = [tuple(signs.shape) for signs in snapshot]
        if mine != saved:
            raise InputError(f"flip meter: saved signs of {saved} bytes, the network has {mine}")
        self._snapshot = [
            signs.to(now.device) for signs, now in zip(snapshot, self._snapshot, strict=True)
        ]

    def ratio(self) -> FlipRatio:
        """The share of weights whose sign is another than in the snapshot."""
        layers: dict[str, float] = {}
        changed = num_weights = 0
        for (name, weight), before in zip(self._weights, self._snapshot, strict=True):
            flips = _count_ones(_packed_signs(weight) ^ before)
            size = math.prod(weight.shape)
            layers[name] = flips / size
            changed += flips
            num_weights += size
        return FlipRatio(changed / num_weights if num_weights else 0.0, layers)


def _packed_signs(weight: nn.Parameter | PackedWeight) -> Tensor:
    """uint8 [ceil(n / 8)], bits past the last weight equal at all times."""
    if isinstance(weight, PackedWeight):
        return weight.bits
    return pack_flags(signs_of(weight.detach()).reshape(-1))


def _count_ones(packed: Tensor) -> int:
    """Number of set bits of uint8 [n], by adding neighbours in each byte."""
    pairs = packed - (packed >> 1 & 0x55)
    fours = (pairs & 0x33) + (pairs >> 2 & 0x33)
    ones = (fours + (fours >> 4)) & 0x0F
    return int(ones.sum(dtype=torch.int64))
