"""cocotb bench of `flip_chip` in lock-step with the simulator: every bit and every cycle after every phase.

What to run comes from `bench.json` and `state.npz` in the working directory (see `flipcore.rtl.chip_verify`). The first difference ends the run; it is left, with what
was compared and covered, as `learns_in_lock_step.json` there.
"""

import itertools
import json
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import (
    ClockCycles,
    FallingEdge,
    RisingEdge,
    SimTimeoutError,
    Timer,
    with_timeout,
)

from flipcore.chip import parse_chip
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench import chip_bus, streams
from flipcore.rtl.bench.chip_bus import Bus, address
from flipcore.rtl.bench.chip_coverage import Coverage
from flipcore.rtl.bench.chip_drive import EventSource, PredictionSink
from flipcore.rtl.bench.chip_load import Loader, cleared_registers
from flipcore.rtl.bench.chip_mismatch import Mismatch
from flipcore.rtl.bench.chip_phases import PhaseEnd, PhaseMonitor, current_cycle
from flipcore.rtl.bench.chip_probe import Probe
from flipcore.rtl.bench.chip_resets import Loss
from flipcore.rtl.bench.chip_samples import Sample, event_data_bits
from flipcore.rtl.bench.chip_state import STATE_FILE, unpack_state
from flipcore.rtl.bench.chip_stores import ExpectedStores
from flipcore.rtl.simulators import PROGRESS_FILE
from flipcore.sim.engine import Engine
from flipcore.sim.stepper import PhaseRecord, Stepper

# A phase counts as hung after so many times its cycles, and some: stalls take their time.
PATIENCE_FACTOR = 20
PATIENCE_CYCLES = 3000
WITH_THE_FIRST = 0.3  # of the bus accesses begin with the first transfer of their sample
COUNTER_BITS = 32
LOAD_CYCLES = 200_000  # a chip that is not loaded by then never will be
LONG_PAUSE_CYCLES = 400  # of the taker of predictions: the next sample is on its way by then
FIRST_LOSS_CYCLES = (
    200  # a sample is lost in a reset within so many cycles, if none was measured yet
)

T = TypeVar("T")


class ChipBench:
    """The chip, its simulator, and everything that drives and watches it."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Read the task and start the clock; the chip is not reset yet."""
        self._dut = dut
        task = json.loads(Path("bench.json").read_text(encoding="utf-8"))
        self.chip = parse_chip(task["chip"], "bench.json")
        self.samples = [Sample.from_document(self.chip, one) for one in task["samples"]]
        self._has_counters: bool = task["counters"]
        self._rng = np.random.default_rng(task["seed"])
        self._engine = Engine(self.chip, 0, unpack_state(Path(STATE_FILE).read_bytes()))
        self._stepper = Stepper(self._engine)
        self._expected = ExpectedStores(self.chip, self._stepper)
        self.coverage = Coverage(self.chip, self._stepper)
        self.probe = Probe(dut)
        self._clock = streams.logic(dut, "clk_i")
        # Driven from outside Python, or every cycle would cost as much as some of the chip's.
        Clock(self._clock, streams.CLOCK_NS, unit="ns", impl="gpi").start()
        self._falling = FallingEdge(self._clock)
        self._bus = Bus(dut)
        self._loader = Loader(self.chip, self._expected, self._bus, self.probe)
        self._source = EventSource(dut, self._rng)
        self._sink = PredictionSink(dut)
        self._monitor: PhaseMonitor | None = None
        self._taking: Task[None] | None = None
        self._taken: list[str] = []
        self._predictions: list[int] = []
        self._sample_cycles = FIRST_LOSS_CYCLES
        self._counted = np.zeros((len(self.chip.layers), len(COUNT_NAMES)), np.int64)
        self.counts: Counter[str] = Counter(samples=0, phases=0, cycles=0)

    async def start(self) -> Mismatch | None:
        """Reset the chip, load it and look whether the load arrived."""
        wanted = event_data_bits(self.chip)
        assert self._source.data_bits == wanted, (
            f"event_data_i: {self._source.data_bits} bits, not {wanted}"
        )
        mismatch = await self._reset()
        if mismatch:
            return mismatch
        identity = await self._bus.read([address(chip_bus.CHIP, 0, chip_bus.IDENTITY)])
        assert identity == [chip_bus.IDENTITY_VALUE], f"identity: {identity[0]:#x}"
        await self._loader.load(self._engine.state)
        await self._falling
        self._taking = cocotb.start_soon(self._take_predictions())
        return self.probe.compare(self._expected.at_rest())

    async def _reset(self) -> Mismatch | None:
        """Reset between two clock edges for two cycles; nothing is offered or taken from then on, and all that a reset clears is clear."""
        reset = streams.logic(self._dut, "rst_ni")
        for side in (self._source, self._sink, self._bus):
            side.stop()
        reset.value = 0
        await Timer(1, unit="ns")
        assert not self._sink.offers(), "a prediction is offered in reset"
        await ClockCycles(self._clock, 2)
        await self._falling
        reset.value = 1
        await RisingEdge(self._clock)
        if self._monitor is None:
            self._monitor = PhaseMonitor(self._dut)
        self._monitor.forget()
        return await self._in_time(self._compare_after_reset())

    async def _in_time(self, using_the_bus: Coroutine[Any, Any, T]) -> T | Mismatch:
        """What uses the bus between samples, after a reset, where nothing may hold it up for long."""
        try:
            return await with_timeout(using_the_bus, LOAD_CYCLES * streams.CLOCK_NS, "ns")
        except SimTimeoutError:
            return Mismatch(kind="bits", signal="bus_ready_o", expected="1", found="0")

    async def _compare_after_reset(self) -> Mismatch | None:
        """Phase, status, sample counter, generators and counters as the bus tells them (docs/RTL.md)."""
        phase = str(streams.bits(self._dut, "phase_o").value)
        if set(phase) != {"0"}:
            return Mismatch(kind="bits", signal="phase_o", expected="0" * len(phase), found=phase)
        registers = list(cleared_registers(self.chip, has_counters=self._has_counters))
        found = await self._bus.read([place for _, place, _ in registers])
        for (name, _, expected), read in zip(registers, found, strict=True):
            if read != expected:
                return _register(f"{name} after reset", expected, read)
        return None

    async def run_sample(self, number: int, sample: Sample) -> Mismatch | None:
        """Run one sample on the chip and in the simulator; returns the first difference."""
        assert self._monitor is not None
        if sample.reset:
            mismatch = await self._lose(sample)
            if mismatch:
                return mismatch.at(sample=number, step=-1, phase="reset", cycle=current_cycle())
        self.coverage.sample(sample)
        self._count_on()
        await self._falling
        sending = cocotb.start_soon(self._source.send(sample.transfers, self._event_stalls()))
        asking = cocotb.start_soon(self._ask_meanwhile()) if self._rng.random() < 0.5 else None
        sums = self._counted
        start = current_cycle()
        await self._falling
        events = [sorted(axons) for axons in sample.events]
        for record in self._stepper.run(events, sample.offered, sample.label):
            end = await self._monitor.next_end(PATIENCE_FACTOR * record.cycles + PATIENCE_CYCLES)
            inputs = sample.events[record.step] if record.step < self.chip.steps else []
            mismatch = _compare_phase(record, end) or self.probe.compare(
                self._expected.after(record, inputs)
            )
            if mismatch:
                cycle = end.cycle if end else current_cycle()
                return mismatch.at(sample=number, step=record.step, phase=record.phase, cycle=cycle)
            self.coverage.phase(record, inputs)
            sums[record.core] += record.counts
            self.counts["phases"] += 1
            self.counts["cycles"] += record.cycles
        self._sample_cycles = current_cycle() - start
        assert self._stepper.prediction is not None
        self._predictions.append(self._stepper.prediction)
        await sending
        mismatch = await asking if asking else None
        mismatch = mismatch or await self._compare_registers(sample, sums)
        mismatch = mismatch or await self._loader.compare_generators(self._engine.state)
        mismatch = mismatch or self.probe.compare(self._expected.at_rest())
        mismatch = mismatch or self._compare_predictions()
        self.counts["samples"] += mismatch is None
        return mismatch and mismatch.at(
            sample=number, step=-1, phase="end of sample", cycle=current_cycle()
        )

    async def finish(self) -> Mismatch | None:
        """Wait for the last prediction and dump some memory words through the bus."""
        await self._all_taken()
        mismatch = self._compare_predictions()
        mismatch = mismatch or await self._loader.dump(self._rng, self._engine.state)
        self.coverage.counts["event_pauses"] += self._source.paused_cycles
        self.coverage.counts["events_waited"] += self._source.waits
        self.coverage.counts["event_offers_taken_back"] += self._source.offers_taken_back
        self.coverage.counts["prediction_waits"] += self._sink.waited_cycles
        self.counts["bus_transfers"] = self._bus.transfers
        return mismatch and mismatch.at(
            sample=len(self.samples), step=-1, phase="dump", cycle=current_cycle()
        )

    def _event_stalls(self) -> streams.StallPattern:
        seed = int(self._rng.integers(1 << 32))
        patterns = (
            streams.never(),
            streams.at_random(0.3, seed),
            streams.in_bursts(5, 3),
            streams.at_random(0.8, seed),
        )
        return patterns[self._rng.integers(len(patterns))]

    async def _take_predictions(self) -> None:
        """Take predictions for ever, some at once, some late, some when the next sample is on its way."""
        while True:
            seed = int(self._rng.integers(1 << 32))
            pause = int(self._rng.integers(1, LONG_PAUSE_CYCLES))
            patterns = (
                streams.never(),
                streams.at_random(0.6, seed),
                itertools.chain(itertools.repeat(True, pause), itertools.repeat(False)),
            )
            taken = await self._sink.take(patterns[self._rng.integers(len(patterns))])
            self._taken.append(taken)

    async def _all_taken(self) -> None:
        deadline = current_cycle() + LONG_PAUSE_CYCLES + PATIENCE_CYCLES
        while len(self._taken) < len(self._predictions):
            assert current_cycle() < deadline, "a prediction never came"
            await self._falling

    def _compare_predictions(self) -> Mismatch | None:
        for number, (bits, wanted) in enumerate(zip(self._taken, self._predictions, strict=False)):
            expected = f"{wanted:0{len(bits)}b}"
            if bits != expected:
                return Mismatch(
                    kind="bits", signal=f"prediction_o of sample {number}",
                    expected=expected, found=bits,
                )  # fmt: skip
        return None

    async def _ask_meanwhile(self) -> Mismatch | None:
        """Use the bus while a sample is on its way: a weight word is served before or after it, and what is not there changes nothing."""
        late = int(self._rng.integers(2, self._sample_cycles + 2))
        await ClockCycles(self._clock, 1 if self._rng.random() < WITH_THE_FIRST else late)
        if self._rng.random() < 0.5:
            return await self._poke_nothing()
        asked = current_cycle()
        mismatch = await self._loader.dump_one(self._rng)
        self.coverage.counts["bus_accesses_waited"] += current_cycle() - asked > PATIENCE_FACTOR
        return mismatch

    async def _lose(self, sample: Sample) -> Mismatch | None:
        """Begin a sample, this one or the one that it is to lose, reset the chip somewhere in it, and load it again."""
        assert self._taking is not None
        assert self._monitor is not None
        await self._all_taken()
        transfers = sample.loss.transfers if sample.loss else sample.transfers
        sending = cocotb.start_soon(self._source.send(transfers, self._event_stalls()))
        mismatch = await self._reach(sample.loss)
        cut_short = self._monitor.running_phase()
        sending.cancel()
        self._taking.cancel()
        mismatch = mismatch or await self._reset()
        if mismatch:
            return mismatch
        self.coverage.reset(cut_short)
        self.coverage.reload()
        mismatch = await self._in_time(self._loader.load(self._engine.state))
        if mismatch:
            return mismatch
        await self._falling
        del self._taken[len(self._predictions) :]  # the lost sample may have come to its prediction
        self._taking = cocotb.start_soon(self._take_predictions())
        mismatch = await self._poke_nothing()
        return mismatch or self.probe.compare(self._expected.at_rest())

    async def _reach(self, loss: Loss | None) -> Mismatch | None:
        """Wait for where in a sample the reset comes; returns at a falling edge."""
        assert self._monitor is not None
        if loss is None:
            await ClockCycles(self._clock, int(self._rng.integers(1, self._sample_cycles + 1)))
            await self._falling
            return None
        await self._falling
        patience = PATIENCE_FACTOR * self._sample_cycles + PATIENCE_CYCLES
        for _ in range(loss.phases):
            await self._monitor.next_end(patience)
        here = await self._monitor.reach(loss.cycles, patience)
        core = f"{loss.core:0{len(here.core)}b}"
        wanted = f"{loss.phase}, core {core}, cycle {loss.cycles}"
        found = f"{here.phase}, core {here.core}, cycle {here.cycles - 1}"
        if found == wanted:
            return None
        return Mismatch(
            kind="cycles", signal="phase_o, phase_core_o, cycles", expected=wanted, found=found
        )

    async def _poke_nothing(self) -> Mismatch | None:
        self.coverage.counts["bus_accesses_to_nothing"] += 1
        return await self._loader.poke_nothing(self._rng)

    async def _compare_registers(self, sample: Sample, sums: Any) -> Mismatch | None:
        """Status, sample counter and the counts of a sample, all over the bus; they are cleared then."""
        chip = [address(chip_bus.CHIP, 0, k) for k in range(chip_bus.STATUS, 4)]
        status, low, high = await self._bus.read(chip)
        if status != sample.status:
            return _register("status", sample.status, status)
        counter = chip_bus.Pieces(2, 2).join([low, high])
        if counter != self._engine.state.sample_counter:
            return _register("sample counter", self._engine.state.sample_counter, counter)
        await self._bus.write([(chip[0], 0)])
        for c in range(len(self.chip.layers)) if self._has_counters else ():
            counters = [address(chip_bus.COUNTERS, c, k) for k in range(len(COUNT_NAMES))]
            found = await self._bus.read(counters)
            wanted = (sums[c] % (1 << COUNTER_BITS)).tolist()
            for name, expected, read in zip(COUNT_NAMES, wanted, found, strict=True):
                if read != expected:
                    return _register(f"counter {name}", expected, read, core=c)
            await self._bus.write([(counters[0], 0)])
            self.counts["counters"] += len(counters)
        return None

    def _count_on(self) -> None:
        """Let the counters, which are clear, go on from any number, or a run of few samples would never move their upper bits."""
        self._counted[:] = 0
        if not self._has_counters or self._rng.random() < 0.5:
            return
        for c, counted in enumerate(self._counted):
            path = f"u_core_{c}.u_event_counters.counts_q"
            if not self.probe.has(path):  # single bits in a netlist
                return
            counted[:] = self._rng.integers(1 << COUNTER_BITS, size=len(COUNT_NAMES))
            bits = "".join(f"{value:0{COUNTER_BITS}b}" for value in reversed(counted.tolist()))
            self.probe.find(path).value = int(bits, 2)
            self.coverage.counts["counters_far"] += 1

    def report_progress(self, number: int) -> None:
        """Tell who started the bench how far it is."""
        Path(PROGRESS_FILE).write_text(f"{number} of {len(self.samples)}", encoding="utf-8")

    def write_result(self, mismatch: Mismatch | None) -> None:
        """Leave what was found where the one who started the bench looks for it."""
        document = {
            "counts": self.counts,
            "words_compared": self.probe.words_compared,
            "bits_compared": self.probe.bits_compared,
            "signals": self.probe.signals,
            "coverage": self.coverage.counts,
            "transitions": self.coverage.transitions,
            "mismatch": mismatch.as_document() if mismatch else None,
        }
        Path("learns_in_lock_step.json").write_text(json.dumps(document), encoding="utf-8")


def _compare_phase(record: PhaseRecord, end: PhaseEnd | None) -> Mismatch | None:
    """Which phase ended, where, and after how many cycles."""
    if end is None:
        wanted = f"end of {record.phase} after {record.cycles} cycles"
        return Mismatch(
            kind="cycles", signal="phase_done_o", expected=wanted, found="none", core=record.core
        )
    if end.phase != record.phase or end.core != f"{record.core:0{len(end.core)}b}":
        return Mismatch(
            kind="cycles",
            signal="phase_o, phase_core_o",
            expected=f"{record.phase} {record.core}",
            found=f"{end.phase} {end.core}",
            core=record.core,
        )
    if end.cycles != record.cycles:
        return Mismatch(
            kind="cycles",
            signal="phase_run_o, cycles",
            expected=str(record.cycles),
            found=str(end.cycles),
            core=record.core,
        )
    return None


def _register(name: str, expected: int, found: int, core: int = -1) -> Mismatch:
    read = "unknown" if found == chip_bus.UNKNOWN else str(found)
    return Mismatch(kind="counts", signal=name, expected=str(expected), found=read, core=core)


@cocotb.test
async def learns_in_lock_step(dut: HierarchyObject) -> None:
    """Every phase of every sample leaves the bits and takes the cycles that it does in the simulator."""
    bench = ChipBench(dut)
    mismatch = await bench.start()
    for number, sample in enumerate(bench.samples):
        if mismatch:
            break
        mismatch = await bench.run_sample(number, sample)
        bench.report_progress(number + 1)
    mismatch = mismatch or await bench.finish()
    bench.write_result(mismatch)
