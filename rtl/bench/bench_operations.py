"""cocotb bench that plays programs of host operations on a chip, as they come over a socket, and holds every cycle to the model.

What to run comes from `bench.json` and `state.npz` in the working directory (see `flipcore.rtl.live_chip`). Each line that comes is a program, each line that goes what became of it.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import (
    ClockCycles,
    FallingEdge,
    RisingEdge,
    SimTimeoutError,
    Timer,
    with_timeout,
)

from flipcore.chip import parse_chip
from flipcore.rtl.bench import chip_bus, streams
from flipcore.rtl.bench.chip_bus import Bus, address
from flipcore.rtl.bench.chip_load import Loader, cleared_registers
from flipcore.rtl.bench.chip_mismatch import Mismatch
from flipcore.rtl.bench.chip_model import Answer, ChipModel
from flipcore.rtl.bench.chip_operations import (
    Access,
    Host,
    Operation,
    Pins,
    from_document,
    waits_for_the_end,
)
from flipcore.rtl.bench.chip_probe import Probe
from flipcore.rtl.bench.chip_state import STATE_FILE, unpack_state

ANY_WEIGHT = address(chip_bus.WEIGHT, 0, 0)
LOAD_CYCLES = 200_000  # a bus that has not loaded the chip by then hangs


class OperationBench:
    """A chip, and the host and the model of one program after the other."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Read the task and start the clock; the chip is not reset yet."""
        task = json.loads(Path("bench.json").read_text(encoding="utf-8"))
        self.chip = parse_chip(task["chip"], "bench.json")
        self.socket: str = task["socket"]
        self._has_counters: bool = task["counters"]
        self._dut = dut
        clock = streams.logic(dut, "clk_i")
        Clock(clock, streams.CLOCK_NS, unit="ns", impl="gpi").start()
        self._clock, self._rising, self._falling = clock, RisingEdge(clock), FallingEdge(clock)
        self._reset_line = streams.logic(dut, "rst_ni")
        self._bus = Bus(dut)
        self._probe = Probe(dut)
        self._inputs = {
            name: streams.bits(dut, port)
            for name, port in (
                ("event_valid", "event_valid_i"), ("event_kind", "event_kind_i"),
                ("event_data", "event_data_i"), ("bus_valid", "bus_valid_i"),
                ("bus_write", "bus_write_i"), ("bus_address", "bus_address_i"),
                ("bus_wdata", "bus_wdata_i"), ("prediction_ready", "prediction_ready_i"),
            )
        }  # fmt: skip
        self._outputs = {
            name: streams.bits(dut, name)
            for name in (
                "phase_o", "phase_core_o", "phase_run_o", "phase_done_o", "event_ready_o",
                "prediction_valid_o", "prediction_o", "bus_ready_o", "bus_rdata_o",
            )
        }  # fmt: skip
        self._driven: dict[str, int] = {}
        self._last_pins = Pins()
        self._cycles = 0
        self._state = Path(STATE_FILE).read_bytes()
        self._data_bits = len(self._inputs["event_data"])

    async def play(self, program: list[Operation], seed: int) -> dict[str, Any]:
        """Reset and load the chip, play a program, and let the chip come to rest; tells of the first difference."""
        state = unpack_state(self._state)
        model = ChipModel(self.chip, state, has_counters=self._has_counters)
        host = Host(list(program), np.random.default_rng(seed), self._data_bits)
        self._cycles = 0
        mismatch = await self._start_again(model)
        while not mismatch and not host.has_ended:
            mismatch = await self._go_on(host, model)
        mismatch = mismatch or await self._come_to_rest(model)
        if mismatch:
            mismatch = mismatch.at(sample=-1, step=-1, phase=model.phase, cycle=self._cycles)
        return {
            "mismatch": mismatch.as_document() if mismatch else None,
            "coverage": host.coverage + model.coverage,
            "cycles": self._cycles,
        }

    async def _go_on(self, host: Host, model: ChipModel) -> Mismatch | None:
        """One cycle, or the half of one that a reset leaves of it."""
        reset = host.next_reset(has_begun=model.has_begun)
        if reset is None:
            mismatch, answer = await self._cycle(model, host.pins())
            host.see(
                event_ready=answer.event_ready,
                bus_ready=bool(answer.bus_ready),
                prediction_valid=answer.prediction >= 0,
            )
            return mismatch
        self._drive(host.pins())
        await self._falling
        if not reset.keeps_offering:
            self._drive(Pins())
        host.drop_all()
        model.reset()
        return await self._start_again(model)

    async def _cycle(self, model: ChipModel, pins: Pins) -> tuple[Mismatch | None, Answer]:
        """Drive a cycle, from just after an edge to just after the next one."""
        self._drive(pins)
        await self._falling
        left = self._probe.compare(model.stores)  # by the phase that ended in the cycle before
        answer = model.cycle(pins)
        mismatch = left or self._compare(answer)
        self._cycles += 1
        await self._rising
        return mismatch, answer

    async def _start_again(self, model: ChipModel) -> Mismatch | None:
        """Reset the chip, in the middle of a cycle, look whether it is clear, and load it."""
        self._reset_line.value = 0
        self._drive(replace(self._last_pins, bus_valid=True, bus_address=ANY_WEIGHT))
        await Timer(1, unit="ns")
        mismatch = self._compare_in_reset()
        await ClockCycles(self._clock, 2)
        await self._falling
        self._drive(Pins())
        self._reset_line.value = 1
        await self._rising
        try:
            return mismatch or await with_timeout(
                self._load(model), LOAD_CYCLES * streams.CLOCK_NS, "ns"
            )
        except SimTimeoutError:
            return Mismatch(kind="cycles", signal="bus_ready_o", expected="1", found="0")
        finally:
            self._bus.stop()
            self._driven.clear()

    def _compare_in_reset(self) -> Mismatch | None:
        """Phase `input`, nothing offered, and no access to a core served, which would be one that the reset cut short."""
        for name in ("phase_o", "prediction_valid_o", "bus_ready_o"):
            found = str(self._outputs[name].value)
            if set(found) != {"0"}:
                wanted = "0" * len(found)
                return Mismatch(
                    kind="bits", signal=f"{name} in reset", expected=wanted, found=found
                )
        return None

    async def _load(self, model: ChipModel) -> Mismatch | None:
        """All that a reset clears is clear; then the state goes in."""
        for _, place, expected in cleared_registers(self.chip, has_counters=self._has_counters):
            (found,) = await self._bus.read([place])
            if found != expected:
                return Mismatch(
                    kind="counts", signal=f"bus_rdata_o at {place:#010x} after reset",
                    expected=str(expected), found=str(found),
                )  # fmt: skip
        loader = Loader(self.chip, model.expected, self._bus, self._probe)
        await loader.load(model.state)
        return None

    async def _come_to_rest(self, model: ChipModel) -> Mismatch | None:
        """Take what is offered until the chip waits for events, and look at all that it then has."""
        while model.is_busy or model.offers_prediction:
            mismatch, _ = await self._cycle(model, Pins(prediction_ready=True))
            if mismatch:
                return mismatch
        mismatch = await self._read_registers(model)
        if mismatch or model.has_begun:
            return mismatch
        return self._probe.compare(model.expected.at_rest())

    async def _read_registers(self, model: ChipModel) -> Mismatch | None:
        """Read what a reset clears, as far as a sample that has begun lets it be read."""
        for _, place, _ in cleared_registers(self.chip, has_counters=self._has_counters):
            access = Access(False, place)
            is_ready = model.has_begun and waits_for_the_end(access)
            while not is_ready:
                pins = Pins(bus_valid=True, bus_address=access.address)
                mismatch, answer = await self._cycle(model, pins)
                if mismatch:
                    return mismatch
                is_ready = bool(answer.bus_ready)
        return None

    def _drive(self, pins: Pins) -> None:
        self._last_pins = pins
        for name, port in self._inputs.items():
            value = int(getattr(pins, name))
            if self._driven.get(name) != value:
                port.value = value
                self._driven[name] = value

    def _compare(self, answer: Answer) -> Mismatch | None:
        for name, wanted in _outputs(answer):
            port = self._outputs[name]
            found, expected = str(port.value), f"{wanted:0{len(port)}b}"
            if found != expected:
                return Mismatch(kind="bits", signal=name, expected=expected, found=found)
        return None


def _outputs(answer: Answer) -> Iterator[tuple[str, int]]:
    """What the rules say of the outputs in a cycle."""
    yield "phase_o", answer.phase
    yield "phase_run_o", answer.is_running
    yield "phase_done_o", answer.is_done
    yield "event_ready_o", answer.event_ready
    yield "prediction_valid_o", answer.prediction >= 0
    if answer.core is not None:
        yield "phase_core_o", answer.core
    if answer.prediction >= 0:
        yield "prediction_o", answer.prediction
    if answer.bus_ready is not None:
        yield "bus_ready_o", answer.bus_ready
    if answer.bus_rdata is not None:
        yield "bus_rdata_o", answer.bus_rdata


@cocotb.test
async def plays_programs(dut: HierarchyObject) -> None:
    """Play what comes until nothing comes any more."""
    bench = OperationBench(dut)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(bench.socket)
        with connection.makefile("rw", encoding="utf-8") as lines:
            # Simulated time stands still while Python waits for a line.
            for line in iter(lines.readline, ""):
                task = json.loads(line)
                outcome = await bench.play(from_document(task["program"]), task["seed"])
                lines.write(json.dumps(outcome) + "\n")
                lines.flush()
