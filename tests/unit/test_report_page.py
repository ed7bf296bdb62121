"""The page: the numbers of its documents, whole HTML, nothing from elsewhere, no text that becomes markup."""

import csv
import itertools
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flipcore.comparison.rows import read_comparison
from flipcore.errors import InputError
from flipcore.report import Report, make_report, write_report
from tests.report_folders import comparison, edit_json, training, write_comparison

VOID = {"meta", "link", "br", "hr", "img", "input"}
CHARTS = (
    "accuracy", "flip-ratio", "training-state", "peak-over-steps", "energy-by-phase", "energy-by-component", "spike-raster", "flip-map", "flip-ratio-by-core", "floor-plan",
)  # fmt: skip


class Page(HTMLParser):
    """Everything of a page that tests ask for; unclosed or crossed tags fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element and that it is open."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text.append(data)

    @property
    def words(self) -> str:
        """All text, single spaces between words."""
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a comparison with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    return make_report([comparison(folder / "cmp")], folder / "out")


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return report.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_chart_is_there_with_its_files(report: Report, page: Page) -> None:
    ids = [found["id"] for tag, found in page.elements if tag == "figure"]
    assert ids == [f"figure-{name}" for name in CHARTS]
    folder = report.path.parent / "figures"
    names = {f"{name}.{suffix}" for name in CHARTS for suffix in ("svg", "png", "csv")}
    assert {path.name for path in folder.iterdir()} == names
    assert {path.name for path in report.figures} == names
    assert all(path.stat().st_size for path in report.figures)


def test_every_chart_has_words_for_those_who_do_not_see_it(page: Page) -> None:
    pictures = [found for tag, found in page.elements if tag == "svg"]
    assert len(pictures) == len(CHARTS)
    for found in pictures:
        assert found["role"] == "img"
        assert len(found["aria-label"] or "") > 40
    assert sum(tag == "figcaption" for tag, _ in page.elements) == len(CHARTS)


def test_the_page_is_small_and_runs_nothing(html: str, page: Page) -> None:
    assert len(html) < 2_000_000
    assert not [tag for tag, _ in page.elements if tag in ("script", "link", "iframe", "object")]
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]


def test_nothing_is_fetched_from_elsewhere(html: str, page: Page) -> None:
    for tag, found in page.elements:
        for name in ("src", "href", "xlink:href", "data", "action"):
            value = found.get(name)
            if value is not None and not value.startswith(("#", "data:image/png;base64,")):
                assert (tag, name) == ("a", "href")
    assert not [url for url in re.findall(r"url\(([^)]*)\)", html) if not url.startswith("#")]
    assert "@import" not in html


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(html: str, page: Page) -> None:
    ids = Counter(found["id"] for _, found in page.elements if "id" in found)
    assert not [name for name, number in ids.items() if number > 1]
    linked = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    labels = {found["aria-labelledby"] for _, found in page.elements if "aria-labelledby" in found}
    assert linked | labels <= set(ids)


def test_colours_of_charts_follow_the_page(html: str) -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", html, re.S))
    assert "currentColor" in charts
    assert "var(--orange)" in charts
    assert "#1c2024" not in charts
    assert "#c2560c" not in charts
    assert "font-family" not in charts
    assert "<style" not in charts


def test_numbers_are_those_of_the_document(report: Report, page: Page) -> None:
    chip = report.comparison.row("chip-8")
    software = report.comparison.row("bso")
    assert chip.chip is not None
    words = page.words.replace("\N{NO-BREAK SPACE}", " ")
    for text in (
        f"{100 * (chip.accuracy_mean or 0):.2f} %",
        f"{100 * (software.accuracy_mean or 0):.2f} ± {100 * (software.accuracy_std or 0):.2f} %",
        f"{chip.chip.training_cycles:,.0f}",
        "1.82 Mbit",
        "64-256-10, binary weights, T = 8",
        "360 test samples",
        "200 to 400 a row and seed",
        "no figures: torch is <missing>",
        "−4.50",
    ):  # fmt: skip
        assert text in words, text


def test_csv_files_hold_the_numbers_of_the_document(report: Report) -> None:
    folder = report.path.parent / "figures"
    with (folder / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    expected = [
        (row.label, point.samples_seen, point.accuracy_mean)
        for row in report.comparison.rows
        for point in row.curve
    ]
    assert [(one["row"], int(one["samples seen"]), float(one["accuracy, mean"])) for one in lines] == expected  # fmt: skip
    with (folder / "training-state.csv").open(encoding="utf-8", newline="") as file:
        bits = [int(one["bits"]) for one in csv.DictReader(file) if one["row"] == "chip, BSO, 8-bit momentum"]  # fmt: skip
    assert sum(bits) == report.comparison.row("chip-8").training_state_bits


def test_headings_descend_without_a_leap(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(next_ <= level + 1 for level, next_ in itertools.pairwise(levels))


def test_the_command_that_makes_it_again_is_told(page: Page, report: Report) -> None:
    folder = report.path.parent
    assert f"flipcore report {folder.parent}/cmp --out {folder}" in page.words
    assert f"flipcore compare --resume {folder.parent}/cmp" in page.words


HOSTILE = "<script>alert(1)</script>\"'&$x^2$ `code`"


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    content = read_comparison(folder)
    rows = tuple(
        replace(row, label=HOSTILE, missing=HOSTILE if row.missing else None)
        for row in content.rows
    )
    write_comparison(
        folder, replace(content, name=HOSTILE, dataset=HOSTILE, versions={HOSTILE: HOSTILE}, rows=rows)
    )  # fmt: skip
    report = make_report([folder], tmp_path / "out")
    page = Page(report.path.read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.elements if tag == "script"]
    assert HOSTILE in page.words
    for path in report.figures:
        assert path.suffix == ".png" or b"<script" not in path.read_bytes() or path.suffix == ".csv"


def test_software_alone(tmp_path: Path) -> None:
    folder = training(tmp_path / "train")
    page = Page(write_report([folder], tmp_path / "out").read_text(encoding="utf-8"))
    ids = [found["id"] for tag, found in page.elements if tag == "figure"]
    assert ids == ["figure-accuracy", "figure-flip-ratio", "figure-training-state"]
    assert "No row was learnt on a chip." in page.words
    assert "Nothing in this report was priced." in page.words
    assert "Peak memory over the time steps was not measured in these folders" in page.words


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = comparison(tmp_path / "cmp")
    rows = json.loads((folder / "compare.json").read_text())["rows"]
    missing = [row for row in rows if row["missing"]]
    edit_json(folder / "compare.json", rows=missing, headline_row="")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"file/figures: cannot be created: Not a directory"):
        write_report([folder], tmp_path / "file")
    page = Page(write_report([folder], tmp_path / "out").read_text(encoding="utf-8"))
    assert "No row has figures." in page.words
