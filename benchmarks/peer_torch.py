"""The peer of the speed benchmark: batch-1 online BSO and spiking inference in PyTorch, written by hand without autograd."""

import torch

LEAK = 0.5
THRESHOLD = 1.0


class OnlineBso:
    """784-512-10 style network: OTTT traces, rectangle surrogate, an update after every time step (Liang et al. 2025, BSO)."""

    def __init__(self, sizes: tuple[int, int, int], seed: int, step: float, flip: float) -> None:
        """Draw weights of -1 and +1; `step` is 1 - beta, `flip` is gamma."""
        generator = torch.Generator().manual_seed(seed)
        inputs, hidden, classes = sizes
        self.weights = [
            torch.randint(0, 2, shape, generator=generator).float() * 2 - 1
            for shape in ((hidden, inputs), (classes, hidden))
        ]
        self.momentum = [torch.zeros_like(weight) for weight in self.weights]
        self.scale = inputs**-0.5
        self.step = step
        self.flip = flip

    @torch.no_grad()
    def learn(self, spikes: torch.Tensor, label: int) -> int:
        """Learn one sample, spikes float [steps, inputs]; returns its prediction."""
        hidden, output = self.weights
        potential = torch.zeros(len(hidden))
        input_trace = torch.zeros(spikes.shape[1])
        hidden_trace = torch.zeros(len(hidden))
        total = torch.zeros(len(output))
        for now in spikes:
            potential.mul_(LEAK).addmv_(hidden, now, alpha=self.scale)
            window = ((potential - THRESHOLD).abs() < THRESHOLD).float()
            fired = (potential >= THRESHOLD).float()
            potential.sub_(fired, alpha=THRESHOLD)
            input_trace.mul_(LEAK).add_(now)
            hidden_trace.mul_(LEAK).add_(fired)
            out = output @ fired
            total.add_(out)
            error = torch.softmax(out * self.scale, 0)
            error[label] -= 1
            below = (output.t() @ error).mul_(window)
            for k, (delta, trace) in enumerate(((below, input_trace), (error, hidden_trace))):
                momentum, weight = self.momentum[k], self.weights[k]
                momentum.mul_(1 - self.step).addr_(delta, trace, alpha=self.step)
                weight[weight * momentum > self.flip] *= -1
        return int(total.argmax())


@torch.no_grad()
def infer(weights: list[torch.Tensor], spikes: torch.Tensor, threshold: float) -> int:
    """Classify one sample with integrate-and-fire neurons, weights [axons, neurons], spikes float [steps, axons]."""
    hidden, output = weights
    potential = torch.zeros(hidden.shape[1])
    total = torch.zeros(output.shape[1])
    for now in spikes:
        potential.add_(now @ hidden)
        fired = (potential >= threshold).float()
        potential.sub_(fired, alpha=threshold)
        total.add_(fired @ output)
    return int(total.argmax())
