"""Jumps of the generator against steps of `numerics.xorshift32` itself."""

import numpy as np
import torch

from flipcore import numerics
from flipcore.chip import parse_chip
from flipcore.training.hardware_random import GeneratorJumps, LaneNoise

CPU = torch.device("cpu")
JUMPS = GeneratorJumps(CPU)


def _states(values: list[int]) -> torch.Tensor:
    """The 32 bits of unsigned numbers as int32."""
    return torch.from_numpy(np.array(values, np.uint32).view(np.int32))


def _numbers(states: torch.Tensor) -> list[int]:
    return (states.to(torch.int64) & numerics.WORD_MASK).tolist()


def test_jumps_equal_steps() -> None:
    """Counts of one, two and three digits, from states with and without the top bit."""
    for start in (1, 0x80000000, 0xFFFFFFFF, 123456789):
        state, expected = start, []
        for _ in range(1200):
            expected.append(state)
            state = numerics.xorshift32(state)
        counts = torch.arange(1200, dtype=torch.int32)
        assert _numbers(JUMPS.after(_states([start]), counts, 1199)) == expected


def test_far_jumps_add_up() -> None:
    """The largest number of draws of a core, 2**22, in pieces that take other digits."""
    states = _states([7, 0xDEADBEEF, 2**31])
    for pieces in ((2**22,), (2**21, 2**21), (2**22 - 1199, 1199), (31, 2**22 - 32, 1)):
        reached = states
        for piece in pieces:
            reached = JUMPS.after(reached, torch.tensor([piece], dtype=torch.int32), 2**22)
        if len(pieces) == 1:
            expected = reached
        assert torch.equal(reached, expected)


def test_a_generator_returns_after_its_period_of_2_to_the_32_less_1() -> None:
    """2**25 - 1 steps 128 times, and 127 more: every digit of every place takes part."""
    state = _states([99])
    count = torch.tensor([2**25 - 1], dtype=torch.int32)
    for _ in range(128):
        state = JUMPS.after(state, count, 2**25 - 1)
    state = JUMPS.after(state, torch.tensor([127], dtype=torch.int32), 127)
    assert _numbers(state) == [99]


def test_jumps_broadcast() -> None:
    states = _states([1, 2, 3])[:, None, None]
    counts = torch.arange(8, dtype=torch.int32).view(2, 4)
    together = JUMPS.after(states, counts, 7)
    assert together.shape == (3, 2, 4)
    for k in range(3):
        assert torch.equal(together[k], JUMPS.after(states[k], counts, 7))


def test_rows_draw_in_order_and_move_the_generators() -> None:
    """Two chips, three words a row on the first and none on the second: what a loop over the words would draw."""
    document = {"name": "x", "inputs": 4, "core": {"lanes": 2}, "layers": [{"neurons": 6}]}
    noise = LaneNoise(parse_chip(document, "x").layers[0], JUMPS, CPU)
    generators = torch.tensor([[5], [0xFFFFFFFF]])
    rows = torch.tensor([[True, False, True, True], [True, True, True, True]])
    reached = noise.draw_rows(generators, rows, torch.tensor([3, 0]))
    state, expected, seen = 5, [], []
    for row in range(4):
        if rows[0, row]:
            start = reached[0, row]
            lanes = noise.of_words(start[None], torch.arange(1, 4, dtype=torch.int32), 24)
            seen.extend(lanes.tolist())
            for _ in range(3):
                state = numerics.xorshift32(state)
                expected.append([(state ^ numerics.lane_key(lane)) & 0xFFFFFF for lane in (0, 1)])
    assert seen == expected
    assert generators.tolist() == [[state], [0xFFFFFFFF]]
