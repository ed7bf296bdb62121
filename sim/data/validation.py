"""Hold out training samples, so that a search never sees the test split (R7)."""

import dataclasses
import math

import numpy as np

from flipcore.draws import TAG_VALIDATION, stream
from flipcore.errors import InputError
from flipcore.sim.data.dataset import Dataset
from flipcore.sim.data.store import Int64s


def split_validation(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Replace the test split by a stratified, seeded share of the training split (R7).

    Of a class with c training samples floor(c * fraction + 1/2) are held out, at least 1 and at
    most c - 1 (none if c = 1): those with the smallest outputs of stream(seed, 4), output i for
    sample i. Both parts keep the samples' order.

    Raises:
        InputError: `fraction` is not between 0 and 1, or no class has two samples.
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation fraction: {fraction}: must be above 0 and below 1")
    held_out = np.zeros(len(dataset.train), dtype=np.bool_)
    held_out[_chosen(dataset, fraction, seed)] = True
    if not held_out.any():
        raise InputError(f"{dataset.name}: no class has two training samples: none can be held out")
    train = dataset.train.subset(np.flatnonzero(~held_out))
    test = dataset.train.subset(np.flatnonzero(held_out))
    provenance = dataset.provenance | {
        "test_split": "held out from the training split",
        "validation_fraction": str(fraction),
        "validation_seed": seed,
        "train_samples": len(train),
        "test_samples": len(test),
    }
    return dataclasses.replace(dataset, train=train, test=test, provenance=provenance)


def _chosen(dataset: Dataset, fraction: float, seed: int) -> Int64s:
    labels = dataset.train.labels
    keys = stream(seed, TAG_VALIDATION, count=len(labels))
    by_class_and_key = np.lexsort((keys, labels))  # equal keys: by index
    chosen, start = [], 0
    for count in np.bincount(labels).tolist():
        take = min(max(math.floor(count * fraction + 0.5), 1), count - 1)
        chosen.append(by_class_and_key[start : start + max(take, 0)])
        start += count
    return np.concatenate(chosen).astype(np.int64)
