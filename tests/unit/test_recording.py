"""A recorded sample is the sample that the engine runs, seen from inside, and leaves the chip as it was."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, parse_chip
from flipcore.events import EventCounts
from flipcore.sim.data import Split
from flipcore.sim.engine import Engine
from flipcore.sim.layout import weight_bits
from flipcore.sim.recording import Recording, copy_engine, record_sample, recording_arrays
from tests.datasets import event_split, pixel_split
from tests.random_chips import chip_documents

STATE = ("weights", "momentum", "generators", "second_moment")


def samples_for(chip: Chip, count: int, seed: int, *, of_events: bool) -> Split:
    dice = np.random.default_rng(seed)
    labels = dice.integers(0, chip.classes, count).astype(np.int32)
    if not of_events:
        pixels = dice.integers(0, 256, (count, chip.inputs)).astype(np.uint8)
        return pixel_split(pixels, labels)
    flags = dice.random((count, chip.steps, chip.inputs)) < 0.4
    merged = dice.integers(0, 3, (count, chip.steps)) * flags.any(2)
    return event_split(flags, merged, labels)


def state_of(engine: Engine) -> dict[str, npt.NDArray[Any]]:
    return {name: getattr(engine.state, name).copy() for name in STATE}


def counts_of(recording: Recording, cores: int) -> EventCounts:
    counts = EventCounts.zeros(cores)
    counts.samples = 1
    for record in recording.phases:
        counts.cores[record.core] += record.counts
    return counts


@settings(max_examples=60)
@given(document=chip_documents(), seed=st.integers(0, 2**32), of_events=st.booleans())
def test_a_recording_is_what_the_engine_does(
    document: dict[str, Any], seed: int, of_events: bool
) -> None:
    chip = parse_chip(document, "chip")
    split = samples_for(chip, 3, seed, of_events=of_events)
    engine, recorder = Engine(chip, seed), Engine(chip, seed)
    for index, learn in ((0, True), (1, False), (2, True)):
        record = split.read(np.array([index]))
        labels = split.labels[index : index + 1]
        counts = EventCounts.zeros(len(chip.layers))
        before = copy_engine(engine)
        prediction = engine.train(record, labels, counts) if learn else engine.infer(record, counts)
        recording = record_sample(recorder, split, index, learn=learn)
        assert recording.prediction == prediction[0]
        assert (recording.index, recording.label) == (index, labels[0])
        np.testing.assert_array_equal(counts_of(recording, len(chip.layers)).cores, counts.cores)
        for name, value in state_of(engine).items():
            np.testing.assert_array_equal(getattr(recorder.state, name), value, err_msg=name)
        assert recorder.state.sample_counter == engine.state.sample_counter
        check_arrays(chip, recording, counts)
        check_flips(chip, recording, before, engine, counts)


def check_arrays(chip: Chip, recording: Recording, counts: EventCounts) -> None:
    """Shapes, and what the counts say of them."""
    assert recording.input_spikes.shape == (chip.steps, chip.inputs)
    assert recording.input_spikes.sum() == counts.per_core("events")[0]
    assert len(recording.spikes) == len(recording.potentials) == len(chip.layers) - 1
    for c, core in enumerate(chip.layers[:-1]):
        assert recording.spikes[c].shape == (chip.steps, core.neurons)
        assert recording.spikes[c].sum() == counts.per_core("spikes")[c]
        assert recording.potentials[c].shape == (chip.steps, core.neurons)
        if core.reset == "zero":
            assert not recording.potentials[c][recording.spikes[c] == 1].any()
    totals = recording.outputs.sum(0)
    assert np.argmax(totals) == recording.prediction


def check_flips(
    chip: Chip, recording: Recording, before: Engine, after: Engine, counts: EventCounts
) -> None:
    """One line for every flip counted, and together they are the change of the weights."""
    flips = recording.flips
    assert flips.dtype == np.int32
    for c, core in enumerate(chip.layers):
        own = flips[flips[:, 0] == c]
        assert len(own) == counts.per_core("flips")[c]
        toggles = np.zeros((core.axons, core.neurons), np.int64)
        np.add.at(toggles, (own[:, 1], own[:, 2]), 1)
        changed = weight_bits(before.state, chip, c) != weight_bits(after.state, chip, c)
        np.testing.assert_array_equal(toggles % 2 == 1, changed)
    assert (np.diff(flips[:, 3]) >= 0).all()
    assert ((flips[:, 3] >= 0) & (flips[:, 3] < chip.steps)).all()


CHIP: dict[str, Any] = {
    "name": "seen",
    "inputs": 4,
    "steps": 2,
    "core": {"lanes": 2, "threshold": 2, "leak_shift": 1, "window": 4},
    "layers": [{"neurons": 2}, {"neurons": 2}],
}


def test_potentials_by_hand() -> None:
    chip = parse_chip(CHIP, "seen")
    engine = Engine(chip, 0)
    engine.state.weights[:] = 0xFFFF  # every weight is +1
    flags = np.array([[[1, 1, 1, 0], [1, 0, 0, 0]]], np.bool_)
    split = event_split(flags, np.zeros((1, 2), np.int64), np.zeros(1, np.int32))
    recording = record_sample(engine, split, 0, learn=False)
    # 3 is above 2: 1 is left, of which a half leaks; then 1 + 1 reaches 2 again.
    assert recording.potentials[0].tolist() == [[1, 1], [0, 0]]
    assert recording.spikes[0].tolist() == [[1, 1], [1, 1]]
    assert recording.outputs.tolist() == [[2, 2], [2, 2]]
    assert recording.prediction == 0
    assert recording.input_spikes.tolist() == flags[0].astype(int).tolist()


def test_a_copy_learns_alone() -> None:
    chip = parse_chip(CHIP, "seen")
    engine = Engine(chip, 3)
    split = samples_for(chip, 1, 0, of_events=False)
    before = state_of(engine)
    copied = copy_engine(engine)
    recording = record_sample(copied, split, 0, learn=True)
    assert counts_of(recording, 2).total("momentum_updates") > 0
    assert (copied.state.momentum != engine.state.momentum).any()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(engine.state, name), value)
    assert (engine.state.sample_counter, copied.state.sample_counter) == (0, 1)


def test_arrays_by_name() -> None:
    chip = parse_chip({**CHIP, "layers": [{"neurons": 3}, {"neurons": 1}, {"neurons": 2}]}, "seen")
    recording = record_sample(
        Engine(chip, 0), samples_for(chip, 1, 0, of_events=False), 0, learn=False
    )
    arrays = recording_arrays(recording)
    assert {name: (value.shape, value.dtype.str[1:]) for name, value in arrays.items()} == {
        "label": ((), "i8"), "prediction": ((), "i8"), "input_spikes": ((2, 4), "u1"),
        "outputs": ((2, 2), "i8"), "spikes_0": ((2, 3), "u1"), "potentials_0": ((2, 3), "i8"),
        "spikes_1": ((2, 1), "u1"), "potentials_1": ((2, 1), "i8"),
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["outputs"], recording.outputs)


def test_a_chip_of_one_core_has_outputs_alone() -> None:
    chip = parse_chip({**CHIP, "layers": [{"neurons": 2}]}, "seen")
    split = samples_for(chip, 1, 0, of_events=False)
    recording = record_sample(Engine(chip, 0), split, 0, learn=True)
    assert recording.spikes == recording.potentials == ()
    assert set(recording_arrays(recording)) == {"label", "prediction", "input_spikes", "outputs"}
    with pytest.raises(IndexError):
        record_sample(Engine(chip, 0), split, 1, learn=False)


assert set(STATE) | {"sample_counter"} == set(vars(Engine(parse_chip(CHIP, "seen"), 0).state))
