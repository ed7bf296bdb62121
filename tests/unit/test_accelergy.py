"""Accelergy's files read back: counts times energies are the total of the price, areas that of the chip."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flipcore.chip import load_chip
from flipcore.hwmodel.accelergy import accelergy_files
from flipcore.hwmodel.activity import expected_counts, load_rates
from flipcore.hwmodel.area import chip_area, total_area
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.technology import load_technology
from tests.technologies import write_technology


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float, float]:
    """The three documents, and the energy and area that they must hold."""
    technology = load_technology(str(write_technology(tmp_path_factory.mktemp("technology"))))
    chip = load_chip("digits", ["core.decay=scrub"])
    side = load_rates("digits").training
    assert side is not None
    energy = price(chip, expected_counts(chip, side, 20), technology)
    area = chip_area(chip, technology)
    documents: dict[str, Any] = {}
    for name, text in accelergy_files(chip, energy, area).items():
        assert name.endswith(".yaml")
        documents |= yaml.safe_load(text)
    return documents, energy.total_pj.value, total_area(area).value


def test_counts_times_energies_are_the_total(
    tables: tuple[dict[str, Any], float, float],
) -> None:
    documents, energy_pj, _ = tables
    each = {
        (table["name"], action["name"]): action["energy"]
        for table in documents["ERT"]["tables"]
        for action in table["actions"]
    }
    counted = {
        (component["name"], action["name"]): action["counts"]
        for component in documents["action_counts"]["local"]
        for action in component["action_counts"]
    }
    assert counted.keys() == each.keys()
    assert sum(number * each[key] for key, number in counted.items()) == pytest.approx(energy_pj)
    assert counted["digits.core[0].weight", "read"] > 0
    assert all(type(number) is int for number in counted.values())


def test_areas_are_the_total(tables: tuple[dict[str, Any], float, float]) -> None:
    documents, _, area_um2 = tables
    rows = documents["ART"]["tables"]
    assert sum(row["area"] for row in rows) == pytest.approx(area_um2)
    assert len({row["name"] for row in rows}) == len(rows)


def test_the_form_is_that_of_accelergy(
    tables: tuple[dict[str, Any], float, float], data_dir: Path
) -> None:
    """Keys of every level as in the reference outputs that come with Accelergy."""
    documents, _, _ = tables
    folder = data_dir / "timeloop-accelergy" / "accelergy_2020" / "03_compound_architecture"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    for name, path in (
        ("ERT", folder / "ref-output" / "ERT.yaml"),
        ("ART", folder / "ref-output" / "ART.yaml"),
        ("action_counts", folder / "input" / "action_counts.yaml"),
    ):
        theirs = yaml.safe_load(path.read_text())[name]
        assert documents[name].keys() == theirs.keys()
        (kind,) = theirs.keys() - {"version"}
        ours, reference = documents[name][kind][0], theirs[kind][0]
        assert ours.keys() == reference.keys()
        for inner in reference.keys() - {"name", "area"}:
            # Actions of theirs may have arguments beside.
            assert ours[inner][0].keys() <= reference[inner][0].keys() | {"arguments"}
            assert {"name"} < ours[inner][0].keys()
