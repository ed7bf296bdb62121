"""Bits of every store of a chip (T10, T13)."""

from flipcore.chip import Chip, Core

GENERATOR_BITS = 32  # R5
SECOND_MOMENT_BITS = 32  # N14


def index_bits(count: int) -> int:
    """Bits of an index of `count` things, 1 at least."""
    return max(1, (count - 1).bit_length())


def signed_bits(magnitude: int) -> int:
    """Bits of a two's complement number of -magnitude ... magnitude."""
    return magnitude.bit_length() + 1


def core_stores(chip: Chip, c: int) -> dict[str, int]:
    """Bits of every store of core c as the RTL declares them, padding lanes included (T13)."""
    core = chip.layers[c]
    lanes = core.words * core.lanes
    row_index = index_bits(core.axons)
    window_bit = 1 if c > 0 else 0
    has_trace_memory = core.trace_decay_shift != "none"
    is_readout = c == len(chip.layers) - 1
    if is_readout:
        neurons = {
            "total": lanes * signed_bits(core.axons * chip.steps),
            "output": lanes * signed_bits(core.axons) if chip.error.of == "step" else 0,
        }
    else:
        neurons = {"potential": lanes * core.potential_bits, "spike": lanes, "window": lanes}
    return {
        "weight": core.axons * lanes,
        "event_list": core.axons * row_index,
        "event_map": core.axons,
        **neurons,
        "momentum": core.axons * lanes * core.momentum_bits,
        "trace": core.trace_words * core.lanes * core.trace_bits if has_trace_memory else 0,
        "row_list": core.axons * (row_index + core.trace_bits + window_bit),
        "error": lanes * core.error_bits,
        "live_words": core.words,
        "generator": _generator_bits(core),
        "second_moment": SECOND_MOMENT_BITS * chip.steps if core.rule == "tbso" else 0,
    }


def _generator_bits(core: Core) -> int:
    if core.rounding != "stochastic":
        return 0
    return GENERATOR_BITS * (core.lanes if core.random_source == "per_lane" else 1)


# What a chip that only classifies needs; all other stores exist for learning.
INFERENCE_STORES = ("weight", "event_list", "event_map", "potential", "spike", "output", "total")


def memory_bits(chip: Chip) -> dict[str, int]:
    """Bits of every store, summed over the cores, and the totals for inference and for learning."""
    summed: dict[str, int] = {}
    for c in range(len(chip.layers)):
        for store, bits in core_stores(chip, c).items():
            summed[store] = summed.get(store, 0) + bits
    summed = {store: bits for store, bits in summed.items() if bits}
    inference = sum(summed.get(store, 0) for store in INFERENCE_STORES)
    return {
        **summed,
        "total_inference": inference,
        "total_learning": sum(summed.values()) - inference,
        "total_chip": sum(summed.values()),
    }
