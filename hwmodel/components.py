"""Which of the RTL's modules a core has, so that nothing is priced that is not there."""

from flipcore.chip import Chip

# Of the chip, not of a core: booked on core 0.
CHIP_COMPONENTS = ("chip_control", "host_port", "register_bus")


def has_component(chip: Chip, c: int, component: str) -> bool:
    """Whether core c has a module of this name; modules that every core has are not named here."""
    core = chip.layers[c]
    is_readout = c == len(chip.layers) - 1
    softmax = chip.error.kind == "softmax"
    stochastic = core.rounding == "stochastic"
    present = {
        **dict.fromkeys(CHIP_COMPONENTS, c == 0),
        **dict.fromkeys(("fire", "spike_output", "error_words"), not is_readout),
        **dict.fromkeys(("readout", "output_scan", "predict", "error_unit"), is_readout),
        "error_hinge": is_readout and not softmax,
        **dict.fromkeys(("error_softmax", "exponential"), is_readout and softmax),
        "backward_sum": c > 0,
        "decay": core.decay != "none",
        **dict.fromkeys(("adaptive_threshold", "square_sum"), core.rule == "tbso"),
        **dict.fromkeys(("random_source", "xorshift32"), stochastic),
    }
    return present.get(component, True)
