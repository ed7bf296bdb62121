"""Charts: what is drawn is what the numbers say."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flipcore.chip import load_chip
from flipcore.comparison.rows import Row
from flipcore.hwmodel.area import total_area
from flipcore.hwmodel.estimate import Estimate, make_estimate, run_workload
from flipcore.hwmodel.technology import load_technology
from flipcore.report.accuracy_charts import accuracy_chart, flip_ratio_chart
from flipcore.report.chart import Drawing, chart_style, draw, inline_svg, line_style
from flipcore.report.energy_charts import component_chart, phase_chart
from flipcore.report.flip_charts import core_ratio_chart, flip_map
from flipcore.report.floor_plan import Block, chip_blocks, fitting_label, floor_plan, place_blocks
from flipcore.report.formats import AREA_UNITS
from flipcore.report.memory_charts import COLOURS, grouped, peak_chart, state_chart
from flipcore.report.sources import read_source
from flipcore.report.spike_charts import MOST_SPIKES, raster_chart
from tests.report_folders import long_curve, missing_row, simulation, training

CHIP = load_chip("digits")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """A chip, two ways in software, one without figures."""
    folder = tmp_path_factory.mktemp("runs")
    chip = read_source(simulation(folder / "chip", pictures=False)).comparison.rows
    return [*chip, *read_source(training(folder / "soft")).comparison.rows, missing_row()]


@pytest.fixture(scope="module")
def estimate(tmp_path_factory: pytest.TempPathFactory) -> Estimate:
    folder = simulation(tmp_path_factory.mktemp("run") / "chip", pictures=False)
    return make_estimate(run_workload(folder), load_technology("ihp-sg13g2"))


def test_a_line_per_row_with_a_curve(rows: list[Row]) -> None:
    chart = accuracy_chart(rows, "test")
    assert chart is not None
    lines = chart.figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [row.label for row in rows[:3]]
    assert list(lines[0].get_ydata()) == [100 * point.accuracy_mean for point in rows[0].curve]
    assert chart.figure.axes[0].get_xscale() == "linear"
    assert accuracy_chart(rows[3:], "test") is None


def test_spread_is_a_band_where_there_is_one(rows: list[Row]) -> None:
    spread = replace(rows[0], curve=long_curve(5))
    chart = accuracy_chart([spread], "test")
    assert chart is not None
    (band,) = chart.figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(89.0), pytest.approx(91.0))


def test_samples_are_on_a_logarithmic_axis_where_rows_differ_much(rows: list[Row]) -> None:
    long = replace(rows[1], curve=long_curve(50))
    chart = accuracy_chart([rows[0], long], "test")
    assert chart is not None
    assert chart.figure.axes[0].get_xscale() == "log"


def test_unknown_and_zero_flip_ratios_are_left_out(rows: list[Row]) -> None:
    points = rows[0].curve
    ratios = (math.nan, 0.0, 0.02, 0.01)
    curve = tuple(replace(p, flip_ratio=r) for p, r in zip(points, ratios, strict=True))
    chart = flip_ratio_chart([replace(rows[0], curve=curve)])
    assert chart is not None
    assert [cell[2] for cell in chart.numbers.rows] == [0.02, 0.01]
    nothing = tuple(replace(point, flip_ratio=0.0) for point in points)
    assert flip_ratio_chart([replace(rows[0], curve=nothing)]) is None


def test_lines_are_told_apart_without_colour(rows: list[Row]) -> None:
    many = [replace(row, name=f"{row.name}{k}") for k in range(3) for row in rows[:3]]
    styles = [line_style(many, index) for index in range(len(many))]
    looks = {(style["marker"], str(style["linestyle"])) for style in styles}
    assert len(looks) == len(many)
    assert all((style["linestyle"] == "-") == (row.where == "chip") for style, row in zip(styles, many, strict=True))  # fmt: skip


def test_parts_of_state_are_all_there(rows: list[Row]) -> None:
    for row in rows[:3]:
        assert sum(grouped(row).values()) == row.training_state_bits
        assert set(grouped(row)) <= set(COLOURS)
    chart = state_chart(rows)
    assert chart is not None
    full, zoomed = chart.figure.axes
    assert len(full.get_yticks()) == 3
    assert [label.get_text().replace("\n", " ") for label in zoomed.get_yticklabels()] == [
        rows[0].label,
        rows[1].label,
    ]
    assert full.get_xlim()[1] > 1.8188  # Mbit of latent weights with Adam
    assert state_chart(rows[3:]) is None


def test_peaks_are_drawn_where_they_were_measured(rows: list[Row]) -> None:
    chart = peak_chart(rows, 8)
    assert chart is not None
    assert {cell[0] for cell in chart.numbers.rows} == {rows[0].label}
    assert peak_chart(rows[1:], 8) is None


def test_energy_adds_up(estimate: Estimate) -> None:
    chart = phase_chart(estimate)
    assert chart is not None
    assert estimate.training is not None
    total = sum(float(cell[2] or 0) for cell in chart.numbers.rows)
    assert total == pytest.approx(estimate.training.per_sample_pj.value)
    drawn = sum(bar.get_width() for bars in chart.figure.axes[0].containers if hasattr(bars, "patches") for bar in bars)  # fmt: skip
    assert drawn == pytest.approx(total / 1000)
    by_component = component_chart(estimate)
    inference = [cell for cell in by_component.numbers.rows if cell[0] == "inference"]
    assert sum(float(cell[2] or 0) for cell in inference) == pytest.approx(estimate.inference.per_sample_pj.value)  # fmt: skip


def test_a_run_that_only_classifies_has_no_phases_of_learning(estimate: Estimate) -> None:
    inferring = replace(estimate, training=None)
    assert phase_chart(inferring) is None
    assert {cell[0] for cell in component_chart(inferring).numbers.rows} == {"inference"}


def test_areas_of_the_floor_plan_are_to_scale(estimate: Estimate) -> None:
    blocks = chip_blocks(estimate)
    placed, side = place_blocks(blocks)
    assert side**2 == pytest.approx(total_area(estimate.area).value)
    for block, tile in placed:
        assert tile.width * tile.height == pytest.approx(block.area_um2)
        assert 0 <= tile.x <= tile.x + tile.width <= side * 1.000001
        assert 0 <= tile.y <= tile.y + tile.height <= side * 1.000001
    assert len(placed) == len(blocks)
    for index, (_, one) in enumerate(placed):
        for _, other in placed[index + 1 :]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            along = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, along) < 1e-6 * side
    momentum = next(block for block in blocks if (block.core, block.name) == (0, "momentum"))
    assert momentum.bits == 131_072


def test_a_technology_without_areas_has_no_floor_plan(estimate: Estimate) -> None:
    assert floor_plan(replace(estimate, area=())) is None


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (200, 100, ("momentum\n131\N{NO-BREAK SPACE}kbit\n1.06\N{NO-BREAK SPACE}mm²", False)),
        (200, 24, ("momentum\n131\N{NO-BREAK SPACE}kbit", False)),
        (14, 100, ("momentum", True)),
        (10, 10, ("", False)),
    ],
)
def test_labels_hold_what_fits(width: float, height: float, expected: tuple[str, bool]) -> None:
    block = Block(0, "momentum", 131_072, 1.06e6)
    assert fitting_label(block, [AREA_UNITS[0]], width, height) == expected


def recording(density: float, inputs: int = 64) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        "label": np.array(3),
        "prediction": np.array(3),
        "input_spikes": random.random((8, inputs)) < density,
        "spikes_0": random.random((8, 256)) < density,
        "outputs": np.tile(np.arange(10), (8, 1)),
    }


def test_every_spike_is_a_tick_and_totals_add_up() -> None:
    sample = recording(0.2)
    chart = raster_chart(sample, CHIP)
    for axes, name in zip(chart.figure.axes, ("input_spikes", "spikes_0"), strict=False):
        (ticks,) = axes.patches
        assert len(ticks.get_path().vertices) == 2 * sample[name].sum()
    assert chart.numbers.rows[-1][-2:] == (72, 9)
    assert chart.data is not None
    assert len(chart.data.rows) == sample["input_spikes"].sum() + sample["spikes_0"].sum() + 80


def test_a_silent_layer_is_drawn_empty() -> None:
    assert "input 0, hidden 0" in raster_chart(recording(0.0), CHIP).alt


def test_very_many_spikes_are_thinned_and_that_is_told() -> None:
    chart = raster_chart(recording(1.0, inputs=4000), CHIP)
    (ticks,) = chart.figure.axes[0].patches
    assert len(ticks.get_path().vertices) / 2 <= MOST_SPIKES
    assert "Of the input one row in 3 is drawn" in chart.caption


def test_a_wrong_class_is_told() -> None:
    chart = raster_chart(recording(0.2) | {"prediction": np.array(9)}, CHIP)
    assert "Class 9 wins, which is wrong: it is 3" in chart.alt


def flips(epochs: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {
        "last_epoch_0": random.integers(0, epochs + 1, (64, 256)).astype(np.uint16),
        "last_epoch_1": np.zeros((256, 10), np.uint16),
        "flip_ratio": random.uniform(0.01, 0.1, (epochs, 2)),
    }


def test_the_map_counts_every_synapse() -> None:
    kept = flips(5)
    chart = flip_map(kept, CHIP)
    assert sum(int(cell[1] or 0) for cell in chart.numbers.rows) == 64 * 256
    assert chart.numbers.rows[0] == ("never", int((kept["last_epoch_0"] == 0).sum()), 2560)
    first, readout = (axes.images[0].get_array() for axes in chart.figure.axes[:2])
    assert first.shape == (64, 256)
    assert readout.shape == (10, 256)
    assert readout.mask.all()


def test_the_same_numbers_give_the_same_drawing(rows: list[Row]) -> None:
    def drawn() -> Drawing:
        chart = accuracy_chart(rows, "test")
        assert chart is not None
        return draw(chart)

    with chart_style():
        assert inline_svg(drawn()) == inline_svg(drawn())


@pytest.mark.parametrize("epochs", [1, 300])
def test_few_and_many_epochs_are_drawn(epochs: int) -> None:
    with chart_style():
        assert "<image" in inline_svg(draw(flip_map(flips(epochs), CHIP)))
        chart = core_ratio_chart(flips(epochs))
        assert chart is not None
        assert "<path" in inline_svg(draw(chart))
    assert core_ratio_chart({"flip_ratio": np.zeros((3, 2))}) is None


def test_a_deep_chip_has_a_panel_per_core(tmp_path: Path) -> None:
    chip = load_chip("digits", ("layers=[{neurons: 32}, {neurons: 16}, {neurons: 10}]",))
    sample = recording(0.3)
    sample |= {"spikes_0": sample["spikes_0"][:, :32], "spikes_1": sample["spikes_0"][:, :16]}
    chart = raster_chart(sample, chip)
    assert [axes.get_ylabel() for axes in chart.figure.axes] == [
        "input\n64 axons",
        "core 0\n32 neurons",
        "core 1\n16 neurons",
        "readout\n10 totals",
    ]
