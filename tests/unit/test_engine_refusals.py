"""The engine refuses samples that do not fit its chip, in place of reading past the end of an array."""

import copy
from typing import Any

import numpy as np
import pytest

from flipcore.chip import parse_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine

CHIP = parse_chip(
    {"name": "c", "inputs": 10, "steps": 2, "layers": [{"neurons": 3}, {"neurons": 4}]}, "c"
)


def recorded(samples: int = 1, steps: int = 2, num_bytes: int = 2, merged: int = 0) -> Records:
    """Events on the first axons in every step."""
    return Records(
        pixels=np.empty((samples, 0), np.uint8),
        bitmaps=np.full((samples, steps, num_bytes), 3, np.uint8),
        merged=np.full((samples, steps), merged, np.int32),
    )


def pixels(width: int) -> Records:
    return Records(
        np.full((1, width), 255, np.uint8),
        np.empty((1, 0, 0), np.uint8),
        np.empty((1, 0), np.int32),
    )


MISFITS: dict[str, tuple[Records, list[int], str]] = {
    "a label above the classes": (recorded(), [4], "labels must be 0 ... 3"),
    "a label below 0": (recorded(), [-1], "labels must be 0 ... 3"),
    "fewer labels than samples": (recorded(2), [0], "1 labels for 2 samples"),
    "more labels than samples": (recorded(1), [0, 1], "2 labels for 1 samples"),
    "other steps": (recorded(steps=3), [0], "3 steps, the chip has 2"),
    "fewer axons": (recorded(num_bytes=1), [0], "bitmaps of 1 bytes, 10 axons need 2"),
    "more axons": (recorded(num_bytes=3), [0], "bitmaps of 3 bytes, 10 axons need 2"),
    "fewer events offered than distinct": (recorded(merged=-1), [0], "merged events below 0"),
    "fewer pixels": (pixels(9), [0], "9 pixels, the chip has 10 axons"),
    "more pixels": (pixels(11), [0], "11 pixels, the chip has 10 axons"),
}  # fmt: skip


def everything(engine: Engine) -> Any:
    return copy.deepcopy(vars(engine.state))


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_and_nothing_is_learnt(name: str) -> None:
    records, labels, told = MISFITS[name]
    engine, counts = Engine(CHIP, 0), EventCounts.zeros(2)
    before = everything(engine)
    with pytest.raises(ValueError, match=told):
        engine.train(records, np.array(labels, np.int32), counts)
    np.testing.assert_equal(everything(engine), before)
    assert counts.samples == 0
    if "label" not in name:
        with pytest.raises(ValueError, match=told):
            engine.infer(records, counts)


def test_what_fits_is_learnt() -> None:
    for records in (recorded(merged=2), pixels(10)):
        assert (
            len(Engine(CHIP, 0).train(records, np.array([3], np.int32), EventCounts.zeros(2))) == 1
        )


def test_bits_beyond_the_axons_are_ignored_like_events_out_of_range() -> None:
    beyond = recorded()
    beyond.bitmaps[:, :, 1] = 0b11111100
    plain = recorded()
    plain.bitmaps[:, :, 1] = 0
    states = []
    for records in (beyond, plain):
        engine, counts = Engine(CHIP, 0), EventCounts.zeros(2)
        engine.train(records, np.array([3], np.int32), counts)
        states.append((everything(engine), counts.cores.tolist()))
    np.testing.assert_equal(states[0], states[1])
