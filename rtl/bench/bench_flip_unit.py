"""cocotb bench of `flip_unit`: bit-exactness under stalls, latency and rate, reset in mid-flight.

What to test comes from `bench.json` in the working directory (see `flipcore.rtl.verify`); each test leaves its counts
there as `<test>.json`. Bits that differ from the reference are counted, not raised: whoever started the bench judges
them. A breach of the stream rules, a lost word or a wrong latency fails the test.
"""

import json
from collections import Counter
from pathlib import Path

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer

from flipcore.rtl.bench import flip_words, streams
from flipcore.rtl.bench.flip_words import Integers, Words
from flipcore.rtl.flip_unit import LATENCY_CYCLES, FlipUnit

RESULT_FIELDS = ("weight", "momentum", "updated", "flipped", "any_updated", "any_flipped")
SHORT_RUN = 64  # words of the tests whose subject is time, not values


class Bench:
    """A flip unit with its clock running, its streams and the counts of one test."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Read the task and start the clock; the unit is not reset yet."""
        task = json.loads(Path("bench.json").read_text(encoding="utf-8"))
        self.unit = FlipUnit(**task["unit"])
        self.words: int = task["words"]
        self.seed: int = task["seed"]
        self.rng = np.random.default_rng(self.seed)
        self.coverage: Counter[str] = Counter()
        self._counts: Counter[str] = Counter(words=0, lane_updates=0, bit_mismatches=0)
        self._dut = dut
        fields = ["trace", "error", "weight", "momentum"]
        fields += ["shift_add"] if self.unit.shift_add_bits else []
        fields += ["flip_threshold"] if self.unit.rule == "tbso" else []
        self._word = streams.Stream.into(dut, "word", fields)
        self._result = streams.Stream.out_of(dut, "result", RESULT_FIELDS)
        self.clock = self._word.clock
        streams.start_clock(dut)

    async def reset(self) -> None:
        """Reset between two clock edges for two cycles; nothing may be offered from then on."""
        reset = streams.logic(self._dut, "rst_ni")
        self._word.valid.value = 0
        self._result.ready.value = 0
        reset.value = 0
        await Timer(1, unit="ns")
        assert self._result.valid.value == 0, "a result is offered in reset"
        await ClockCycles(self.clock, 2)
        await FallingEdge(self.clock)
        reset.value = 1
        await RisingEdge(self.clock)

    async def load_seeds(self) -> Integers:
        """Seed every generator anew (R5); returns the seeds, [generators]."""
        seeds = self.rng.integers(1, 1 << 32, self.unit.generators)
        if self.unit.draws:
            valid = streams.logic(self._dut, "seed_valid_i")
            valid.value = 1
            for seed in seeds.tolist():
                streams.bits(self._dut, "seed_i").value = seed
                await RisingEdge(self.clock)
            valid.value = 0
        return seeds

    def source(self) -> streams.Source:
        """A new source of words."""
        return streams.Source(self._word)

    def sink(self) -> streams.Sink:
        """A new sink of results."""
        return streams.Sink(self._result)

    def offers_result(self) -> bool:
        """Tell whether a result is offered."""
        return bool(self._result.valid.value == 1)

    async def run(
        self, words: Words, source_stalls: streams.StallPattern, sink_stalls: streams.StallPattern
    ) -> tuple[streams.Source, streams.Sink]:
        """Send words and take as many results."""
        source, sink = self.source(), self.sink()
        payloads = flip_words.pack_words(self.unit, words)
        sending = cocotb.start_soon(source.send(payloads, source_stalls))
        await sink.receive(len(payloads), sink_stalls)
        await sending
        self.coverage["cycles_word_waited"] += source.waited_cycles
        self.coverage["cycles_result_waited"] += sink.waited_cycles
        return source, sink

    def judge(self, words: Words, seeds: Integers, received: list[streams.ReceivedPayload]) -> None:
        """Compare what came out with the reference, and count."""
        rounded = flip_words.round_words(self.unit, words, seeds)
        learnt = flip_words.learn(self.unit, words, rounded)
        expected = flip_words.pack_learnt(self.unit, learnt)
        for wanted, result in zip(expected, received, strict=True):
            for field in RESULT_FIELDS:
                self._counts["bit_mismatches"] += _count_differences(result[field], wanted[field])
        self._counts["words"] += len(words)
        self._counts["lane_updates"] += int(np.count_nonzero(learnt.updated))
        self.coverage.update(flip_words.count_coverage(self.unit, words, rounded, learnt))

    def write_counts(self, test: str) -> None:
        """Leave the counts where the one who started the bench looks for them."""
        document = {"counts": self._counts, "coverage": self.coverage}
        Path(f"{test}.json").write_text(json.dumps(document), encoding="utf-8")


def _count_differences(received: str, expected: int) -> int:
    """Number of bits that differ; an unknown bit always does."""
    wanted = f"{expected:0{len(received)}b}"
    return sum(bit != other for bit, other in zip(received, wanted, strict=True))


@cocotb.test
async def matches_reference_under_stalls(dut: HierarchyObject) -> None:
    """Every bit of every result equals the reference, whoever pauses how often."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = flip_words.make_words(bench.unit, bench.words, seeds, bench.rng)
    patterns = [
        (streams.never(), streams.never()),
        (streams.at_random(0.3, bench.seed), streams.at_random(0.3, bench.seed + 1)),
        (streams.in_bursts(7, 3), streams.at_random(0.6, bench.seed + 2)),
        (streams.at_random(0.6, bench.seed + 3), streams.in_bursts(1, 2)),
    ]
    size = -(-len(words) // len(patterns))
    received = []
    for index, (source_stalls, sink_stalls) in enumerate(patterns):
        part = words.part(index * size, (index + 1) * size)
        _, sink = await bench.run(part, source_stalls, sink_stalls)
        received += sink.received
    bench.judge(words, seeds, received)
    bench.write_counts("matches_reference_under_stalls")


@cocotb.test
async def takes_a_word_per_cycle(dut: HierarchyObject) -> None:
    """Without stalls words enter in consecutive cycles and leave after the stated latency."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = flip_words.make_words(bench.unit, SHORT_RUN, seeds, bench.rng)
    source, sink = await bench.run(words, streams.never(), streams.never())
    first = source.transfer_cycles[0]
    assert source.transfer_cycles == list(range(first, first + len(words)))
    assert sink.transfer_cycles == [cycle + LATENCY_CYCLES for cycle in source.transfer_cycles]
    bench.judge(words, seeds, sink.received)
    bench.write_counts("takes_a_word_per_cycle")


@cocotb.test
async def forgets_words_in_reset(dut: HierarchyObject) -> None:
    """A reset drops the words in flight; after it and new seeds, nothing is left of them."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = flip_words.make_words(bench.unit, SHORT_RUN, seeds, bench.rng)
    source, sink = bench.source(), bench.sink()
    payloads = flip_words.pack_words(bench.unit, words)
    sending = cocotb.start_soon(source.send(payloads, streams.never()))
    finished = SHORT_RUN // 2
    await sink.receive(finished, streams.never())
    await ClockCycles(bench.clock, LATENCY_CYCLES)  # the words behind them pile up
    assert bench.offers_result(), "valid waits for ready"
    sending.cancel()
    await bench.reset()
    bench.judge(words.part(0, finished), seeds, sink.received)
    bench.coverage["words_lost_in_reset"] = len(source.transfer_cycles) - finished

    seeds = await bench.load_seeds()
    words = flip_words.make_words(bench.unit, SHORT_RUN, seeds, bench.rng)
    _, sink = await bench.run(words, streams.never(), streams.at_random(0.3, bench.seed))
    bench.judge(words, seeds, sink.received)
    bench.write_counts("forgets_words_in_reset")
