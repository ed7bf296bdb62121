"""Random chip descriptions to verify: small, and such that something happens in them.

Every value of every option is dealt from a shuffled deck, so that it is hit whenever enough cores are drawn; 30 chips are enough.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flipcore.chip import Chip, parse_chip

Document = dict[str, Any]

LANES = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64)
MOMENTUM_BITS = tuple(range(2, 17))
MAX_NEURONS = 200
MAX_WORDS = 450  # of a core's rows together; the time of a run grows with them

# What the table of options tells apart, each with the text of its values.
OPTIONS: Mapping[str, Sequence[object]] = {
    "memory_ports": ("1rw", "1r1w"),
    "neuron": ("lif", "if"),
    "reset": ("subtract", "zero"),
    "trace_decay_shift": ("none", 1, 2, 3),
    "rule": ("bso", "tbso"),
    "rounding": ("stochastic", "nearest", "floor"),
    "random_source": ("shared", "per_lane"),
    "momentum_at_flip": ("reset", "keep"),
    "decay": ("none", "scrub", "dense"),
}
_ERRORS = (("hinge", "step"), ("softmax", "step"), ("hinge", "total"), ("softmax", "total"))
_SCHEDULES = ("none", "shift", "period", "both")


class Decks:
    """Deals the values of options in shuffled rounds."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Shuffle with this generator."""
        self._rng = rng
        self._decks: dict[str, list[Any]] = {}

    def deal(self, name: str, values: Sequence[Any]) -> Any:
        """The next value of an option; a round deals each value once."""
        deck = self._decks.setdefault(name, [])
        if not deck:
            deck += [values[k] for k in self._rng.permutation(len(values))]
        return deck.pop()


def random_chips(number: int, seed: int) -> list[Chip]:
    """Draw chip descriptions; the same seed gives the same chips, and a longer list begins with a shorter one."""
    rng = np.random.default_rng(seed)
    decks = Decks(rng)
    return [
        parse_chip(_chip_document(f"random-{seed}-{k}", rng, decks), "random chip")
        for k in range(number)
    ]


def hit_options(chip: Chip) -> set[str]:
    """Options of a chip, as `name=value`, and the shapes worth telling apart."""
    hits = {f"hidden_layers={len(chip.layers) - 1}"}
    hits.add(f"error={chip.error.kind} of {chip.error.of}")
    adds = any(stage.gradient_shift_add for stage in chip.schedule)
    multiplies = any(stage.scrub_period_multiply > 1 for stage in chip.schedule)
    schedule = {(0, 0): "none", (1, 0): "shift", (0, 1): "period", (1, 1): "both"}
    hits.add(f"schedule={schedule[adds, multiplies]}")
    for core in chip.layers:
        hits |= {f"{name}={getattr(core, name)}" for name in OPTIONS}
        hits |= {f"lanes={core.lanes}", f"momentum_bits={core.momentum_bits}"}
        hits |= {"words>=3"} if core.words >= 3 else set()
        hits |= {"neurons>lanes"} if core.neurons > core.lanes else set()
        hits |= {"padded lanes"} if core.neurons % core.lanes else {"no padded lanes"}
    return hits


def all_options() -> list[str]:
    """Every option that `hit_options` may report, in the order of the table."""
    names = [f"{name}={value}" for name, values in OPTIONS.items() for value in values]
    names += [f"error={kind} of {of}" for kind, of in _ERRORS]
    names += [f"schedule={kind}" for kind in _SCHEDULES]
    names += [f"hidden_layers={number}" for number in (0, 1, 2, 3)]
    names += ["neurons>lanes", "words>=3", "padded lanes", "no padded lanes"]
    names += [f"lanes={lanes}" for lanes in LANES]
    return [*names, *(f"momentum_bits={bits}" for bits in MOMENTUM_BITS)]


def _chip_document(name: str, rng: np.random.Generator, decks: Decks) -> Document:
    inputs = int(rng.integers(3, 40))
    hidden = decks.deal("hidden", (0, 1, 1, 2, 2, 3))
    steps = int(decks.deal("steps", (1, 2, 3, 4)))
    kind, of = decks.deal("error", _ERRORS)
    layers = []
    axons = inputs
    for c in range(hidden + 1):
        lanes = int(decks.deal("lanes", LANES))
        neurons = _neurons(rng, decks, axons, lanes, is_readout=c == hidden)
        core = _core_document(rng, decks, axons=axons, steps=steps)
        layers.append({"neurons": neurons, "lanes": lanes, **core})
        axons = neurons
    layers[-1]["error_bits"] = max(8, layers[-1]["error_bits"])
    error: Document = {"kind": kind, "of": of}
    if kind == "hinge":
        error["margin"] = int(rng.integers(1, 3 * layers[-1]["neurons"]))
    else:
        error["sharpness"] = int(rng.integers(0, 5))
    return {
        "name": name,
        "inputs": inputs,
        "steps": steps,
        "layers": layers,
        "error": error,
        "schedule": _schedule(rng, decks),
    }


def _neurons(
    rng: np.random.Generator, decks: Decks, axons: int, lanes: int, *, is_readout: bool
) -> int:
    """A number of neurons that fills some words, the last one now wholly, now partly."""
    words = int(decks.deal("words", (1, 2, 3, 3, 4, 5)))
    words = max(1, min(words, MAX_WORDS // axons, MAX_NEURONS // lanes))
    last = lanes if decks.deal("padding", (True, False, False)) else int(rng.integers(1, lanes + 1))
    return max(2 if is_readout else 1, (words - 1) * lanes + last)


def _core_document(rng: np.random.Generator, decks: Decks, *, axons: int, steps: int) -> Document:
    """Parameters of a core; those that are no options lie where a core of this fan-in is busy."""
    core: Document = {name: decks.deal(name, values) for name, values in OPTIONS.items()}
    fan_in = axons.bit_length()
    potential_bits = int(rng.integers(4, 5 + fan_in))
    top = (1 << (potential_bits - 1)) - 1
    trace_bits = int(rng.integers(2, 9))
    momentum_bits = int(decks.deal("momentum_bits", MOMENTUM_BITS))
    limit = (1 << (momentum_bits - 1)) - 1
    flip_threshold: int | str = "auto"
    if limit > 1 and core["rule"] == "bso" and rng.random() < 0.5:
        flip_threshold = int(rng.integers(0, limit))
    elif limit == 1:
        flip_threshold = 0
    # Errors reach 64: a shift of trace_bits + 6 leaves no gradient but what rounding makes.
    largest_shift = max(1, trace_bits + 6 - min(momentum_bits, 8) // 2)
    return {
        **core,
        "potential_bits": potential_bits,
        "threshold": int(rng.integers(1, min(top, 4) + 1)),
        "leak_shift": int(rng.integers(1, 5)),
        "window": int(rng.integers(1, min(2 * top, 8) + 1)),
        "trace_bits": trace_bits,
        "trace_unit": int(rng.integers(1, 1 << trace_bits)),
        "error_bits": int(rng.integers(4, 13)),
        "error_shift": int(rng.integers(0, 3) if rng.random() < 0.8 else rng.integers(0, 16)),
        "momentum_bits": momentum_bits,
        "flip_threshold": flip_threshold,
        "gradient_shift": int(
            decks.deal("zero_shift", (0, 1, 1, 1, 1)) * rng.integers(1, largest_shift + 1)
        ),
        "decay_shift": int(rng.integers(1, 6)),
        "scrub_period": 1 << int(rng.integers(0, 4)),
        **_adaptive_threshold(rng, momentum_bits),
    }


def _adaptive_threshold(rng: np.random.Generator, momentum_bits: int) -> Document:
    """Parameters of T-BSO with thresholds in the middle of the momentum's range.

    The squares of errors and traces sum up to some 2^24; half of what is left of them after their shift goes away with the root.
    """
    square_shift = int(rng.integers(0, 13))
    threshold_shift = max(0, 12 - square_shift // 2 - momentum_bits + 2 + int(rng.integers(-1, 2)))
    return {
        "square_shift": square_shift,
        "average_shift": int(rng.integers(0, 6)),
        "threshold_gain": int(rng.integers(1, 5)),
        "threshold_shift": threshold_shift,
    }


def _schedule(rng: np.random.Generator, decks: Decks) -> list[Document]:
    kind = decks.deal("schedule", _SCHEDULES)
    if kind == "none":
        return []
    starts = sorted(rng.choice(6, size=2, replace=False).tolist())
    return [
        {
            "after_samples": start,
            "gradient_shift_add": (k + 1) * (kind in ("shift", "both")),
            "scrub_period_multiply": 2 << k if kind in ("period", "both") else 1,
        }
        for k, start in enumerate(starts)
    ]
