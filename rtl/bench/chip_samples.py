"""Samples as the chip's event stream carries them, and what the rules of the stream make of them (docs/RTL.md)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from flipcore.chip import Chip
from flipcore.rtl.bench.chip_resets import Loss

EVENT, STEP_END, LABEL, UNKNOWN_KIND = 0, 1, 2, 3

# Bits of `status`.
BEGUN = 1 << 0
EVENT_OUT_OF_RANGE = 1 << 1
LABEL_OUT_OF_RANGE = 1 << 2
LABEL_OUT_OF_PLACE = 1 << 3
KIND_UNKNOWN = 1 << 4
IGNORED = {
    EVENT_OUT_OF_RANGE: "events_out_of_range",
    LABEL_OUT_OF_RANGE: "labels_out_of_range",
    LABEL_OUT_OF_PLACE: "labels_out_of_place",
    KIND_UNKNOWN: "transfers_of_unknown_kind",
}

Transfer = tuple[int, int]  # kind, data


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        transfers: all that is sent, in order.
        label: class to learn, or none.
        events: for each step, its distinct axons in the order of their first events.
        offered: for each step, its events, merged ones included.
        ignored: for each step, transfers that the chip takes and ignores.
        ignored_kinds: how many transfers of the sample set which bit of `status`.
        reset: the sample is begun, lost in a reset and sent again.
        loss: with `reset`, another sample that is lost instead, at a chosen place; none: this one, in any cycle.
    """

    transfers: list[Transfer]
    label: int | None
    events: list[list[int]]
    offered: list[int]
    ignored: list[int]
    ignored_kinds: dict[int, int] = field(default_factory=dict)
    reset: bool = False
    loss: Loss | None = None

    @property
    def status(self) -> int:
        """Error bits of `status` after the sample."""
        return sum(self.ignored_kinds)

    @property
    def merged_events(self) -> int:
        """Further events of an axon in the same step."""
        return sum(self.offered) - sum(map(len, self.events))

    @classmethod
    def read(
        cls,
        chip: Chip,
        transfers: Sequence[Transfer],
        *,
        reset: bool = False,
        loss: Loss | None = None,
    ) -> Self:
        """Find out what the transfers of one sample, its last end-of-step mark included, mean to a chip."""
        label: int | None = None
        events: list[list[int]] = [[]]
        offered, ignored = [0], [0]
        kinds: dict[int, int] = {}
        has_begun = False
        for kind, data in transfers:
            problem = status_bit(chip, kind, data, can_be_labelled=label is None and not has_begun)
            if problem:
                kinds[problem] = kinds.get(problem, 0) + 1
                ignored[-1] += 1
            elif kind == LABEL:
                label = data
            elif kind == EVENT:
                has_begun = True
                offered[-1] += 1
                if data not in events[-1]:
                    events[-1].append(data)
            else:
                has_begun = True
                events.append([])
                offered.append(0)
                ignored.append(0)
        if len(events) != chip.steps + 1:
            raise ValueError(f"{len(events) - 1} end-of-step marks, {chip.steps} steps")
        return cls(
            list(transfers), label, events[:-1], offered[:-1], ignored[:-1], kinds, reset, loss
        )  # fmt: skip

    def as_document(self) -> dict[str, Any]:
        """What `from_document` needs."""
        loss = asdict(self.loss) if self.loss else None
        return {"transfers": self.transfers, "reset": self.reset, "loss": loss}

    @classmethod
    def from_document(cls, chip: Chip, document: dict[str, Any]) -> Self:
        """Read a sample back from JSON."""
        transfers = [(kind, data) for kind, data in document["transfers"]]
        loss = Loss(**document["loss"]) if document["loss"] else None
        return cls.read(chip, transfers, reset=document["reset"], loss=loss)


def status_bit(chip: Chip, kind: int, data: int, *, can_be_labelled: bool) -> int:
    """Status bit that a transfer sets; 0 for one that is in order."""
    if kind == UNKNOWN_KIND:
        return KIND_UNKNOWN
    if kind == EVENT and data >= chip.inputs:
        return EVENT_OUT_OF_RANGE
    if kind == LABEL and not can_be_labelled:
        return LABEL_OUT_OF_PLACE
    if kind == LABEL and data >= chip.classes:
        return LABEL_OUT_OF_RANGE
    return 0


def event_data_bits(chip: Chip) -> int:
    """Width of `event_data_i`: it holds an axon or a label."""
    return max(1, (max(chip.inputs, chip.classes) - 1).bit_length())


def plain_transfers(
    events: Sequence[Sequence[int]], extra: Sequence[int], label: int | None
) -> list[Transfer]:
    """Transfers of a sample without anything to ignore.

    Args:
        events: axons of each step.
        extra: further events of each step, sent as repetitions of its last axon (N2).
        label: class to learn, or none.
    """
    transfers: list[Transfer] = [] if label is None else [(LABEL, label)]
    for axons, further in zip(events, extra, strict=True):
        transfers += [(EVENT, int(axon)) for axon in axons]
        if axons:
            transfers += [(EVENT, int(axons[-1]))] * int(further)  # merged with the first
        transfers.append((STEP_END, 0))
    return transfers
