"""How the simulator holds a chip: one bit per weight, one narrow integer per momentum, one row of numbers per core.

A memory word's P lanes are held in chunks of 16 lanes, so that the compiled loops have a fixed length for any P. Lanes beyond P and beyond N are padding (S2).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flipcore import draws
from flipcore.chip import Chip, Core

Momentum = npt.NDArray[np.int8 | np.int16]

CHUNK = 16  # lanes per chunk: the bits of one uint16, the bytes of one momentum vector

CORE_FIELDS = (
    "axons",
    "neurons",
    "lanes",
    "words",
    "trace_words",
    "chunks",
    "row_chunks",
    "weight_start",
    "axon_start",
    "chunk_start",
    "position_start",
    "ports",
    "adder_depth",
    "is_lif",
    "potential_bits",
    "threshold",
    "leak_shift",
    "subtract",
    "window",
    "trace_bits",
    "trace_unit",
    "trace_decay_shift",
    "error_bits",
    "error_shift",
    "is_tbso",
    "momentum_limit",
    "flip_threshold",
    "gradient_shift",
    "rounding",
    "per_lane",
    "reset_momentum",
    "decay",
    "decay_shift",
    "scrub_period",
    "square_shift",
    "average_shift",
    "threshold_gain",
    "threshold_shift",
)
CORE_DTYPE = np.dtype([(name, np.int64) for name in CORE_FIELDS])

STOCHASTIC, NEAREST, FLOOR = 0, 1, 2
DECAY_NONE, DECAY_SCRUB, DECAY_DENSE = 0, 1, 2
NO_TRACE_MEMORY = 63  # trace_decay_shift for `none`: handled apart
_ROUNDING = {"stochastic": STOCHASTIC, "nearest": NEAREST, "floor": FLOOR}
_DECAY = {"none": DECAY_NONE, "scrub": DECAY_SCRUB, "dense": DECAY_DENSE}


def row_chunks(core: Core) -> int:
    """Chunks of 16 lanes that hold one row of synapses, whole 64-bit words of them for the wide loops."""
    chunks = core.words * -(-core.lanes // CHUNK)
    return -(-chunks // 4) * 4


def neuron_positions(core: Core) -> npt.NDArray[np.int32]:
    """Padded position of each neuron in its core's arrays, int32 [neurons]."""
    neuron = np.arange(core.neurons)
    pitch = -(-core.lanes // CHUNK) * CHUNK
    return (neuron // core.lanes * pitch + neuron % core.lanes).astype(np.int32)


def core_table(chip: Chip) -> npt.NDArray[np.void]:
    """Parameters and array offsets of every core as the compiled loops read them, CORE_DTYPE [cores]."""
    table = np.zeros(len(chip.layers), CORE_DTYPE)
    weight_start = axon_start = chunk_start = position_start = 0
    for row, core in zip(table, chip.layers, strict=True):
        for name in ("axons", "neurons", "lanes", "words", "trace_words", "potential_bits",
                     "threshold", "leak_shift", "window", "trace_bits", "trace_unit", "error_bits",
                     "error_shift", "momentum_limit", "gradient_shift", "decay_shift",
                     "scrub_period", "square_shift", "average_shift", "threshold_gain",
                     "threshold_shift"):  # fmt: skip
            row[name] = getattr(core, name)
        row["chunks"] = -(-core.lanes // CHUNK)
        row["row_chunks"] = row_chunks(core)
        row["weight_start"] = weight_start
        row["axon_start"] = axon_start
        row["chunk_start"] = chunk_start
        row["position_start"] = position_start
        row["ports"] = 2 if core.memory_ports == "1rw" else 1
        row["adder_depth"] = (core.lanes - 1).bit_length()
        row["is_lif"] = core.neuron == "lif"
        row["subtract"] = core.reset == "subtract"
        row["trace_decay_shift"] = (
            NO_TRACE_MEMORY if core.trace_decay_shift == "none" else core.trace_decay_shift
        )
        row["is_tbso"] = core.rule == "tbso"
        row["flip_threshold"] = core.flip_threshold_value
        row["rounding"] = _ROUNDING[core.rounding]
        row["per_lane"] = core.random_source == "per_lane"
        row["reset_momentum"] = core.momentum_at_flip == "reset"
        row["decay"] = _DECAY[core.decay]
        weight_start += core.axons * row_chunks(core)
        axon_start += core.axons
        chunk_start += row_chunks(core)
        position_start += core.neurons
    return table


def momentum_dtype(chip: Chip) -> np.dtype[np.int8 | np.int16]:
    """Narrowest container for the momentum of every core."""
    is_narrow = max(core.momentum_bits for core in chip.layers) <= 8
    return np.dtype(np.int8) if is_narrow else np.dtype(np.int16)


@dataclass
class ChipState:
    """All that a chip keeps between samples.

    Attributes:
        weights: uint16, one bit per synapse, core after core, row after row, `row_chunks` each.
        momentum: int8 or int16 [chunks, 16], one per synapse and padding lane, in the same order.
        generators: int64 [cores, 64], generator states (R5); only the first with `shared`.
        second_moment: int64 [cores, steps], v of T-BSO (N14).
        sample_counter: finished training samples (O5).
    """

    weights: npt.NDArray[np.uint16]
    momentum: Momentum
    generators: npt.NDArray[np.int64]
    second_moment: npt.NDArray[np.int64]
    sample_counter: int


def empty_state(chip: Chip) -> ChipState:
    """State of a chip with every bit 0."""
    synapse_chunks = sum(core.axons * row_chunks(core) for core in chip.layers)
    return ChipState(
        weights=np.zeros(synapse_chunks, np.uint16),
        momentum=np.zeros((synapse_chunks, CHUNK), momentum_dtype(chip)),
        generators=np.zeros((len(chip.layers), 64), np.int64),
        second_moment=np.zeros((len(chip.layers), chip.steps), np.int64),
        sample_counter=0,
    )


def initial_state(chip: Chip, seed: int) -> ChipState:
    """State of a chip after power-up and the load of its initial weights (R3, R5)."""
    state = empty_state(chip)
    for c, core in enumerate(chip.layers):
        for lane in range(core.lanes if core.random_source == "per_lane" else 1):
            state.generators[c, lane] = draws.generator_seed(seed, c, lane)
        store_weights(state, chip, c, draws.initial_weights(seed, c, core.axons, core.neurons))
    return state


def _synapse_slice(chip: Chip, c: int) -> tuple[slice, Core]:
    sizes = [core.axons * row_chunks(core) for core in chip.layers]
    return slice(sum(sizes[:c]), sum(sizes[: c + 1])), chip.layers[c]


def store_weights(state: ChipState, chip: Chip, c: int, bits: npt.NDArray[np.bool_]) -> None:
    """Write the weight bits of core c, bool [axons, neurons]."""
    where, core = _synapse_slice(chip, c)
    padded = np.zeros((core.axons, row_chunks(core) * CHUNK), np.bool_)
    padded[:, neuron_positions(core)] = bits
    packed = np.packbits(padded, axis=1, bitorder="little")
    state.weights[where] = packed.view("<u2").reshape(-1)


def weight_bits(state: ChipState, chip: Chip, c: int) -> npt.NDArray[np.bool_]:
    """Read the weight bits of core c, bool [axons, neurons]."""
    where, core = _synapse_slice(chip, c)
    packed = state.weights[where].reshape(core.axons, -1).astype("<u2").view(np.uint8)
    padded = np.unpackbits(packed, axis=1, bitorder="little")
    return padded[:, neuron_positions(core)].astype(np.bool_)


def store_momentum(state: ChipState, chip: Chip, c: int, momentum: npt.NDArray[np.int64]) -> None:
    """Write the momentum of core c, integers [axons, neurons] within its width."""
    where, core = _synapse_slice(chip, c)
    rows = state.momentum[where].reshape(core.axons, -1)
    rows[:, neuron_positions(core)] = momentum


def momentum_values(state: ChipState, chip: Chip, c: int) -> Momentum:
    """Read the momentum of core c, [axons, neurons] in the state's container."""
    where, core = _synapse_slice(chip, c)
    rows = state.momentum[where].reshape(core.axons, -1)
    return rows[:, neuron_positions(core)]
