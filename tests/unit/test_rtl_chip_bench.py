"""The parts of the chip's bench that need no simulator: samples, words, addresses, mismatches, random chips."""

import numpy as np
import pytest

from flipcore.chip import Chip, load_chip, parse_chip

pytest.importorskip("cocotb", reason="cocotb is not installed: its types are imported")

from flipcore.rtl.bench import chip_bus, chip_samples
from flipcore.rtl.bench.chip_bus import Pieces, address
from flipcore.rtl.bench.chip_coverage import possible_transitions
from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.chip_mismatch import (
    Mismatch,
    compare_word,
    expected_bits,
    first_differing_lane,
)
from flipcore.rtl.bench.chip_phases import phase_name
from flipcore.rtl.bench.chip_samples import EVENT, LABEL, STEP_END, UNKNOWN_KIND, Sample
from flipcore.rtl.bench.chip_state import pack_state, unpack_state
from flipcore.rtl.bench.chip_stores import ExpectedStores, lane_masks, pack_neurons
from flipcore.rtl.bench.random_chips import all_options, hit_options, random_chips
from flipcore.sim.engine import Engine
from flipcore.sim.layout import initial_state
from flipcore.sim.stepper import Stepper


def make_chip(steps: int = 2, **core: object) -> Chip:
    layers = [{"neurons": 5}, {"neurons": 3}]
    return parse_chip(
        {
            "name": "x",
            "inputs": 6,
            "steps": steps,
            "core": {"lanes": 4, **core},
            "layers": layers,
        },
        "x",
    )


def test_repeated_events_merge_and_keep_the_order_of_arrival() -> None:
    transfers = [(LABEL, 2), (EVENT, 4), (EVENT, 1), (EVENT, 4), (STEP_END, 0), (STEP_END, 0)]
    sample = Sample.read(make_chip(), transfers)
    assert sample.label == 2
    assert sample.events == [[4, 1], []]
    assert sample.offered == [3, 0]
    assert (sample.merged_events, sample.status) == (1, 0)


def test_what_the_chip_ignores_sets_its_bit_and_nothing_else() -> None:
    transfers = [
        (UNKNOWN_KIND, 0),
        (LABEL, 3),  # classes 0 ... 2
        (LABEL, 1),
        (LABEL, 0),  # there is one already
        (EVENT, 6),  # axons 0 ... 5
        (EVENT, 5),
        (STEP_END, 0),
        (LABEL, 0),
        (STEP_END, 0),
    ]
    sample = Sample.read(make_chip(), transfers)
    assert sample.label == 1
    assert sample.events == [[5], []]
    assert sample.ignored == [4, 1]
    assert sample.ignored_kinds == {
        chip_samples.KIND_UNKNOWN: 1,
        chip_samples.LABEL_OUT_OF_RANGE: 1,
        chip_samples.LABEL_OUT_OF_PLACE: 2,
        chip_samples.EVENT_OUT_OF_RANGE: 1,
    }
    assert sample.status == 0b11110


def test_a_sample_survives_json_and_needs_all_its_steps() -> None:
    chip = make_chip()
    sample = Sample.read(chip, [(EVENT, 1), (STEP_END, 0), (STEP_END, 0)], reset=True)
    assert Sample.from_document(chip, sample.as_document()) == sample
    with pytest.raises(ValueError, match="1 end-of-step marks, 2 steps"):
        Sample.read(chip, [(STEP_END, 0)])


def test_padded_lanes_are_0_in_words_and_left_out_of_masks() -> None:
    core = make_chip().layers[0]  # 5 neurons in 2 words of 4 lanes
    assert pack_neurons(core, np.array([[1, 2, 3, -1, 2]]), 3) == [0b111_011_010_001, 0b010]
    assert pack_neurons(core, np.zeros((0, 5), np.int64), 3) == []
    assert lane_masks(4, 5, 3) == [0xFFF, 0b111]
    assert lane_masks(4, 8, 1) == [0xF, 0xF]


def test_weights_at_rest_are_those_of_the_simulator() -> None:
    chip = make_chip()
    engine = Engine(chip, seed=4)
    stepper = Stepper(engine)
    stores = {store.path: store for store in ExpectedStores(chip, stepper).at_rest()}
    weights = stores["u_core_0.u_weight.memory"]
    bits = stepper.weights(0)
    assert weights.words == list(range(12))
    assert [weights.values[1] >> lane & 1 for lane in range(4)] == [bits[0, 4], 0, 0, 0]
    assert [weights.values[2] >> lane & 1 for lane in range(4)] == bits[1, :4].tolist()


def test_words_are_split_into_pieces_at_a_power_of_two() -> None:
    pieces = Pieces.of(65)
    assert pieces == Pieces(used=3, pitch=4)
    word = 1 << 64 | 5 << 32 | 7
    assert pieces.split(word) == [7, 5, 1]
    assert pieces.join(pieces.split(word)) == word
    assert pieces.join([7, chip_bus.UNKNOWN, 1]) == chip_bus.UNKNOWN
    assert Pieces.of(32) == Pieces(used=1, pitch=1)
    assert address(chip_bus.MOMENTUM, 3, 17) == 0x2300_0011


def test_unknown_bits_are_mismatches_unless_they_do_not_count() -> None:
    assert compare_word("0101", 0b0101, -1)
    assert not compare_word("0111", 0b0101, -1)
    assert compare_word("0111", 0b0101, 0b1101)
    assert not compare_word("01x1", 0b0101, -1)
    assert compare_word("01x1", 0b0101, 0b1101)


def test_the_lowest_differing_lane_is_named() -> None:
    assert first_differing_lane("10010000", 0b00000000, 0xFF, 4) == 1
    assert first_differing_lane("1001000z", 0b10010000, 0xFF, 2) == 0
    assert first_differing_lane("1", 0, 1, 0) == -1
    assert expected_bits("zz01", 0b11, 0b11) == "zz11"


def test_a_mismatch_says_where_and_when() -> None:
    mismatch = Mismatch(
        kind="bits", signal="u_core_1.u_weight.memory", expected="0110", found="x010",
        core=1, word=7, lane=2,
    ).at(sample=3, step=1, phase="update", cycle=99)  # fmt: skip
    assert mismatch.text() == (
        "u_core_1.u_weight.memory, core 1, word 7, lane 2: expected 0110, found x010 "
        "(sample 3, step 1, phase update, cycle 99)"
    )
    assert mismatch.differing_bits == 2
    assert Mismatch(**mismatch.as_document()) == mismatch


def test_codes_of_phases() -> None:
    assert [phase_name(code) for code in ("0000", "0110", "1000", "1111", "00x0")] == [
        "input", "update", "predict", "1111", "00x0"
    ]  # fmt: skip


def test_transitions_follow_the_order_of_the_specification() -> None:
    assert possible_transitions(make_chip(steps=1)) == {
        "input>forward", "forward>trace", "forward>spikes", "trace>spikes", "trace>error",
        "spikes>forward", "error>update", "update>update", "update>predict", "forward>predict",
        "predict>input",
    }  # fmt: skip
    dense = possible_transitions(make_chip(rule="tbso", decay="dense"))
    assert {"error>threshold", "threshold>update", "update>decay", "decay>threshold"} < dense
    assert {"decay>input", "decay>predict", "forward>input"} < dense
    assert "update>update" not in dense
    scrub = possible_transitions(make_chip(decay="scrub"))
    assert {"update>decay", "decay>decay", "decay>predict", "update>input"} < scrub


def test_a_state_survives_its_file() -> None:
    chip = make_chip(rounding="stochastic", random_source="per_lane")
    state = initial_state(chip, 8)
    state.sample_counter = 1 << 40
    again = unpack_state(pack_state(state))
    assert again.sample_counter == state.sample_counter
    np.testing.assert_array_equal(again.weights, state.weights)


@pytest.mark.parametrize("seed", range(3))
def test_thirty_random_chips_hit_every_option(seed: int) -> None:
    chips = random_chips(30, seed)
    hits = set().union(*map(hit_options, chips))
    assert hits == set(all_options())
    assert [chip.name for chip in random_chips(4, seed)] == [chip.name for chip in chips[:4]]


def test_random_samples_bring_all_that_a_stream_may_hold() -> None:
    chip = load_chip("digits")
    samples, state = random_samples(chip, 40, seed=1)
    kinds = {bit for sample in samples for bit in sample.ignored_kinds}
    # 64 axons fill the width of the data: no event of digits can be out of range.
    assert kinds == {1 << 2, 1 << 3, 1 << 4}
    assert any(sample.label is None for sample in samples)
    assert any(sample.reset for sample in samples)
    assert any(sample.merged_events for sample in samples)
    assert any(axons == [] for sample in samples for axons in sample.events)
    assert unpack_state(state).momentum.any()
