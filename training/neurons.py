"""Leaky integrate-and-fire neurons with presynaptic traces of their spikes."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training.signal import Signal
from flipcore.training.step_state import StepState
from flipcore.training.surrogate import Surrogate

TraceRule = Literal["ottt", "ndot", "sltt"]
Reset = Literal["soft", "hard"]

TRACE_RULES = ("ottt", "ndot", "sltt")


class LIF(StepState):
    """Leaky integrate-and-fire neurons, one time step per call; `leak` 1 leaves out the leak.

    u[t] = leak * r[t-1] + I[t]; s[t] = [u[t] >= threshold]; and what is left after the spike is
    r[t] = u[t] - threshold * s[t] (soft) or u[t] * (1 - s[t]) (hard). r = 0 before the first step.

    Trace a[t] of the spikes, a = 0 before the first step:
    ottt: a[t] = leak * a[t-1] + s[t] (Xiao et al. 2022);
    ndot: a[t] = mu[t] * a[t-1] + s[t], mu[t] = r[t] / r[t-1] per neuron, clamped to -leak ... leak, and
    leak where r[t-1] = 0 (the rule of Liang et al.'s released code);
    sltt: a[t] = s[t] (Meng et al. 2023).

    Args:
        threshold: above 0.
        leak: factor that the potential keeps per step, 0 ... 1.
        reset: `soft` subtracts the threshold, `hard` sets the potential to 0.
        surrogate: derivative of the spike.
        trace: rule of the trace; None for none.
        online: cut the graph between time steps, so that memory does not grow with their number; otherwise
            gradients go back through potential and reset (back-propagation through time), without traces.

    Raises:
        InputError: a value is outside its range, or a trace is asked for without `online`.
    """

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        leak: float = 0.5,
        reset: Reset = "soft",
        surrogate: Surrogate | None = None,
        trace: TraceRule | None = "ottt",
        online: bool = True,
    ) -> None:
        """Make neurons without state."""
        super().__init__()
        if not 0 < threshold < float("inf"):
            raise InputError(f"threshold={threshold}: must be a number above 0")
        check_leak(leak)
        if reset not in ("soft", "hard"):
            raise InputError(f"reset={reset}: must be soft or hard")
        check_trace(trace)
        if trace is not None and not online:
            raise InputError(
                f"trace={trace}: back-propagation through time (online=False) has none"
            )
        self.threshold = threshold
        self.leak = leak
        self.reset = reset
        self.surrogate = surrogate if surrogate is not None else Surrogate()
        self.trace = trace
        self.online = online
        self._rest: Tensor | None = None
        self._trace: Tensor | None = None

    def forward(self, current: Tensor) -> Signal:
        """Take one time step.

        Args:
            current: input current, float [batch, ...].

        Returns:
            Spikes of the shape of `current`; their trace only where gradients are enabled.

        Raises:
            InputError: the batch has another shape than in the step before.
        """
        if self._rest is None:
            potential = current
        else:
            if self._rest.shape != current.shape:
                raise InputError(
                    f"a step of shape {list(current.shape)} after one of {list(self._rest.shape)}: reset_state between samples"
                )
            potential = torch.add(current, self._rest, alpha=self.leak)
        spikes: Tensor = self.surrogate.spikes(potential, self.threshold)
        if self.online:
            rest = self._after_reset(potential.detach(), spikes.detach())
        else:
            rest = self._after_reset(potential, spikes)
        trace = self._next_trace(spikes.detach(), rest) if torch.is_grad_enabled() else None
        self._rest = rest
        return Signal(spikes, trace)

    def _after_reset(self, potential: Tensor, spikes: Tensor) -> Tensor:
        if self.reset == "soft":
            return torch.sub(potential, spikes, alpha=self.threshold)
        return torch.addcmul(potential, potential, spikes, value=-1)

    def _next_trace(self, spikes: Tensor, rest: Tensor) -> Tensor | None:
        if self.trace is None or self.trace == "sltt":
            return None if self.trace is None else spikes
        if self._trace is None or self._rest is None:
            self._trace = spikes
        elif self.trace == "ottt":
            self._trace = torch.add(spikes, self._trace, alpha=self.leak)
        else:
            self._trace = torch.addcmul(spikes, self._ratio(rest, self._rest), self._trace)
        return self._trace

    def _ratio(self, rest: Tensor, rest_before: Tensor) -> Tensor:
        """NDOT's mu[t]; without input r[t] = leak * r[t-1], hence leak where the quotient has no value."""
        quotient = (rest / rest_before).nan_to_num_(self.leak, self.leak, self.leak)
        return quotient.clamp_(-self.leak, self.leak)

    def reset_state(self) -> None:
        """Set potentials and traces to 0."""
        self._rest = None
        self._trace = None

    def state_tensors(self) -> Mapping[str, Tensor]:
        """`potential`: r of the last step; `trace`: a of the last step."""
        named = {"potential": self._rest, "trace": self._trace}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def extra_repr(self) -> str:
        """The parameters, for print(model)."""
        return (
            f"threshold={self.threshold}, leak={self.leak}, reset={self.reset}, "
            f"trace={self.trace}, online={self.online}"
        )


class InputTrace(StepState):
    """Trace of a network's input: that of `LIF`, where NDOT's mu is the leak, as an input has no potential.

    Args:
        leak: factor that the trace keeps per step, 0 ... 1.
        trace: rule of the trace; None for none.

    Raises:
        InputError: a value is outside its range.
    """

    def __init__(self, *, leak: float = 0.5, trace: TraceRule | None = "ottt") -> None:
        """Begin without a trace."""
        super().__init__()
        check_leak(leak)
        check_trace(trace)
        self.leak = leak
        self.trace = trace
        self._trace: Tensor | None = None

    def forward(self, inputs: Tensor) -> Signal:
        """Add one step's input, float [batch, ...], to its trace."""
        if self.trace is None or not torch.is_grad_enabled():
            return Signal(inputs, None)
        inputs_alone = inputs.detach()
        if self.trace == "sltt":
            return Signal(inputs, inputs_alone)
        if self._trace is None:
            self._trace = inputs_alone
        else:
            self._trace = torch.add(inputs_alone, self._trace, alpha=self.leak)
        return Signal(inputs, self._trace)

    def reset_state(self) -> None:
        """Set the trace to 0."""
        self._trace = None

    def state_tensors(self) -> Mapping[str, Tensor]:
        """`trace`: a of the last step."""
        return {} if self._trace is None else {"trace": self._trace}


def check_leak(leak: float) -> None:
    """Refuse a leak factor outside 0 ... 1."""
    if not 0 <= leak <= 1:
        raise InputError(f"leak={leak}: must be in 0 ... 1")


def check_trace(trace: str | None) -> None:
    """Refuse an unknown rule of the trace."""
    if trace is not None and trace not in TRACE_RULES:
        raise InputError(f"trace={trace}: must be one of {', '.join(TRACE_RULES)}, or none")
