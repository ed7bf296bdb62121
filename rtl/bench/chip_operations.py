"""Programs of single operations of a host, and the host that plays one on the pins of a chip, cycle by cycle (docs/RTL.md).

The host has three sides that work at the same time: it sends events, uses the bus and takes predictions. An operation of a side begins as soon as the side is free, operations of
other sides beside it; only a wait holds up what follows. Without any simulator in it, so that a program can be made, read and shortened anywhere.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from flipcore.chip import Chip
from flipcore.rtl.bench import chip_bus
from flipcore.rtl.bench.chip_bus import Pieces

LONG = 250  # cycles of patience, more than a step of a small chip takes


@dataclass(frozen=True)
class Wait:
    """Begin nothing for so many cycles."""

    cycles: int


@dataclass(frozen=True)
class Send:
    """Offer something on the event stream, and take it back after so many cycles without a transfer."""

    kind: int
    data: int
    patience: int = LONG


@dataclass(frozen=True)
class Access:
    """Offer an access on the bus, and take it back after so many cycles without a transfer."""

    write: bool
    address: int
    data: int = 0
    patience: int = LONG


@dataclass(frozen=True)
class Take:
    """Be ready for a prediction, for so many cycles at most."""

    patience: int = LONG


@dataclass(frozen=True)
class Reset:
    """Reset the chip at once and load it again; what was being offered stays so in reset, or goes."""

    keeps_offering: bool = False


Operation = Wait | Send | Access | Take | Reset
_BY_NAME = {one.__name__: one for one in (Wait, Send, Access, Take, Reset)}


def as_document(program: Sequence[Operation]) -> list[list[Any]]:
    """A program as JSON can hold it."""
    return [[type(one).__name__, asdict(one)] for one in program]


def from_document(document: Sequence[Sequence[Any]]) -> list[Operation]:
    """Read a program back from JSON."""
    return [_BY_NAME[name](**fields) for name, fields in document]


@dataclass(frozen=True)
class Pins:
    """What a host drives in a cycle."""

    event_valid: bool = False
    event_kind: int = 0
    event_data: int = 0
    bus_valid: bool = False
    bus_write: bool = False
    bus_address: int = 0
    bus_wdata: int = 0
    prediction_ready: bool = False


def is_between_samples_only(access: Access) -> bool:
    """Tell whether the chip serves such a write at once, though a host may make it between samples only."""
    region, index = access.address >> 28, access.address & 0xFFFFFF
    halves = (chip_bus.SAMPLES_LOW, chip_bus.SAMPLES_HIGH)
    is_counter = region == chip_bus.CHIP and index in halves
    return access.write and (is_counter or region == chip_bus.COUNTERS)


def waits_for_the_end(access: Access) -> bool:
    """Tell whether an access is one to the state of a core, which is served between samples."""
    return chip_bus.WEIGHT <= access.address >> 28 <= chip_bus.SECOND_MOMENT


@dataclass
class _Side:
    """An operation that is being tried."""

    operation: Any = None
    cycles: int = 0

    @property
    def is_free(self) -> bool:
        return self.operation is None

    def begin(self, operation: Operation) -> None:
        self.operation, self.cycles = operation, 0

    def see(self, *, was_transferred: bool) -> bool:
        """A cycle is over; returns whether the operation was taken back."""
        if self.is_free:
            return False
        self.cycles += 1
        is_over = self.cycles >= self.operation.patience
        if was_transferred or is_over:
            self.operation = None
        return is_over and not was_transferred


@dataclass
class Host:
    """Plays a program.

    Attributes:
        program: what is left of it.
        payloads: what the payload pins hold without valid; it must not matter.
        data_bits: width of `event_data_i`.
        coverage: how often each situation occurred.
        events, bus, predictions: the three sides.
    """

    program: list[Operation]
    payloads: np.random.Generator
    data_bits: int
    coverage: Counter[str] = field(default_factory=Counter)
    events: _Side = field(default_factory=_Side)
    bus: _Side = field(default_factory=_Side)
    predictions: _Side = field(default_factory=_Side)
    _waited: int = 0
    _bus_rests: bool = False  # an access was taken back: a cycle without valid

    @property
    def has_ended(self) -> bool:
        """Nothing is left to do."""
        sides = (self.events, self.bus, self.predictions)
        return not self.program and all(side.is_free for side in sides)

    def next_reset(self, *, has_begun: bool) -> Reset | None:
        """Begin what can begin in this cycle; returns a reset if one is due.

        Args:
            has_begun: a sample is on its way.
        """
        while self.program:
            operation = self.program[0]
            if isinstance(operation, Reset):
                self.program.pop(0)
                return operation
            if isinstance(operation, Wait):
                if self._waited < operation.cycles:
                    self._waited += 1
                    return None
                self._waited = 0
            elif not self._begin(operation, has_begun=has_begun):
                return None
            self.program.pop(0)
        return None

    def _begin(self, operation: Send | Access | Take, *, has_begun: bool) -> bool:
        """Begin an operation if its side is free; one that a host may not do now is left out."""
        if isinstance(operation, Access):
            if self._bus_rests or not self.bus.is_free:
                return False
            if is_between_samples_only(operation):
                if not self.events.is_free:
                    return False
                if has_begun:
                    return True
            self.bus.begin(operation)
            return True
        if isinstance(operation, Take):
            side = self.predictions
        else:
            side = self.events
            access = self.bus.operation
            if access is not None and is_between_samples_only(access):
                return False
        if side.is_free:
            side.begin(operation)
            return True
        return False

    def drop_all(self) -> None:
        """Offer nothing any more; for a reset."""
        self.coverage["resets_while_an_event_is_offered"] += not self.events.is_free
        self.coverage["resets_while_an_access_is_offered"] += not self.bus.is_free
        for side in (self.events, self.bus, self.predictions):
            side.operation = None
        self._bus_rests = False

    def pins(self) -> Pins:
        """What is driven in this cycle."""
        sent = self.events.operation or Send(self._any(2), self._any(self.data_bits))
        access = self.bus.operation or Access(bool(self._any(1)), self._any(32), self._any(32))
        return Pins(
            event_valid=not self.events.is_free,
            event_kind=sent.kind,
            event_data=sent.data,
            bus_valid=not self.bus.is_free,
            bus_write=access.write,
            bus_address=access.address,
            bus_wdata=access.data,
            prediction_ready=not self.predictions.is_free,
        )

    def _any(self, bits: int) -> int:
        return int(self.payloads.integers(1 << bits))

    def see(self, *, event_ready: bool, bus_ready: bool, prediction_valid: bool) -> None:
        """A cycle is over, with these answers of the chip."""
        access = self.bus.operation
        self.coverage["events_taken_back"] += self.events.see(was_transferred=event_ready)
        self._bus_rests = self.bus.see(was_transferred=bus_ready) and waits_for_the_end(access)
        self.coverage["accesses_taken_back"] += self._bus_rests
        self.predictions.see(was_transferred=prediction_valid)


def legal_data(chip: Chip, place: int, data: int) -> int:
    """The nearest to this data that a host may write to an address: no generator of 0, no momentum beyond its limit, padded lanes 0.

    A piece by itself can be legal only if no lane is spread over two: the momentum's width must divide 32.
    """
    region, c, index = place >> 28, place >> 24 & 0xF, place & 0xFFFFFF
    if region == chip_bus.GENERATOR:
        return data or 1
    if region not in (chip_bus.WEIGHT, chip_bus.MOMENTUM) or c >= len(chip.layers):
        return data
    core = chip.layers[c]
    width = 1 if region == chip_bus.WEIGHT else core.momentum_bits
    word, piece = divmod(index, Pieces.of(core.lanes * width).pitch)
    first = piece * (32 // width)
    legal = 0
    for lane in range(min(32 // width, max(0, core.lanes - first))):
        value = data >> (lane * width) & ((1 << width) - 1)
        is_beyond = region == chip_bus.MOMENTUM and value == 1 << (width - 1)
        if word % core.words * core.lanes + first + lane < core.neurons:
            legal |= (value + is_beyond) << (lane * width)
    return legal
