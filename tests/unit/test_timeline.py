"""The timeline of a few samples: what it holds adds up to what the engine does, and the run goes on undisturbed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore import draws
from flipcore.chip import parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim.layout import weight_bits
from flipcore.sim.recording import copy_engine
from flipcore.sim.run import Run, Settings
from flipcore.sim.timeline import FLIP_COLUMNS, check_samples, summarise, trace_arrays, trace_run
from tests.datasets import tiny_dataset
from tests.random_chips import chip_documents
from tests.unit.test_run import DATASET, SETTINGS, Watcher, assert_same, chip


@settings(max_examples=30)
@given(document=chip_documents(), seed=st.integers(0, 2**32), samples=st.integers(1, 3))
def test_both_sides_do_what_the_engine_does(
    document: dict[str, Any], seed: int, samples: int
) -> None:
    traced = parse_chip(document, "chip")
    dataset = tiny_dataset(axons=traced.inputs, classes=min(3, traced.classes), train=7, test=4)
    run = Run(traced, dataset, Settings(dataset="tiny", epochs=1, seed=seed))
    timeline = trace_run(run, samples)
    assert [side.name for side in timeline.sides] == ["training", "inference"]
    training, inference = timeline.sides
    order = draws.sample_order(seed, 0, 7)[:samples]
    engine, num_cores = copy_engine(run.engine), len(traced.layers)
    counts = EventCounts.zeros(num_cores)
    read, labels = dataset.train.read(order), dataset.train.labels[order]
    predictions = engine.train(read, labels, counts)
    assert [recording.index for recording in training.recordings] == order.tolist()
    assert [recording.prediction for recording in training.recordings] == predictions.tolist()
    assert training.counts(num_cores).as_dict() == counts.as_dict()
    first = np.arange(samples)
    counts = EventCounts.zeros(num_cores)
    predictions = run.engine.infer(dataset.test.read(first), counts)
    assert [recording.index for recording in inference.recordings] == first.tolist()
    assert [recording.prediction for recording in inference.recordings] == predictions.tolist()
    assert inference.counts(num_cores).as_dict() == counts.as_dict()
    summary = summarise(timeline)
    for side in timeline.sides:
        found = summary[side.name]
        counts = side.counts(num_cores)
        assert found["cycles"] == counts.cycles
        assert found["duration_us"] == counts.cycles / traced.clock_mhz
        assert sum(core["busy_cycles"] for core in found["cores"]) == counts.cycles
        assert sum(core["busy_share"] for core in found["cores"]) == pytest.approx(1)
        for core in found["cores"]:
            assert core["busy_cycles"] + core["waiting_cycles"] == counts.cycles
            assert sum(core["cycles_by_phase"].values()) == core["busy_cycles"]
            assert len(core["cycles_by_phase"]) == 9


def test_a_trace_does_not_disturb_its_run() -> None:
    expected = Run(chip(), DATASET, SETTINGS)
    expected.train(Watcher(), None)
    run = Run(chip(), DATASET, replace(SETTINGS, epochs=1))
    run.train(Watcher(), None)
    timeline = trace_run(run, 5)
    assert timeline.epochs == 1
    # What the second epoch begins with.
    order = draws.sample_order(SETTINGS.seed, 1, len(DATASET.train))
    assert [one.index for one in timeline.sides[0].recordings] == order[:5].tolist()
    run.settings = SETTINGS
    run.train(Watcher(), None)
    assert_same(run, expected)


def test_arrays_are_the_recordings_sample_by_sample() -> None:
    run = Run(chip(), DATASET, SETTINGS)
    timeline = trace_run(run, 3)
    arrays = trace_arrays(timeline)
    expected: dict[str, tuple[tuple[int, ...], str]] = {}
    for side in ("training", "inference"):
        expected |= {
            f"{side}_samples": ((3,), "i8"), f"{side}_labels": ((3,), "i8"),
            f"{side}_predictions": ((3,), "i8"), f"{side}_input_spikes": ((3, 3, 12), "u1"),
            f"{side}_spikes_0": ((3, 3, 10), "u1"), f"{side}_potentials_0": ((3, 3, 10), "i4"),
            f"{side}_outputs": ((3, 3, 3), "i4"),
        }  # fmt: skip
    flips = arrays.pop("flips")
    assert arrays.pop("flip_columns").tolist() == list(FLIP_COLUMNS)
    found = {name: (array.shape, array.dtype.str[1:]) for name, array in arrays.items()}
    assert found == expected
    for side in timeline.sides:
        for sample, recording in enumerate(side.recordings):
            assert arrays[f"{side.name}_samples"][sample] == recording.index
            assert arrays[f"{side.name}_labels"][sample] == recording.label
            potentials = arrays[f"{side.name}_potentials_0"][sample]
            np.testing.assert_array_equal(potentials, recording.potentials[0])
    labels = DATASET.train.labels[arrays["training_samples"]]
    np.testing.assert_array_equal(arrays["training_labels"], labels)
    assert flips.dtype == np.int32
    assert len(flips) == timeline.sides[0].counts(2).total("flips") > 0
    # Undone sample by sample, they lead from the weights after the trace to those before it.
    engine = copy_engine(run.engine)
    order = arrays["training_samples"]
    engine.train(DATASET.train.read(order), DATASET.train.labels[order], EventCounts.zeros(2))
    for c in range(2):
        bits = weight_bits(engine.state, run.chip, c)
        for core, axon, neuron, sample, step in flips:
            assert (0 <= sample < 3) and (0 <= step < 3)
            if core == c:
                bits[axon, neuron] ^= True
        np.testing.assert_array_equal(bits, weight_bits(run.engine.state, run.chip, c))


def test_a_run_that_only_classifies_has_one_side() -> None:
    timeline = trace_run(Run(chip(), DATASET, replace(SETTINGS, epochs=0)), 2)
    assert list(summarise(timeline)) == ["inference"]
    arrays = trace_arrays(timeline)
    assert arrays["flips"].shape == (0, 5)
    assert not any(name.startswith("training") for name in arrays)


@pytest.mark.parametrize(
    ("samples", "epochs", "told"),
    [
        (0, 1, "--trace-samples 0: must be 1 ... 64"),
        (65, 1, "--trace-samples 65: must be 1 ... 64"),
        (16, 1, "--trace-samples 16: tiny has 15 test samples"),
        (16, 0, "--trace-samples 16: tiny has 15 test samples"),
    ],
)
def test_samples_that_are_not_there_are_refused(samples: int, epochs: int, told: str) -> None:
    with pytest.raises(InputError) as caught:
        trace_run(Run(chip(), DATASET, replace(SETTINGS, epochs=epochs)), samples)
    assert str(caught.value) == told


def test_a_long_and_deep_chip_is_traced_for_fewer_samples() -> None:
    deep = chip(steps=256, layers=[{"neurons": 2}] * 15 + [{"neurons": 3}])
    run = Run(deep, DATASET, SETTINGS)
    with pytest.raises(InputError) as caught:
        check_samples(run, 5)
    assert str(caught.value) == "--trace-samples 5: must be 1 ... 4 with 256 steps and 16 layers"
    check_samples(run, 4)


def test_a_small_training_split_matters_to_a_run_that_learns() -> None:
    dataset = tiny_dataset(train=3, test=9)
    with pytest.raises(InputError) as caught:
        trace_run(Run(chip(), dataset, SETTINGS), 4)
    assert str(caught.value) == "--trace-samples 4: tiny has 3 training samples"
    assert trace_run(Run(chip(), dataset, replace(SETTINGS, epochs=0)), 4).sides
