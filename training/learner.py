"""A network with the optimisers of its algorithm: it learns batches and classifies."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from flipcore.errors import InputError
from flipcore.training.batch_flips import BatchFlips
from flipcore.training.distributed import world_size
from flipcore.training.flip_schedule import FlipSchedule
from flipcore.training.frames import Frames
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.models import (
    binary_weights,
    float_parameters,
    reset_state,
)
from flipcore.training.optimizers import BSO, TBSO, Bop
from flipcore.training.options import Options
from flipcore.training.packed_weight import PackedWeight
from flipcore.training.recipe import Recipe

FlipOptimizer = BSO | TBSO | Bop | FusedFlips


@dataclass(frozen=True)
class BatchFigures:
    """What a batch gave: mean loss per sample, and how many were classified right before it was learnt."""

    loss: float
    correct: int


class Learner:
    """A network in training.

    Attributes:
        model: one call takes one time step and returns its outputs, float [batch, classes].
        flips: optimiser of the weights that flip; None for latent and full-precision weights.
        floats: optimiser of all other parameters; None where there are none.
    """

    def __init__(
        self,
        recipe: Recipe,
        options: Options,
        model: nn.Module,
        device: torch.device,
        epochs: int,
    ) -> None:
        """Bring the model onto the device and make its optimisers."""
        self.recipe = recipe
        self.options = options
        self.device = device
        self.model = model.to(device)
        self.flips = _flip_optimizer(recipe, options, self.model)
        self._logit_scale = recipe.logit_scale * getattr(model, "logit_scale", 1.0)
        self._is_temporal = recipe.tbso.temporal
        parameters = float_parameters(self.model)
        if self.flips is None:
            parameters = [*parameters, *binary_weights(self.model)]
        self.floats = _float_optimizer(recipe, options, parameters) if parameters else None
        self._names = [name for name, _ in parameters]
        self._parameters = [parameter for _, parameter in parameters]
        # FusedFlips has learnt in the backward pass already.
        self._steppers = [one for one in self.optimizers() if type(one) is not FusedFlips]
        self.schedules = _schedules(recipe, options, self.flips, self.floats, epochs)
        self._network = _on_all_processes(self.model)

    def learn(self, frames: Frames, labels: Tensor, steps: int) -> BatchFigures:
        """Learn one batch.

        Args:
            frames: one input per time step.
            labels: int64 [batch].
            steps: how many frames there are.

        Raises:
            InputError: a gradient is not finite; names the layer and the time step.
        """
        self.model.train()
        reset_state(self.model)
        if self.options.algorithm.online:
            losses, total = self._learn_online(frames, labels, steps)
        else:
            losses, total = self._learn_through_time(frames, labels, steps)
        correct = int((total.argmax(1) == labels).sum())
        return BatchFigures(float(losses), correct)

    def _learn_online(self, frames: Frames, labels: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        total, losses = torch.zeros(()), torch.zeros(())
        for step, frame in enumerate(frames):
            if self.flips is not None and self._is_temporal:
                self.flips.time_step = step
            outputs = self._forward(frame)
            loss = self._loss(outputs, labels) / steps
            self._backward(loss, step)
            if self.options.algorithm.update_each_step:
                self._update(step)
            total, losses = total + outputs.detach(), losses + loss.detach()
        if not self.options.algorithm.update_each_step:
            self._update(steps - 1)
        return losses, total

    def _learn_through_time(
        self, frames: Frames, labels: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        outputs = [self._forward(frame) for frame in frames]
        loss = torch.stack([self._loss(one, labels) for one in outputs]).mean()
        self._backward(loss, steps - 1)
        self._update(steps - 1)
        return loss.detach(), torch.stack([one.detach() for one in outputs]).sum(0)

    def _forward(self, frame: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.amp):
            outputs: Tensor = self._network(frame)
        return outputs.float()

    def _loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of one time step (Liang et al. 2025): cross-entropy and squared error to the one-hot label."""
        outputs = outputs * self._logit_scale
        share = self.recipe.mse_share
        target = one_hot(labels, outputs.shape[1]).float()
        return (1 - share) * cross_entropy(outputs, labels) + share * mse_loss(outputs, target)

    def _backward(self, loss: Tensor, step: int) -> None:
        with _at(step):
            loss.backward()

    def _update(self, step: int) -> None:
        self._check_gradients(step)
        with _at(step):
            for optimizer in self._steppers:
                optimizer.step()
                optimizer.zero_grad()

    def _check_gradients(self, step: int) -> None:
        """Refuse gradients that are not finite before any weight has seen them."""
        pairs = [
            (name, parameter.grad)
            for name, parameter in zip(self._names, self._parameters, strict=True)
            if parameter.grad is not None
        ]
        if not pairs:
            return
        norms = torch.stack(torch._foreach_norm([gradient for _, gradient in pairs]))
        finite = torch.isfinite(norms)
        if not bool(finite.all()):
            name = pairs[int((~finite).nonzero()[0])][0]
            raise InputError(f"time step {step}: gradient of {name}: is not finite")

    @torch.no_grad()
    def classify(self, frames: Frames) -> Tensor:
        """The classes, int64 [batch]: largest sum of the outputs over all steps, the lowest at a tie."""
        self.model.eval()
        reset_state(self.model)
        total = torch.zeros(())
        for frame in frames:
            total = total + self._forward(frame)
        reset_state(self.model)
        return total.argmax(1)

    def state_tensors(self) -> list[Tensor]:
        """All tensors that live from batch to batch: weights, statistics, optimiser state."""
        kept: list[Tensor] = [*self.model.parameters(), *self.model.buffers()]
        for optimizer in self.optimizers():
            kept += [
                value
                for state in optimizer.state.values()
                for value in state.values()
                if isinstance(value, Tensor)
            ]
        return kept

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimisers that there are."""
        return [one for one in (self.flips, self.floats) if one is not None]

    def end_epoch(self) -> None:
        """Move the schedules on."""
        if isinstance(self.flips, FusedFlips):
            self.flips.step()  # schedulers ask for a step before theirs
        for schedule in self.schedules:
            schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later `load_state_dict` needs to go on bit for bit."""
        return {
            "model": self.model.state_dict(),
            "flips": None if self.flips is None else self.flips.state_dict(),
            "floats": None if self.floats is None else self.floats.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            InputError: it is of another network or algorithm.
        """
        try:
            self.model.load_state_dict(state["model"])
            for optimizer, saved in ((self.flips, state["flips"]), (self.floats, state["floats"])):
                if optimizer is not None:
                    optimizer.load_state_dict(saved)
            for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
                schedule.load_state_dict(saved)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"checkpoint: of another network or algorithm: {reason[:200]}"
            ) from None


@contextmanager
def _at(step: int) -> Iterator[None]:
    """Errors say in which time step they happened."""
    try:
        yield
    except InputError as error:
        raise InputError(f"time step {step}: {error}") from None


def _flip_optimizer(recipe: Recipe, options: Options, model: nn.Module) -> FlipOptimizer | None:
    if not options.algorithm.flips:
        return None
    rule = options.algorithm.updates
    settings = recipe.flips(rule)
    weights = binary_weights(model)
    if options.packed:
        packed = [(name, weight) for name, weight in weights if isinstance(weight, PackedWeight)]
        optimizer = FusedFlips if options.algorithm.update_each_step else BatchFlips
        return optimizer(
            packed,
            rule=rule,
            lr=settings.rate,
            gamma=settings.gamma,
            square_rate=settings.square_rate,
            momentum_at_flip=settings.momentum_at_flip,
        )
    if rule == "bop":
        return Bop(weights, lr=settings.rate, gamma=settings.gamma)
    if rule == "bso":
        return BSO(
            weights,
            lr=settings.rate,
            gamma=settings.gamma,
            momentum_at_flip=settings.momentum_at_flip,
        )
    return TBSO(
        weights,
        lr=settings.rate,
        gamma=settings.gamma,
        square_rate=settings.square_rate,
        momentum_at_flip=settings.momentum_at_flip,
    )


def _float_optimizer(
    recipe: Recipe, options: Options, parameters: Iterable[tuple[str, nn.Parameter]]
) -> torch.optim.Optimizer:
    if options.algorithm.updates == "adam":
        return torch.optim.Adam(parameters, lr=recipe.adam)
    return torch.optim.SGD(parameters, lr=recipe.sgd)


def _schedules(
    recipe: Recipe,
    options: Options,
    flips: FlipOptimizer | None,
    floats: torch.optim.Optimizer | None,
    epochs: int,
) -> list[LRScheduler]:
    schedules: list[LRScheduler] = []
    if flips is not None:
        settings = recipe.flips(options.algorithm.updates)
        schedules.append(
            FlipSchedule(
                flips,
                every_epochs=settings.decay_epochs,
                factor=settings.decay_factor,
                gamma_factor=settings.gamma_decay_factor,
            )
        )
    if floats is not None:
        schedules.append(CosineAnnealingLR(floats, T_max=max(epochs, 1)))
    return schedules


def _on_all_processes(model: nn.Module) -> nn.Module:
    """Average gradients over processes, but for weights that learn in the backward pass and do that themselves."""
    if world_size() == 1:
        return model
    anchors = [name for name, parameter in model.named_parameters() if not parameter.numel()]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, anchors)
    if len(anchors) == len(list(model.named_parameters())):
        return model
    return DistributedDataParallel(model, forward_sync_buffers=False)
