"""The Python interface: what the commands do, as functions that return typed results."""

from flipcore.api.chips import load
from flipcore.api.comparisons import Compared, compare, open_comparison, resume_comparison
from flipcore.api.prices import Price, estimate
from flipcore.api.simulations import Side, Simulation, open_run, simulate
from flipcore.errors import InputError

__all__ = [
    "Compared",
    "InputError",
    "Price",
    "Side",
    "Simulation",
    "compare",
    "estimate",
    "load",
    "open_comparison",
    "open_run",
    "resume_comparison",
    "simulate",
]
