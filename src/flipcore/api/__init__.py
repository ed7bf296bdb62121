"""The Python interface: what the commands do, as functions that return typed results."""

from flipcore.api.chips import load
from flipcore.api.prices import Price, estimate
from flipcore.api.simulations import Side, Simulation, open_run, simulate

__all__ = ["Price", "Side", "Simulation", "estimate", "load", "open_run", "simulate"]
