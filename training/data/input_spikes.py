"""The chip's own coding of pixels as spikes, in PyTorch."""

import torch

from flipcore import numerics


def input_spikes(pixels: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Code pixels as sigma-delta spikes (N2), the very ones that the simulator and the chip see.

    Args:
        pixels: uint8 [b, ...]; all that follows the first dimension is flattened to axons.
        num_steps: steps of the network.

    Returns:
        uint8 [num_steps, b, axons], 0 or 1, on the pixels' device.
    """
    increments = pixels.flatten(1).to(torch.int16)  # sums stay below 512
    spikes = torch.empty((num_steps, *increments.shape), dtype=torch.uint8, device=pixels.device)
    level = torch.full_like(increments, numerics.INPUT_START)
    for step in range(num_steps):
        raised = level + increments
        fired = numerics.fires(raised, numerics.INPUT_THRESHOLD)
        level = numerics.reset_potential(raised, fired, numerics.INPUT_THRESHOLD, subtract=1)
        spikes[step] = fired
    return spikes
