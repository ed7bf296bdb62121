"""Flip optimiser over packed weights: each layer learns within its own backward pass, so no gradient outlives it."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, distributed

from flipcore.errors import InputError
from flipcore.training.flip_rules import (
    adaptive_threshold,
    average_square_,
    check_settings,
    mean_square,
    refuse_wild_gradient,
)
from flipcore.training.packed_weight import PackedWeight

RULES = ("bso", "tbso", "bop")


class FusedFlips(torch.optim.Optimizer):
    """BSO, T-BSO or Bop (flip_rules) on packed weights, applied gradient by gradient as backward reaches each layer.

    The parameters are the weights' anchors; schedulers of `lr`, which is the rate 1 - beta, and `FlipSchedule` work as on the dense optimisers.
    The state is in the weights and saved with the model; the state_dict here holds the settings.
    A gradient that a GradScaler has scaled cannot be unscaled in time: train in bfloat16 or float32, which need no scaler.

    Under an initialised process group of several ranks, each gradient is averaged over the ranks before the flips. Weights made with the same seeds then flip alike on all of them.

    Attributes:
        time_step: which of T-BSO's second moments is meant; set by the trainer before each backward pass.
    """

    def __init__(
        self,
        weights: Iterable[tuple[str, PackedWeight]],
        rule: str = "tbso",
        lr: float = 1e-3,
        gamma: float = 5e-7,
        square_rate: float = 1e-5,
        epsilon: float = 1e-20,
        momentum_at_flip: str = "keep",
    ) -> None:
        """Become the learner of these weights.

        Args:
            weights: (name, weight) pairs.
            rule: one of RULES.
            lr: the rate, 0 < lr <= 1.
            gamma: flip threshold, >= 0; T-BSO's is relative to the root mean square of the gradients.
            square_rate: T-BSO's 1 - beta2, 0 < square_rate <= 1.
            epsilon: what T-BSO adds to the second moment, >= 0.
            momentum_at_flip: "keep" or "reset"; Bop always keeps.

        Raises:
            InputError: a setting is out of range, or no weights are given.
        """
        if rule not in RULES:
            raise InputError(f"rule={rule!r}: must be one of {', '.join(RULES)}")
        self.rule = rule
        self.time_step = 0
        self.names = {weight: name for name, weight in weights}
        if not self.names:
            raise InputError("weights: there are none")
        defaults = {
            "lr": lr,
            "gamma": gamma,
            "square_rate": square_rate,
            "epsilon": epsilon,
            "momentum_at_flip": momentum_at_flip,
        }
        check_settings(defaults, "")
        super().__init__([(name, weight.anchor) for weight, name in self.names.items()], defaults)
        for weight in self.names:
            weight.learner = self

    @torch.no_grad()
    def learn(self, weight: PackedWeight, gradient: Tensor) -> None:
        """Take one step of the rule on one weight; the gradient, of the weight's shape, may be changed.

        Raises:
            InputError: the weight is not one of this optimiser's, or its gradient has another shape, is not finite or beyond 2**63.
        """
        name = self._name(weight)
        if tuple(gradient.shape) != weight.shape:
            raise InputError(
                f"layer {name}, gradient: shape {tuple(gradient.shape)} for a weight of {weight.shape}"
            )
        if _num_ranks() > 1:
            gradient = gradient.contiguous()
            distributed.all_reduce(gradient)
            gradient /= _num_ranks()
        peak = float(torch.stack(torch.aminmax(gradient)).abs().max())
        refuse_wild_gradient(peak, f"layer {name}")
        weight.learn(
            gradient,
            rate=float(self.param_groups[0]["lr"]),
            peak=peak,
            threshold=self._threshold(weight, lambda: mean_square(gradient).cpu()),
            keep_momentum=self._keeps_momentum(),
        )

    def learns_outer(self, weight: PackedWeight) -> bool:
        """Whether `learn_outer` can serve this weight: alone, as ranks average whole gradients."""
        return weight.learns_rows and _num_ranks() == 1

    @torch.no_grad()
    def learn_outer(self, weight: PackedWeight, row_factor: Tensor, column_factor: Tensor) -> None:
        """Take one step of the rule on a matrix whose gradient is row_factor (outer) column_factor, that of a single sample.

        Rows whose factor is 0 are not touched: the work is that of the rows with a trace, as on the chip (SPEC O2).

        Args:
            weight: one that `learns_outer`, [rows, columns].
            row_factor: [rows], the presynaptic trace.
            column_factor: [columns], the error.

        Raises:
            InputError: the weight is not one of this optimiser's, or its gradient is not finite or beyond 2**63.
        """
        name = self._name(weight)
        peak = float(row_factor.abs().max() * column_factor.abs().max())
        refuse_wild_gradient(peak, f"layer {name}")
        weight.learn_outer(
            row_factor,
            column_factor,
            rate=float(self.param_groups[0]["lr"]),
            peak=peak,
            threshold=self._threshold(weight, lambda: _mean_square(row_factor, column_factor)),
            keep_momentum=self._keeps_momentum(),
        )

    def _name(self, weight: PackedWeight) -> str:
        if weight not in self.names:
            raise InputError("weight: not one of those that this FusedFlips learns")
        return self.names[weight]

    def _keeps_momentum(self) -> bool:
        return self.rule == "bop" or self.param_groups[0]["momentum_at_flip"] == "keep"

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Evaluate the closure, if given; all weights have learned in the backward pass."""
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    def _threshold(self, weight: PackedWeight, square: Callable[[], Tensor]) -> float:
        """Flip threshold, for T-BSO after moving the second moment of the time step toward the gradient's mean square."""
        group = self.param_groups[0]
        if self.rule != "tbso":
            return float(group["gamma"])
        second_moment = weight.extend_second_moment(self.time_step)
        average_square_(second_moment, square(), group["square_rate"])
        return float(adaptive_threshold(second_moment, group["gamma"], group["epsilon"]))


def _mean_square(row_factor: Tensor, column_factor: Tensor) -> Tensor:
    """Mean square of an outer product, a product of two means (SPEC N14 uses the same), float32 []."""
    return (row_factor.square().mean() * column_factor.square().mean()).cpu()


def _num_ranks() -> int:
    if distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_world_size())
    return 1
