"""Counts from stated rates: what a run measured gives that run's counts again, and impossible rates are refused."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, load_chip, parse_chip, preset_names
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.activity import (
    Layer,
    Learning,
    Rates,
    Side,
    default_rates_name,
    expected_counts,
    fit_rates,
    load_rates,
    measured_side,
    rates_names,
    rates_yaml,
)
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from tests.random_chips import Document, chip_documents

FEW_PERCENT = 0.03


def counts_of(chip: Chip, samples: int, density: float, *, learn: bool) -> EventCounts:
    """Counts of random pixels on a chip."""
    dice = np.random.default_rng(samples)
    pixels = dice.integers(0, 256, (samples, chip.inputs)).astype(np.uint8)
    pixels[dice.random(pixels.shape) >= density] = 0
    records = Records(pixels, np.empty((samples, 0, 0), np.uint8), np.empty((samples, 0), np.int32))
    engine = Engine(chip, 1)
    counts = EventCounts.zeros(len(chip.layers))
    if learn:
        labels = dice.integers(0, chip.classes, samples).astype(np.int32)
        engine.train(records, labels, counts)
    else:
        engine.infer(records, counts, num_threads=1)
    return counts


def assert_same(found: EventCounts, wanted: EventCounts) -> None:
    for name in COUNT_NAMES:
        np.testing.assert_allclose(
            found.per_core(name), wanted.per_core(name), rtol=1e-9, atol=1, err_msg=name
        )


@settings(max_examples=60)
@given(chip_documents(), st.booleans(), st.sampled_from((0.1, 0.5, 1.0)))
def test_rates_of_a_run_give_its_counts_again(
    document: Document, learn: bool, density: float
) -> None:
    # Which rows a few samples scrub is chance; with a period of 1 it is all of them.
    document["schedule"] = []
    for layer in document["layers"]:
        layer["scrub_period"] = 1
    chip = parse_chip(document, "x")
    counts = counts_of(chip, 3, density, learn=learn)
    assert_same(expected_counts(chip, measured_side(chip, counts), 3), counts)


def test_scrubbed_rows_are_those_of_many_samples() -> None:
    chip = load_chip("digits", ["core.decay=scrub", "core.scrub_period=16", "steps=2"])
    counts = counts_of(chip, 320, 0.5, learn=True)
    found = expected_counts(chip, measured_side(chip, counts), 320)
    assert_same(found, counts)
    assert found.total("words_decayed") == 320 * (64 * 16 + 256) // 16


# Of the runs that the rates were measured on.
CYCLES = {
    "digits": 5971.6,
    "mnist": 18408.2,
    "mnist-lowpower": 10750.8,
    "fashion-mnist": 41195.6,
    "nmnist": 75760.5,
}


@pytest.mark.parametrize("name", sorted(CYCLES))
def test_measured_rates_give_the_cycles_of_the_preset(name: str) -> None:
    rates = load_rates(name)
    assert rates.training is not None
    chip = load_chip(name)
    assert name in rates.source
    cycles = expected_counts(chip, rates.training, 1000).cycles / 1000
    assert cycles == pytest.approx(CYCLES[name], rel=FEW_PERCENT)


def test_counts_worked_out_by_hand() -> None:
    # 8 axons, 4 lanes, 6 neurons: 2 words a row, 2 trace words; one port. Then 6 on 2 neurons: 1 word.
    chip = parse_chip(
        {
            "name": "hand", "inputs": 8, "steps": 2,
            "core": {"lanes": 4, "memory_ports": "1rw", "decay": "dense"},
            "layers": [{"neurons": 6}, {"neurons": 2}],
        },
        "hand",
    )  # fmt: skip
    learning = Learning(
        rows=0.5, trace_waits=0.25, live_steps=0.5, live_words=1.0, live_rows=0.5, words_visited=1.0,
        words_with_trace=1.0, words_read=0.5, words_updated=0.5, words_flipped=0.25, lanes_updated=0.5,
        flips=0.125, saturations=0.0, scrubbed=1.0, words_changed=0.5,
    )  # fmt: skip
    side = Side(
        input_events=0.25,
        merged=0.5,
        layers=(
            Layer(spikes=0.5, silent_words=0.5, learning=learning),
            Layer(learning=learning),
        ),
    )
    n = expected_counts(chip, side, 10)  # 20 steps
    first = {name: int(n.per_core(name)[0]) for name in COUNT_NAMES}
    assert first["events"] == first["merged_events"] == 8 * 20 // 4
    assert first["input_cycles"] == 80 + 20 + 10
    assert first["forward_cycles"] == 2 * (40 + 3 * 20)
    assert first["spikes"] == 60
    assert first["spikes_cycles"] == 40 + 60 + 20
    assert first["row_list_writes"] == 80
    assert first["trace_cycles"] == 40 + 80 + 2 * 2 * 20 // 4
    assert (first["trace_reads"], first["trace_writes"]) == (2 * 10, 2 * 20)
    assert first["live_steps"] == 10
    assert first["words_visited"] == 4 * 10 * 2 == first["error_reads"]
    assert first["words_updated"] == 40
    assert first["update_cycles"] == 10 + 4 * 10 + 80 + 40
    assert first["words_decayed"] == 16 * 20
    assert first["decay_cycles"] == 2 * 20 + 320 + 160
    assert first["momentum_reads"] == 40 + 320
    assert first["momentum_writes"] == 40 + 160
    assert first["weight_reads"] == 40 * 2 + 40
    assert first["weight_writes"] == 10
    assert (first["momentum_updates"], first["flips"]) == (80, 10)
    last = {name: int(n.per_core(name)[1]) for name in COUNT_NAMES}
    assert last["events"] == 60
    assert last["update_cycles"] == 10 + (4 + 1 + 2) * 10 + 30 + 15
    assert last["error_cycles"] == 20 * (2 + 2) + 10
    assert last["predict_cycles"] == 40
    assert (last["total_reads"], last["total_writes"]) == (20, 20)


def test_rates_are_stored_and_read_back(tmp_path: Path) -> None:
    rates = load_rates("digits")
    path = tmp_path / "rates.yaml"
    path.write_text(rates_yaml(rates))
    assert load_rates(str(path)) == rates


def test_every_chip_finds_measured_rates() -> None:
    assert rates_names() == preset_names()
    for name in preset_names():
        assert default_rates_name(load_chip(name)) == name
    assert default_rates_name(load_chip("mnist", ["workload.dataset=fashion-mnist"])) == "fashion-mnist"  # fmt: skip
    assert default_rates_name(load_chip("mnist-lowpower", ["name=mine"])) == "mnist"
    assert default_rates_name(load_chip("digits", ["name=mine", "workload.dataset=mine"])) == "mnist"  # fmt: skip


def test_rates_of_two_cores_serve_a_chip_of_any_number() -> None:
    rates = load_rates("mnist")
    assert rates.training is not None
    for layers in ([{"neurons": 10}], [{"neurons": 9}, {"neurons": 9}, {"neurons": 9}]):
        chip = parse_chip({"name": "x", "inputs": 20, "layers": layers}, "x")
        fitted = fit_rates(rates, chip)
        assert fitted.training is not None
        assert fitted.training.layers[-1] == rates.training.layers[-1]
        assert expected_counts(chip, fitted.training, 10).cycles > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.input_events=1.5", "training.input_events=1.5: input should be less than or equal to 1"),
        ("training.input_events=-0.1", "training.input_events=-0.1: input should be greater than or equal to 0"),
        ("inference.merged=1.0", "inference.merged=1.0: input should be less than 1"),
        ("training.layers.0.learning.flips=.nan", "training.layers.0.learning.flips=nan: input should be a finite number"),
        ("training.layers.0.spikes=many", "training.layers.0.spikes='many': input should be a valid number"),
        ("training.layers.1.spike=0.1", "training.layers.1.spike: unknown rate"),
        ("epoch_samples=-1", "epoch_samples=-1: input should be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_impossible_rates_are_refused(change: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        load_rates("digits", (change,))
    assert str(refused.value).startswith(f"digits: {message}")
    assert "\n" not in str(refused.value)


def test_files_that_hold_no_rates_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.yaml"
    for text, message in (
        ("- 1", "rates are a mapping of fields"),
        ("a: [", "not valid YAML"),
        ("name: x\nname: y", "not valid YAML"),
        (yaml.safe_dump({"name": "x", "source": "y"}), "inference: is missing"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_rates(str(path))
    with pytest.raises(InputError, match="no such rates"):
        load_rates("nothing")
    with pytest.raises(InputError, match="cannot be read"):
        load_rates(str(tmp_path / "none.yaml"))


def test_rates_of_another_chip_are_refused() -> None:
    rates = load_rates("digits")
    chip = parse_chip({"name": "x", "inputs": 20, "layers": [{"neurons": 10}]}, "x")
    with pytest.raises(InputError, match="rates of 2 layers: x has 1 cores"):
        expected_counts(chip, rates.inference, 1)


def test_learning_of_some_layers_alone_is_refused() -> None:
    rates = load_rates("digits")
    assert rates.training is not None
    first, last = rates.training.layers
    side = Side(input_events=0.1, layers=(first, last.model_copy(update={"learning": None})))
    with pytest.raises(InputError, match="stated for some layers"):
        expected_counts(load_chip("digits"), side, 1)


def test_rates_are_named_with_their_source() -> None:
    for name in rates_names():
        rates: Rates = load_rates(name)
        assert rates.name == name
        assert "flipcore simulate" in rates.source


def test_counts_that_contradict_each_other_have_no_rates() -> None:
    chip = load_chip("digits")
    counts = counts_of(chip, 2, 0.5, learn=True)
    counts.cores[0, COUNT_NAMES.index("weight_reads")] = 0
    with pytest.raises(InputError, match="contradict each other"):
        measured_side(chip, counts)
