"""Data sets as the chip takes them: labels in memory, records of fixed size on disk."""

from flipcore.sim.data.dataset import Dataset, Records, Split
from flipcore.sim.data.specs import load_dataset
from flipcore.sim.data.validation import split_validation

__all__ = ["Dataset", "Records", "Split", "load_dataset", "split_validation"]
