"""What a board is sent of a data set: the events that the simulator makes of it."""

import numpy as np
import pytest

from flipcore.chip import parse_chip
from flipcore.cli.board_session import bitmaps_of, board_state, take_state
from flipcore.rtl.board.state import first_difference
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import empty_state


@pytest.mark.parametrize("inputs", [8, 13])
def test_pixels_become_the_bitmaps_of_the_sigma_delta(inputs: int) -> None:
    chip = parse_chip({"name": "x", "inputs": inputs, "steps": 5, "layers": [{"neurons": 2}]}, "x")
    pixels = np.random.default_rng(0).integers(0, 256, (7, inputs), dtype=np.uint8)
    records = Records(pixels, np.empty((7, 0, 0), np.uint8), np.empty((7, 0), np.int32))
    bitmaps = bitmaps_of(chip, records)
    assert bitmaps.shape == (7, 5, -(-inputs // 8))
    level = np.full(pixels.shape, 128)
    for step in range(5):  # SPEC N2
        level += pixels
        spikes = level >= 256
        level[spikes] -= 256
        assert (bitmaps[:, step] == np.packbits(spikes, axis=1, bitorder="little")).all()


def test_recorded_events_go_as_they_are() -> None:
    chip = parse_chip({"name": "x", "inputs": 9, "steps": 2, "layers": [{"neurons": 2}]}, "x")
    bitmaps = np.array([[[3, 1], [0, 0]]], np.uint8)
    records = Records(np.empty((1, 0), np.uint8), bitmaps, np.zeros((1, 2), np.int32))
    assert (bitmaps_of(chip, records) == bitmaps).all()


def test_state_goes_to_a_board_and_back() -> None:
    layers = [{"neurons": 5, "rule": "tbso"}, {"neurons": 3, "random_source": "per_lane"}]
    document = {"name": "x", "inputs": 4, "core": {"lanes": 2}, "layers": layers}
    chip = parse_chip(document, "x")
    state = Engine(chip, 3).state
    state.second_moment[0, 1] = 7
    state.sample_counter = 9
    other = empty_state(chip)
    take_state(chip, other, board_state(chip, state))
    assert first_difference(board_state(chip, state), board_state(chip, other)) is None
    assert (other.weights == state.weights).all()
    assert other.second_moment[0, 1] == 7
    assert board_state(chip, state).cores[1].generators == state.generators[1, :2].tolist()
