"""Samples that are lost in a reset in every phase of a chip, in its first, a middle and its last cycle."""

from collections.abc import Sequence
from dataclasses import replace

from flipcore.chip import Chip
from flipcore.rtl.bench.chip_resets import ResetPlace
from flipcore.rtl.bench.chip_samples import Sample
from flipcore.rtl.bench.chip_state import unpack_state
from flipcore.sim.engine import Engine
from flipcore.sim.stepper import PhaseRecord, Stepper

PARTS = ("first", "middle", "last")
SHORTEST = 3  # cycles: in a shorter phase the three parts are not three cycles

Target = tuple[str, int, str]  # phase, core, part


def lost_everywhere(chip: Chip, samples: Sequence[Sample], state: bytes) -> list[Sample]:
    """Choose for each sample a reset, until each phase of each core that occurs in them is cut short in each of its parts.

    A sample that is lost leaves no trace: so the simulator, which runs each of them once, knows how long the phases are that the reset cuts short.

    Args:
        chip: which they are for.
        samples: as many as it takes; those that are left over are not used.
        state: which the chip starts from.

    Raises:
        ValueError: too few samples.
    """
    stepper = Stepper(Engine(chip, 0, unpack_state(state)))
    runs = []
    for sample in samples:
        events = [sorted(axons) for axons in sample.events]
        runs.append(list(stepper.run(events, sample.offered, sample.label)))
    missing = {(record.phase, record.core, part) for run in runs for record in run for part in PARTS}
    lost = []
    for sample, run in zip(samples, runs, strict=True):
        found = _first_of(missing, run, len(lost))
        if found is not None:
            target, place = found
            missing.remove(target)
            lost.append(replace(sample, reset=True, place=place))
        if not missing:
            return lost
    raise ValueError(f"{len(samples)} samples: no reset in {sorted(missing)}")


def _first_of(
    missing: set[tuple[str, int, str]], run: Sequence[PhaseRecord], turn: int
) -> tuple[Target, ResetPlace] | None:
    """One of the missing targets that a sample has, now in an early step, now in a late one."""
    for target in sorted(missing):
        phase, core, part = target
        ends = [
            number
            for number, record in enumerate(run)
            if (record.phase, record.core) == (phase, core) and record.cycles >= SHORTEST
        ]
        if ends:
            number = ends[turn % len(ends)]
            last = run[number].cycles - 1
            cycles = {"first": 0, "middle": (last + 1) // 2, "last": last}[part]
            return target, ResetPlace(number, phase, core, cycles)
    return None
