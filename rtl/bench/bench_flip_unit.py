"""cocotb bench of `flip_unit`: bit-exactness under stalls, latency and rate, reset in mid-flight.

What to test comes from `bench.json` in the working directory (see `flipcore.rtl.verify`); each test leaves its counts
there as `<test>.json`. Bits that differ from the reference are counted, not raised: whoever started the bench judges
them. A breach of the stream rules, a lost word or a wrong latency fails the test.
"""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import ClockCycles, RisingEdge

from flipcore.rtl.bench import flip_words, streams
from flipcore.rtl.bench.flip_words import Flags, Integers, Words
from flipcore.rtl.flip_unit import LATENCY_CYCLES, FlipUnit

RESULT_FIELDS = (
    "address", "momentum_write", "momentum", "weight_write", "weight", "updated", "flipped", "saturated",
)  # fmt: skip
BACKWARD_FIELDS = ("backward", "tag", "error")
WRITES = {"momentum": "momentum_write", "weight": "weight_write"}  # data that count if written
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
        fields = ["last", "trace", "error", "address"]
        fields += ["shift_add"] if self.unit.shift_add_bits else []
        fields += ["backward", "tag"] if self.unit.backward else []
        self._result_fields = RESULT_FIELDS + (BACKWARD_FIELDS if self.unit.backward else ())
        self._word = streams.Stream.into(dut, "word", fields)
        self._result = streams.Stream.out_of(dut, "result", self._result_fields)
        self.drained_cycles: list[int] = []
        self.clock = self._word.clock
        streams.start_clock(dut)

    async def reset(self) -> None:
        """Reset between two clock edges for two cycles; nothing may be offered from then on."""
        self._word.valid.value = 0
        self._result.ready.value = 0
        await streams.reset(self._dut, self.clock, self._result.valid, "a result")

    async def load_seeds(self) -> Integers:
        """Seed every generator anew (R5); returns the seeds, [generators]."""
        seeds = self.rng.integers(1, 1 << 32, self.unit.generators)
        if self.unit.draws:
            valid = streams.bits(self._dut, "seed_valid_i")
            for generator, seed in enumerate(seeds.tolist()):
                valid.value = 1 << generator
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

    def start_memory(self, words: Words, rounded: Integers) -> Task[None]:
        """Answer the reads of these words, which come in order; a read too many, too few or of another word counts as a wrong bit."""
        return cocotb.start_soon(self._serve(words, (rounded != 0).any(axis=1)))

    async def _serve(self, words: Words, any_updated: Flags) -> None:
        unit = self.unit
        reads = [streams.logic(self._dut, f"{name}_read_o") for name in ("weight", "momentum")]
        address = streams.bits(self._dut, "memory_address_o")
        weight = streams.bits(self._dut, "weight_data_i")
        momentum = streams.bits(self._dut, "momentum_data_i")
        drained = streams.logic(self._dut, "drained_o")
        weights = flip_words.pack(words.weight, 1)
        momenta = flip_words.pack(words.momentum, unit.momentum_bits)
        needed = iter(np.flatnonzero(any_updated | (words.backward != 0)).tolist())
        edge = RisingEdge(self.clock)
        while True:
            await edge
            if drained.value == 1:
                self.drained_cycles.append(streams.cycle())
            found = [int(read.value == 1) for read in reads]
            if not any(found):
                continue
            word = next(needed, None)
            if word is None:
                self._counts["bit_mismatches"] += 1
                continue
            self._counts["bit_mismatches"] += int(found != [1, int(any_updated[word])])
            self._counts["bit_mismatches"] += int(int(address.value) != words.address[word])
            weight.value = weights[word]
            if found[1]:
                momentum.value = momenta[word]

    async def run(
        self, words: Words, seeds: Integers, source_stalls: streams.StallPattern,
        sink_stalls: streams.StallPattern, *, first: int = 0, count: int | None = None,
    ) -> tuple[streams.Source, streams.Sink]:  # fmt: skip
        """Send `count` of the words from `first` on, all with one flip threshold, and take as many results."""
        rounded = flip_words.round_words(self.unit, words, seeds)
        stop = len(words) if count is None else min(first + count, len(words))
        rounded, words = rounded[first:stop], words.part(first, stop)
        if self.unit.rule == "tbso" and len(words):
            assert len(set(words.flip_threshold.tolist())) == 1, "changes while words are inside"
            streams.bits(self._dut, "flip_threshold_i").value = int(words.flip_threshold[0])
        memory = self.start_memory(words, rounded)
        source, sink = self.source(), self.sink()
        payloads = flip_words.pack_words(self.unit, words)
        sending = cocotb.start_soon(source.send(payloads, source_stalls))
        await sink.receive(len(payloads), sink_stalls)
        await sending
        memory.cancel()
        self.coverage["cycles_word_waited"] += source.waited_cycles
        self.coverage["cycles_result_waited"] += sink.waited_cycles
        return source, sink

    def judge(self, words: Words, seeds: Integers, received: list[streams.ReceivedPayload]) -> None:
        """Compare what came out with the reference, and count."""
        rounded = flip_words.round_words(self.unit, words, seeds)
        learnt = flip_words.learn(self.unit, words, rounded)
        expected = flip_words.pack_learnt(self.unit, words, learnt)
        for wanted, result in zip(expected, received, strict=True):
            for field in self._result_fields:
                if field in WRITES and not wanted[WRITES[field]]:
                    continue
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
    if received == wanted:
        return 0  # nearly always; bit by bit would take most of the bench's time
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
    assert len(patterns) == flip_words.THRESHOLD_BLOCKS
    size = -(-len(words) // len(patterns))
    received = []
    for index, (source_stalls, sink_stalls) in enumerate(patterns):
        _, sink = await bench.run(
            words, seeds, source_stalls, sink_stalls, first=index * size, count=size
        )
        received += sink.received
    bench.judge(words, seeds, received)
    bench.write_counts("matches_reference_under_stalls")


def short_run(bench: Bench, seeds: Integers) -> Words:
    """Words of a test whose subject is not the flip threshold: it is one for all."""
    words = flip_words.make_words(bench.unit, SHORT_RUN, seeds, bench.rng)
    return replace(words, flip_threshold=np.full(SHORT_RUN, words.flip_threshold[0]))


@cocotb.test
async def takes_a_word_per_cycle(dut: HierarchyObject) -> None:
    """Without stalls a result leaves every cycle, or with one port two cycles after one that was written."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = short_run(bench, seeds)
    source, sink = await bench.run(words, seeds, streams.never(), streams.never())
    is_updated = (flip_words.round_words(bench.unit, words, seeds) != 0).any(axis=1)
    pauses = is_updated * (bench.unit.memory_ports == "1rw")
    first = source.transfer_cycles[0] + LATENCY_CYCLES
    expected = first + np.arange(len(words)) + np.concatenate([[0], np.cumsum(pauses)[:-1]])
    assert sink.transfer_cycles == expected.tolist()
    if not pauses.any():
        assert source.transfer_cycles == [cycle - LATENCY_CYCLES for cycle in sink.transfer_cycles]
    bench.judge(words, seeds, sink.received)
    bench.write_counts("takes_a_word_per_cycle")


@cocotb.test
async def tells_when_it_is_drained(dut: HierarchyObject) -> None:
    """An empty last word gives no result; it is through a cycle after it was taken, or when the word before it is written."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = short_run(bench, seeds)
    rounded = flip_words.round_words(bench.unit, words, seeds)
    if bench.unit.rule == "tbso":
        streams.bits(dut, "flip_threshold_i").value = int(words.flip_threshold[0])
    memory = bench.start_memory(words, rounded)
    source, sink = bench.source(), bench.sink()
    payloads = flip_words.pack_words(bench.unit, words)
    backward = {"backward": 0} if bench.unit.backward else {}
    payloads.append({**payloads[-1], "last": 1, "trace": 0, **backward})
    sending = cocotb.start_soon(source.send(payloads, streams.never()))
    await sink.receive(len(words), streams.never())
    await sending
    await ClockCycles(bench.clock, LATENCY_CYCLES + 2)
    assert not bench.offers_result(), "the last word gave a result"
    late = int((rounded[-1] != 0).any()) * (bench.unit.memory_ports == "1rw")
    assert bench.drained_cycles == [sink.transfer_cycles[-1] + late]
    memory.cancel()
    bench.judge(words, seeds, sink.received)
    bench.write_counts("tells_when_it_is_drained")


@cocotb.test
async def forgets_words_in_reset(dut: HierarchyObject) -> None:
    """A reset drops the words in flight; after it and new seeds, nothing is left of them."""
    bench = Bench(dut)
    await bench.reset()
    seeds = await bench.load_seeds()
    words = short_run(bench, seeds)
    rounded = flip_words.round_words(bench.unit, words, seeds)
    if bench.unit.rule == "tbso":
        streams.bits(dut, "flip_threshold_i").value = int(words.flip_threshold[0])
    memory = bench.start_memory(words, rounded)
    source, sink = bench.source(), bench.sink()
    payloads = flip_words.pack_words(bench.unit, words)
    sending = cocotb.start_soon(source.send(payloads, streams.never()))
    finished = SHORT_RUN // 2
    await sink.receive(finished, streams.never())
    await ClockCycles(bench.clock, LATENCY_CYCLES)  # the words behind them pile up
    assert bench.offers_result(), "valid waits for ready"
    sending.cancel()
    memory.cancel()
    await bench.reset()
    bench.judge(words.part(0, finished), seeds, sink.received)
    bench.coverage["words_lost_in_reset"] = len(source.transfer_cycles) - finished

    seeds = await bench.load_seeds()
    words = short_run(bench, seeds)
    _, sink = await bench.run(words, seeds, streams.never(), streams.at_random(0.3, bench.seed))
    bench.judge(words, seeds, sink.received)
    bench.write_counts("forgets_words_in_reset")
