"""BSO, T-BSO and Bop as ordinary optimisers of dense parameters of -1 and +1.

A thin class over the rules of `flip_rules`. The learning rate `lr` is the rate 1 - beta of the momentum, so that any scheduler of torch anneals it.
The parameters stay float32 and exactly -1 or +1; `PackedWeight` and `FusedFlips` are the form that saves memory.

Under torch.compile, the checks and the bookkeeping run as they are and the arithmetic is compiled; nothing recompiles from one time step to the next.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training.flip_rules import (
    bso_step_,
    check_settings,
    mean_square,
    refuse_wild_gradient,
    tbso_step_,
)
from flipcore.training.packing import refuse_other_than_signs

# What torch.optim takes: tensors, (name, tensor) pairs, or dictionaries of group settings.
Parameters = Iterable[Any]


class _Batch(NamedTuple):
    """Tensors of one parameter group that have a gradient, and the group's settings."""

    weights: list[Tensor]
    momenta: list[Tensor]
    second_moments: list[Tensor]  # of the time step at hand, []; none without T-BSO
    gradients: list[Tensor]
    rate: float | Tensor
    gamma: float
    square_rate: float
    epsilon: float
    keep_momentum: bool
    foreach: bool


class FlipOptimizer(torch.optim.Optimizer):
    """What the three optimisers share: checks, state, and the choice between one tensor at a time and all at once.

    Attributes:
        time_step: which of T-BSO's second moments is meant; set by the trainer before each step.
    """

    time_step = 0
    adapts = False  # whether the threshold follows a second moment

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as torch.optim does.

        Raises:
            InputError: a setting is out of range, or a parameter is not float32 or not made of -1 and +1.
        """
        super().add_param_group(param_group)
        number = len(self.param_groups) - 1
        group = self.param_groups[number]
        try:
            check_settings(group, f"group {number}, ")
            for index, param in enumerate(group["params"]):
                name = _name(group, number, index)
                if param.dtype != torch.float32:
                    raise InputError(f"{name}: dtype {param.dtype}; a binary weight is float32")
                refuse_other_than_signs(param, name)
        except InputError:
            self.param_groups.pop()
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move each momentum by its parameter's gradient and flip; return the closure's loss, if one is given.

        Raises:
            InputError: a gradient is sparse or not finite; then nothing has changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for batch in self._batches():
            if batch.foreach:
                _step_foreach(batch)
            else:
                _step_each(batch)
        return loss

    @torch.compiler.disable
    def _batches(self) -> list[_Batch]:
        """What this step updates, group by group; states are made when a parameter first has a gradient."""
        self._refuse_bad_gradients()
        return [self._batch(group) for group in self.param_groups]

    def _batch(self, group: dict[str, Any]) -> _Batch:
        weights = [param for param in group["params"] if param.grad is not None]
        foreach = group["foreach"]
        if foreach is None:
            foreach = all(weight.is_cuda for weight in weights)
        return _Batch(
            weights=weights,
            momenta=[self._momentum(weight) for weight in weights],
            second_moments=[self._second_moment(weight) for weight in weights if self.adapts],
            gradients=[weight.grad for weight in weights],
            rate=group["lr"],
            gamma=group["gamma"],
            square_rate=group.get("square_rate", 0.0),
            epsilon=group.get("epsilon", 0.0),
            keep_momentum=group["momentum_at_flip"] == "keep",
            foreach=foreach and bool(weights),
        )

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"]
        return momentum

    def _second_moment(self, weight: Tensor) -> Tensor:
        """Second moment of the time step, a view [] of the state's [time steps seen]."""
        state = self.state[weight]
        seen = state.get("second_moment", weight.new_zeros(0))
        if self.time_step >= len(seen):
            seen = torch.cat([seen, weight.new_zeros(self.time_step + 1 - len(seen))])
        state["second_moment"] = seen
        return seen[self.time_step]

    def _refuse_bad_gradients(self) -> None:
        names, peaks = [], []
        for number, group in enumerate(self.param_groups):
            for index, param in enumerate(group["params"]):
                if param.grad is None or param.numel() == 0:
                    continue
                names.append(_name(group, number, index))
                if param.grad.layout != torch.strided:
                    raise InputError(f"{names[-1]}, gradient: sparse; it must be dense")
                peaks.append(torch.stack(torch.aminmax(param.grad)).abs().max())
        if not peaks:
            return
        # One transfer from the device for all parameters.
        on_device = torch.stack([peak.to(peaks[0].device) for peak in peaks])
        for name, peak in zip(names, on_device.tolist(), strict=True):
            refuse_wild_gradient(peak, name)


class BSO(FlipOptimizer):
    """BSO (Liang et al., ICML 2025): flip where w * M > gamma, with M the moving average of the gradient."""

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        gamma: float = 5e-7,
        momentum_at_flip: str = "keep",
        foreach: bool | None = None,
    ) -> None:
        """Optimise these parameters; the defaults are the published ones.

        Args:
            params: float32 tensors of -1 and +1, (name, tensor) pairs, or groups of them.
            lr: the rate 1 - beta, 0 ... 1; a tensor [] spares torch.compile a recompilation when a scheduler changes it.
            gamma: flip threshold, >= 0.
            momentum_at_flip: "keep", as published, or "reset" to 0, as in the released code's branch.
            foreach: all tensors of a group at once, with the same result; by default on CUDA only.

        Raises:
            InputError: a setting is out of range, or a parameter is not float32 or not made of -1 and +1.
        """
        settings = {"lr": lr, "gamma": gamma, "momentum_at_flip": momentum_at_flip}
        super().__init__(params, {**settings, "foreach": foreach})


class TBSO(FlipOptimizer):
    """T-BSO (Liang et al., ICML 2025): BSO whose threshold follows the gradient's root mean square in each time step.

    The state holds one momentum per weight, shared by all time steps, and one second moment per time step.
    """

    adapts = True

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        gamma: float = 5e-7,
        square_rate: float = 1e-5,
        epsilon: float = 1e-20,
        momentum_at_flip: str = "keep",
        foreach: bool | None = None,
    ) -> None:
        """Optimise these parameters; the defaults are the published ones.

        Args:
            params: as for BSO.
            lr: the rate 1 - beta1, as for BSO.
            gamma: flip threshold relative to the root of the second moment, >= 0.
            square_rate: 1 - beta2, 0 ... 1.
            epsilon: added to the second moment, >= 0; the released code adds 1e-10 to the root instead.
            momentum_at_flip: as for BSO.
            foreach: as for BSO.

        Raises:
            InputError: as for BSO.
        """
        settings = {"lr": lr, "gamma": gamma, "momentum_at_flip": momentum_at_flip}
        second = {"square_rate": square_rate, "epsilon": epsilon}
        super().__init__(params, {**settings, **second, "foreach": foreach})


class Bop(FlipOptimizer):
    """Bop (Helwegen et al., NeurIPS 2019): BSO's rule, meant for one step per batch; the momentum is kept at a flip."""

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 1e-4,
        gamma: float = 1e-8,
        foreach: bool | None = None,
    ) -> None:
        """Optimise these parameters; the defaults are the published ones.

        Args:
            params: as for BSO.
            lr: the paper's adaptivity rate gamma, 0 ... 1.
            gamma: the paper's threshold tau, >= 0.
            foreach: as for BSO.

        Raises:
            InputError: as for BSO.
        """
        settings = {"lr": lr, "gamma": gamma, "momentum_at_flip": "keep"}
        super().__init__(params, {**settings, "foreach": foreach})


def _step_each(batch: _Batch) -> None:
    for index, (weight, momentum, gradient) in enumerate(
        zip(batch.weights, batch.momenta, batch.gradients, strict=True)
    ):
        if batch.second_moments:
            tbso_step_(
                weight,
                momentum,
                batch.second_moments[index],
                gradient,
                rate=batch.rate,
                square_rate=batch.square_rate,
                gamma=batch.gamma,
                epsilon=batch.epsilon,
                keep_momentum=batch.keep_momentum,
            )
        else:
            bso_step_(
                weight,
                momentum,
                gradient,
                rate=batch.rate,
                gamma=batch.gamma,
                keep_momentum=batch.keep_momentum,
            )


def _step_foreach(batch: _Batch) -> None:
    """The same operations with the same roundings as `_step_each`, one launch for all tensors."""
    _average_foreach(batch.momenta, batch.gradients, batch.rate)
    excesses = torch._foreach_mul(batch.weights, batch.momenta)
    # x - y is above 0 exactly where x > y, as subnormal numbers are kept.
    if batch.second_moments:
        squares = [mean_square(gradient) for gradient in batch.gradients]
        _average_foreach(batch.second_moments, squares, batch.square_rate)
        thresholds = torch._foreach_add(batch.second_moments, batch.epsilon)
        torch._foreach_sqrt_(thresholds)
        torch._foreach_mul_(thresholds, batch.gamma)
        torch._foreach_sub_(excesses, thresholds)
    else:
        torch._foreach_sub_(excesses, batch.gamma)
    flips = torch._foreach_sign(excesses)
    torch._foreach_clamp_min_(flips, 0.0)
    if not batch.keep_momentum:
        kept = torch._foreach_neg(flips)
        torch._foreach_add_(kept, 1.0)
        torch._foreach_mul_(batch.momenta, kept)
    torch._foreach_mul_(flips, -2.0)
    torch._foreach_add_(flips, 1.0)
    torch._foreach_mul_(batch.weights, flips)


def _average_foreach(averages: list[Tensor], values: list[Tensor], rate: float | Tensor) -> None:
    torch._foreach_mul_(averages, 1 - rate)
    torch._foreach_add_(averages, torch._foreach_mul(values, rate))


def _name(group: dict[str, Any], number: int, index: int) -> str:
    """How messages call a parameter."""
    if "param_names" in group:
        return f"parameter {group['param_names'][index]}"
    return f"group {number}, parameter {index}"
