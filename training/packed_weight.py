"""A binary weight whose training state is really small: one bit per weight and a momentum of few bits."""

import math
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.momentum_store import CPU_CHUNK, momentum_store
from flipcore.training.packing import pack_flags, pack_signs, unpack_signs

if TYPE_CHECKING:
    from flipcore.training.fused_flips import FusedFlips


class PackedWeight(nn.Module):
    """Weights of -1 and +1 in the buffer `bits`, with their momentum; no float copy of either is kept.

    The state_dict holds all that training needs to go on bit by bit: weights, momentum, T-BSO's second moments, the state of the random draws.

    Attributes:
        anchor: a parameter of no elements that stands for the weight in autograd and in parameter groups.
        second_moment: T-BSO's second moments, float32 [time steps seen], on the CPU.
    """

    def __init__(self, weight: Tensor, momentum_format: str, seed: int) -> None:
        """Pack these weights, with a momentum of 0.

        Args:
            weight: initial weights, exactly -1 or +1, any shape.
            momentum_format: one of `momentum_store.FORMATS`.
            seed: of the stochastic rounding; the same on all ranks, another in each layer.

        Raises:
            InputError: a weight is neither -1 nor +1, or the format is unknown.
        """
        super().__init__()
        self.shape = tuple(weight.shape)
        self.momentum_format = momentum_format
        self.anchor = nn.Parameter(torch.empty(0, device=weight.device))
        self.bits: Tensor
        self.register_buffer("bits", pack_signs(weight.detach()))
        self.momentum = momentum_store(weight.numel(), momentum_format, seed).to(weight.device)
        self.second_moment = torch.zeros(0)
        self._learner: weakref.ref[FusedFlips] | None = None

    @property
    def learner(self) -> "FusedFlips | None":
        """The optimiser that learns this weight; None before one is made or after it is gone."""
        return None if self._learner is None else self._learner()

    @learner.setter
    def learner(self, learner: "FusedFlips") -> None:
        # Weak, so that a copy of the model does not copy its optimiser.
        self._learner = weakref.ref(learner)

    def unpacked(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights as a new tensor of -1 and +1, in their shape."""
        return unpack_signs(self.bits, self.shape, dtype)

    def learn(
        self, gradient: Tensor, *, rate: float, peak: float, threshold: float, keep_momentum: bool
    ) -> None:
        """Move the momentum toward a gradient and flip where w * M exceeds the threshold, chunk by chunk.

        Args:
            gradient: finite, any floating type, of the weight's number of elements.
            rate: 1 - beta.
            peak: largest magnitude in the gradient.
            threshold: >= 0.
            keep_momentum: whether a flip keeps the momentum, or sets it to 0.
        """
        gradient = gradient.reshape(-1)
        self.momentum.begin(rate, peak)
        limit = self.momentum.in_levels(threshold)
        for start, stop in self.momentum.chunks():
            levels = self.momentum.moved(start, stop, gradient[start:stop].float())
            bits = self.bits[start // 8 : (stop + 7) // 8]
            flips = _flips(bits, levels, limit)
            bits ^= pack_flags(flips.to(torch.int8))
            if not keep_momentum:
                levels.mul_(1 - flips)
            self.momentum.write(start, stop, levels)
        self.momentum.end()

    @property
    def has_rows(self) -> bool:
        """Whether it is a matrix whose rows can be read and learnt one by one: they begin at whole bytes."""
        return len(self.shape) == 2 and self.shape[1] % 8 == 0

    def rows(self, rows: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Some rows of a matrix as a new tensor of -1 and +1, [len(rows), columns]."""
        bits = self.bits.view(self.shape[0], -1).index_select(0, rows)
        return unpack_signs(bits.view(-1), (len(rows), self.shape[1]), dtype)

    def learn_outer(
        self,
        rows: Tensor,
        row_factor: Tensor,
        column_factor: Tensor,
        *,
        rate: float,
        peak: float,
        threshold: float,
        keep_momentum: bool,
    ) -> None:
        """Like `learn`, of a matrix whose gradient is an outer product, as that of one sample is: touches only rows with a gradient.

        Only where it `has_rows` and the momentum rests where gradients are 0.

        Args:
            rows: int64 [k], ascending: where the row factor is not 0.
            row_factor: [k], finite.
            column_factor: [columns], finite.
            rate: 1 - beta.
            peak: largest magnitude in the gradient.
            threshold: >= 0.
            keep_momentum: whether a flip keeps the momentum, or sets it to 0.
        """
        self.momentum.begin(rate, peak)
        limit = self.momentum.in_levels(threshold)
        bits = self.bits.view(self.shape[0], -1)
        rows_at_a_time = max(CPU_CHUNK // self.shape[1], 1)
        for some, factors in zip(
            rows.split(rows_at_a_time), row_factor.split(rows_at_a_time), strict=True
        ):
            levels = self.momentum.moved_rows(some, torch.outer(factors, column_factor))
            old_bits = bits.index_select(0, some)
            flips = _flips(old_bits, levels, limit)
            flipped = pack_flags(flips.view(-1)).view_as(old_bits)
            bits.index_copy_(0, some, old_bits ^ flipped)
            if not keep_momentum:
                levels.mul_(1 - flips)
            self.momentum.write_rows(some, levels)
        self.momentum.end()

    def extend_second_moment(self, time_step: int) -> Tensor:
        """Second moment of a time step, a view float32 []; 0 if the step is seen for the first time."""
        missing = time_step + 1 - len(self.second_moment)
        if missing > 0:
            self.second_moment = torch.cat([self.second_moment, torch.zeros(missing)])
        return self.second_moment[time_step]

    def state_bits(self) -> dict[str, int]:
        """Bits of training state that are really held, by part."""
        return {
            "weight": 8 * self.bits.numel(),
            "momentum": 8 * self.momentum.storage.numel(),
            "second_moment": 32 * self.second_moment.numel(),
        }

    def get_extra_state(self) -> dict[str, Any]:
        """What the state_dict holds beside the buffers."""
        return {"momentum_format": self.momentum_format, "second_moment": self.second_moment}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_extra_state` gave.

        Raises:
            InputError: it was saved in another momentum format.
        """
        if state["momentum_format"] != self.momentum_format:
            raise InputError(
                f"momentum_format={self.momentum_format!r}: the saved state is in {state['momentum_format']!r}"
            )
        self.second_moment = state["second_moment"].clone()

    def extra_repr(self) -> str:
        """Shape and format, for printing."""
        return f"{'x'.join(map(str, self.shape))}, {math.prod(self.shape)} weights, momentum {self.momentum_format}"


def _flips(bits: Tensor, levels: Tensor, limit: float) -> Tensor:
    """Where w * M > limit, as 0 and 1 in the levels' own type and shape."""
    signs = unpack_signs(bits.reshape(-1), levels.shape, levels.dtype)
    # Written in the levels' own type, the comparison is vectorised; to bool it is not.
    return torch.gt(signs.mul_(levels), limit, out=signs)
