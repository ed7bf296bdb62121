"""The generated Verilog: what is in it, what is not, and whether other tools accept it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flipcore.errors import InputError
from flipcore.rtl.core_shape import CoreShape
from flipcore.rtl.generate import flip_unit_files, write_files
from tests.cores import core_shape

UNITS: dict[str, dict[str, Any]] = {
    "default": {},
    "one_lane": {"lanes": 1, "random_source": "per_lane"},
    "per_lane": {"lanes": 64, "random_source": "per_lane", "momentum_at_flip": "keep"},
    "two_generators": {"lanes": 2, "random_source": "per_lane"},
    "one_port": {"memory_ports": "1rw", "rule": "tbso"},
    "schedule": {"max_gradient_shift": 12, "rule": "tbso"},
    "schedule_from_0": {"gradient_shift": 0, "max_gradient_shift": 1},
    "schedule_to_24": {"gradient_shift": 1, "max_gradient_shift": 24},
    "nearest": {"rounding": "nearest"},
    "nearest_by_2": {"rounding": "nearest", "gradient_shift": 1, "max_gradient_shift": 1},
    "nearest_schedule": {"rounding": "nearest", "max_gradient_shift": 24},
    "floor": {"rounding": "floor", "rule": "tbso"},
    "floor_schedule": {"rounding": "floor", "gradient_shift": 0},
    "no_shift": {"gradient_shift": 0, "max_gradient_shift": 0},
    "narrow": {
        "trace_bits": 1,
        "trace_unit": 1,
        "error_bits": 4,
        "momentum_bits": 2,
        "gradient_shift": 24,
        "max_gradient_shift": 24,
        "flip_threshold": 0,
    },
    "narrow_tbso": {"momentum_bits": 2, "rule": "tbso"},
    "wide": {
        "trace_bits": 8,
        "error_bits": 12,
        "momentum_bits": 16,
        "gradient_shift": 0,
        "max_gradient_shift": 0,
        "flip_threshold": 32766,
    },
}
RANDOM = {"random_source.v", "xorshift32.v"}
ALWAYS = {"flip_unit.v", "gradient_round.v", "momentum_flip.v"}

each_unit = pytest.mark.parametrize("name", UNITS)


def unit_shape(name: str, *, counters: bool = True) -> CoreShape:
    """A core with the flip unit of that name; every other one also feeds a backward sum."""
    has_below = list(UNITS).index(name) % 2 == 0
    return core_shape(UNITS[name], has_below=has_below, counters=counters)


@each_unit
def test_the_same_core_gives_the_same_bytes(name: str) -> None:
    assert flip_unit_files(unit_shape(name)) == flip_unit_files(unit_shape(name))


@each_unit
def test_text_is_plain_and_tidy(name: str) -> None:
    for file, text in flip_unit_files(unit_shape(name)).items():
        assert text.isascii()
        assert text.endswith("\n`default_nettype wire\n"), file
        assert text.count("`default_nettype none\n") == 1
        assert text.count(f"module {file.removesuffix('.v')} ") == 1
        for line in text.splitlines():
            assert len(line) <= 100, line
            assert line == line.rstrip()
            assert "\t" not in line
            assert "+:" not in line  # pyverilog reads it wrong
        assert "\n\n\n" not in text


@each_unit
def test_one_file_per_module_and_only_those_needed(name: str) -> None:
    core = unit_shape(name)
    unit = core.unit
    files = flip_unit_files(core)
    assert set(files) == (ALWAYS | RANDOM if unit.draws else ALWAYS)
    text = "".join(files.values())
    assert ("seed_i" in text) == unit.draws
    assert ("word_shift_add_i" in text) == (unit.shift_add_bits > 0)
    assert ("flip_threshold_i" in text) == (unit.rule == "tbso")
    assert ("FlipThreshold" in text) == (unit.rule == "bso")
    assert ("keys" in text) == (unit.generators == 1)
    assert ("half" in text) == (unit.rounding == "nearest")
    assert ("word_backward_i" in text) == unit.backward
    assert ("saturated" in text) is True
    assert "saturated" not in "".join(flip_unit_files(unit_shape(name, counters=False)).values())


def test_parameters_default_to_the_core() -> None:
    text = flip_unit_files(core_shape({}))["flip_unit.v"]
    assert "  parameter Lanes         = 16,   // synapses per word, P\n" in text
    assert "  parameter FlipThreshold = 100,  // gamma\n" in text


@each_unit
@pytest.mark.skipif(
    shutil.which("verilator") is None, reason="verilator (Debian package `verilator`) is missing"
)
def test_verilator_finds_nothing_to_warn_of(name: str, tmp_path: Path) -> None:
    sources = write_files(flip_unit_files(unit_shape(name)), tmp_path)
    lint = ["verilator", "--lint-only", "-Wall", "--language", "1364-2005"]
    result = subprocess.run(
        [*lint, "--top-module", "flip_unit", *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["schedule", "per_lane"])
@pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog, pyverilog's preprocessor, is missing"
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # leaves files open
def test_pyverilog_reads_every_module(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = pytest.importorskip("pyverilog.vparser.parser", reason="pyverilog is not installed")
    monkeypatch.chdir(tmp_path)  # where it leaves its tables
    sources = write_files(flip_unit_files(unit_shape(name)), tmp_path)
    tree, _ = parser.parse([str(source) for source in sources], debug=False)
    modules = {
        module.name for module in tree.description.definitions if hasattr(module, "portlist")
    }
    assert modules == {source.stem for source in sources}


def test_files_appear_whole_and_replace_older_ones(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    write_files({"x.v": "old\n", "y.v": "kept\n"}, folder)
    assert write_files({"x.v": "new\n"}, folder) == [folder / "x.v"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "x.v": "new\n",
        "y.v": "kept\n",
    }


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"taken: cannot be written: File exists$"):
        write_files({"x.v": ""}, tmp_path / "taken")


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x.v").mkdir()
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        write_files({"x.v": "text"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.v"]
