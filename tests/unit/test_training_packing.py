"""Packed flags and signs."""

import numpy as np
import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.packing import (
    pack_flags,
    pack_signs,
    packed_size,
    unpack_flags,
    unpack_signs,
)

SIZES = [0, 1, 7, 8, 9, 64, 1001]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.uint8])
def test_flags_are_packed_as_numpy_packs_them_lowest_bit_first(
    size: int, dtype: torch.dtype
) -> None:
    flags = torch.rand(size, generator=torch.Generator().manual_seed(size)) < 0.5
    packed = pack_flags(flags.to(dtype))
    assert packed.dtype == torch.uint8
    assert packed.numel() == packed_size(size)
    assert packed.tolist() == np.packbits(flags.numpy(), bitorder="little").tolist()
    assert unpack_flags(packed, size).tolist() == flags.int().tolist()


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 3, 3), (8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_signs_survive_packing_in_their_shape_and_type(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    weight = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(1)) * 2.0 - 1
    packed = pack_signs(weight.to(dtype))
    unpacked = unpack_signs(packed, shape, dtype)
    assert packed.numel() == (weight.numel() + 7) // 8
    assert unpacked.dtype == dtype
    assert torch.equal(unpacked.float(), weight)


def test_a_weight_in_another_memory_layout_is_packed_in_row_major_order() -> None:
    weight = (torch.arange(60).reshape(5, 3, 2, 2) % 7 % 2) * 2.0 - 1
    last = weight.to(memory_format=torch.channels_last)
    assert torch.equal(pack_signs(last), pack_signs(weight))


@pytest.mark.parametrize("value", [0.0, -0.0, 0.5, float("nan"), float("inf")])
def test_other_values_than_signs_are_refused(value: float) -> None:
    weight = torch.tensor([[1.0, -1.0], [value, 1.0]])
    with pytest.raises(
        InputError, match=r"^weight: element 2 is .*; a binary weight is -1 or \+1$"
    ):
        pack_signs(weight)
