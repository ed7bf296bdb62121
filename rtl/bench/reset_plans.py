"""Samples before each of which another one is lost in a reset: in every phase of a chip, in its first, a middle and its last cycle."""

import copy
from collections.abc import Sequence
from dataclasses import replace

from flipcore.chip import Chip
from flipcore.rtl.bench.chip_resets import Loss
from flipcore.rtl.bench.chip_samples import Sample
from flipcore.rtl.bench.chip_state import unpack_state
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState
from flipcore.sim.stepper import PhaseRecord, Stepper

PARTS = ("first", "middle", "last")
SHORTEST = 3  # cycles: in a shorter phase the three parts are not three cycles

Target = tuple[str, int, str]  # phase, core, part


def lost_everywhere(chip: Chip, samples: Sequence[Sample], state: bytes) -> list[Sample]:
    """Take samples two by two, one to lose and one that follows, until each phase of each core that occurs in them is cut short in each of its parts.

    The two differ, so that what a reset should have cleared is not what the next sample would set all the same. How long phases are, the simulator knows.

    Args:
        chip: which they are for.
        samples: as many as it takes; those that are left over are not used.
        state: which the chip starts from.

    Raises:
        ValueError: too few samples.
    """
    held = unpack_state(state)
    rehearsed = copy.deepcopy(held)
    missing: set[Target] = {
        (one.phase, one.core, part)
        for sample in samples
        for one in _run(chip, rehearsed, sample)
        for part in PARTS
    }
    following: list[Sample] = []
    for lost, sample in zip(samples[::2], samples[1::2], strict=False):
        found = _first_of(missing, _run(chip, copy.deepcopy(held), lost), len(following))
        if found is not None:
            target, number, cycles = found
            missing.remove(target)
            phase, core, _ = target
            loss = Loss(lost.transfers, number, phase, core, cycles)
            following.append(replace(sample, reset=True, loss=loss))
            _run(chip, held, sample)
        if not missing:
            return following
    raise ValueError(f"{len(samples)} samples: no reset in {sorted(missing)}")


def _run(chip: Chip, state: ChipState, sample: Sample) -> list[PhaseRecord]:
    """All phases of a sample; it changes the state."""
    events = [sorted(axons) for axons in sample.events]
    return list(Stepper(Engine(chip, 0, state)).run(events, sample.offered, sample.label))


def _first_of(
    missing: set[Target], run: Sequence[PhaseRecord], turn: int
) -> tuple[Target, int, int] | None:
    """One of the missing targets that a sample has, now in an early step, now in a late one: with the phases and the cycles before it."""
    for target in sorted(missing):
        phase, core, part = target
        places = [
            number
            for number, one in enumerate(run)
            if (one.phase, one.core) == (phase, core) and one.cycles >= SHORTEST
        ]
        if places:
            number = places[turn % len(places)]
            last = run[number].cycles - 1
            return target, number, {"first": 0, "middle": (last + 1) // 2, "last": last}[part]
    return None
