"""Arrays of a run for its pictures: read, missing, damaged, of another chip."""

from pathlib import Path

import numpy as np
import pytest

from flipcore.chip import load_chip
from flipcore.errors import InputError
from flipcore.report.run_arrays import FLIPS_FILE, RECORDING_FILE, read_flips, read_recording
from tests.report_folders import write_arrays

CHIP = load_chip("digits")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_arrays(tmp_path, CHIP)
    return tmp_path


def rewrite(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def test_both_are_read(folder: Path) -> None:
    recording, flips = read_recording(folder, CHIP), read_flips(folder, CHIP)
    assert recording is not None
    assert flips is not None
    assert recording["spikes_0"].shape == (8, 256)
    assert flips["last_epoch_1"].shape == (256, 10)


def test_a_run_may_have_none(tmp_path: Path) -> None:
    assert read_recording(tmp_path, CHIP) is None
    assert read_flips(tmp_path, CHIP) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outputs": None}, "damaged or of another chip: outputs"),
        ({"outputs": np.zeros((8, 9))}, r"outputs: shape (8, 9) is not of this chip, (8, 10)"),
        ({"label": np.zeros(2)}, "label: shape (2,) is not of this chip, ()"),
        ({"input_spikes": np.full((8, 64), "x")}, "input_spikes: <U1 is no number"),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, changes: dict[str, object], told: str) -> None:
    rewrite(folder / RECORDING_FILE, **changes)
    with pytest.raises(InputError) as caught:
        read_recording(folder, CHIP)
    assert told in str(caught.value)
    assert str(folder / RECORDING_FILE) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing else", b"\x93NUMPY"])
def test_damaged_files_are_told(folder: Path, content: bytes) -> None:
    (folder / FLIPS_FILE).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_flips(folder, CHIP)


def test_nothing_is_unpickled(folder: Path) -> None:
    rewrite(folder / FLIPS_FILE, flip_ratio=np.array([[{}]], object))
    with pytest.raises(InputError, match="damaged"):
        read_flips(folder, CHIP)
