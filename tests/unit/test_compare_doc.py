"""The tables of docs/studies/compare.md are those of the comparisons that lie beside it."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from flipcore.comparison.rows import Comparison, Row

STUDIES = Path(__file__).parents[2] / "docs" / "studies"
PAGE = (STUDIES / "compare.md").read_text(encoding="utf-8")
KEPT = sorted((STUDIES / "compare").glob("*.json"))


def line(row: Row) -> str:
    """A row as the page writes it."""
    assert row.accuracy_mean is not None and row.accuracy_std is not None
    assert row.training_state_bits is not None and row.training_peak_bytes is not None
    cells = [
        f"`{row.name}`",
        f"{100 * row.accuracy_mean:.2f} ± {100 * row.accuracy_std:.2f}",
        f"{row.samples_seen:,}",
        f"{row.training_state_bits / 1000:,.0f}",
        f"{row.training_peak_bytes / 1024:,.0f}",
        f"{100 * row.curve[-1].flip_ratio:.2f}",
    ]
    if row.chip is not None:
        energy, area = row.chip.training_energy_pj, row.chip.area_um2
        cells += [
            f"{row.chip.training_latency_us:.1f}",
            f"{energy.value / 1000:,.0f} ({energy.low / 1000:,.0f} … {energy.high / 1000:,.0f})",
            f"{area.value / 1e6:.2f} ({area.low / 1e6:.2f} … {area.high / 1e6:.2f})",
        ]
    else:
        cells += ["-"] * 3
    return "| " + " | ".join(cells) + " |"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_row_stands_on_the_page(path: Path) -> None:
    comparison = TypeAdapter(Comparison).validate_json(path.read_bytes())
    assert f"## {comparison.name}" in PAGE
    for row in comparison.rows:
        assert line(row) in PAGE, line(row)


def test_there_is_something_to_hold_it_to() -> None:
    assert KEPT
