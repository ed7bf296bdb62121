"""scikit-learn's handwritten digits: 1797 images of 8x8, here without a download."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import Dataset, Int32s, PixelLayout, Split, make_dataset
from flipcore.sim.data.store import Spool, UInt8s, sha256_of, told_in_one_line

NUM_PIXELS = 64
LARGEST_VALUE = 16


def load_digits() -> Dataset:
    """Load the digits, scaled to 0 ... 255; index % 5 == 0 is test (360), the rest training."""
    path = _data_file()
    pixels, labels = _read(path)
    spool = Spool("digits")
    spool.write(pixels.data)
    layout = PixelLayout(NUM_PIXELS)
    whole = Split(labels, layout, spool.store(layout.record_bytes))
    is_test = np.arange(len(labels)) % 5 == 0
    return make_dataset(
        "digits",
        train=whole.subset(np.flatnonzero(~is_test)),
        test=whole.subset(np.flatnonzero(is_test)),
        provenance={
            "spec": "digits",
            "source": f"scikit-learn {path.name}",
            "source_sha256": sha256_of(path),
            "test_split": "index % 5 == 0",
        },
    )


def _data_file() -> Path:
    # Found, not imported: importing scikit-learn takes 0.75 s, reading its file 0.03 s.
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise InputError("digits: scikit-learn, which holds the images, is not installed")
    return Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"


def _read(path: Path) -> tuple[UInt8s, Int32s]:
    with told_in_one_line(str(path)), gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int32)
    # 0 ... 16 to 0 ... 255, rounded half up.
    pixels = (table[:, :NUM_PIXELS] * 255 + LARGEST_VALUE // 2) // LARGEST_VALUE
    return pixels.astype(np.uint8), table[:, NUM_PIXELS]
