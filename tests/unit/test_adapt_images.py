"""Images of a changed world: what moves where, what comes in, what stays."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.adapt.disturbances import Disturbance, parse_disturbance
from flipcore.adapt.images import changed_images, disturbed_images, image_side, replace_pixels
from flipcore.draws import stream
from flipcore.sim.data import Dataset, load_dataset

Image = npt.NDArray[np.uint8]


def _image(*rows: str) -> Image:
    """Pixels of one image: # is bright, . dark."""
    return np.array([[255 if mark == "#" else 0 for row in rows for mark in row]], np.uint8)


def _changed(image: Image, text: str) -> Image:
    return changed_images(image, parse_disturbance(text))


CORNER = _image("##..", "#...", "....", "....")


def test_a_shift_is_right_and_down_and_dark_comes_in() -> None:
    assert _changed(CORNER, "shift:1").tolist() == _image("....", ".##.", ".#..", "....").tolist()
    assert _changed(CORNER, "shift:-1").tolist() == np.zeros((1, 16)).tolist()


def test_a_quarter_turn_is_anticlockwise_and_exact() -> None:
    turned = _image("....", "....", "#...", "##..")
    assert _changed(CORNER, "rotate:90").tolist() == turned.tolist()
    assert _changed(_changed(CORNER, "rotate:90"), "rotate:-90").tolist() == CORNER.tolist()
    assert _changed(CORNER, "rotate:0").tolist() == CORNER.tolist()


def test_a_shear_slants_like_italics() -> None:
    upright = _image("..#..", "..#..", "..#..", "..#..", "..#..")
    slanted = _image("....#", "...#.", "..#..", ".#...", "#....")
    assert _changed(upright, "shear:1").tolist() == slanted.tolist()


def test_between_pixels_it_is_bilinear_rounded_half_up() -> None:
    upright = _image("..#..", "..#..", "..#..", "..#..", "..#..")
    slanted = _changed(upright, "shear:0.5").reshape(5, 5)
    assert slanted[1].tolist() == [0, 0, 128, 128, 0]
    assert slanted[2].tolist() == [0, 0, 255, 0, 0]


def test_contrast_dims_and_ends_at_the_brightest() -> None:
    grey = np.array([[0, 1, 99, 200]], np.uint8)
    assert _changed(grey, "contrast:0.5").tolist() == [[0, 1, 50, 100]]
    assert _changed(grey, "contrast:2").tolist() == [[0, 2, 198, 255]]
    assert _changed(grey, "invert").tolist() == [[255, 254, 156, 55]]


def test_noise_replaces_its_share() -> None:
    pixels = np.full((200, 100), 7, np.uint8)
    drawn = stream(1, 2, count=pixels.size).reshape(pixels.shape)
    replaced = replace_pixels(pixels, 0.25, drawn)
    # A replaced pixel is 7 again once in 256 times.
    assert np.mean(replaced != 7) == pytest.approx(0.25 * 255 / 256, abs=0.01)
    assert (int(replaced.min()), int(replaced.max())) == (0, 255)
    assert (replace_pixels(pixels, 0.0, drawn) == 7).all()
    assert np.mean(replace_pixels(pixels, 1.0, drawn) == 7) < 0.02


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The 8x8 digits."""
    return load_dataset("digits", num_steps=8)


def test_both_splits_change_and_labels_stay(digits: Dataset) -> None:
    inverted = disturbed_images(digits, Disturbance("invert", 0), 0)
    for before, after in ((digits.train, inverted.train), (digits.test, inverted.test)):
        assert after.labels.tolist() == before.labels.tolist()
        indices = np.arange(len(before))
        sums = after.read(indices).pixels.astype(int) + before.read(indices).pixels
        assert (sums == 255).all()


def test_noise_is_of_the_seed_and_differs_from_image_to_image(digits: Dataset) -> None:
    noise = parse_disturbance("noise:1")
    first, again, other = (
        disturbed_images(digits, noise, seed).train.read(np.arange(1200)).pixels
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).mean() > 0.9
    assert (first[0] != first[1]).mean() > 0.9
    assert (first[0] != first[1024]).mean() > 0.9  # of another block


def test_only_squares_are_images(digits: Dataset) -> None:
    assert image_side(digits) == 8
    assert image_side(replace(digits, num_axons=63)) is None
    assert image_side(replace(digits, kind="events")) is None
    assert image_side(replace(digits, num_axons=1)) is None
