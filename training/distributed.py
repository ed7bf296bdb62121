"""One training on several processes, as `torchrun` starts them: who does what, and that all agree."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed

from flipcore.errors import CheckError, InputError

Device = torch.device


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that `torchrun` started; without it there is nothing to join."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 for the one that writes and prints."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def local_device(name: str) -> torch.device:
    """The device of this process: `cpu`, `cuda` (each process its own GPU), or `cuda:N`.

    Raises:
        InputError: torch does not know it, or it is absent.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name}: unknown: write cpu, cuda or cuda:N") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda" or not torch.cuda.is_available():
        raise InputError(f"device {name}: absent: torch finds no such device here; cpu always is")
    index = int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise InputError(
            f"device cuda:{index}: absent: torch finds {torch.cuda.device_count()} of them here"
        )
    return torch.device("cuda", index)


def made_by_first(make: Callable[[], str]) -> str:
    """What process 0 makes, on all processes; none goes on before it is made."""
    if not distributed.is_initialized():
        return make()
    made = [make() if rank() == 0 else ""]
    distributed.broadcast_object_list(made)
    return made[0]


def sum_over_processes(values: list[float], device: torch.device) -> list[float]:
    """Sum figures over all processes."""
    if not distributed.is_initialized():
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def average_over_processes(tensors: Iterable[Tensor]) -> None:
    """Replace floating tensors by their means over all processes."""
    if not distributed.is_initialized():
        return
    for tensor in tensors:
        distributed.all_reduce(tensor)
        tensor /= world_size()


def check_agreement(tensors: dict[str, Tensor]) -> None:
    """Make sure that all processes hold the same bits.

    Raises:
        CheckError: names the first tensor that differs from that of process 0.
    """
    if not distributed.is_initialized():
        return
    mine = {name: _digest(tensor) for name, tensor in tensors.items()}
    everyone: list[dict[str, str] | None] = [None] * world_size()
    distributed.all_gather_object(everyone, mine)
    for process, theirs in enumerate(everyone):
        for name, digest in mine.items():
            if theirs is None or theirs[name] != digest:
                raise CheckError(f"{name}: processes {rank()} and {process} hold different weights")


def _digest(tensor: Tensor) -> str:
    raw = tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()
