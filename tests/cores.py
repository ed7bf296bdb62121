"""Cores of chips made up for tests of the Verilog."""

from typing import Any

from flipcore.chip import Chip, Core
from flipcore.rtl.core_shape import CoreShape


def core_shape(
    changes: dict[str, Any], *, has_below: bool = False, counters: bool = True
) -> CoreShape:
    """A core with these parameters; its size matters only to the width of addresses, unless the changes give it.

    Args:
        changes: Parameters of the core.
        has_below: Whether it is the second of two cores, or the first.
        counters: As in CoreShape.
    """
    below = Core(axons=3, neurons=20, max_gradient_shift=24)
    readout = Core(axons=9, neurons=4, max_gradient_shift=24)
    core = Core(**{"axons": 20, "neurons": 9, "max_gradient_shift": 9, **changes})
    layers = [below, core, readout] if has_below else [core, readout]
    chip = Chip(name="made-up", inputs=3, steps=2, layers=layers)
    return CoreShape(chip, 1 if has_below else 0, counters)
