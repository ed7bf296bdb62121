"""Data sets for training in PyTorch: batches as tensors, records on disk."""

from flipcore.training.data.input_spikes import input_spikes
from flipcore.training.data.pixels import Normalization, crop_and_flip, normalization
from flipcore.training.data.samples import Samples, SampleSet, hold_out
from flipcore.training.data.specs import load_samples

__all__ = [
    "Normalization",
    "SampleSet",
    "Samples",
    "crop_and_flip",
    "hold_out",
    "input_spikes",
    "load_samples",
    "normalization",
]
