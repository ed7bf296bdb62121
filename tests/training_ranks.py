"""What each process of a distributed test does: learn packed weights from gradients of its own."""

from pathlib import Path

import torch
from torch import distributed

from flipcore.training.fused_flips import FusedFlips
from flipcore.training.packed_weight import PackedWeight

SHAPE = (6, 5)
STEPS = 20


def gradients(rank: int) -> torch.Tensor:
    """The gradients of a rank, float32 [steps, *shape]."""
    return torch.randn(STEPS, *SHAPE, generator=torch.Generator().manual_seed(100 + rank))


def packed(momentum_format: str) -> PackedWeight:
    """The weight that all ranks start from."""
    return PackedWeight(torch.ones(SHAPE), momentum_format, seed=7)


def learn(rank: int, num_ranks: int, folder: Path, formats: tuple[str, ...]) -> None:
    """Learn one weight in each format, and leave their states in a file of the folder."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=num_ranks
    )
    weights = {name: packed(name) for name in formats}
    learner = FusedFlips(weights.items(), rule="tbso", lr=0.1, gamma=0.01)
    for gradient in gradients(rank):
        for weight in weights.values():
            learner.learn(weight, gradient.clone())
    states = {name: weight.state_dict() for name, weight in weights.items()}
    torch.save(states, folder / f"rank{rank}.pt")
    distributed.destroy_process_group()
