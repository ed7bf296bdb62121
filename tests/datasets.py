"""Tiny data sets of the tests."""

import hashlib

import numpy as np
import numpy.typing as npt

from flipcore.sim.data import Dataset, Split
from flipcore.sim.data.dataset import EventLayout, PixelLayout, make_dataset
from flipcore.sim.data.store import Spool


def pixel_split(pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32]) -> Split:
    """Samples of these pixels, uint8 [n, axons]."""
    spool = Spool("test")
    spool.write(np.ascontiguousarray(pixels).data)
    layout = PixelLayout(pixels.shape[1])
    return Split(labels, layout, spool.store(layout.record_bytes))


def event_split(
    flags: npt.NDArray[np.bool_],
    merged: npt.NDArray[np.integer],
    labels: npt.NDArray[np.int32],
) -> Split:
    """Samples of these recordings, bool [n, steps, axons], and merged events, [n, steps]."""
    layout = EventLayout(num_axons=flags.shape[2], num_steps=flags.shape[1])
    spool = Spool("test")
    for sample, extra in zip(flags, merged, strict=True):
        spool.write(layout.encode(sample, extra))
    return Split(labels, layout, spool.store(layout.record_bytes))


def striped_pixels(
    count: int, axons: int, classes: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Samples in which every class lights up its own share of the axons, amid noise."""
    dice = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    bright = np.arange(axons) % classes == labels[:, None]
    pixels = np.where(bright, 200, 40) + dice.integers(-40, 40, (count, axons))
    return pixels.astype(np.uint8), labels


def tiny_dataset(
    *, train: int = 40, test: int = 15, axons: int = 12, classes: int = 3, seed: int = 0
) -> Dataset:
    """A data set that a tiny chip can learn."""
    pixels, labels = striped_pixels(train + test, axons, classes, seed)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return make_dataset(
        "tiny",
        train=pixel_split(pixels[:train], labels[:train]),
        test=pixel_split(pixels[train:], labels[train:]),
        provenance={"spec": "tiny", "source_sha256": digest},
    )
