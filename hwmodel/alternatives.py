"""What learning adds to a chip, for this chip and for other ways to train the same network on the same cores: the one account of training memory.

Every way keeps the chip's 1-bit weight memory, lanes and words; what differs is state that only learning needs. Its size is exact for the
rules that this chip has, and follows from these assumptions for the others:

- A latent weight, a momentum or a moment in floating point is 32 bits per synapse, padding lanes included; Adam keeps two moments.
- A word is touched where its row has a trace and any of its errors is not 0, as this chip counts it, and is then read and written once.
  Decay terms that touch every word at each update (of momentum and Adam as published) are left out: that favours the alternatives.
- Traces and errors are this chip's integers with latent weights under SGD and Adam, and 32 bits for OTTT, for BSO as published and for BPTT.
- BPTT keeps 32 bits of potential and a spike of every neuron and step, and the input events. Its backward pass works in no more steps than this chip has errors in
  (an error reaches earlier steps, too: this again favours it). In each it reads what was kept, and all weights of the cores above the first, and adds to the gradient of all words
  of rows with an event: SGD to the latent weights, Adam to a gradient of 32 bits per synapse, after which it visits every word once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flipcore.chip import Chip
from flipcore.events import EventCounts
from flipcore.hwmodel.memories import core_memories, core_registers
from flipcore.hwmodel.memory import INFERENCE_STORES, memory_bits
from flipcore.hwmodel.phases import phase_numbers
from flipcore.hwmodel.sram import MemoryShape, memory_cost
from flipcore.hwmodel.technology import Band, Technology

FLOAT_BITS = 32
LEARNING_PHASES = ("trace", "error", "threshold", "update", "decay")
ADAM_MOMENTS = 2
SYNAPSE_STATE = (
    "momentum",
    "state",
)  # memories with a value per synapse; the rest is neurons, rows and axons


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A way to train the network, and the bits of a chip that does so.

    Attributes:
        name: of the way.
        inference_bits: what a chip needs that only classifies, the 1-bit weights among it; the same for all ways.
        synapse_bits: state per synapse beside the 1-bit weight.
        other_bits: traces, errors, lists, generators, activations kept for a backward pass.
    """

    name: str
    inference_bits: int
    synapse_bits: int
    other_bits: int

    @property
    def learning_bits(self) -> int:
        """All bits that learning adds."""
        return self.synapse_bits + self.other_bits

    @property
    def total_bits(self) -> int:
        """All bits of the chip."""
        return self.inference_bits + self.learning_bits


@dataclass(frozen=True, slots=True)
class Alternative:
    """What a way to train the network adds to a chip that only classifies.

    Attributes:
        state: its bits.
        area_um2: memories that learning adds; registers and logic are left out.
        energy_pj: memory traffic of learning, mean of a training sample; None without counts.
    """

    state: TrainingState
    area_um2: Band
    energy_pj: Band | None


@dataclass(frozen=True)
class _Stores:
    """What a way needs in one core: memories of its own, registers, and accesses (reads, writes) of all memories by learning."""

    memories: dict[str, MemoryShape]
    registers: int
    accesses: dict[str, tuple[int, int]] = field(default_factory=dict)


def training_states(chip: Chip) -> tuple[TrainingState, ...]:
    """Bits of this chip, of the rules that it could have, and of the alternatives."""
    return tuple(_state(name, chip, cores) for name, cores in _ways(chip, None))


def training_state_bits(chip: Chip) -> dict[str, dict[str, int]]:
    """The same, ready for JSON: of each way three parts that add up to the whole chip."""
    return {
        state.name: {
            "inference": state.inference_bits,
            "synapse_state": state.synapse_bits,
            "other_state": state.other_bits,
        }
        for state in training_states(chip)
    }


def alternatives(
    chip: Chip, technology: Technology, counts: EventCounts | None
) -> tuple[Alternative, ...]:
    """The same ways with their prices; `counts` are of training samples.

    Raises:
        InputError: the counts are of another chip, or the technology has no memories of these ports.
    """
    samples = counts.samples if counts is not None else 0
    return tuple(
        _priced(_state(name, chip, cores), chip, cores, technology, samples)
        for name, cores in _ways(chip, counts)
    )


def _ways(chip: Chip, counts: EventCounts | None) -> Iterator[tuple[str, list[_Stores]]]:
    """Every way's name and what it needs in each core."""

    def own(**changes: object) -> Callable[[int], _Stores]:
        variant = _variant(chip, **changes)
        return lambda c: _own_stores(variant, c, counts)

    def floating(copies: int, *, everything: bool) -> Callable[[int], _Stores]:
        return lambda c: _floating_stores(chip, c, counts, copies, everything=everything)

    def bptt(*, adam: bool) -> Callable[[int], _Stores]:
        return lambda c: _bptt_stores(chip, c, counts, adam=adam)

    ways = {
        "this chip": own(),
        "BSO, 8 bits": own(rule="bso", momentum_bits=8),
        "BSO, 4 bits": own(rule="bso", momentum_bits=4),
        "T-BSO, 8 bits": own(rule="tbso", momentum_bits=8),
        "BSO, fp32, as published": floating(1, everything=True),
        "latent fp32, SGD": floating(1, everything=False),
        "latent fp32, Adam": floating(1 + ADAM_MOMENTS, everything=False),
        "OTTT, latent fp32, SGD": floating(1, everything=True),
        "BPTT, latent fp32, SGD": bptt(adam=False),
        "BPTT, latent fp32, Adam": bptt(adam=True),
    }
    for name, stores in ways.items():
        yield name, [stores(c) for c in range(len(chip.layers))]


def _variant(chip: Chip, **changes: object) -> Chip:
    """The chip with fields of every core changed; its stores alone are asked for, so that thresholds need not fit."""
    layers = [core.model_copy(update=changes) for core in chip.layers]
    return chip.model_copy(update={"layers": layers})


def _own_stores(chip: Chip, c: int, counts: EventCounts | None) -> _Stores:
    memories = {
        name: shape
        for name, shape in core_memories(chip, c).items()
        if name not in INFERENCE_STORES
    }
    return _Stores(memories, _learning_registers(chip, c), _learning_accesses(chip, c, counts))


def _learning_registers(chip: Chip, c: int) -> int:
    registers = core_registers(chip, c)
    return sum(bits for name, bits in registers.items() if name not in INFERENCE_STORES)


def _learning_accesses(
    chip: Chip, c: int, counts: EventCounts | None
) -> dict[str, tuple[int, int]]:
    """Reads and writes of each memory in the phases of learning, all samples together."""
    if counts is None:
        return {}

    def number(name: str) -> int:
        split = phase_numbers(chip, counts, c, name)
        return sum(split.get(phase, 0) for phase in LEARNING_PHASES)

    return {
        name: (number(f"{name}_reads"), number(f"{name}_writes")) for name in core_memories(chip, c)
    }


def _touched_words(chip: Chip, c: int, counts: EventCounts) -> int:
    """Words whose row has a trace and that have an error."""
    if chip.layers[c].rounding == "stochastic":
        return phase_numbers(chip, counts, c, "words_drawn")["update"]
    return int(counts.per_core("words_visited")[c])


def _floating_stores(
    chip: Chip, c: int, counts: EventCounts | None, copies: int, *, everything: bool
) -> _Stores:
    """State of 32 bits per synapse in place of the momentum; `everything`: traces and errors of 32 bits as well."""
    core = chip.layers[c]
    own = _own_stores(chip, c, counts)
    memories = {name: shape for name, shape in own.memories.items() if name != "momentum"}
    if everything:
        word = core.lanes * FLOAT_BITS
        row = memories["row_list"].bits - core.trace_bits + FLOAT_BITS
        memories |= {
            "trace": MemoryShape(core.trace_words, word, core.memory_ports),
            "error": MemoryShape(core.words, word, "1rw"),
            "row_list": MemoryShape(core.axons, row, "1rw"),
        }
    memories["state"] = _synapse_memory(chip, c, copies)
    accesses = dict(own.accesses)
    if counts is not None:
        del accesses["momentum"]
        touched = _touched_words(chip, c, counts)
        accesses["state"] = (touched, touched)
        if everything:
            steps = counts.samples * chip.steps
            accesses["trace"] = (
                core.trace_words * (steps - counts.samples),
                core.trace_words * steps,
            )
    registers = core_registers(chip, c)
    return _Stores(memories, registers.get("window", 0) + registers["live_words"], accesses)


def _synapse_memory(chip: Chip, c: int, copies: int) -> MemoryShape:
    core = chip.layers[c]
    bits = core.lanes * FLOAT_BITS * copies
    return MemoryShape(core.axons * core.words, bits, core.memory_ports)


def _bptt_stores(chip: Chip, c: int, counts: EventCounts | None, *, adam: bool) -> _Stores:
    core = chip.layers[c]
    # SGD adds the gradient to the latent weights at once; Adam must have all of it first.
    copies = 2 + ADAM_MOMENTS if adam else 1
    memories = {
        "state": _synapse_memory(chip, c, copies),
        "history": MemoryShape(chip.steps * core.words, core.lanes * (FLOAT_BITS + 1), "1rw"),
        "error": MemoryShape(core.words, core.lanes * FLOAT_BITS, "1rw"),
    }
    if c == 0:
        memories["input_history"] = MemoryShape(chip.steps * core.trace_words, core.lanes, "1rw")
    if counts is None:
        return _Stores(memories, 0)
    steps = counts.samples * chip.steps
    words = core.axons * core.words
    live = int(counts.per_core("live_steps")[c])
    added = int(counts.per_core("event_list_reads")[c]) * live // max(steps, 1)
    updated = words * live // chip.steps if adam else 0
    accesses = {
        "state": (added + updated, added + updated),
        "history": (core.words * live, core.words * steps),
        "error": (core.words * live, core.words * live),
        "weight": (words * live if c > 0 else 0, int(counts.per_core("weight_writes")[c])),
    }
    if c == 0:
        accesses["input_history"] = (core.trace_words * live, core.trace_words * steps)
    return _Stores(memories, 0, accesses)


def _state(name: str, chip: Chip, cores: list[_Stores]) -> TrainingState:
    synapse_bits = other_bits = 0
    for stores in cores:
        other_bits += stores.registers
        for memory, shape in stores.memories.items():
            bits = shape.words * shape.bits
            if memory in SYNAPSE_STATE:
                synapse_bits += bits
            else:
                other_bits += bits
    return TrainingState(name, memory_bits(chip)["total_inference"], synapse_bits, other_bits)


def _priced(
    state: TrainingState, chip: Chip, cores: list[_Stores], technology: Technology, samples: int
) -> Alternative:
    area = Band.total(
        memory_cost(technology, shape).area_um2
        for stores in cores
        for shape in stores.memories.values()
    )
    energy = Band.total(_energies(chip, cores, technology)) * (1.0 / samples) if samples else None
    return Alternative(state, area, energy)


def _energies(chip: Chip, cores: list[_Stores], technology: Technology) -> Iterator[Band]:
    for c, stores in enumerate(cores):
        shapes = core_memories(chip, c) | stores.memories
        for memory, (reads, writes) in stores.accesses.items():
            if reads or writes:
                cost = memory_cost(technology, shapes[memory])
                yield cost.read_pj * reads
                yield cost.write_pj * writes
