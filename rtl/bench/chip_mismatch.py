"""What is told of the first thing that differs between the chip and the simulator."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first difference of a run.

    Attributes:
        kind: `bits`, `cycles`, or `counts` of a register that is a number.
        signal: hierarchical name below the top module, or what was counted.
        expected: by the simulator.
        found: in the Verilog; x and z are unknown bits.
        core: -1 if it belongs to no core.
        word: index in a memory, -1 if there are no words.
        lane: -1 if there are no lanes.
        sample, step, phase, cycle: when; the cycle counts from the start of the simulation.
    """

    kind: str
    signal: str
    expected: str
    found: str
    core: int = -1
    word: int = -1
    lane: int = -1
    sample: int = -1
    step: int = -1
    phase: str = ""
    cycle: int = -1

    def at(self, *, sample: int, step: int, phase: str, cycle: int) -> Self:
        """The same difference, with when it was found."""
        return replace(self, sample=sample, step=step, phase=phase, cycle=cycle)

    @property
    def differing_bits(self) -> int:
        """Bits that differ, 1 in a number; an unknown bit always does."""
        if self.kind != "bits":
            return int(self.kind == "counts")
        return sum(a != b for a, b in zip(self.expected, self.found, strict=True))

    def text(self) -> str:
        """One line."""
        place = [self.signal]
        place += [f"core {self.core}"] if self.core >= 0 else []
        place += [f"word {self.word}"] if self.word >= 0 else []
        place += [f"lane {self.lane}"] if self.lane >= 0 else []
        when = [f"sample {self.sample}"] if self.sample >= 0 else []
        when += [f"step {self.step}"] if self.step >= 0 else []
        when += [f"phase {self.phase}"] if self.phase else []
        when += [f"cycle {self.cycle}"] if self.cycle >= 0 else []
        return (
            f"{', '.join(place)}: expected {self.expected}, found {self.found} ({', '.join(when)})"
        )

    def as_document(self) -> dict[str, Any]:
        """What the constructor takes, for JSON."""
        return asdict(self)


def compare_word(found: str, expected: int, mask: int) -> bool:
    """Tell whether a word holds what is expected in the bits of the mask; unknown bits there do not.

    Args:
        found: the word's bits, the highest first.
        expected: its value.
        mask: the bits that count.
    """
    try:
        return (int(found, 2) ^ expected) & mask == 0
    except ValueError:  # x or z somewhere
        mask &= (1 << len(found)) - 1
        return all(
            bit == wanted or counts == "0"
            for bit, wanted, counts in zip(
                found, _bits(expected, len(found)), _bits(mask, len(found)), strict=True
            )
        )


def first_differing_lane(found: str, expected: int, mask: int, lane_bits: int) -> int:
    """Lowest lane that differs from what is expected, -1 without lanes."""
    if not lane_bits:
        return -1
    width = len(found)
    columns = zip(
        reversed(found), reversed(_bits(expected, width)), reversed(_bits(mask, width)), strict=True
    )
    differing = (place for place, (bit, wanted, counts) in enumerate(columns)
                 if counts == "1" and bit != wanted)  # fmt: skip
    return next(differing) // lane_bits


def expected_bits(found: str, expected: int, mask: int) -> str:
    """Bits that were expected in place of those found; bits that do not count are as they were found."""
    return "".join(
        bit if counts == "1" else other
        for bit, counts, other in zip(
            _bits(expected, len(found)), _bits(mask, len(found)), found, strict=True
        )
    )


def _bits(value: int, width: int) -> str:
    """Lowest `width` bits of a number as text; more than that many would hide a difference."""
    text = f"{value:0{width}b}"
    assert len(text) == width, f"{value:#x} has more than {width} bits"
    return text
