"""cocotb bench of `spike_output`: every spike once and in order, whoever pauses; cycles as SPEC T3 has them, waiting not counted; reset in mid-flight.

What to test comes from `bench.json` in the working directory: `lanes`, `words`, `steps`, `seed`; each test leaves its counts as `<test>.json` there.
"""

import json
from collections import Counter
from pathlib import Path

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from flipcore.rtl.bench import streams

Bits = npt.NDArray[np.int64]
DENSITIES = (0.0, 0.05, 0.3, 1.0)  # of spikes, step after step


class Bench:
    """The unit with its clock running, a register of spikes beside it, and the counts of one test."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Read the task and start the clock; the unit is not reset yet."""
        task = json.loads(Path("bench.json").read_text(encoding="utf-8"))
        self.lanes: int = task["lanes"]
        self.words: int = task["words"]
        self.steps: int = task["steps"]
        self.seed: int = task["seed"]
        self.rng = np.random.default_rng(self.seed)
        self.counts: Counter[str] = Counter(spikes=0, steps=0, cycles=0, waited_cycles=0)
        self._dut = dut
        self._clock = streams.logic(dut, "clk_i")
        self._run = streams.logic(dut, "run_i")
        self._counted = streams.logic(dut, "run_o")
        self._done = streams.logic(dut, "done_o")
        self._word = streams.bits(dut, "spike_word_o")
        self._spikes = streams.bits(dut, "spikes_i")
        self.stream = streams.Stream.out_of(dut, "spike", ["neuron"])
        streams.start_clock(dut)

    async def reset(self) -> None:
        """Reset between two clock edges for two cycles."""
        self._run.value = 0
        self.stream.ready.value = 0
        self._spikes.value = 0
        await streams.reset(self._dut, self._clock, self.stream.valid, "a spike")

    async def run_step(
        self, spikes: Bits, stalls: streams.StallPattern, cut_off: int | None = None
    ) -> tuple[list[int], int]:
        """Run the phase on spike bits [words, lanes]; returns the neurons that left and the cycles counted.

        With `cut_off` the run is left after so many cycles, in the midst of the phase.
        """
        rows = [int("".join(map(str, reversed(row))), 2) for row in spikes.tolist()]
        neurons: list[int] = []
        counted = cycles = 0
        offered: int | None = None
        self._run.value = 1
        while cut_off is None or cycles < cut_off:
            self.stream.ready.value = not next(stalls)
            await FallingEdge(self._clock)
            word = int(self._word.value)
            self._spikes.value = rows[word] if word < self.words else 0
            await ReadOnly()
            valid, ready = self.stream.valid.value == 1, self.stream.ready.value == 1
            neuron = int(self.stream.payload["neuron"].value) if valid else None
            assert offered is None or neuron == offered, "an offer changed before its transfer"
            offered = neuron if valid and not ready else None
            if valid and ready:
                assert neuron is not None
                neurons.append(neuron)
            counted += int(self._counted.value)
            assert int(self._counted.value) == int(not (valid and not ready)), "run_o"
            done = self._done.value == 1
            cycles += 1
            await RisingEdge(self._clock)
            if done:
                break
            assert cycles < 100 * self.words * (self.lanes + 2), "the phase never ends"
        self._run.value = 0
        self.counts.update(cycles=counted, waited_cycles=cycles - counted)
        return neurons, counted

    def draw(self, step: int) -> Bits:
        """Spike bits of a step, [words, lanes]."""
        shape = (self.words, self.lanes)
        return (self.rng.random(shape) < DENSITIES[step % len(DENSITIES)]).astype(np.int64)

    def judge(self, spikes: Bits, neurons: list[int], counted: int) -> None:
        """Compare with the spikes in ascending order and the cycles of T3."""
        wanted = np.flatnonzero(spikes.reshape(-1)).tolist()
        assert neurons == wanted, f"neurons {neurons}, not {wanted}"
        cycles = 2 + int(np.maximum(1, spikes.sum(axis=1)).sum())
        assert counted == cycles, f"{counted} cycles, not {cycles}"
        self.counts.update(spikes=len(wanted), steps=1)

    def write_counts(self, test: str) -> None:
        """Leave the counts where the one who started the bench looks for them."""
        Path(f"{test}.json").write_text(json.dumps(self.counts), encoding="utf-8")


@cocotb.test
async def every_spike_leaves_once(dut: HierarchyObject) -> None:
    """All spikes leave in order and in the cycles of T3 under four patterns of back-pressure."""
    bench = Bench(dut)
    await bench.reset()
    patterns = (
        streams.never(),
        streams.at_random(0.4, bench.seed),
        streams.in_bursts(2, 5),
        streams.at_random(0.8, bench.seed + 1),
    )
    for step in range(bench.steps):
        spikes = bench.draw(step // len(patterns))
        neurons, counted = await bench.run_step(spikes, patterns[step % len(patterns)])
        bench.judge(spikes, neurons, counted)
    assert bench.counts["waited_cycles"] > 0
    bench.write_counts("every_spike_leaves_once")


@cocotb.test
async def reset_forgets_the_phase(dut: HierarchyObject) -> None:
    """After a reset in mid-flight the phase starts anew."""
    bench = Bench(dut)
    await bench.reset()
    for cut_off in range(1, 9):
        await bench.run_step(
            np.ones((bench.words, bench.lanes), np.int64), streams.never(), cut_off
        )
        await bench.reset()
        spikes = bench.draw(2)
        neurons, counted = await bench.run_step(spikes, streams.never())
        bench.judge(spikes, neurons, counted)
    bench.write_counts("reset_forgets_the_phase")
