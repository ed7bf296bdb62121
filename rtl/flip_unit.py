"""What the flip unit of one core consists of: its widths and which parts it has (SPEC N9-N12, R5, R6)."""

from dataclasses import dataclass
from typing import Protocol, Self

# Cycles from the transfer of a word into the unit to the cycle that offers its result, nothing stalling.
LATENCY_CYCLES = 2


class FlipUnitParameters(Protocol):
    """The parameters of a core that shape its flip unit (S4), already checked against the SPEC's limits."""

    @property
    def lanes(self) -> int:
        """Synapses per word, P."""

    @property
    def axons(self) -> int:
        """Rows, A."""

    @property
    def words(self) -> int:
        """Words of a row, J."""

    @property
    def memory_ports(self) -> str:
        """`1rw` or `1r1w`."""

    @property
    def trace_bits(self) -> int:
        """Width of the unsigned trace, Tb."""

    @property
    def error_bits(self) -> int:
        """Width of the signed error, E."""

    @property
    def momentum_bits(self) -> int:
        """Width of the signed momentum, B."""

    @property
    def gradient_shift(self) -> int:
        """Gradient shift s without the schedule's additions."""

    @property
    def max_gradient_shift(self) -> int:
        """Largest gradient shift of the schedule (O6); equal to `gradient_shift` without one."""

    @property
    def rounding(self) -> str:
        """`stochastic`, `nearest` or `floor` (N10)."""

    @property
    def random_source(self) -> str:
        """`shared` or `per_lane` (R5)."""

    @property
    def momentum_at_flip(self) -> str:
        """`reset` or `keep` (N12)."""

    @property
    def rule(self) -> str:
        """`bso`: the flip threshold is a constant; `tbso`: it comes with the word (N14)."""

    @property
    def flip_threshold_value(self) -> int:
        """Flip threshold of `bso`."""


def index_bits(count: int) -> int:
    """Bits of an index 0 ... count - 1, at least one."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True, slots=True)
class FlipUnit:
    """The flip unit of one core: its `FlipUnitParameters` and what follows from them.

    Attributes:
        address_bits: Width of a synapse word's address.
        tag_bits: Width of the tag that goes with a word to the backward sum.
        backward: Whether words go to a backward sum.
    """

    lanes: int
    address_bits: int
    tag_bits: int
    memory_ports: str
    backward: bool
    trace_bits: int
    error_bits: int
    momentum_bits: int
    gradient_shift: int
    max_gradient_shift: int
    rounding: str
    random_source: str
    momentum_at_flip: str
    rule: str
    flip_threshold_value: int

    @classmethod
    def of(cls, core: FlipUnitParameters, *, backward: bool = False) -> Self:
        """Take from a core what its flip unit depends on; `backward`: words also go to a backward sum (N8)."""
        return cls(
            lanes=core.lanes,
            address_bits=index_bits(core.axons * core.words),
            tag_bits=index_bits(core.axons) + 2,
            memory_ports=core.memory_ports,
            backward=backward,
            trace_bits=core.trace_bits,
            error_bits=core.error_bits,
            momentum_bits=core.momentum_bits,
            gradient_shift=core.gradient_shift,
            max_gradient_shift=core.max_gradient_shift,
            rounding=core.rounding,
            random_source=core.random_source,
            momentum_at_flip=core.momentum_at_flip,
            rule=core.rule,
            flip_threshold_value=core.flip_threshold_value,
        )

    @property
    def shift_add_bits(self) -> int:
        """Width of what the schedule adds to the gradient shift (O6); 0: there is no such port."""
        return (self.max_gradient_shift - self.gradient_shift).bit_length()

    @property
    def draws(self) -> bool:
        """Tell whether the unit has a random source (R6)."""
        return self.rounding == "stochastic"

    @property
    def noisy(self) -> bool:
        """Tell whether random numbers reach the gradients; a shift of 0 leaves nothing to round (N10)."""
        return self.draws and self.max_gradient_shift > 0

    @property
    def generators(self) -> int:
        """Number of xorshift32 generators (R5)."""
        if not self.draws:
            return 0
        return self.lanes if self.random_source == "per_lane" else 1

    @property
    def sum_bits(self) -> int:
        """Width of the signed sum of gradient and noise (N10)."""
        traces = (1 << self.trace_bits) - 1
        lowest = -traces << (self.error_bits - 1)
        highest = traces * ((1 << (self.error_bits - 1)) - 1) + self._largest_noise
        exact = max((-lowest - 1).bit_length(), highest.bit_length()) + 1
        return max(self.trace_bits + self.error_bits, exact, self.gradient_shift + 1)

    @property
    def _largest_noise(self) -> int:
        one = 1 << self.max_gradient_shift
        return {"stochastic": one - 1, "nearest": one >> 1, "floor": 0}[self.rounding]

    @property
    def rounded_bits(self) -> int:
        """Width of the signed rounded gradient q (N10)."""
        return self.sum_bits - self.gradient_shift

    @property
    def momentum_limit(self) -> int:
        """Largest momentum (N11)."""
        return (1 << (self.momentum_bits - 1)) - 1
