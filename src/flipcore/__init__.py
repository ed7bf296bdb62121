"""flipcore: simulate, generate, price and train chips that learn with one bit per synapse."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flipcore.api import (
        Compared,
        Price,
        Side,
        Simulation,
        compare,
        estimate,
        load,
        open_comparison,
        open_run,
        resume_comparison,
        simulate,
    )
    from flipcore.errors import InputError

__version__ = version("flipcore")
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


def __getattr__(name: str) -> Any:
    """The Python interface, loaded when it is asked for: the commands start without it."""
    if name not in __all__:
        raise AttributeError(f"module 'flipcore' has no attribute {name!r}")
    from flipcore import api

    return getattr(api, name)
