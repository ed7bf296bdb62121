"""Where in a sample a reset comes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ResetPlace:
    """One cycle of one phase of a sample.

    Attributes:
        phases: phases of the sample that have ended before.
        phase, core: the one that the reset cuts short.
        cycles: cycles of it that have run before the one in which the reset comes.
    """

    phases: int
    phase: str
    core: int
    cycles: int
