"""A sample that is lost in a reset, and where in it the reset comes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """A sample of which nothing but the reset is left.

    Attributes:
        transfers: what is sent of it, as far as it comes to that; kind and data of each.
        phases: phases of it that have ended before.
        phase, core: the one that the reset cuts short.
        cycles: cycles of that phase that have run before the one in which the reset comes.
    """

    transfers: list[tuple[int, int]]
    phases: int
    phase: str
    core: int
    cycles: int
