"""Exact count of the bytes that tensors hold while a piece of code runs."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """Context in which every tensor made or used is followed until its memory is freed.

    On the CPU, an exact count: each storage that an operation returns or takes counts once, with all of its
    bytes, from then until nothing refers to it; views add nothing. Memory that an operation takes and frees
    inside itself is not seen. On CUDA the peak is that of torch's allocator, which sees those too.

    Args:
        existing: tensors that count from the start (a model's parameters); others that exist
            already count from the first operation that takes them.
        device: whose memory is counted.
    """

    def __init__(self, existing: Iterable[Tensor] = (), device: str | torch.device = "cpu") -> None:
        """Count the existing tensors."""
        super().__init__()
        self.device = torch.device(device)
        self.bytes_now = 0
        self._peak_bytes = 0
        self._sizes: dict[int, int] = {}
        self._references: dict[int, weakref.ref[Any]] = {}
        for tensor in existing:
            self._follow(tensor)

    def __enter__(self) -> "LiveTensors":
        """Begin to count."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        super().__enter__()
        return self

    def peak_bytes(self) -> int:
        """Largest number of bytes held at once since the start or the last reset_peak."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return self._peak_bytes

    def reset_peak(self) -> None:
        """Let the peak begin again at what is held now."""
        self._peak_bytes = self.bytes_now
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one operation and follow what it takes and returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            if isinstance(leaf, Tensor):
                self._follow(leaf)
        return result

    def _follow(self, tensor: Tensor) -> None:
        if tensor.device.type != self.device.type or tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        key = id(storage)
        size = storage.nbytes()
        if key not in self._references:
            self._references[key] = weakref.ref(storage, lambda _: self._forget(key))
        self.bytes_now += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        self._peak_bytes = max(self._peak_bytes, self.bytes_now)

    def _forget(self, key: int) -> None:
        del self._references[key]
        self.bytes_now -= self._sizes.pop(key)
