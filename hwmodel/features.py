"""What the price of a core's logic may depend on: sizes and widths of the core, and 0 or 1 for what it has or lacks."""

from flipcore.chip import Chip
from flipcore.hwmodel.memory import core_stores, index_bits, signed_bits

FEATURES = (
    "lanes",
    "axons",
    "neurons",
    "words",
    "trace_words",
    "momentum_bits",
    "trace_bits",
    "error_bits",
    "potential_bits",
    "total_bits",
    "output_bits",
    "row_bits",
    "count_bits",
    "generators",
    "flip_flops",
    "hidden",  # not the readout
    "readout",
    "backward",  # passes errors down
    "softmax",  # the readout's error
    "hinge",
    "tbso",
    "decays",
    "uneven",  # lanes are no power of two: an index is divided by them
)


def core_features(chip: Chip, c: int) -> dict[str, float]:
    """Features of core c, by name."""
    core = chip.layers[c]
    readout = c == len(chip.layers) - 1
    stochastic = core.rounding == "stochastic"
    return {
        "lanes": core.lanes,
        "axons": core.axons,
        "neurons": core.neurons,
        "words": core.words,
        "trace_words": core.trace_words,
        "momentum_bits": core.momentum_bits,
        "trace_bits": core.trace_bits,
        "error_bits": core.error_bits,
        "potential_bits": core.potential_bits,
        "total_bits": signed_bits(core.axons * chip.steps),
        "output_bits": signed_bits(core.axons),
        "row_bits": index_bits(core.axons),
        "count_bits": core.axons.bit_length(),
        "generators": (core.lanes if core.random_source == "per_lane" else 1) * stochastic,
        "flip_flops": _flip_flops(chip, c),
        "hidden": not readout,
        "readout": readout,
        "backward": c > 0,
        "softmax": readout and chip.error.kind == "softmax",
        "hinge": readout and chip.error.kind == "hinge",
        "tbso": core.rule == "tbso",
        "decays": core.decay != "none",
        "uneven": core.lanes & (core.lanes - 1) != 0,
    }


# Stores of T13 that are registers.
_REGISTERS = ("event_map", "spike", "window", "output", "live_words", "generator", "second_moment")


def _flip_flops(chip: Chip, c: int) -> float:
    """Registers of the Verilog, in bits: the stores of T13, the pipelines of the lanes, and indices."""
    core = chip.layers[c]
    stores = core_stores(chip, c)
    pipeline = core.axons.bit_length() + core.trace_bits + core.error_bits + 2 * core.momentum_bits
    backward = core.error_bits + 3 if c > 0 else 0
    indices = 12 * index_bits(core.axons)
    return sum(stores.get(name, 0) for name in _REGISTERS) + core.lanes * (pipeline + backward) + indices  # fmt: skip
