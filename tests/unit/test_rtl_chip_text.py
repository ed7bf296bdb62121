"""The Verilog of whole chips: tidy, the same for the same chip, clean in Verilator's lint, nothing in it that the chip does not use."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flipcore.chip import Chip, load_chip, preset_names
from flipcore.rtl.bench.random_chips import random_chips
from flipcore.rtl.generate import chip_files, write_files

CHIPS = {name: load_chip(name) for name in preset_names()}
CHIPS |= {chip.name: chip for chip in random_chips(12, 7)}

each_chip = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS.keys())


@each_chip
def test_text_is_plain_and_tidy_and_the_same_again(chip: Chip) -> None:
    files = chip_files(chip)
    assert files == chip_files(chip)
    for file, text in files.items():
        assert text.isascii(), file
        assert text.endswith("\n`default_nettype wire\n"), file
        assert text.count(f"module {file.removesuffix('.v')} ") == 1
        assert "\n\n\n" not in text, file
        assert "+:" not in text, file  # pyverilog reads it wrong
        for line in text.splitlines():
            assert len(line) <= 100, (file, line)
            assert line == line.rstrip(), (file, line)


@each_chip
@pytest.mark.parametrize("counters", [True, False], ids=["counters", "no_counters"])
@pytest.mark.skipif(
    shutil.which("verilator") is None, reason="verilator (Debian package `verilator`) is missing"
)
def test_verilator_finds_nothing_to_warn_of(chip: Chip, counters: bool, tmp_path: Path) -> None:
    sources = write_files(chip_files(chip, counters=counters), tmp_path)
    command = ["verilator", "--lint-only", "-Wall", "--language", "1364-2005"]
    result = subprocess.run(
        [*command, "--top-module", "flip_chip", *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


@each_chip
def test_what_the_chip_does_not_use_is_not_there(chip: Chip) -> None:
    files = chip_files(chip, counters=False)
    modules = {file.removesuffix(".v").rstrip("_0123456789") for file in files}
    layers = chip.layers
    hidden, last = layers[:-1], layers[-1]
    draws = any(core.rounding == "stochastic" for core in layers)
    assert "event_counters" not in modules
    assert "popcount" not in modules
    assert ("adaptive_threshold" in modules) == any(core.rule == "tbso" for core in layers)
    assert ("random_source" in modules) == draws
    assert ("decay" in modules) == any(core.decay != "none" for core in layers)
    assert ("backward_sum" in modules) == bool(hidden)
    assert ("fire" in modules) == bool(hidden)
    assert ("error_softmax" in modules) == (chip.error.kind == "softmax")
    assert ("error_hinge" in modules) == (chip.error.kind == "hinge")
    assert ("memory_1r1w.v" in files) == any(core.memory_ports == "1r1w" for core in layers)
    readout = next(text for file, text in files.items() if file.startswith("readout_core"))
    assert ("u_trace (" in readout) == (last.trace_decay_shift != "none")
