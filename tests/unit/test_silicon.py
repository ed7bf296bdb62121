"""The comparison with published chips: every figure has a source, the chips are of their sizes, the tables follow from the model."""

from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.silicon import (
    BEGIN,
    CHIPS,
    END,
    ODIN_NEURONS,
    ODIN_SYNAPSES,
    RECKON_MEMORIES,
    SOURCES,
    Figure,
    Silicon,
    flipcore_chip,
    memory_area_um2,
    model,
    odin_access_pj,
    table,
    write_table,
)
from flipcore.hwmodel.technology import Band, load_technology

PAGE = Path(__file__).parents[2] / "docs" / "energy" / "silicon.md"


def figures(silicon: Silicon) -> dict[str, Figure]:
    found = {field.name: getattr(silicon, field.name) for field in fields(silicon)}
    return {name: value for name, value in found.items() if isinstance(value, Figure)}


@pytest.fixture(scope="module")
def tables() -> str:
    return table()


def test_each_figure_has_a_source_and_each_source_a_figure() -> None:
    used = {figure.source for silicon in CHIPS for figure in figures(silicon).values()}
    assert used <= SOURCES.keys()
    assert SOURCES.keys() - used == {"odin-verilog"}  # of the accesses, which are no figure
    assert all(source.url.startswith("https://") for source in SOURCES.values())


def test_what_was_not_seen_is_marked(tables: str) -> None:
    unseen = [f for silicon in CHIPS for f in figures(silicon).values() if not f.is_checked]
    assert unseen
    for figure in unseen:
        assert SOURCES[figure.source].seen == ""
    assert "51 †" in tables
    assert "12.7 |" in tables
    assert "† not seen at its source" in tables


@pytest.mark.parametrize("silicon", CHIPS, ids=lambda silicon: silicon.name)
def test_the_flipcore_chip_is_of_their_size(silicon: Silicon) -> None:
    chip = flipcore_chip(silicon)
    neurons = sum(core.neurons for core in chip.layers)
    synapses = sum(core.axons * core.neurons for core in chip.layers)
    assert neurons == silicon.neurons.value
    assert synapses == pytest.approx(silicon.synapses.value, rel=0.01)
    assert {core.memory_ports for core in chip.layers} == {"1rw"}


@pytest.mark.parametrize("silicon", CHIPS, ids=lambda silicon: silicon.name)
def test_the_model_is_in_order(silicon: Silicon) -> None:
    found = model(silicon)
    for band in (found.total_pj, found.incremental_pj, found.learning_pj, found.area_um2):
        assert 0 < band.low <= band.value <= band.high
    assert found.incremental_pj.value < found.total_pj.value < found.learning_pj.value
    assert found.learning_um2.value < found.area_um2.value
    at_their_node = silicon.node_nm.value == found.technology.node_nm
    assert (found.area_factor == 1) == at_their_node
    if at_their_node:
        ratio = silicon.voltage_v.value / found.technology.voltage_v
        assert found.energy_factor == pytest.approx(ratio**2)


def test_memories_of_published_chips_fit_into_them() -> None:
    """What the model makes of memories alone lies below what was measured of the whole chip, and is a good part of it."""
    odin, _, reckon = CHIPS
    technology = load_technology("generic-28nm")
    accesses = Band.total(odin_access_pj(technology)).value * (0.55 / 0.9) ** 2
    assert 0.2 * odin.total_pj.value < accesses < odin.total_pj.value
    for silicon, shapes in ((odin, (ODIN_NEURONS, ODIN_SYNAPSES)), (reckon, RECKON_MEMORIES)):
        area = memory_area_um2(technology, shapes).value / 1e6
        assert 0.3 * silicon.area_mm2.value < area < silicon.area_mm2.value


def test_tables_are_whole(tables: str) -> None:
    rows = [line for line in tables.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}
    for silicon in CHIPS:
        assert silicon.name in rows[0]


def test_the_page_takes_them(tmp_path: Path, tables: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(page)
    assert page.read_text() == f"before\n{BEGIN}\n{tables}\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="no <!-- benchmarks"):
        write_table(page)
    assert PAGE.read_text().count(BEGIN) == PAGE.read_text().count(END) == 1
