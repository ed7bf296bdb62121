"""Clock, reset and ready/valid streams of a bench.

A stall pattern is an iterator of booleans, one per cycle in which a side may choose: True is a pause.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject, LogicObject, PackedObject
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer
from cocotb.utils import get_sim_time

CLOCK_NS = 10
PATIENCE_CYCLES = 500  # without a transfer; then the module hangs
StallPattern = Iterator[bool]
# A port of any width.
Port = LogicObject | PackedObject[LogicObject]
Payload = dict[str, int]  # field name to its bits as a number
ReceivedPayload = dict[
    str, str
]  # field name to its bits as text, most significant first: x and z survive


def never() -> StallPattern:
    """Do not pause."""
    return itertools.repeat(False)


def at_random(probability: float, seed: int) -> StallPattern:
    """Pause in each cycle with the given probability."""
    rng = np.random.default_rng(seed)
    while True:
        yield from (rng.random(256) < probability).tolist()


def in_bursts(transfers: int, pauses: int) -> StallPattern:
    """Run for `transfers` cycles, then pause for `pauses` cycles, again and again."""
    return itertools.cycle([False] * transfers + [True] * pauses)


@dataclass(frozen=True)
class Stream:
    """The signals of one ready/valid interface, seen from outside the module."""

    clock: LogicObject
    valid: LogicObject
    ready: LogicObject
    payload: Mapping[str, Port]

    @classmethod
    def into(cls, dut: HierarchyObject, name: str, fields: Sequence[str]) -> Self:
        """Find the interface `name` that the module receives."""
        return cls(
            clock=logic(dut, "clk_i"),
            valid=logic(dut, f"{name}_valid_i"),
            ready=logic(dut, f"{name}_ready_o"),
            payload={field: bits(dut, f"{name}_{field}_i") for field in fields},
        )

    @classmethod
    def out_of(cls, dut: HierarchyObject, name: str, fields: Sequence[str]) -> Self:
        """Find the interface `name` that the module drives."""
        return cls(
            clock=logic(dut, "clk_i"),
            valid=logic(dut, f"{name}_valid_o"),
            ready=logic(dut, f"{name}_ready_i"),
            payload={field: bits(dut, f"{name}_{field}_o") for field in fields},
        )


def logic(dut: HierarchyObject, name: str) -> LogicObject:
    """Find a one-bit port."""
    handle = dut[name]
    assert isinstance(handle, LogicObject), name
    return handle


def bits(dut: HierarchyObject, name: str) -> Port:
    """Find a port of any width."""
    handle = dut[name]
    assert isinstance(handle, LogicObject | PackedObject), name
    return handle


def start_clock(dut: HierarchyObject) -> None:
    """Run `clk_i` until the test ends."""
    Clock(logic(dut, "clk_i"), CLOCK_NS, unit="ns").start()


async def reset(dut: HierarchyObject, clock: LogicObject, valid: LogicObject, what: str) -> None:
    """Hold `rst_ni` low between two clock edges for two cycles; `valid` must be low from then on, or `what` is offered."""
    line = logic(dut, "rst_ni")
    line.value = 0
    await Timer(1, unit="ns")
    assert valid.value == 0, f"{what} is offered in reset"
    await ClockCycles(clock, 2)
    await FallingEdge(clock)
    line.value = 1
    await RisingEdge(clock)


def cycle() -> int:
    """Number of the cycle that the last rising edge ended."""
    return round(get_sim_time("ns") / CLOCK_NS)


class Source:
    """Offers payloads to a stream; what it has offered it keeps up until the transfer."""

    def __init__(self, stream: Stream) -> None:
        """Take over the valid and payload of a stream into the module."""
        self._stream = stream
        self.transfer_cycles: list[int] = []
        self.waited_cycles = 0  # offered and not taken

    async def send(self, payloads: Sequence[Payload], stalls: StallPattern) -> None:
        """Send all payloads in order; returns after the last transfer, with valid low."""
        stream = self._stream
        edge = RisingEdge(stream.clock)
        for payload in payloads:
            while next(stalls):
                stream.valid.value = 0
                await edge
            for field, value in payload.items():
                stream.payload[field].value = value
            stream.valid.value = 1
            await edge
            offered_cycle = cycle()
            while stream.ready.value != 1:
                assert cycle() - offered_cycle < PATIENCE_CYCLES, f"cycle {cycle()}: never ready"
                self.waited_cycles += 1
                await edge
            self.transfer_cycles.append(cycle())
        stream.valid.value = 0


class Sink:
    """Takes payloads from a stream and checks that what is offered stays until its transfer."""

    def __init__(self, stream: Stream) -> None:
        """Take over the ready of a stream out of the module."""
        self._stream = stream
        self.received: list[ReceivedPayload] = []
        self.transfer_cycles: list[int] = []
        self.waited_cycles = 0  # offered and not taken

    async def receive(self, count: int, stalls: StallPattern) -> None:
        """Take `count` payloads; returns after the last transfer, with ready low."""
        stream = self._stream
        edge = RisingEdge(stream.clock)
        offered: ReceivedPayload | None = None
        remaining = count
        last_cycle = cycle()
        while remaining:
            assert cycle() - last_cycle < PATIENCE_CYCLES, f"cycle {cycle()}: nothing comes out"
            ready = not next(stalls)
            stream.ready.value = ready
            await edge
            if stream.valid.value != 1:
                assert offered is None, f"cycle {cycle()}: valid fell before the transfer"
                continue
            payload = {field: str(handle.value) for field, handle in stream.payload.items()}
            assert offered in (None, payload), (
                f"cycle {cycle()}: payload changed before the transfer"
            )
            if not ready:
                offered = payload
                self.waited_cycles += 1
                continue
            offered = None
            remaining -= 1
            self.received.append(payload)
            last_cycle = cycle()
            self.transfer_cycles.append(last_cycle)
        stream.ready.value = 0
