"""Images of a changed world: turned, shifted, slanted, dimmed, noisy; integers 0 ... 255 as the chip's input has them (N2)."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flipcore import draws
from flipcore.adapt.disturbances import Disturbance
from flipcore.sim.data import Dataset, Split
from flipcore.sim.data.store import Spool

TAG_NOISE = 104  # stream of the replaced pixels (R2), beyond the tags that the SPEC gives away
BLOCK = 1024  # images in memory at a time

UInt8s = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def image_side(dataset: Dataset) -> int | None:
    """Width of the images of a data set; None where its samples are no square images."""
    side = math.isqrt(dataset.num_axons)
    return side if dataset.kind == "pixels" and side > 1 and side**2 == dataset.num_axons else None


def disturbed_images(dataset: Dataset, disturbance: Disturbance, seed: int) -> Dataset:
    """The data set with every image of both splits changed; labels and order stay.

    The seed draws the noise, of each image once: it is the same each time that the image is shown. The records go to a temporary file.
    """
    splits = [
        _disturbed_split(split, disturbance, seed, part)
        for part, split in enumerate((dataset.train, dataset.test))
    ]
    return replace(dataset, train=splits[0], test=splits[1])


def _disturbed_split(split: Split, disturbance: Disturbance, seed: int, part: int) -> Split:
    spool = Spool(disturbance.name)
    for first in range(0, len(split), BLOCK):
        indices = np.arange(first, min(first + BLOCK, len(split)), dtype=np.int64)
        pixels = split.read(indices).pixels
        if disturbance.kind == "noise":
            drawn = draws.stream(seed, TAG_NOISE, part, first, count=pixels.size)
            changed = replace_pixels(pixels, disturbance.amount, drawn.reshape(pixels.shape))
        else:
            changed = changed_images(pixels, disturbance)
        spool.write(np.ascontiguousarray(changed).data)
    return Split(split.labels, split.layout, spool.store(split.layout.record_bytes))


def replace_pixels(pixels: UInt8s, share: float, drawn: npt.NDArray[np.uint64]) -> UInt8s:
    """Replace pixels by random values, each with the chance `share`; one draw per pixel decides and gives the value."""
    is_replaced = (drawn >> np.uint64(32)) < np.uint64(round(share * 2**32))
    return np.where(is_replaced, (drawn & np.uint64(255)).astype(np.uint8), pixels)


def changed_images(pixels: UInt8s, disturbance: Disturbance) -> UInt8s:
    """Change images, uint8 [n, side * side] row by row: bilinear between pixels, dark beyond the edge, rounded half up."""
    amount = disturbance.amount
    if disturbance.kind == "invert":
        return 255 - pixels
    if disturbance.kind == "contrast":
        return _to_bytes(pixels.astype(np.float64) * amount)
    matrix, shift = _pull(disturbance)
    side = math.isqrt(pixels.shape[1])
    centre = (side - 1) / 2
    offset = centre - matrix @ np.full(2, centre) - shift
    changed = np.empty((len(pixels), side, side))
    for image, result in zip(pixels.reshape(-1, side, side), changed, strict=True):
        ndimage.affine_transform(
            image.astype(np.float64), matrix, offset, output=result, order=1, mode="grid-constant"
        )
    return _to_bytes(changed.reshape(pixels.shape))


def _pull(disturbance: Disturbance) -> tuple[Floats, Floats]:
    """Where, seen from the centre, a pixel of the result comes from: matrix of (row, column), and what is taken off."""
    matrix, shift = np.eye(2), np.zeros(2)
    if disturbance.kind == "rotate":
        cosine, sine = (f(math.radians(disturbance.amount)) for f in (math.cos, math.sin))
        matrix = np.array([[cosine, sine], [-sine, cosine]])
    elif disturbance.kind == "shear":
        matrix[1, 0] = (
            disturbance.amount
        )  # the upper rows, of smaller index, come from further left
    else:
        shift[:] = disturbance.amount
    return matrix, shift


def _to_bytes(values: Floats) -> UInt8s:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
