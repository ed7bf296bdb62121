"""`flipcore rtl verify` as a user runs it."""

import json
import shutil
from pathlib import Path

import pytest

from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.rtl.generate import chip_files
from tests.e2e.command import flipcore, one_line_of

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]

KEYS = {
    "lane_updates", "samples", "bit_mismatches", "cycle_mismatches", "coverage", "seconds",
    "simulator",
}  # fmt: skip
SMALL = ("--set", "layers.0.neurons=20", "--dataset", "random", "--samples", "2", "--vectors", "60")


def test_what_was_compared_is_one_json_object(tmp_path: Path) -> None:
    done = flipcore("rtl", "verify", "digits", *SMALL, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.keys() >= KEYS
    assert (told["samples"], told["bit_mismatches"], told["cycle_mismatches"]) == (2, 0, 0)
    assert told["lane_updates"] > 60
    assert [unit["core"] for unit in told["flip_units"]] == ["digits, core 0", "digits, core 1"]
    assert not (tmp_path / "build").exists()


def test_random_chips_come_with_a_table_of_their_options(tmp_path: Path) -> None:
    words = ("--random-chips", "1", "--samples", "1", "--vectors", "0", "--seed", "3")
    done = flipcore("rtl", "verify", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Options hit by the random chips" in done.stdout
    assert "0 bit mismatches, 0 cycle mismatches" in done.stdout


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    refused = flipcore("rtl", "verify", "digits", "--random-chips", "2", folder=tmp_path)
    assert one_line_of(refused).endswith("cannot be given with --random-chips, which settles it")
    words = ("--set", "inputs=9", "--vectors", "0", "--samples", "1")
    told = one_line_of(flipcore("rtl", "verify", "digits", *words, folder=tmp_path))
    assert told == "digits: 64 axons and 10 classes, digits takes 9 and 10"


def test_a_missing_simulator_is_named_with_its_package(tmp_path: Path) -> None:
    done = flipcore("rtl", "verify", "digits", folder=tmp_path, PATH="")
    assert done.returncode == 3
    assert "Debian package `iverilog`" in done.stderr


def test_a_difference_ends_with_its_waves_and_the_command_to_replay_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flipcore.cli import verification

    def faulty_files(chip: Chip) -> dict[str, str]:
        files = chip_files(chip)
        sound = "flipped_o[l] ? {MomentumBits{1'b0}} : moved"
        assert sound in files["momentum_flip.v"]
        files["momentum_flip.v"] = files["momentum_flip.v"].replace(sound, "moved")
        return files

    monkeypatch.setattr(verification, "chip_files", faulty_files)
    request = verification.Request(
        chip="digits",
        changes=("layers.0.neurons=20", "core.gradient_shift=5"),
        random_chips=0,
        dataset="random",
        simulator="icarus",
        vectors=0,
        samples=3,
        seed=2,
        keep=tmp_path / "kept",
        netlist=False,
    )
    with pytest.raises(
        CheckError, match=r"u_momentum\.memory, core \d, word .*cycle \d+\)"
    ) as told:
        verification.verify(request, as_json=True)
    waves, again = str(told.value).partition("; waves: ")[2].split("; again: ")
    assert Path(waves).is_file()
    assert again.startswith("flipcore rtl verify ")
    done = flipcore(*again.split()[1:], folder=tmp_path)  # the Verilog itself is sound
    assert done.returncode == 0, done.stderr
