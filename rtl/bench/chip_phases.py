"""Watches what the chip says of its phases: which one ended, and after how many cycles (docs/RTL.md, Phases)."""

from dataclasses import dataclass

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time

from flipcore.rtl.bench import streams

PHASES = (
    "input", "forward", "spikes", "trace", "error", "threshold", "update", "decay", "predict"
)  # fmt: skip
STEPS_PER_NS = 1000  # the simulator's time step is a picosecond


@dataclass(frozen=True)
class PhaseEnd:
    """A phase that ended.

    Attributes:
        phase: its name; its bits if there is no such phase.
        core: core that it ran on, as bits.
        cycles: cycles in which `phase_run_o` was set.
        cycle: number of its last cycle since the start of the simulation.
    """

    phase: str
    core: str
    cycles: int
    cycle: int


@dataclass(frozen=True)
class RunningPhase:
    """A phase as it is in the middle of a cycle.

    Attributes:
        phase: its name; its bits if there is no such phase.
        core: core that it runs on, as bits.
        cycles: cycles in which `phase_run_o` was set, the one at hand included.
        is_running: `phase_run_o` is set.
        is_done: `phase_done_o` is set.
    """

    phase: str
    core: str
    cycles: int
    is_running: bool
    is_done: bool


def phase_name(bits: str) -> str:
    """Name of the phase with this code, x and z being no codes."""
    code = int(bits, 2) if set(bits) <= {"0", "1"} else len(PHASES)
    return PHASES[code] if code < len(PHASES) else bits


def current_cycle() -> int:
    """Number of the cycle at hand since the start of the simulation."""
    return int(get_sim_time("step")) // (streams.CLOCK_NS * STEPS_PER_NS)


class PhaseMonitor:
    """Reports the end of each phase.

    Nothing is polled: cycles are the time that `phase_run_o` is set, so that Python runs a few times per phase, not per cycle.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        """Watch the chip from now on."""
        clock = streams.logic(dut, "clk_i")
        self._falling = FallingEdge(clock)
        self._done = streams.logic(dut, "phase_done_o")
        self._run = streams.logic(dut, "phase_run_o")
        self._phase = streams.bits(dut, "phase_o")
        self._core = streams.bits(dut, "phase_core_o")
        self._done_rises = RisingEdge(self._done)
        self._run_cycles = 0  # of all intervals that have ended
        self._run_since: int | None = None
        self._reported = 0
        cocotb.start_soon(self._watch_run())

    async def _watch_run(self) -> None:
        """Add up the time that `phase_run_o` is set; a glitch takes none."""
        change = self._run.value_change
        while True:
            if self._run.value == 1 and self._run_since is None:
                self._run_since = current_cycle()
            elif self._run.value != 1 and self._run_since is not None:
                self._run_cycles += current_cycle() - self._run_since
                self._run_since = None
            await change

    def forget(self) -> None:
        """Count cycles from here; for after a reset."""
        self._reported = self._count()

    def _count(self) -> int:
        """Cycles with `phase_run_o` set, the one at hand included."""
        running = 0 if self._run_since is None else current_cycle() + 1 - self._run_since
        return self._run_cycles + running

    def running_phase(self) -> RunningPhase:
        """The phase of the cycle at hand, at its falling edge."""
        return RunningPhase(
            phase_name(str(self._phase.value)),
            str(self._core.value),
            self._count() - self._reported,
            is_running=self._run.value == 1,
            is_done=self._done.value == 1,
        )

    async def reach(self, cycles: int, patience_cycles: int) -> RunningPhase:
        """Wait for the cycle in which the phase at hand has run so many cycles, that one not counted; starts and returns at a falling edge.

        Args:
            cycles: of the phase, from 0.
            patience_cycles: the phase is returned as it is after so many, or when it has ended.
        """
        deadline = current_cycle() + patience_cycles
        while True:
            here = self.running_phase()
            has_come = here.is_running and here.cycles > cycles
            if has_come or here.is_done or current_cycle() >= deadline:
                return here
            await self._falling

    async def next_end(self, patience_cycles: int) -> PhaseEnd | None:
        """Wait for the end of a phase; returns at the next falling edge, when what it wrote can be read.

        Starts at a falling edge; the cycle at hand may be the last one of the phase.

        Args:
            patience_cycles: None is returned after so many.
        """
        deadline = current_cycle() + patience_cycles
        while self._done.value != 1:
            remaining = deadline - current_cycle()
            if remaining <= 0:
                return None
            try:
                await with_timeout(self._done_rises, remaining * streams.CLOCK_NS, "ns")
            except SimTimeoutError:
                return None
            await self._falling
        count = self._count()
        end = PhaseEnd(
            phase_name(str(self._phase.value)),
            str(self._core.value),
            count - self._reported,
            current_cycle(),
        )
        self._reported = count
        await self._falling
        return end
