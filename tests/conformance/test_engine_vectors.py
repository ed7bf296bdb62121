"""The engine against the committed vectors of the oracle: whole chips, bit for bit and cycle for cycle."""

import json
from pathlib import Path

import numpy as np
import pytest

from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from flipcore.sim.layout import momentum_values, weight_bits
from tests.chips import chip_from_oracle

VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("system_*.npz"))


def _records(spikes: np.ndarray, offered: np.ndarray) -> Records:
    bitmaps = np.packbits(spikes, axis=2, bitorder="little")
    merged = (offered - spikes.sum(axis=2)).astype(np.int32)
    return Records(np.empty((len(bitmaps), 0), np.uint8), bitmaps, merged)


@pytest.mark.conformance
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_engine_equals_oracle(path: Path) -> None:
    with np.load(path, allow_pickle=False) as stored:
        vector = dict(stored)
    assert tuple(vector["count_names"]) == COUNT_NAMES
    chip = chip_from_oracle(json.loads(str(vector["chip"])))
    engine = Engine(chip, int(vector["seed"]))
    counts = {1: EventCounts.zeros(len(chip.layers)), 0: EventCounts.zeros(len(chip.layers))}
    predictions = []
    for k, mode in enumerate(vector["mode"]):
        records = _records(vector["spikes"][k : k + 1], vector["offered"][k : k + 1])
        if mode:
            labels = vector["labels"][k : k + 1].astype(np.int32)
            predictions.extend(engine.train(records, labels, counts[1]))
        else:
            predictions.extend(engine.infer(records, counts[0]))
    np.testing.assert_array_equal(predictions, vector["expected_predictions"])
    assert [counts[1].samples, counts[0].samples] == vector["expected_samples"].tolist()
    for c in range(len(chip.layers)):
        np.testing.assert_array_equal(
            weight_bits(engine.state, chip, c), vector[f"expected_weights_{c}"]
        )
        np.testing.assert_array_equal(
            momentum_values(engine.state, chip, c), vector[f"expected_momentum_{c}"]
        )
        generators = vector[f"expected_generators_{c}"]
        np.testing.assert_array_equal(engine.state.generators[c, : len(generators)], generators)
        np.testing.assert_array_equal(
            engine.state.second_moment[c], vector[f"expected_second_moment_{c}"]
        )
        for mode, kind in ((1, "train"), (0, "inference")):
            expected = dict(
                zip(COUNT_NAMES, vector[f"expected_{kind}_counts_{c}"].tolist(), strict=True)
            )
            got = {name: int(counts[mode].per_core(name)[c]) for name in COUNT_NAMES}
            assert got == expected


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 12
