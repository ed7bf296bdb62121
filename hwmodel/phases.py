"""Which phase each counted event belongs to: one table for memory accesses and logic alike (T1-T10)."""

from collections.abc import Callable

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, CYCLE_NAMES, EventCounts

PHASES = tuple(name.removesuffix("_cycles") for name in CYCLE_NAMES)
CYCLES = "cycles"  # every cycle of the chip

Counted = Callable[[str], int]

# Counts of one phase alone.
_PHASE_OF = {
    "merged_events": "input",
    "spikes": "spikes",
    "sops": "forward",
    "live_steps": "update",
    "words_visited": "update",
    "words_updated": "update",
    "momentum_updates": "update",
    "momentum_saturations": "update",
    "flips": "update",
    "words_decayed": "decay",
    "words_changed": "decay",
    "potential_saturations": "forward",
    "weight_writes": "update",
    "potential_reads": "forward",
    "potential_writes": "forward",
    "trace_reads": "trace",
    "trace_writes": "trace",
    "row_list_reads": "update",
    "row_list_writes": "trace",
    "error_reads": "update",
    "event_list_reads": "forward",
    "total_writes": "forward",
    **{f"{phase}_cycles": phase for phase in PHASES},
}


def phase_numbers(chip: Chip, counts: EventCounts, c: int, name: str) -> dict[str, int]:
    """How often something counted happened in each phase of core c; `cycles` are those of the whole chip.

    Raises:
        InputError: the counts contradict each other or are of another number of cores.
    """
    if len(counts.cores) != len(chip.layers):
        raise InputError(f"counts of {len(counts.cores)} cores: {chip.name} has {len(chip.layers)}")
    if name == CYCLES:
        return {phase: counts.total(f"{phase}_cycles") for phase in PHASES}
    if name not in COUNT_NAMES:
        raise InputError(f"{name}: no such count (counts: {', '.join(COUNT_NAMES)})")

    def counted(other: str) -> int:
        return int(counts.per_core(other)[c])

    numbers = _split(chip, c, name, counted)
    for phase, number in numbers.items():
        if number < 0:
            raise InputError(
                f"counts of core {c}: {name}={counted(name)} leaves {number} for the {phase} phase: "
                "the counts contradict each other"
            )
    return numbers


def _split(chip: Chip, c: int, name: str, counted: Counted) -> dict[str, int]:
    if name in _PHASE_OF:
        return {_PHASE_OF[name]: counted(name)}
    number = counted(name)
    is_readout = c == len(chip.layers) - 1
    match name:
        case "events" | "event_list_writes":  # core 0 takes them from outside, the others as spikes
            return {"input" if c == 0 else "spikes": number}
        case (
            "error_writes"
        ):  # of the readout by ERROR, of the others by the update of the core above
            return {"error" if is_readout else "update": number}
        case "weight_reads":  # X*J in FORWARD, as many as of the event list
            forward = counted("event_list_reads")
            return {"forward": forward, "update": number - forward}
        case "momentum_reads":
            decay = counted("words_decayed")
            return {"update": number - decay, "decay": decay}
        case "momentum_writes":
            decay = counted("words_changed")
            return {"update": number - decay, "decay": decay}
        case "words_drawn":
            decay = counted("words_decayed") if chip.layers[c].rounding == "stochastic" else 0
            return {"update": number - decay, "decay": decay}
        case "total_reads":  # J per step but the first, J per sample, the rest for the error
            writes = counted("total_writes")
            predict = writes // chip.steps
            return {"forward": writes - predict, "error": number - writes, "predict": predict}
    raise AssertionError(f"{name} is in no phase")


def io_numbers(chip: Chip, counts: EventCounts) -> dict[str, dict[str, int]]:
    """Transfers at the chip's streams by kind and phase: events with end-of-step marks, labels, predictions.

    Raises:
        InputError: the cycles of INPUT do not hold the events that were counted (T1).
    """
    events = sum(int(counts.per_core(name)[0]) for name in ("events", "merged_events"))
    marks = chip.steps * counts.samples
    labels = counts.total("input_cycles") - events - marks
    if not 0 <= labels <= counts.samples:
        raise InputError(
            f"counts: input_cycles={counts.total('input_cycles')} for {counts.samples} samples with "
            f"{events} events and {marks} end-of-step marks: the counts contradict each other"
        )
    return {
        "events": {"input": events + marks},
        "labels": {"input": labels},
        "predictions": {"predict": counts.samples},
    }
