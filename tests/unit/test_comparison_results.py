"""Results of a comparison in words, as a table and as CSV, from rows made by hand; and software where torch is missing."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flipcore.cli.compare_table import print_comparison
from flipcore.comparison import finish as engine
from flipcore.comparison.contenders import parse_contenders
from flipcore.comparison.finish import headline_row
from flipcore.comparison.headline import energy_text, headline, three_digits
from flipcore.comparison.rows import Band, ChipFigures, Comparison, CurvePoint, Row
from flipcore.comparison.rows_csv import COLUMNS, rows_csv
from flipcore.comparison.run_files import mean_curve, spread
from flipcore.comparison.software_rows import missing_row


def software(name: str, accuracy: float, bits: int, peaks: dict[int, int]) -> Row:
    return Row(
        name=name,
        label=name.upper(),
        where="software",
        algorithm=name,
        seeds=(0, 1),
        accuracies=(accuracy, accuracy),
        accuracy_mean=accuracy,
        accuracy_std=0.01,
        curve=(CurvePoint(samples_seen=50, accuracy_mean=accuracy, accuracy_std=0.01, flip_ratio=0.02),),
        epochs=1,
        samples_seen=50,
        training_state_bits=bits,
        training_peak_bytes=4096,
        peak_bytes_by_steps=peaks,
        seconds_per_sample=0.002,
    )  # fmt: skip


def chip(name: str, bits: int, accuracy: float = 0.96) -> Row:
    figures = ChipFigures(
        chip={},
        clock_mhz=100.0,
        training_cycles=6400.0,
        inference_cycles=4000.0,
        training_latency_us=64.0,
        inference_latency_us=40.0,
        technology="ihp-sg13g2",
        training_energy_pj=Band(value=624_000.0, low=512_000.0, high=1_906_000.0),
        inference_energy_pj=Band(value=268_000.0, low=192_000.0, high=481_000.0),
        area_um2=Band(value=2_450_000.0, low=2_330_000.0, high=2_650_000.0),
    )
    row = software("bso", accuracy, 200_000, {1: 100, 32: 100})
    fields = {**row.__dict__, "name": name, "where": "chip", "momentum_bits": bits}
    return Row(**{**fields, "flips_per_sample": 1.5, "chip": figures})


def comparison(*rows: Row) -> Comparison:
    return Comparison(
        name="digits",
        dataset="digits",
        network=(64, 256, 10),
        steps=8,
        training_samples=50,
        test_split="test",
        test_samples=360,
        headline_row=headline_row(rows),
        rows=rows,
        versions={},
    )


LATENT = software("bptt-adam", 0.965, 1_800_000, {1: 1000, 32: 5000})
PACKED = software("bso", 0.971, 170_000, {1: 1000, 32: 1300})


def test_the_headline_in_words() -> None:
    assert headline(comparison(LATENT, PACKED, chip("chip-4", 4), chip("chip-8", 8))) == [
        "On the chip, BSO with a momentum of 8 bits reaches 96.0 ± 1.0 % of 360 test samples: 1.1 points below BSO in software (97.1 ± 1.0 %) and 0.5 points below BPTT with latent weights and Adam (96.5 ± 1.0 %).",
        "All its memories together are 200 kbit; what training keeps from step to step is 0.8 times as much for BSO in software and 9.0 times as much for BPTT with latent weights and Adam.",
        "From 1 to 32 time steps, the memory that learning needs at its peak grows by a factor of 1.3 for BSO in software, 5.0 for BPTT with latent weights and Adam, 1.0 for the chip.",
        "To learn a sample takes the chip 624 nJ (512 … 1,906) and 64 µs at 100 MHz, to classify one 268 nJ (192 … 481), on 2.45 (2.33 … 2.65) mm² in ihp-sg13g2.",
    ]  # fmt: skip


def test_a_headline_without_software_or_without_a_chip() -> None:
    assert headline(comparison(chip("chip-8", 8)))[0] == (
        "On the chip, BSO with a momentum of 8 bits reaches 96.0 ± 1.0 % of 360 test samples."
    )
    assert headline(comparison(LATENT)) == [
        "BPTT with latent weights and Adam reaches 96.5 ± 1.0 % of 360 test samples."
    ]


def test_the_headline_chip_has_eight_bits_or_is_the_first() -> None:
    assert headline_row([PACKED, chip("chip-4", 4), chip("chip-8", 8)]) == "chip-8"
    assert headline_row([chip("chip-4", 4), chip("chip-6", 6)]) == "chip-4"
    assert headline_row([PACKED]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.0, "12,345"), (0.0123, "0.0123")],
)  # fmt: skip
def test_three_digits(value: float, text: str) -> None:
    assert three_digits(value) == text


def test_energies_have_the_unit_that_suits_them() -> None:
    assert energy_text(Band(value=5.0, low=4.0, high=6.0)) == "5.00 pJ (4.00 … 6.00)"
    assert energy_text(Band(value=2.5e6, low=9e5, high=3e6)) == "2.50 µJ (0.900 … 3.00)"


def test_the_table_names_what_is_missing() -> None:
    (contender,) = parse_contenders(["tbso"])
    console = Console(width=80, record=True, file=io.StringIO())
    rows = (PACKED, missing_row(contender, engine.NO_TORCH), chip("chip-8", 8))
    print_comparison(comparison(*rows), Path("folder"), None, console)
    text = console.export_text()
    assert "tbso: torch is missing: install it with `pip install 'flipcore[train]'`" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["tbso", "missing", "-", "-", "-", "-", "-"] in lines
    assert ["bso", "97.10", "±", "1.00", "50", "170", "4", "2.000", "2.00"] in lines


def test_the_figures_of_a_large_chip_fit_in_eighty_columns() -> None:
    row = chip("chip-tbso-8", 8)
    assert row.chip is not None
    large = replace(
        row.chip,
        training_cycles=17_800.0,
        training_energy_pj=Band(value=1_724_000.0, low=1_405_000.0, high=2_590_000.0),
        inference_energy_pj=Band(value=1_111_000.0, low=850_000.0, high=1_760_000.0),
        area_um2=Band(value=31_790_000.0, low=30_820_000.0, high=32_780_000.0),
    )
    console = Console(width=80, record=True, file=io.StringIO())
    print_comparison(comparison(replace(row, chip=large)), Path("folder"), None, console)
    text = console.export_text()
    assert "learn, µJ" in text
    assert ["chip-tbso-8", "17,800", "64.0", "1.72", "(1.41", "…", "2.59)", "1.11", "(0.850", "…", "1.76)", "31.8"] in [
        line.split() for line in text.splitlines()
    ]  # fmt: skip


def test_csv_has_a_column_for_everything() -> None:
    lines = list(csv.DictReader(io.StringIO(rows_csv([PACKED, chip("chip-8", 8)]))))
    assert tuple(lines[0]) == COLUMNS
    assert (lines[0]["num_seeds"], lines[0]["peak_bytes_at_32_steps"]) == ("2", "1300")
    assert (lines[0]["peak_bytes_at_2_steps"], lines[0]["area_um2_value"]) == ("", "")
    assert float(lines[1]["training_energy_pj_high"]) == 1_906_000.0


def test_figures_over_seeds() -> None:
    assert spread([0.5]) == (0.5, 0.0)
    histories = [
        [{"test_accuracy": 0.5, "flip_ratio": 0.2}, {"test_accuracy": 0.7, "flip_ratio": 0.1}],
        [{"test_accuracy": 0.7, "flip_ratio": 0.4}, {"test_accuracy": 0.7, "flip_ratio": 0.3}],
    ]
    first, second = mean_curve(histories, 200)
    assert (first.samples_seen, second.samples_seen) == (100, 200)
    assert first.accuracy_mean == pytest.approx(0.6)
    assert first.accuracy_std == pytest.approx(0.1414, abs=1e-4)
    assert second.flip_ratio == pytest.approx(0.2)
    with pytest.raises(ValueError, match="shorter"):
        mean_curve([histories[0], histories[1][:1]], 200)
