"""flipcore: simulate, generate, price and train chips that learn with one bit per synapse."""

from importlib.metadata import version

__version__ = version("flipcore")
