"""Area worked out by hand, and what is said of memories beyond the macros that were measured."""

from pathlib import Path

import pytest

from flipcore.chip import load_chip, parse_chip
from flipcore.hwmodel.area import chip_area, memory_warnings, total_area
from flipcore.hwmodel.components import has_component
from flipcore.hwmodel.memories import MEMORIES
from flipcore.hwmodel.memory import memory_bits
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, load_technology
from tests.technologies import write_technology

SRAM = [
    f"sram_{ports},{row}"
    for ports in ("1rw", "1r1w")
    for row in (
        "read,1,1,1,1,pJ", "write,1,1,1,1,pJ", "leakage,1,1,1,1,nW", "area,words*bits,1,1,1,um2",
        "smallest_words,1,8,8,8,count", "largest_words,1,4096,4096,4096,count",
        "smallest_bits,1,4,4,4,count", "largest_bits,1,64,64,64,count",
        "largest_cells,1,262144,262144,262144,count",
    )
]  # fmt: skip


def test_area_worked_out_by_hand(tmp_path: Path) -> None:
    technology = load_technology(str(write_technology(tmp_path)))
    for changes, decays in (([], 0), (["core.decay=scrub"], 2)):
        chip = load_chip("digits", changes)
        rows = chip_area(chip, technology)
        stores = memory_bits(chip)
        memory = sum(stores.get(name, 0) for name in MEMORIES)
        total = total_area(rows)
        # Of both cores: 16 lanes of `integrate`, a flip unit; a `decay` where there is any.
        logic = 2 * (160 + 100) + decays * 1000
        assert total.value == pytest.approx(3 * memory + logic)
        assert total.low == pytest.approx(2 * memory + logic - 2 * 50)
        assert total.high == pytest.approx(5 * memory + logic + 2 * 100)
        of_cores = [total_area(tuple(row for row in rows if row.core == c)).value for c in (0, 1)]
        assert sum(of_cores) == pytest.approx(total.value)
        assert {row.kind for row in rows} == {"memory", "logic"}


def test_extrapolated_memories_are_named(tmp_path: Path) -> None:
    path = write_technology(tmp_path, *SRAM, without="register_file")
    technology = load_technology(str(path))
    chip = parse_chip({"name": "x", "inputs": 8, "layers": [{"neurons": 16}, {"neurons": 16}]}, "x")
    (line, *others) = memory_warnings(chip, technology)
    assert "potential memory of core 0 (1 x 192 bits)" in line
    assert "extrapolated: 1 words priced as 8" in line
    # Event lists of 3 and 4 bits.
    assert [line for line in others if "event list memory of core 0 (8 x 3 bits)" in line]
    assert not [line for line in others if "event list memory of core 1" in line]


def test_nothing_is_extrapolated_of_flip_flops(tmp_path: Path) -> None:
    technology = load_technology(str(write_technology(tmp_path)))
    assert memory_warnings(load_chip("digits"), technology) == []


def test_parts_are_where_the_rtl_has_them() -> None:
    chip = load_chip("mnist")
    cores = [{name for name in LOGIC_COMPONENTS if has_component(chip, c, name)} for c in range(2)]
    assert {"fire", "spike_output", "error_words", "chip_control"} <= cores[0] - cores[1]
    assert {"readout", "predict", "error_unit", "backward_sum"} <= cores[1] - cores[0]
    assert {"flip_unit", "integrate", "random_source", "clock"} <= cores[0] & cores[1]
    assert not {"decay", "adaptive_threshold", "error_softmax"} & (cores[0] | cores[1])
    other = load_chip(
        "mnist",
        ["core.decay=dense", "core.rule=tbso", "core.rounding=floor", "error={kind: softmax}"],
    )
    assert has_component(other, 0, "decay")
    assert has_component(other, 0, "adaptive_threshold")
    assert has_component(other, 1, "error_softmax")
    assert not has_component(other, 0, "error_softmax")
    assert not has_component(other, 0, "random_source")
