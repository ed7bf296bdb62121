"""Several folders in one report: side by side where they belong together, one line where they do not."""

from dataclasses import replace
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.report.sources import Source, read_source
from flipcore.report.subject import join_sources
from tests.report_folders import comparison, simulation, training


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """A chip, software, and the same chip with less momentum."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        read_source(simulation(folder / "eight")),
        read_source(training(folder / "software")),
        read_source(simulation(folder / "again", accuracy=0.9)),
    ]


def test_rows_stand_side_by_side(sources: list[Source]) -> None:
    subject = join_sources(sources[:2])
    assert [row.name for row in subject.comparison.rows] == ["chip-8", "bso", "bptt-adam"]
    assert subject.headline is subject.comparison.rows[0]
    assert subject.run_dir == sources[0].folder
    assert subject.comparison.versions["torch"] == "2.13.0"
    assert subject.commands == (sources[0].command, sources[1].command)


def test_names_that_repeat_are_labelled_with_their_folder(sources: list[Source]) -> None:
    subject = join_sources(sources)
    assert [(row.name, row.label) for row in subject.comparison.rows] == [
        ("chip-8-1", "chip, BSO, 8-bit momentum (eight)"),
        ("bso", "BSO, 8-bit momentum, packed"),
        ("bptt-adam", "BPTT, latent weights, Adam"),
        ("chip-8-3", "chip, BSO, 8-bit momentum (again)"),
    ]
    assert subject.comparison.headline_row == "chip-8-1"


def test_software_alone_has_no_headline_chip(sources: list[Source]) -> None:
    subject = join_sources(sources[1:2])
    assert subject.headline is None
    assert subject.run_dir is None


def test_different_steps_are_told_in_the_labels(sources: list[Source]) -> None:
    longer = replace(sources[1], comparison=replace(sources[1].comparison, steps=16))
    labels = [row.label for row in join_sources([sources[0], longer]).comparison.rows]
    assert labels[:2] == ["chip, BSO, 8-bit momentum, T = 8", "BSO, 8-bit momentum, packed, T = 16"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": "mnist"}, "data set digits and mnist"),
        ({"test_split": "validation"}, "test split test and validation"),
        ({"test_samples": 359}, "number of test samples 360 and 359"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    sources: list[Source], changes: dict[str, str], told: str
) -> None:
    other = replace(sources[1], comparison=replace(sources[1].comparison, **changes))
    with pytest.raises(InputError) as caught:
        join_sources([sources[0], other])
    assert str(caught.value) == f"{sources[0].folder} and {other.folder} do not belong together: {told}"  # fmt: skip


def test_another_network_is_refused(sources: list[Source]) -> None:
    other = replace(sources[1], network="vgg11, which no chip has")
    with pytest.raises(InputError, match="network 64-256-10 and vgg11, which no chip has"):
        join_sources([sources[0], other])


def test_a_folder_is_given_once(sources: list[Source]) -> None:
    with pytest.raises(InputError, match="is given twice"):
        join_sources([sources[0], sources[0]])
    with pytest.raises(InputError, match="a report needs a folder"):
        join_sources([])


def test_two_comparisons_of_one_task(tmp_path: Path) -> None:
    one, two = (read_source(comparison(tmp_path / name)) for name in ("one", "two"))
    rows = join_sources([one, two]).comparison.rows
    assert len({row.name for row in rows}) == len(rows) == 10
    assert all(row.label.endswith(("(one)", "(two)")) for row in rows)
