"""The peer of the training benchmark: VGG-11 of the paper in SpikingJelly, learnt online with its own OTTT neurons and SGD."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

CHANNELS = (64, 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512)


class OnlineVgg11:
    """Float weights; one update per time step, as OTTT allows (Xiao et al. 2022)."""

    def __init__(self, classes: int) -> None:
        """Build the network with random weights."""
        modules: list[nn.Module] = []
        width = 3
        for entry in CHANNELS:
            if entry == "pool":
                modules.append(nn.AvgPool2d(2))
                continue
            modules += [
                nn.Conv2d(width, int(entry), 3, padding=1, bias=False),
                nn.BatchNorm2d(int(entry)),
                neuron.OTTTLIFNode(
                    tau=2.0, surrogate_function=surrogate.Sigmoid(4.0), detach_reset=True
                ),
            ]
            width = int(entry)
        modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
        self.model = layer.OTTTSequential(*modules)
        functional.set_step_mode(self.model, "s")
        self.model.train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def learn(self, images: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
        """Learn a batch, float [batch, 3, 32, 32], for this many time steps."""
        functional.reset_net(self.model)
        for _ in range(steps):
            self.optimizer.zero_grad()
            output = self.model(images)
            output = output[0] if isinstance(output, list) else output
            loss = nn.functional.cross_entropy(output, labels) / steps
            loss.backward()
            self.optimizer.step()
