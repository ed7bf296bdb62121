"""Specs: what is known, and what is said to a user who mistypes."""

from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.sim.data import load_dataset

KNOWN = "known are digits, mnist, fashion-mnist, kmnist, idx:DIR, npz:FILE, nmnist:PATH[,PATH...]"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("cifar", f"data set 'cifar': unknown; {KNOWN}"),
        ("", f"data set '': unknown; {KNOWN}"),
        ("MNIST", f"data set 'MNIST': unknown, did you mean mnist?; {KNOWN}"),
        ("digit", f"data set 'digit': unknown, did you mean digits?; {KNOWN}"),
        ("fashon-mnist", f"data set 'fashon-mnist': unknown, did you mean fashion-mnist?; {KNOWN}"),
        ("npy:a", f"data set 'npy:a': unknown, did you mean npz:FILE?; {KNOWN}"),
        ("n-mnist:a", f"data set 'n-mnist:a': unknown, did you mean nmnist:PATH[,PATH...]?; {KNOWN}"),
        ("b/a.npz", f"data set 'b/a.npz': unknown, did you mean npz:b/a.npz?; {KNOWN}"),
        ("idx:", "data set 'idx:': nothing after the colon: write idx:DIR"),
        ("nmnist:", "data set 'nmnist:': nothing after the colon: write nmnist:PATH[,PATH...]"),
        ("nmnist:a,", "data set 'nmnist:a,': an empty path: write nmnist:PATH[,PATH...]"),
        ("npz:~nobody-here/a", "data set 'npz:~nobody-here/a': Could not determine home directory."),
    ],
)  # fmt: skip
def test_refuses_an_unknown_spec_with_a_near_match(spec: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        load_dataset(spec, num_steps=4)
    assert str(error.value) == told


def test_a_bare_folder_is_taken_for_idx(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"unknown, did you mean idx:{tmp_path}\\?"):
        load_dataset(str(tmp_path), num_steps=4)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"^{tmp_path}/a.npz: no such file"):
        load_dataset("npz:~/a.npz", num_steps=4)


@pytest.mark.parametrize("num_steps", [0, 257])
def test_refuses_steps_that_no_chip_has(num_steps: int) -> None:
    with pytest.raises(InputError) as error:
        load_dataset("digits", num_steps=num_steps)
    assert str(error.value) == f"num_steps: {num_steps}: must be 1 ... 256 (S3)"
