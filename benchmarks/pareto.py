"""Accuracy, energy and area of the chips that the studies measured, and the Pareto front among them.

Every row of a study's JSON is turned back into its chip, and the counts that it holds are priced: nothing is trained. Writes pareto.csv and pareto.png beside the studies.
Run: python -m benchmarks.pareto [STUDY ...]
"""

import argparse
import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.studies import STUDIES, Study, setting_document
from flipcore.chip import Chip, parse_chip, set_field
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.hwmodel.area import chip_area, total_area
from flipcore.hwmodel.energy import IO, price
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology, load_technology

DESIGN_STUDIES = ("momentum_bits", "decay", "rule", "lanes")
TECHNOLOGIES = ("generic-28nm", "ihp-sg13g2")
MARKERS = "osD^vP*X"
LABEL_HEIGHT = 0.035  # of a panel
CROWDED = 0.9  # accuracy below which points are left out of the plot, so that the others can be told apart


@dataclass(frozen=True)
class Row:
    """A chip that a study measured.

    Attributes:
        ci95: half width of the 95 % confidence interval of the accuracy.
        training, inference: counts of all its seeds together.
    """

    study: str
    setting: str
    chip: Chip
    accuracy: float
    ci95: float
    seeds: int
    training: EventCounts
    inference: EventCounts


@dataclass(frozen=True)
class Figures:
    """What a chip costs in a technology.

    Attributes:
        training_nj, inference_nj: of a sample, without lines to other chips: they cost every chip the same.
        io_nj: what those lines add to a training sample.
        front: whether no other chip is at least as good in accuracy, training energy and area, and better in one.
    """

    row: Row
    technology: str
    training_nj: Band
    inference_nj: Band
    io_nj: Band
    area_mm2: Band
    front: bool = False

    @property
    def cycles(self) -> float:
        """Of a training sample."""
        return self.row.training.cycles / self.row.training.samples


def read_rows(path: Path) -> list[Row]:
    """Read a study's result and build its chips anew.

    Raises:
        InputError: the file cannot be read, is of no known study, or holds no counts.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        name, rows = document["study"], document["rows"]
        tests = [(row["setting"], row["test"]) for row in rows]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: run python -m benchmarks.studies {path.stem}") from None  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the result of a study: {type(error).__name__} {error}") from None  # fmt: skip
    if name not in STUDIES:
        raise InputError(f"{path}: study {name}: unknown; known: {', '.join(STUDIES)}")
    for setting, test in tests:
        if "train_counts" not in test or "inference_counts" not in test:
            raise InputError(f"{path}: setting {setting} holds no event counts: it was measured before studies kept them; run python -m benchmarks.studies {name} again")  # fmt: skip
    return [_row(path, name, setting, test) for setting, test in tests]


def _row(path: Path, name: str, setting: str, test: dict[str, Any]) -> Row:
    where = f"{path}: setting {setting}"
    chip = _chip(where, STUDIES[name], setting, test["values"])
    try:
        training = EventCounts.from_dict(test["train_counts"])
        inference = EventCounts.from_dict(test["inference_counts"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if not training.samples or not inference.samples:
        raise InputError(f"{where}: counts of no samples")
    accuracy, ci95 = float(test["accuracy_mean"]), float(test["accuracy_ci95"])
    return Row(name, setting, chip, accuracy, ci95, int(test["runs"]), training, inference)


def _chip(where: str, study: Study, name: str, values: dict[str, Any]) -> Chip:
    """The preset with what the setting fixes and what the search chose."""
    for setting in study.settings:
        if setting.name == name:
            document = setting_document(study, setting)
            for key, value in values.items():
                set_field(document, key, value)
            return parse_chip(document, where)
    raise InputError(f"{where}: the study has no such setting any more")


def prices(rows: Iterable[Row], technology: Technology) -> list[Figures]:
    """What every chip costs, with the front among them."""
    return mark_front([_figures(row, technology) for row in rows])


def _figures(row: Row, technology: Technology) -> Figures:
    training = price(row.chip, row.training, technology)
    return Figures(
        row,
        technology.name,
        training.without_io().per_sample_pj * 1e-3,
        price(row.chip, row.inference, technology).without_io().per_sample_pj * 1e-3,
        training.by_component().get(IO, Band.exact(0.0)) * 1e-3,
        total_area(chip_area(row.chip, technology)) * 1e-6,
    )


def mark_front(figures: list[Figures]) -> list[Figures]:
    """Mark those that no other one dominates, by mean accuracy and by the values of energy and area: bounds of one technology move all chips alike."""
    goals = [(one.row.accuracy, -one.training_nj.value, -one.area_mm2.value) for one in figures]
    return [
        replace(one, front=not any(_dominates(other, goal) for other in goals))
        for one, goal in zip(figures, goals, strict=True)
    ]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def table(figures: list[Figures]) -> str:
    """Write the figures of a technology as a Markdown table, the front in bold."""
    lines = [
        "| study | setting | test accuracy | nJ a training sample | nJ an inference | mm² | cycles a sample | front |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for one in sorted(figures, key=lambda one: -one.row.accuracy):
        cells = (
            one.row.study,
            f"**{one.row.setting}**" if one.front else one.row.setting,
            f"{one.row.accuracy:.2%} ± {one.row.ci95:.2%}",
            _band(one.training_nj, 1),
            _band(one.inference_nj, 1),
            _band(one.area_mm2, 3),
            f"{one.cycles:,.0f}",
            "yes" if one.front else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _band(band: Band, digits: int) -> str:
    return f"{band.value:.{digits}f} ({band.low:.{digits}f} ... {band.high:.{digits}f})"


COLUMNS = (
    "technology", "study", "setting", "accuracy", "accuracy_ci95", "seeds", "training_nj", "training_nj_low", "training_nj_high",
    "inference_nj", "inference_nj_low", "inference_nj_high", "io_nj", "io_nj_low", "io_nj_high", "area_mm2", "area_mm2_low", "area_mm2_high", "cycles", "front",
)  # fmt: skip


def csv_text(figures: Iterable[Figures]) -> str:
    """Write the figures of all technologies as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in figures:
        row = one.row
        bands = (one.training_nj, one.inference_nj, one.io_nj, one.area_mm2)
        bounds = [f"{number:.5g}" for band in bands for number in (band.value, band.low, band.high)]
        accuracy = (f"{row.accuracy:.5f}", f"{row.ci95:.5f}", row.seeds)
        writer.writerow((one.technology, row.study, row.setting, *accuracy, *bounds, f"{one.cycles:.0f}", int(one.front)))  # fmt: skip
    return text.getvalue()


def plot(by_technology: dict[str, list[Figures]]) -> bytes:
    """Draw accuracy over energy and over area as PNG, a row of panels for each technology; filled and named: the front."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 6 * len(by_technology)), layout="constrained")
    panels = figure.subplots(len(by_technology), 2, squeeze=False)
    for (left, right), (technology, figures) in zip(panels, by_technology.items(), strict=True):
        shown = [one for one in figures if one.row.accuracy >= CROWDED]
        _draw(left, shown, [one.training_nj.value for one in shown])
        _draw(right, shown, [one.area_mm2.value for one in shown])
        energy = f"energy of a training sample, nJ ({_bounds([one.training_nj for one in figures])} all alike)"
        area = f"area, mm² ({_bounds([one.area_mm2 for one in figures])} all alike)"
        left.set(xlabel=energy, title=technology)
        right.set(xlabel=area, title=f"{technology}: on the front: filled and named")
        left_out = [one.row.setting for one in figures if one.row.accuracy < CROWDED]
        if left_out:
            text = f"below {CROWDED:.0%}, not drawn: {', '.join(left_out)}"
            right.text(0.98, 0.02, text, transform=right.transAxes, ha="right", fontsize="small")
        left.legend(fontsize="small", loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _bounds(bands: list[Band]) -> str:
    """How far the bounds lie from the values, at most."""
    low = min(band.low / band.value - 1 for band in bands)
    high = max(band.high / band.value - 1 for band in bands)
    return f"bounds {low:+.0%} to {high:+.0%},"


def _draw(axes: Any, figures: list[Figures], numbers: list[float]) -> None:
    names: dict[tuple[float, float], list[str]] = {}
    for k, study in enumerate(dict.fromkeys(one.row.study for one in figures)):
        style = {"color": f"C{k}", "marker": MARKERS[k], "linestyle": "", "markersize": 8}
        axes.plot([], [], label=study, **style)
        for x, one in zip(numbers, figures, strict=True):
            if one.row.study != study:
                continue
            y = 100 * one.row.accuracy
            fill = {} if one.front else {"markerfacecolor": "none"}
            axes.errorbar(x, y, 100 * one.row.ci95, capsize=2, elinewidth=0.6, **style, **fill)
            if one.front:
                names.setdefault((x, y), []).append(one.row.setting)
    axes.set(ylabel="test accuracy, %, and its 95 % confidence interval", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize="x-small")
    axes.grid(alpha=0.3, which="both")
    _name(axes, names)


def _name(axes: Any, names: dict[tuple[float, float], list[str]]) -> None:
    """Write the names beside the panel, each at the height of its point or above the name below, with a line to the point."""
    bottom, top = axes.get_ylim()
    height = 0.0
    for (x, y), same in sorted(names.items(), key=lambda item: (item[0][1], -item[0][0])):
        height = max((y - bottom) / (top - bottom), height + LABEL_HEIGHT)
        axes.annotate(
            ", ".join(same), (x, y), (1.02, height), textcoords="axes fraction", va="center", fontsize="small",
            annotation_clip=False, arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.5"},
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", help=f"default: {', '.join(DESIGN_STUDIES)}")
    parser.add_argument("--results", type=Path, default=Path("docs/studies"), help="folder of the studies' JSON")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("docs/studies"), help="folder of pareto.csv and pareto.png")  # fmt: skip
    parser.add_argument("--technology", action="append", help=f"default: {', '.join(TECHNOLOGIES)}")
    arguments = parser.parse_args()
    try:
        technologies = [load_technology(name) for name in arguments.technology or TECHNOLOGIES]
        names = arguments.studies or DESIGN_STUDIES
        rows = [row for name in names for row in read_rows(arguments.results / f"{name}.json")]
        by_technology = {technology.name: prices(rows, technology) for technology in technologies}
    except InputError as error:
        raise SystemExit(str(error)) from None
    for technology in technologies:
        logic = any(technology.rows(component) for component in LOGIC_COMPONENTS)
        print(f"{technology.name}{'' if logic else ': PRICES NO LOGIC, memories alone'}\n\n{table(by_technology[technology.name])}")  # fmt: skip
    figures = [one for of_technology in by_technology.values() for one in of_technology]
    write_whole(arguments.out / "pareto.csv", csv_text(figures).encode())
    write_whole(arguments.out / "pareto.png", plot(by_technology))


if __name__ == "__main__":
    main()
