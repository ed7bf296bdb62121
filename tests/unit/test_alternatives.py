"""What learning adds, of this chip and of other ways to train, worked out by hand."""

from pathlib import Path

import pytest

from flipcore.chip import load_chip, parse_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.activity import expected_counts, load_rates
from flipcore.hwmodel.alternatives import (
    Alternative,
    alternatives,
    training_state_bits,
    training_states,
)
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.memory import memory_bits
from flipcore.hwmodel.phases import phase_numbers
from flipcore.hwmodel.technology import Technology, load_technology
from tests.technologies import write_technology

# 8 axons on 4 neurons with 4 lanes: a word a row, 8 words; 2 trace words; 3 steps.
CHIP = parse_chip(
    {
        "name": "hand", "inputs": 8, "steps": 3,
        "core": {"lanes": 4, "momentum_bits": 6, "trace_bits": 5, "error_bits": 8},
        "layers": [{"neurons": 4}],
    },
    "hand",
)  # fmt: skip


@pytest.fixture
def technology(tmp_path: Path) -> Technology:
    """The made-up technology: 3 um2 a bit, reads 0.5 pJ a bit, writes 2 pJ."""
    return load_technology(str(write_technology(tmp_path)))


def by_name(ways: tuple[Alternative, ...]) -> dict[str, Alternative]:
    return {way.state.name: way for way in ways}


def test_bits_worked_out_by_hand(technology: Technology) -> None:
    ways = by_name(alternatives(CHIP, technology, None))
    synapses = 8 * 4
    lists = 8 * (3 + 5)
    own = 2 * 4 * 5 + lists + 4 * 8 + 1 + 32  # traces, row list, errors, live words, generator
    floating = 2 * 4 * 32 + 8 * (3 + 32) + 4 * 32 + 1
    latent = 2 * 4 * 5 + lists + 4 * 8 + 1
    history = 3 * 4 * 33 + 3 * 8 + 4 * 32  # potentials and spikes, input events, errors
    assert {name: (way.state.synapse_bits, way.state.other_bits) for name, way in ways.items()} == {
        "this chip": (6 * synapses, own),
        "BSO, 8 bits": (8 * synapses, own),
        "BSO, 4 bits": (4 * synapses, own),
        "T-BSO, 8 bits": (8 * synapses, own + 3 * 32),
        "BSO, fp32, as published": (32 * synapses, floating),
        "latent fp32, SGD": (32 * synapses, latent),
        "latent fp32, Adam": (96 * synapses, latent),
        "OTTT, latent fp32, SGD": (32 * synapses, floating),
        "BPTT, latent fp32, SGD": (32 * synapses, history),
        "BPTT, latent fp32, Adam": (128 * synapses, history),
    }
    adam = ways["latent fp32, Adam"]
    assert adam.state.learning_bits == 96 * synapses + latent
    # The live word is a register.
    assert adam.area_um2.value == pytest.approx(3 * (96 * synapses + latent - 1))
    assert adam.energy_pj is None


def test_bits_need_no_prices_and_add_up_to_the_chip(technology: Technology) -> None:
    for name in ("digits", "mnist"):
        chip = load_chip(name)
        states = training_states(chip)
        assert states == tuple(way.state for way in alternatives(chip, technology, None))
        bits = memory_bits(chip)
        assert states[0].total_bits == bits["total_chip"]
        assert all(state.inference_bits == bits["total_inference"] for state in states)
        assert {key: sum(parts.values()) for key, parts in training_state_bits(chip).items()} == {
            state.name: state.total_bits for state in states
        }


def test_energy_worked_out_by_hand(technology: Technology) -> None:
    counts = EventCounts.zeros(1)
    counts.samples = 2
    for name, number in {
        "live_steps": 3, "words_visited": 10, "words_drawn": 8, "words_updated": 5, "momentum_reads": 5,
        "momentum_writes": 5, "event_list_reads": 12, "weight_reads": 17, "weight_writes": 1,
        "row_list_writes": 6, "row_list_reads": 5, "error_writes": 3, "error_reads": 10,
        "trace_reads": 8, "trace_writes": 12,
    }.items():  # fmt: skip
        counts.cores[0, COUNT_NAMES.index(name)] = number
    ways = by_name(alternatives(CHIP, technology, counts))
    read, write = 0.5, 2.0
    weights = 5 * 4 * read + write
    lists = 5 * 8 * read + 6 * write
    shared = weights + lists + 10 * 32 * read + 3 * write + 8 * 20 * read + 12 * write
    energies = {name: way.energy_pj.value * 2 for name, way in ways.items() if way.energy_pj}
    assert energies["this chip"] == pytest.approx(shared + 5 * 24 * read + 5 * write)
    assert energies["BSO, 8 bits"] == pytest.approx(shared + 5 * 32 * read + 5 * write)
    assert energies["latent fp32, SGD"] == pytest.approx(shared + 8 * 128 * read + 8 * write)
    assert energies["latent fp32, Adam"] == pytest.approx(shared + 8 * 384 * read + 8 * write)
    # 12 words of events in 6 steps, half of them live: 6 words of gradient.
    history = 3 * 132 * read + 6 * write + (3 * 2 * 4 * read + 6 * 2 * write)
    bptt = history + 3 * 128 * read + 3 * write + write
    assert energies["BPTT, latent fp32, SGD"] == pytest.approx(bptt + 6 * 128 * read + 6 * write)
    # In half of the steps of 2 samples: one visit of all 8 words.
    assert energies["BPTT, latent fp32, Adam"] == pytest.approx(
        bptt + (6 + 8) * 512 * read + (6 + 8) * write
    )


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_of_this_chip_it_is_the_price_of_its_learning_phases(
    technology: Technology, name: str
) -> None:
    chip = load_chip(name, ["core.decay=scrub", "core.scrub_period=8"])
    side = load_rates(name).training
    assert side is not None
    counts = expected_counts(chip, side, 100)
    assert phase_numbers(chip, counts, 0, "momentum_reads")["decay"] > 0
    own = alternatives(chip, technology, counts)[0]
    assert own.state.learning_bits == memory_bits(chip)["total_learning"]
    energy = price(chip, counts, technology)
    learning = sum(
        row.energy_pj.value
        for row in energy.rows
        if row.cost.kind == "memory"
        and row.cost.what == "dynamic"
        and row.phase in ("trace", "error", "update", "decay")
    )
    assert own.energy_pj is not None
    assert own.energy_pj.value == pytest.approx(learning / 100)


def test_the_chip_adds_the_least_but_for_fewer_bits(technology: Technology) -> None:
    side = load_rates("mnist").training
    assert side is not None
    chip = load_chip("mnist")
    ways = alternatives(chip, technology, expected_counts(chip, side, 100))
    own = ways[0]
    for way in ways[4:]:
        assert way.state.learning_bits > 3 * own.state.learning_bits, way.state.name
        assert way.area_um2.value > own.area_um2.value
        assert own.energy_pj is not None and way.energy_pj is not None
        assert way.energy_pj.value > own.energy_pj.value


def test_the_document_says_the_same() -> None:
    """The table of docs/ENERGY.md."""
    text = (Path(__file__).parents[2] / "docs" / "ENERGY.md").read_text(encoding="utf-8")
    states = training_states(load_chip("digits"))
    own = states[0]
    for state in states:
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {state.name} |"))
        cells = [cell.strip() for cell in row.split("|")[3:7]]
        assert cells == [
            f"{state.learning_bits / 1000:,.0f}",
            f"{state.learning_bits / own.learning_bits:.1f} x",
            f"{state.total_bits / 1000:,.0f}",
            f"{state.total_bits / own.total_bits:.1f} x",
        ]
