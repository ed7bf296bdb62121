"""The fit of SRAM macros: made-up Liberty files whose law is known, and the real macros of an open process."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.hwmodel.sram_fit import Fit, fit_macros, sram_rows
from flipcore.hwmodel.sram_macros import Macro, read_macros
from flipcore.hwmodel.technology import load_technology

LAW = {
    "read": (2.0, 0.001, 0.5, 0.0007),
    "write": (3.0, 0.0, 0.75, 0.0008),
    "leakage": (0.0, 0.0, 0.0, 0.012),
    "area": (5000.0, 9.0, 490.0, 3.3),
}
SIZES = ((64, 64), (256, 8), (256, 32), (512, 16), (1024, 8), (1024, 64), (4096, 16))


def by_law(action: str, words: int, bits: int) -> float:
    one, by_word, by_bit, by_cell = LAW[action]
    return one + by_word * words + by_bit * bits + by_cell * words * bits


def power(condition: str, rise: float, fall: float) -> str:
    return (
        f'internal_power() {{ when : "{condition}"; rise_power("scalar") {{ values ({rise}); }}'
        f' fall_power("scalar") {{ values ({fall}); }} }}\n'
    )


def port(name: str, words: int, bits: int, pin_pj: float) -> str:
    read, write = by_law("read", words, bits), by_law("write", words, bits)
    enabled = f"{name}_MEN"
    return f"""
    bus({name}_ADDR) {{
      pin({name}_ADDR[0]) {{ capacitance : 0.1; }}
      pin({name}_ADDR[7:0]) {{ {power(f"!{enabled}", 9, 9)} {power(enabled, pin_pj, pin_pj)} }}
    }}
    bus({name}_DIN) {{ pin({name}_DIN[7:0]) {{ {power(enabled, 2 * pin_pj, 0)} }} }}
    pin({name}_CLK) {{
      {power(f"!{enabled} & {name}_WEN & !{name}_REN", 99, 0)}
      {power(f"{enabled}  & {name}_WEN  & !{name}_REN", write - 0.5, 0.5)}
      {power(f"{enabled}  & !{name}_WEN & {name}_REN", read, 0)}
    }}
    pin({name}_BIST_CLK) {{
      {power(f"{name}_BIST_MEN & !{name}_BIST_WEN & {name}_BIST_REN", 77, 0)}
    }}"""


def liberty(words: int, bits: int, ports: str = "A", pin_pj: float = 0.0) -> str:
    """A Liberty file in the manner of IHP's, comments and all."""
    pins = "".join(port(name, words, bits, pin_pj) for name in ports)
    return f"""/* a comment with a {{ brace */
library(ram_typ) {{
  nom_voltage : 1.20 ; nom_temperature : 25 ;
  capacitive_load_unit            (1,pf) ;
  voltage_unit : "1V" ;
  leakage_power_unit : "1nW";
  lu_table_template(load) {{ index_1 ( "0.1, 0.2" ); }}
  cell(RAM_{len(ports)}P_{words}x{bits}_c2) {{
    memory() {{ type : ram; address_width : {(words - 1).bit_length()}; word_width : {bits}; }}
    area : {by_law("area", words, bits)} ;{pins}
    cell_leakage_power : {by_law("leakage", words, bits)};
  }}
}}
"""


def write_macros(folder: Path, ports: str = "A", pin_pj: float = 0.0) -> Path:
    for words, bits in SIZES:
        path = folder / f"RAM_{len(ports)}P_{words}x{bits}_typ.lib"
        path.write_text(liberty(words, bits, ports, pin_pj))
    return folder


def test_a_known_law_is_found(tmp_path: Path) -> None:
    write_macros(tmp_path, "A")
    write_macros(tmp_path, "AB")
    fits = fit_macros(read_macros(tmp_path))
    assert [(fit.ports, fit.action) for fit in fits] == [
        (ports, action) for ports in ("1rw", "1r1w") for action in LAW
    ]
    for fit in fits:
        assert fit.max_error < 1e-6
        assert max(map(abs, fit.left_out_errors)) < 1e-6
        expected = dict(zip(("1", "words", "bits", "words*bits"), LAW[fit.action], strict=True))
        found = dict(zip(fit.terms, fit.factors, strict=True))
        assert found == pytest.approx({term: value for term, value in expected.items() if value})


def test_pins_toggle_by_half(tmp_path: Path) -> None:
    (tmp_path / "ram.lib").write_text(liberty(256, 32, pin_pj=0.25))
    (macro,) = read_macros(tmp_path)
    assert macro.read_pins_pj == pytest.approx(8 / 2 * 0.25)
    assert macro.write_pins_pj == pytest.approx((8 + 32) / 2 * 0.25)
    assert macro.read_pj == pytest.approx(by_law("read", 256, 32) + macro.read_pins_pj)
    assert macro.write_clock_pj == pytest.approx(by_law("write", 256, 32))
    assert (macro.words, macro.bits, macro.ports) == (256, 32, "1rw")


def test_gzipped_and_with_a_data_sheet(tmp_path: Path) -> None:
    (tmp_path / "ram.lib.gz").write_bytes(gzip.compress(liberty(256, 32).encode()))
    sheet = tmp_path / "RAM_1P_256x32_c2.txt"
    area = by_law("area", 256, 32)
    sheet.write_bytes(
        f"25 \xb0C\nArea (h x w)     : 1.00 x 2.00 = {area:.2f} square microns\n".encode("latin-1")
    )
    (macro,) = read_macros(tmp_path)
    assert macro.area_um2 == pytest.approx(area)
    sheet.write_text(f"Area : 1 x 2 = {area * 1.01:.2f} square microns\n")
    with pytest.raises(InputError, match=r"RAM_1P_256x32_c2.txt: area .*, the Liberty file says"):
        read_macros(tmp_path)
    sheet.write_text("no area\n")
    with pytest.raises(InputError, match="no line `Area"):
        read_macros(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("memory()", "memoir()", "has no `memory` group"),
        ("word_width : 32", "word_width : wide", "memory : word_width: 'wide' is not a number"),
        ("address_width : 8", "address_width : 9", "256 words do not fit address_width 9"),
        ("A_CLK", "A_CLOCK", "no pin A_CLK"),
        ("A_DIN", "A_DATA", "no pin A_DIN"),
        ("!A_WEN & A_REN", "A_WEN & A_REN", "pin A_CLK: no internal_power when A_MEN&!A_WEN&A_REN"),
        ("(1,pf)", "(1,ff)", "capacitive_load_unit: 1,ff, must be 1,pf"),
        ('leakage_power_unit : "1nW"', 'leakage_power_unit : "1mW"', "must be 1nW"),
        ('voltage_unit : "1V" ;', "", "voltage_unit: missing"),
        ("cell_leakage_power", "leak", "cell_leakage_power: is missing"),
        ("nom_voltage : 1.20 ;", "", "library ram_typ: nom_voltage: is missing"),
        ("library(", "lib(", "not a whole Liberty file"),
        ("cell(RAM", "cells(RAM", "0 cells, the file of a macro has one"),
        ("lu_table_template(load) {", "lu_table_template(load) {{", "not a whole Liberty file"),
        ("lu_table_template(load) {", "}}", "a brace closes what none has opened"),
    ],
)
def test_a_bad_liberty_file(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = liberty(256, 32)
    assert old in text
    (tmp_path / "ram.lib").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=told) as error:
        read_macros(tmp_path)
    assert "ram.lib: " in str(error.value)


def test_a_folder_without_macros(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Liberty file"):
        read_macros(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_macros(tmp_path / "gone")
    (tmp_path / "a.lib.gz").write_bytes(b"not gzipped")
    with pytest.raises(InputError, match=r"a.lib.gz: cannot be read"):
        read_macros(tmp_path)


def test_macros_of_two_corners(tmp_path: Path) -> None:
    write_macros(tmp_path)
    path = tmp_path / "RAM_1P_256x8_typ.lib"
    path.write_text(path.read_text().replace("nom_voltage : 1.20", "nom_voltage : 1.32"))
    with pytest.raises(InputError, match=r"several corners \(1.2 V 25 C, 1.32 V 25 C\)"):
        read_macros(tmp_path)


def test_too_few_macros(tmp_path: Path) -> None:
    for words, bits in SIZES[:4]:
        (tmp_path / f"{words}x{bits}.lib").write_text(liberty(words, bits))
    with pytest.raises(InputError, match="4 macros with 1rw ports: a fit of 4 parts needs 5"):
        fit_macros(read_macros(tmp_path))


def test_bounds_cover_every_macro_that_is_left_out(tmp_path: Path) -> None:
    """A macro that costs a fifth more than the law lies within the rows' bounds, times the model."""
    write_macros(tmp_path)
    path = tmp_path / "RAM_1P_512x16_typ.lib"
    text = path.read_text()
    read = by_law("read", 512, 16)
    path.write_text(text.replace(f"values ({read})", f"values ({1.2 * read})"))
    fits = fit_macros(read_macros(tmp_path))
    (fit,) = (fit for fit in fits if fit.action == "read")
    assert 0.02 < fit.max_error < 0.2
    assert fit.band.high == pytest.approx(1.2, rel=1e-3)
    assert fit.band.low <= 1.0
    for row in sram_rows(fits, "lab"):
        assert row.band.low <= row.band.value <= row.band.high
        assert row.source == "lab"


@pytest.fixture(scope="module")
def sram_folder(data_dir: Path) -> Path:
    return data_dir / "tech" / "ihp-sg13g2" / "sram"


@pytest.fixture(scope="module")
def real(sram_folder: Path) -> tuple[Macro, ...]:
    return read_macros(sram_folder)


@pytest.mark.realdata
def test_figures_of_real_macros(real: tuple[Macro, ...]) -> None:
    """As the folder's README quotes them: energy of the clock edges and area, typical corner."""
    found = {(m.words, m.bits): m for m in real if m.ports == "1rw"}
    for size, read, write, area in (
        ((64, 64), 39.1, 50.5, 50489),
        ((256, 16), 14.2, 18.5, 28127),
        ((256, 64), 49.6, 63.4, 93181),
        ((512, 64), 68.9, 80.0, 150102),
        ((1024, 16), 26.5, 32.9, 79674),
        ((1024, 64), 91.8, 110.9, 263946),
        ((2048, 64), 122.4, 155.4, 491634),
    ):
        assert found[size].read_clock_pj == pytest.approx(read, abs=0.05)
        assert found[size].write_clock_pj == pytest.approx(write, abs=0.05)
        assert found[size].area_um2 == pytest.approx(area, abs=0.5)
    assert len(found) == 18
    assert len(real) == 28
    assert {(m.voltage_v, m.temperature_c) for m in real} == {(1.2, 25.0)}


@pytest.mark.realdata
def test_fit_of_real_macros(real: tuple[Macro, ...]) -> None:
    fits: dict[tuple[str, str], Fit] = {(fit.ports, fit.action): fit for fit in fit_macros(real)}
    for (ports, action), fit in fits.items():
        bound = 0.06 if ports == "1r1w" else 0.121
        assert fit.max_error < bound, (ports, action)
        assert fit.median_error < 0.05, (ports, action)
        assert max(map(abs, fit.left_out_errors)) < 0.16, (ports, action)


@pytest.mark.realdata
def test_the_rows_that_ship_are_those_of_the_real_macros(real: tuple[Macro, ...]) -> None:
    technology = load_technology("ihp-sg13g2")
    fitted = [row for row in sram_rows(fit_macros(real), "ihp-sg13g2-sram") if row.unit != "count"]
    shipped = [row for row in technology.coefficients if row.component.startswith("sram")]
    for new, old in zip(fitted, shipped, strict=True):
        assert (new.component, new.action, new.term, new.unit, new.corner, new.source) == (
            old.component, old.action, old.term, old.unit, old.corner, old.source
        )  # fmt: skip
        for side in ("value", "low", "high"):
            assert getattr(new.band, side) == pytest.approx(getattr(old.band, side), rel=1e-4)


def flipcore(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flipcore", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_the_command(tmp_path: Path) -> None:
    write_macros(tmp_path, pin_pj=0.001)
    out = tmp_path / "rows.csv"
    done = flipcore("hw", "sram", "--macros", tmp_path, "--source", "lab", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "4096x16" in done.stdout
    assert "error when left out" in done.stdout
    assert "of a write, at most" in done.stdout
    lines = out.read_text().splitlines()
    assert lines[0].startswith("component,action,term")
    assert all(line.endswith(",lab") for line in lines[1:])
    told = json.loads(flipcore("hw", "sram", "--macros", tmp_path, "--json").stdout)
    assert len(told["macros"]) == len(SIZES)
    assert [fit["action"] for fit in told["fits"]] == list(LAW)
    assert told["fits"][0]["values"][0].keys() >= {"macro", "value", "model", "error"}
    refused = flipcore("hw", "sram", "--macros", tmp_path / "gone")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
