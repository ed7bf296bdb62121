"""A binary weight whose training state is really small: one bit per weight and a momentum of few bits."""

import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.momentum_store import IntegerMomentum, momentum_store
from flipcore.training.packing import pack_flags, pack_signs, unpack_signs
from flipcore.training.row_kernels import SIGNS_OF_BYTE, add_rows, learn_rows

if TYPE_CHECKING:
    from flipcore.training.fused_flips import FusedFlips

PIECE = 1024  # weights that a compiled loop takes at a time


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
        learn_chunk = self._learn_compiled if self._is_compiled else self._learn_tensors
        for start, stop in self.momentum.chunks():
            learn_chunk(start, stop, gradient[start:stop].float(), limit, keep_momentum)
        self.momentum.end()

    def _learn_tensors(
        self, start: int, stop: int, gradient: Tensor, limit: float, keep_momentum: bool
    ) -> None:
        """Learn a chunk with operations of torch, on any device."""
        levels = self.momentum.moved(start, stop, gradient)
        bits = self.bits[start // 8 : (stop + 7) // 8]
        flips = _flips(bits, levels, limit)
        bits ^= pack_flags(flips.to(torch.int8))
        if not keep_momentum:
            levels.mul_(1 - flips)
        self.momentum.write(start, stop, levels)

    def _learn_compiled(
        self, start: int, stop: int, gradient: Tensor, limit: float, keep_momentum: bool
    ) -> None:
        """Learn a chunk, piece by piece while it is in the processor's cache: the same numbers in half the time."""
        assert isinstance(self.momentum, IntegerMomentum)
        if not self.momentum.gain:
            return  # all momentum is 0 and stays it
        noise, offset = self.momentum.draw_noise(stop - start)
        whole = (stop - start) // PIECE * PIECE
        for first, last, size in ((0, whole, PIECE), (whole, stop - start, stop - start - whole)):
            if first < last:
                firsts = np.arange(start + first, start + last, size)
                self._learn_pieces(
                    firsts,
                    np.ones(len(firsts), np.float32),
                    gradient[first:last].view(-1, size).numpy(),
                    noise[first:last],
                    offset,
                    limit,
                    keep_momentum,
                )

    def _learn_pieces(
        self,
        firsts: npt.NDArray[np.int64],
        factors: npt.NDArray[np.float32],
        gradients: npt.NDArray[np.float32],
        noise: Tensor,
        offset: float,
        limit: float,
        keep_momentum: bool,
    ) -> int:
        """Call the loop of row_kernels with the momentum's settings and room to work in; returns its count of saturated levels."""
        momentum = self.momentum
        assert isinstance(momentum, IntegerMomentum)
        columns = gradients.shape[1]
        saturated: int = learn_rows(
            self.bits.numpy(),
            momentum.storage.view(torch.int8).numpy(),
            firsts,
            factors,
            gradients,
            noise.numpy(),
            np.float32(momentum.gain),
            np.float32(offset),
            np.float32(limit),
            np.float32(momentum.limit),
            keep_momentum,
            SIGNS_OF_BYTE,
            np.empty(columns, np.float32),
            np.empty(columns, np.float32),
            np.empty(columns, np.uint8),
        )
        return saturated

    @property
    def _is_compiled(self) -> bool:
        """Whether compiled loops reach the memory and know the format."""
        return self.bits.device.type == "cpu" and self.momentum_format == "int8"

    @property
    def learns_rows(self) -> bool:
        """Whether a single sample's rows can be read and learnt alone: decay lies in the scale, and compiled loops reach the memory."""
        return len(self.shape) == 2 and self._is_compiled

    def weighted_rows(self, factors: Tensor) -> Tensor:
        """Multiply factors [rows] with a matrix [rows, columns] to float32 [columns]; only where it `learns_rows`."""
        rows = factors.nonzero().squeeze(1)
        sums = torch.zeros(self.shape[1])
        used = factors.index_select(0, rows).float()
        add_rows(
            self.bits.numpy(),
            rows.numpy(),
            used.numpy(),
            SIGNS_OF_BYTE,
            np.empty(self.shape[1], np.float32),
            sums.numpy(),
        )
        return sums

    def learn_outer(
        self,
        row_factor: Tensor,
        column_factor: Tensor,
        *,
        rate: float,
        peak: float,
        threshold: float,
        keep_momentum: bool,
    ) -> None:
        """Like `learn`, of a matrix whose gradient is an outer product, as that of one sample is: touches only rows with a gradient.

        Only where it `learns_rows`.

        Args:
            row_factor: [rows], finite.
            column_factor: [columns], finite.
            rate: 1 - beta.
            peak: largest magnitude in the gradient.
            threshold: >= 0.
            keep_momentum: whether a flip keeps the momentum, or sets it to 0.
        """
        momentum = self.momentum
        assert isinstance(momentum, IntegerMomentum)
        momentum.begin(rate, peak)
        rows = row_factor.nonzero().squeeze(1)
        used = row_factor.index_select(0, rows).float()
        noise, offset = momentum.draw_noise(len(rows) * self.shape[1])
        saturated = self._learn_pieces(
            (rows * self.shape[1]).numpy(),
            used.numpy(),
            column_factor.float().numpy()[None],
            noise,
            offset,
            momentum.in_levels(threshold),
            keep_momentum,
        )
        momentum.relieve(saturated, noise.numel())

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
