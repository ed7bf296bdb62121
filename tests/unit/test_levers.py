"""The variants behind the mnist-lowpower preset: their chips are those whose counts are kept."""

import json
from pathlib import Path

import pytest

from benchmarks.levers import KEPT, VARIANTS, table, variant_chip
from flipcore.chip import chip_document, load_chip
from flipcore.hwmodel.technology import load_technology

KEPT_COUNTS = json.loads((Path(__file__).parents[2] / KEPT).read_text())


@pytest.mark.parametrize("name", VARIANTS)
def test_counts_are_of_the_chip_of_the_variant(name: str) -> None:
    assert KEPT_COUNTS[name]["chip"] == chip_document(variant_chip(name))


def test_preset_is_the_variant_that_was_chosen() -> None:
    preset = load_chip("mnist-lowpower")
    chosen = variant_chip("the same, T = 3: mnist-lowpower")
    assert (preset.layers, preset.error, preset.steps) == (chosen.layers, chosen.error, chosen.steps)  # fmt: skip


def test_table_prices_every_variant() -> None:
    assert len(table(KEPT_COUNTS, load_technology("generic-28nm")).splitlines()) == 2 + len(VARIANTS)  # fmt: skip
