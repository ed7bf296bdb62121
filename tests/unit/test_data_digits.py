"""The digits against scikit-learn's own reader."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits as reference

from flipcore.errors import InputError
from flipcore.sim.data import load_dataset


def test_has_scikit_learns_images_scaled_and_split() -> None:
    images, labels = reference(return_X_y=True)
    dataset = load_dataset("digits", num_steps=8)
    assert (dataset.name, dataset.kind) == ("digits", "pixels")
    assert (dataset.num_axons, dataset.num_classes) == (64, 10)
    assert (len(dataset.train), len(dataset.test)) == (1437, 360)
    is_test = np.arange(1797) % 5 == 0
    for split, chosen in ((dataset.train, ~is_test), (dataset.test, is_test)):
        expected = (images[chosen].astype(int) * 255 + 8) // 16
        assert np.array_equal(split.read(np.arange(len(split))).pixels, expected)
        assert np.array_equal(split.labels, labels[chosen])


def test_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from flipcore.sim.data import load_dataset; "
        "load_dataset('digits', num_steps=1); "
        "print([name for name in ('sklearn', 'pooch', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_tells_a_missing_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="digits: scikit-learn, which holds the images, is not"):
        load_dataset("digits", num_steps=8)
