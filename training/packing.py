"""Eight flags or signs to a byte: element i is bit i % 8 of byte i // 8, and bit 1 stands for a weight of +1 (SPEC N1)."""

import math
from functools import cache

import torch
from torch import Tensor

from flipcore.errors import InputError

# Multiplied with eight bytes of 0 or 1 read as one little-endian integer, gathers them in the top byte, the first one lowest.
_GATHER = 0x0102040810204080
# Bit i of entry b is byte i of the entry, 0 or 1.
_SPREAD = [sum(((byte >> bit) & 1) << (8 * bit) for bit in range(8)) for byte in range(256)]


def packed_size(num_elements: int) -> int:
    """Bytes that hold this many flags."""
    return (num_elements + 7) // 8


def pack_flags(flags: Tensor) -> Tensor:
    """Pack flags of 0 and 1, bool, int8 or uint8 [n], to uint8 [ceil(n / 8)]; the bits past the last flag are 0."""
    num_flags = flags.numel()
    if num_flags % 8:
        flags = torch.nn.functional.pad(flags.view(torch.uint8), (0, -num_flags % 8))
    gathered = flags.view(torch.int64) * _GATHER
    return gathered.bitwise_right_shift_(56).to(torch.uint8)


def unpack_flags(packed: Tensor, num_flags: int) -> Tensor:
    """Unpack uint8 [ceil(n / 8)] to flags of 0 and 1, int8 [n]."""
    spread = _spread_table(packed.device).index_select(0, packed.int())
    return spread.view(torch.int8)[:num_flags]


def pack_signs(weight: Tensor) -> Tensor:
    """Pack weights, any floating type and shape of n elements, to uint8 [ceil(n / 8)] in row-major order.

    Raises:
        InputError: a weight is neither -1 nor +1.
    """
    refuse_other_than_signs(weight, "weight")
    return pack_flags(weight.reshape(-1) > 0)


def unpack_signs(
    packed: Tensor, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Unpack uint8 [ceil(n / 8)] to weights of -1 and +1 in this shape of n elements."""
    signs = _sign_table(dtype, packed.device).index_select(0, packed.int()).view(-1)
    return signs[: math.prod(shape)].view(shape)


@cache
def _sign_table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The eight weights that each byte stands for, [256, 8]."""
    with torch.inference_mode(False):
        bits = torch.arange(8, device=device)
        entries = torch.arange(256, device=device).unsqueeze(1)
        return ((entries >> bits & 1) * 2 - 1).to(dtype)


@cache
def _spread_table(device: torch.device) -> Tensor:
    """The eight flags that each byte stands for, read as one integer, int64 [256]."""
    with torch.inference_mode(False):
        return torch.tensor(_SPREAD, dtype=torch.int64, device=device)


def refuse_other_than_signs(weight: Tensor, name: str) -> None:
    """Make sure that all elements are exactly -1 or +1.

    Raises:
        InputError: with the index and value of the first that is not.
    """
    flat = weight.detach().reshape(-1)
    wrong = flat.abs() != 1
    if bool(wrong.any()):
        index = int(wrong.int().argmax())
        raise InputError(
            f"{name}: element {index} is {flat[index].item()}; a binary weight is -1 or +1"
        )
