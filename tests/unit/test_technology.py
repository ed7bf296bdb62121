"""Technologies: what a file may say, what is refused and how, and what ships."""

import csv
import math
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flipcore.errors import InputError
from flipcore.hwmodel.technology import (
    COLUMNS,
    SRAM_COMPONENTS,
    Band,
    Coefficient,
    check_sources,
    format_rows,
    load_technology,
    technology_names,
    term_value,
)

SOURCES = """\
lab: {title: Notes, authors: Nobody, year: 2024, where: page 1, url: "https://example.org", note: ""}
"""
SIZES = "".join(
    f"sram_1rw,{action},1,{size},{size},{size},count,typical,lab\n"
    for action, size in (
        ("smallest_words", 64),
        ("largest_words", 1024),
        ("smallest_bits", 8),
        ("largest_bits", 64),
        ("largest_cells", 32768),
    )
)
GOOD = (
    "# A process of our own\n"
    "# The second comment is a note, with a comma.\n"
    f"{','.join(COLUMNS)}\n"
    "technology,node,1,130,130,130,nm,nominal,lab\n"
    "technology,voltage,1,1.2,1.2,1.2,V,nominal,lab\n"
    f"{SIZES}"
    "sram_1rw,read,1,2,1,3,pJ,typical,lab\n"
    "sram_1rw,read,words^0.5*bits,0.5,0.4,0.6,pJ,typical,lab\n"
    "sram_1rw,write,bits,1,1,1,pJ,typical,lab\n"
    "sram_1rw,leakage,words*bits,0.01,0.01,0.02,nW,typical,lab\n"
    "sram_1rw,area,words*bits,3,2,4,um2,typical,lab\n"
    "integrate,sops,1,0.02,0.01,0.03,pJ,typical,lab\n"
    "integrate,luts,lanes,4,3,5,LUT4,typical,lab\n"
    "integrate,words_visited,lanes*potential_bits,0.1,0.1,0.1,pJ,typical,lab\n"
    "clock,cycles,flip_flops,0.03,0.02,0.04,pJ,typical,lab\n"
    "io,events,1,1,1,1,pJ,typical,lab\n"
)

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_csv(text: str) -> str:
        (tmp_path / "sources.yaml").write_text(SOURCES)
        path = tmp_path / "own.csv"
        path.write_text(text)
        return str(path)

    return write_csv


def test_a_file_of_ones_own(write: Write) -> None:
    technology = load_technology(write(GOOD))
    assert (technology.name, technology.title) == ("own", "A process of our own")
    assert technology.notes == ("The second comment is a note, with a comma.",)
    assert (technology.node_nm, technology.voltage_v) == (130.0, 1.2)
    assert set(technology.sources) == {"lab"}
    assert technology.sram_ranges["1rw"].largest_words == 1024
    assert len(technology.rows("sram_1rw")) == 5
    macro = {"words": 256, "bits": 8}
    assert technology.cost("sram_1rw", "read", macro) == Band(
        2 + 64, pytest.approx(1 + 0.4 * 128), pytest.approx(3 + 0.6 * 128)
    )
    assert technology.cost("flip_unit", "flips", {}) == Band.exact(0.0)
    assert technology.cost("integrate", "luts", {"lanes": 8}) == Band(32, 24, 40)
    assert technology.register_limit is None


def test_when_a_memory_is_built_of_flip_flops(write: Write) -> None:
    limit = "register_file,most_bits_per_macro,1,64,64,64,count,typical,lab\n"
    assert load_technology(write(GOOD + limit)).register_limit == 64
    with pytest.raises(InputError, match="0 is not a whole number of 1 or more"):
        load_technology(write(GOOD + limit.replace("64,64,64", "0,0,0")))
    with pytest.raises(InputError, match="register_file, most_bits_per_macro is in count"):
        load_technology(write(GOOD + limit.replace("count", "LUT4")))


ROW = "sram_1rw,write,bits,1,1,1,pJ,typical,lab"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("sram_2rw,write,bits,1,1,1,pJ,typical,lab", r"component: 'sram_2rw' is not one of sram"),
        ("sram_1rw,erase,bits,1,1,1,pJ,typical,lab", r"action: sram_1rw has no 'erase', only read"),
        ("sram_1rw,write,lanes,1,1,1,pJ,typical,lab", r"term: no feature 'lanes' here, only words, bits"),
        ("sram_1rw,write,bits^,1,1,1,pJ,typical,lab", r"term: 'bits\^' is neither 1 nor a product"),
        ("sram_1rw,write,,1,1,1,pJ,typical,lab", r"term: '' is neither 1 nor a product"),
        ("sram_1rw,write,bits^-1,1,1,1,pJ,typical,lab", r"term: 'bits\^-1' is neither"),
        ("sram_1rw,write,bits,much,1,1,pJ,typical,lab", r"value: 'much' is not a number"),
        ("sram_1rw,write,bits,,1,1,pJ,typical,lab", r"value: '' is not a number"),
        ("sram_1rw,write,bits,-1,-1,1,pJ,typical,lab", r"value: -1 is not a finite number of 0 or more"),
        ("sram_1rw,write,bits,nan,1,1,pJ,typical,lab", r"value: nan is not a finite"),
        ("sram_1rw,write,bits,1,1,inf,pJ,typical,lab", r"high: inf is not a finite"),
        ("sram_1rw,write,bits,1,2,3,pJ,typical,lab", r"value: 1 is not between low 2 and high 3"),
        ("sram_1rw,write,bits,4,2,3,pJ,typical,lab", r"value: 4 is not between low 2 and high 3"),
        ("sram_1rw,write,bits,1,1,1,nJ,typical,lab", r"unit: sram_1rw, write is in pJ, not 'nJ'"),
        ("sram_1rw,write,bits,1,1,1,pJ,,lab", r"corner: is empty"),
        ("sram_1rw,write,bits,1,1,1,pJ,typical,", r"source: is empty"),
        ("sram_1rw,write,bits,1,1,1,pJ,typical,bar", r"source: 'bar' is not in sources.yaml"),
        ("sram_1rw,write,bits,1,1,1,pJ,typical", r"8 fields, there must be 9"),
        ("sram_1rw,write,bits,1,1,1,pJ,typical,lab,x", r"10 fields, there must be 9"),
        ("sram_1rw,read,1,1,1,1,pJ,typical,lab", r"sram_1rw, read, 1 stands there already, in line 11"),
        ("integrate,write,1,1,1,1,pJ,typical,lab", r"action: integrate has no 'write'"),
        ("technology,colour,1,1,1,1,nm,typical,lab", r"action: technology has no 'colour'"),
        ("io,events,lanes,1,1,1,pJ,typical,lab", r"term: no feature 'lanes' here, the term is 1"),
        ('sram_1rw,write,bits,1,1,1,pJ,"typical,lab', r"unexpected end of data"),
    ],
)  # fmt: skip
def test_a_bad_row_is_told_in_one_line(write: Write, bad: str, told: str) -> None:
    path = write(GOOD.replace(ROW, bad))
    with pytest.raises(InputError, match=told) as error:
        load_technology(path)
    text = str(error.value)
    assert "\n" not in text
    assert "own.csv: line " in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",".join(COLUMNS), "component,value", "the columns are component,action,term"),
        ("corner,source\n", "corner,origin\n", "the columns are .*, not .*origin"),
        ("technology,node,1,130,130,130", "technology,node,1,0,0,0", "no row technology,node"),
        ("technology,voltage,1,1.2,1.2,1.2,V,nominal,lab\n", "", "no row technology,voltage"),
        ("# A process of our own\n# The second comment is a note, with a comma.\n", "", "no title"),
        ("io,events,", "# late\nio,events,", "comments stand before the header alone"),
        (ROW + "\n", "", "sram_1rw: no row write"),
        ("largest_bits,1,64,64,64,", "largest_bits,1,4,4,4,", "larger than the largest"),
        ("largest_bits,1,64,64,64,", "largest_bits,1,6.5,6.5,6.5,", "6.5 is not a whole number"),
    ],
)
def test_a_bad_file(write: Write, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=told):
        load_technology(write(GOOD.replace(old, new)))


def test_an_empty_file(write: Write) -> None:
    with pytest.raises(InputError, match="not nothing"):
        load_technology(write(""))


def test_a_name_or_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"5nm: no such technology \(there are: .*ihp-sg13g2"):
        load_technology("5nm")
    with pytest.raises(InputError, match="No such file"):
        load_technology(str(tmp_path / "gone.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_technology(str(tmp_path / "binary.csv"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "must be a mapping from keys"),
        ("lab: [", "line 1"),
        ("lab: 3", "lab: must be a mapping"),
        (SOURCES.replace("year: 2024, ", ""), "lab: year: is missing"),
        (SOURCES.replace("2024", "soon"), "year: 'soon' is not a whole number"),
        (SOURCES.replace("2024", "true"), "year: True is not a whole number"),
        (SOURCES.replace("Notes", "''"), "title: '' is not text"),
        (SOURCES.replace("note:", "remark: x, note:"), "remark: unknown"),
    ],
)
def test_a_bad_bibliography(write: Write, tmp_path: Path, text: str, told: str) -> None:
    path = write(GOOD)
    (tmp_path / "sources.yaml").write_text(text)
    with pytest.raises(InputError, match=told):
        load_technology(path)


def test_a_source_that_no_row_names(write: Write, tmp_path: Path) -> None:
    write(GOOD)
    check_sources(tmp_path)
    (tmp_path / "sources.yaml").write_text(SOURCES + SOURCES.replace("lab", "pub"))
    with pytest.raises(InputError, match="pub: no row of a technology names this source"):
        check_sources(tmp_path)
    (tmp_path / "sources.yaml").write_text(SOURCES.replace("lab", "pub"))
    with pytest.raises(InputError, match="'lab' is not in sources"):
        check_sources(tmp_path)


SCALED = (
    "# Half of it\n"
    f"{','.join(COLUMNS)}\n"
    "technology,node,1,65,65,65,nm,nominal,lab\n"
    "technology,voltage,1,1,1,1,V,nominal,lab\n"
    "scale,energy,ihp-sg13g2,0.5,0.25,1,factor,node,lab\n"
    "scale,area,ihp-sg13g2,0.25,0.25,0.25,factor,node,lab\n"
    "scale,leakage,ihp-sg13g2,2,1,3,factor,node,lab\n"
)


def test_a_scaled_technology_takes_what_it_has_not(write: Write) -> None:
    base = load_technology("ihp-sg13g2")
    scaled = load_technology(write(SCALED))
    macro = {"words": 256, "bits": 16}
    for action, factor in (
        ("read", Band(0.5, 0.25, 1)),
        ("area", Band.exact(0.25)),
        ("leakage", Band(2, 1, 3)),
    ):
        expected = base.cost("sram_1rw", action, macro).times(factor)
        found = scaled.cost("sram_1rw", action, macro)
        for side in ("value", "low", "high"):
            assert getattr(found, side) == pytest.approx(getattr(expected, side))
    assert scaled.sram_ranges == base.sram_ranges
    assert set(scaled.sources) >= {"lab", "ihp-sg13g2-sram"}
    assert all("scaled to 65 nm" in row.corner for row in scaled.rows("sram_1r1w"))
    # What it has of its own is not mixed with the base's.
    sram = "".join(line + "\n" for line in GOOD.splitlines() if line.startswith("sram_1rw"))
    mixed = load_technology(write(SCALED + sram))
    assert len(mixed.rows("sram_1rw")) == 5
    assert mixed.rows("sram_1r1w") == scaled.rows("sram_1r1w")
    assert mixed.sram_ranges["1rw"].largest_words == 1024


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("scale,area,ihp-sg13g2", "scale,area,generic-45nm", "of one base"),
        ("scale,area,ihp-sg13g2,0.25,0.25,0.25,factor,node,lab\n", "", "of one base"),
        ("ihp-sg13g2", "generic-45nm", "is itself scaled"),
        ("ihp-sg13g2", "nothing", "nothing: no such technology"),
    ],
)
def test_bad_scaling(write: Write, old: str, new: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_technology(write(SCALED.replace(old, new)))


def test_what_ships_names_its_sources() -> None:
    check_sources()


@pytest.mark.parametrize("name", technology_names())
def test_what_ships_can_price_a_chip(name: str) -> None:
    technology = load_technology(name)
    assert technology.name == name
    assert technology.title
    for row in technology.coefficients:
        source = technology.sources[row.source]
        assert source.key == row.source
        assert source.url.startswith("https://")
    assert set(technology.sram_ranges) == set(SRAM_COMPONENTS)
    macro = {"words": 256, "bits": 16}
    for component in SRAM_COMPONENTS.values():
        for action in ("read", "write", "area"):
            cost = technology.cost(component, action, macro)
            assert 0 < cost.low <= cost.value <= cost.high
        assert technology.cost(component, "leakage", macro).low >= 0


def test_figures_that_were_published() -> None:
    """8 KB, 32 KB and 1 MB cost 10, 20 and 100 pJ in Horowitz' figure; the row is one for all."""
    technology = load_technology("generic-45nm")
    for words, energy in ((1024, 10), (4096, 20), (131072, 100)):
        found = technology.cost("sram_1rw", "read", {"words": words, "bits": 64})
        assert found.value == pytest.approx(energy, rel=0.1)
        assert found.low < energy < found.high


# Stillmaker and Baas 2017: energy is a V^2 + b V + c.
ENERGY = {
    "130": (7.171, -6.709, 2.904),
    "LP45": (1.103, -0.362, 0.2767),
    "LP32": (0.9559, -0.7823, 0.471),
    "LP20": (0.2632, -0.14, 0.06841),
}


def relative_energy(node: str, volt: float) -> float:
    a, b, c = ENERGY[node]
    return a * volt**2 + b * volt + c


def scale_row(name: str, action: str) -> Band:
    """A factor as it stands in the file; loading applies it and drops it."""
    path = resources.files("flipcore.hwmodel") / "technologies" / f"{name}.csv"
    rows = csv.DictReader(line for line in path.read_text().splitlines() if line[0] != "#")
    (row,) = (row for row in rows if (row["component"], row["action"]) == ("scale", action))
    return Band(float(row["value"]), float(row["low"]), float(row["high"]))


def test_scaling_follows_from_its_source() -> None:
    """As the notes of sources.yaml say: each factor worked out anew from what was published."""
    base = relative_energy("130", 1.2)
    at_28 = (2 * relative_energy("LP32", 0.9) + relative_energy("LP20", 0.9)) / 3
    for name, energy, area in (
        ("generic-45nm", relative_energy("LP45", 0.9) / base, 0.16),
        ("generic-28nm", at_28 / base, (2 * 0.072 + 0.033) / 3),
    ):
        assert scale_row(name, "energy").value == pytest.approx(energy, rel=5e-3)
        assert scale_row(name, "area").value == pytest.approx(area, rel=5e-3)
    macro = {"words": 1024, "bits": 64}
    found = [
        load_technology(f"generic-{node}nm").cost("sram_1rw", "read", macro) for node in (28, 45)
    ]
    expected = at_28 / relative_energy("LP45", 0.9)
    assert found[0].value / found[1].value == pytest.approx(expected, rel=5e-3)


def test_io_is_lines_that_toggle() -> None:
    """As the notes of sources.yaml say: C V^2 / 2 of each line, and what its two pads take inside."""
    inside_pj = (3.1 + 2.45) / 2 + 0.25  # driver and receiver of sg13g2_io
    loads = (10, 5, 20)  # pF
    lines = {"events": (6, 3, 10), "labels": (8, 5, 12), "predictions": (4, 2, 8)}
    for name, volt, load in (
        ("ihp-sg13g2", 3.3, 1.0), ("generic-45nm", 1.8, 1.0), ("generic-28nm", 1.8, 1.0), ("ice40-up5k", 3.3, 1.5),
    ):  # fmt: skip
        technology = load_technology(name)
        for action, numbers in lines.items():
            wanted = [
                number * (0.5 * picofarad * load * volt**2 + inside_pj * (volt / 3.3) ** 2)
                for number, picofarad in zip(numbers, loads, strict=True)
            ]
            found = technology.cost("io", action, {})
            assert (found.value, found.low, found.high) == pytest.approx(wanted, rel=0.01)


def test_leakage_is_scaled_as_that_of_sram_bits() -> None:
    def per_bit(name: str) -> float:
        (row,) = (
            row
            for row in load_technology(name).rows("sram_1rw")
            if (row.action, row.term) == ("leakage", "words*bits")
        )
        return row.band.value

    for name in ("generic-28nm", "generic-45nm"):
        expected = per_bit(name) / per_bit("ihp-sg13g2")
        assert scale_row(name, "leakage").value == pytest.approx(expected, rel=0.01)


def test_currents_of_an_fpga() -> None:
    """tinyVision.ai's table: uA of an iCE40UP5K's core at 1.219 V."""
    technology = load_technology("ice40-up5k")
    static = technology.cost("chip_control", "leakage", {})
    assert static.value == pytest.approx((85.6 + 4.1) * 1.219 * 1e3, rel=5e-3)
    clock = technology.cost("chip_control", "cycles", {})
    assert clock.value == pytest.approx((2184 - 645) * 1.219 / (48 - 12), rel=5e-3)
    cell = technology.cost("clock", "cycles", {"flip_flops": 1})
    assert cell.value == pytest.approx((641.3 - 613.5) * 1.219 / 12 / (228 - 32), rel=5e-3)
    # A measured counter of 228 cells at 12 MHz lies within what the rows say.
    measured = (641.3 - 85.6) * 1.219 / 12
    model = clock + cell * 228
    assert model.low <= measured <= model.high


def test_a_cell_of_an_fpga_follows_from_its_sources() -> None:
    """As the notes of sources.yaml say, for a part whose size is known: 16 of its tiles, and a LUT4 that works."""
    at_40 = (8 * relative_energy("LP45", 1.2) + 5 * relative_energy("LP32", 1.2)) / 13
    base = relative_energy("130", 1.2)
    technology = load_technology("ice40-up5k")
    area = technology.cost("sram_1rw", "area", {"words": 256, "bits": 16})
    area_gap = 35 * (8 * 0.16 + 5 * 0.072) / 13
    cells = [
        16 * 2.15 * 2.55 * 1e6 / 5280 / 2,
        16 * 64306 / 1708 * area_gap,
        16 * 2.15 * 2.55 * 1e6 / 5280,
    ]
    assert (area.value, area.low, area.high) == pytest.approx(cells, rel=5e-3)
    macro = {"words": 256, "bits": 16}
    read = technology.cost("sram_1rw", "read", macro)
    gap = 14 * at_40 / base
    two_ports = load_technology("ihp-sg13g2").cost("sram_1r1w", "read", macro)
    assert read.high == pytest.approx(gap * two_ports.value, rel=0.02)
    assert read.value == pytest.approx(math.sqrt(read.low * read.high), rel=0.01)
    fire = {"lanes": 1, "potential_bits": 1, "neurons": 0}
    luts = technology.cost("fire", "luts", fire)
    energy = technology.cost("fire", "potential_writes", fire)
    assert energy.value / luts.value == pytest.approx(
        (996 - 645) * 1.219 / 12 / (208 - 28), rel=1e-3
    )
    assert energy.low / luts.low == pytest.approx(
        5.9 / 8 * 40 / 150 * (1.2 / 1.5) ** 2 / 2, rel=1e-3
    )
    assert energy.high / luts.high == pytest.approx(2 * energy.value / luts.value, rel=1e-3)


def test_smaller_nodes_cost_less() -> None:
    macro = {"words": 1024, "bits": 32}
    for action in ("read", "write", "area"):
        costs = [
            load_technology(name).cost("sram_1rw", action, macro).value
            for name in ("generic-28nm", "generic-45nm", "ihp-sg13g2")
        ]
        assert costs == sorted(costs)


def test_rows_come_back_from_their_text(write: Write) -> None:
    technology = load_technology(write(GOOD))
    head = GOOD.split("sram_1rw,read", 1)[0]
    text = format_rows(technology.coefficients)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    again = load_technology(write(head + text.split("\n", 1)[1]))
    assert again == technology


@given(
    st.sampled_from(("1", "words", "bits", "words*bits", "words^0.5*bits")),
    st.integers(1, 10**6),
    st.integers(1, 4096),
)
def test_terms(term: str, words: int, bits: int) -> None:
    expected = {
        "1": 1.0,
        "words": words,
        "bits": bits,
        "words*bits": words * bits,
        "words^0.5*bits": math.sqrt(words) * bits,
    }[term]
    found = term_value(term, {"words": words, "bits": bits})
    assert found == pytest.approx(expected, rel=1e-12)
    row = Coefficient("sram_1rw", "read", term, Band(2.0, 1.0, 3.0), "pJ", "typical", "lab")
    assert row.amount({"words": words, "bits": bits}).low == pytest.approx(expected)


@given(st.lists(st.tuples(*[st.floats(0, 1e9)] * 3).map(sorted), max_size=8), st.floats(0, 1e3))
def test_bands_keep_their_order(sides: list[list[float]], factor: float) -> None:
    bands = [Band(value, low, high) for low, value, high in sides]
    for band in (Band.total(bands), Band.total(bands) * factor, *(b.times(b) for b in bands)):
        assert band.low <= band.value <= band.high
    assert Band.total(bands).value == pytest.approx(sum(band.value for band in bands))
    assert factor * Band(2, 1, 3) == Band(2, 1, 3) * factor
