# SPDX-License-Identifier: Apache-2.0
"""Scalar oracle: the whole chip of docs/SPEC.md in plain Python: state, order, counts and time.

Independent of flipcore (see oracle_rules). Clarity over speed: meant for some hundred synapses.
"""

from __future__ import annotations

from typing import Any

from tests.oracle_rules import (
    argmax,
    backward,
    decay,
    fire,
    generator_seed,
    gradient,
    hinge,
    initial_weights,
    integrate,
    lane_key,
    momentum_flip,
    sample_order,
    second_moment,
    sigma_delta,
    softmax,
    stream,
    tbso_threshold,
    trace,
    xorshift32,
)

__all__ = ["COUNT_NAMES", "Oracle", "initial_weights", "sample_order", "sigma_delta", "stream"]

PORT_FACTOR = {"1r1w": 1, "1rw": 2}  # p of section 5
COUNT_NAMES = tuple(
    """
    events merged_events spikes sops live_steps words_visited words_drawn words_updated
    momentum_updates flips words_decayed words_changed potential_saturations momentum_saturations
    weight_reads weight_writes momentum_reads momentum_writes potential_reads potential_writes
    trace_reads trace_writes row_list_reads row_list_writes error_reads error_writes
    event_list_reads event_list_writes total_reads total_writes input_cycles forward_cycles
    spikes_cycles trace_cycles error_cycles threshold_cycles update_cycles decay_cycles
    predict_cycles
    """.split()
)  # T12


class Oracle:
    """One chip. Indices: core c, row i, neuron n, word j, lane l, step t."""

    def __init__(
        self, chip: dict[str, Any], seed: int, log: list[dict[str, Any]] | None = None
    ) -> None:
        self.chip, self.cores, self.steps, self.log = chip, chip["cores"], chip["steps"], log
        neurons = [core["neurons"] for core in self.cores]
        self.axons = [chip["inputs"], *neurons[:-1]]  # S1
        self.last = len(self.cores) - 1
        self.weights, self.momentum, self.generators, self.second_moment = [], [], [], []
        for c, core in enumerate(self.cores):
            self.weights.append(initial_weights(seed, c, self.axons[c], neurons[c]))
            self.momentum.append([[0] * neurons[c] for _ in range(self.axons[c])])  # R3
            streams = core["lanes"] if core["random_source"] == "per_lane" else 1
            self.generators.append([generator_seed(seed, c, lane) for lane in range(streams)])
            self.second_moment.append([0] * self.steps)  # N14; stays 0 for `bso`
        self.sample_counter = 0  # O5
        self.samples = {"train": 0, "inference": 0}
        self.counts = {
            mode: [dict.fromkeys(COUNT_NAMES, 0) for _ in self.cores]
            for mode in ("train", "inference")
        }

    def train(self, events: list[list[int]], label: int, offered: list[int] | None = None) -> int:
        """Learn one sample and return its prediction, made while the weights changed."""
        return self._sample(events, offered, label)

    def infer(self, events: list[list[int]], offered: list[int] | None = None) -> int:
        """Predict one sample; learning state stays as it is (O5)."""
        return self._sample(events, offered, None)

    # ---- bookkeeping

    def _add(self, c: int, **amounts: int) -> None:
        for name, amount in amounts.items():
            self.count[c][name] += amount
            if name.endswith("_cycles"):
                self._note(c, **{name: amount})

    def _note(self, c: int, **values: Any) -> None:
        self.records[c].update(values)

    def _begin_step(self, t: int | None) -> None:
        """One log record per step and core; step None holds what follows the last step."""
        key = {"mode": self.mode, "sample": self.sample_counter, "step": t}
        self.records: list[dict[str, Any]] = [key | {"core": c} for c in range(len(self.cores))]
        if self.log is not None:
            self.log.extend(self.records)

    def _words(self, c: int, size: int) -> list[range]:
        """S2: the indices of each word of core c's lanes over `size` items; padding is left out."""
        lanes = self.cores[c]["lanes"]
        return [range(start, min(start + lanes, size)) for start in range(0, size, lanes)]

    def _stage(self) -> tuple[int, int]:
        """O6: gradient_shift_add and scrub_period_multiply of this sample."""
        stage = (0, 1)
        for s in self.chip.get("schedule", []):
            if s["after_samples"] <= self.sample_counter:
                stage = (s["gradient_shift_add"], s["scrub_period_multiply"])
        return stage

    def _draw(self, c: int) -> list[int]:
        """R5, R6: the random number of each lane of a word; no draw without `stochastic`."""
        core = self.cores[c]
        if core["rounding"] != "stochastic":
            return [0] * core["lanes"]
        self._add(c, words_drawn=1)
        self.generators[c] = [xorshift32(r) for r in self.generators[c]]
        if core["random_source"] == "per_lane":
            return self.generators[c]
        return [self.generators[c][0] ^ lane_key(lane) for lane in range(core["lanes"])]

    # ---- one sample (O1)

    def _sample(self, events: list[list[int]], offered: list[int] | None, label: int | None) -> int:
        assert len(events) == self.steps
        self.mode = "inference" if label is None else "train"
        self.count = self.counts[self.mode]
        self.samples[self.mode] += 1
        self.potential = [[0] * core["neurons"] for core in self.cores]
        self.window = [[False] * core["neurons"] for core in self.cores]
        self.traces = [[0] * axons for axons in self.axons]
        self.visited: list[list[int]] = [[] for _ in self.cores]
        self.total = [0] * self.cores[-1]["neurons"]
        for t, arrived in enumerate(events):
            self._begin_step(t)
            active = sorted(set(arrived))
            assert active == arrived, "events of a step: distinct axons, ascending"
            ev = len(active) if offered is None else offered[t]
            label_cycle = label is not None and t == 0
            self._add(0, merged_events=ev - len(active), input_cycles=ev + 1 + label_cycle)  # T1
            for c in range(len(self.cores)):
                following = self._forward(c, t, active)
                if label is not None:
                    self._trace(c, t, active)
                active = following
            if label is not None:
                delta = self._error(label)
                for c in range(self.last, -1, -1):
                    delta = self._learn(c, t, delta)
        self._begin_step(None)
        if label is not None:
            for c, core in enumerate(self.cores):
                if core["decay"] == "scrub":  # N13
                    period = core["scrub_period"] * self._stage()[1]
                    first = self.sample_counter % period
                    self._decay(c, list(range(first, self.axons[c], period)))
        neurons = self.cores[-1]["neurons"]
        self._add(self.last, predict_cycles=neurons + 2)  # T9
        self._add(self.last, total_reads=len(self._words(self.last, neurons)))  # T10
        self._note(self.last, prediction=argmax(self.total))
        self.sample_counter += label is not None  # O5
        return argmax(self.total)  # N6

    def _forward(self, c: int, t: int, active: list[int]) -> list[int]:
        """N3, N4, N6 of one core; returns its spikes."""
        core, weights = self.cores[c], self.weights[c]
        words = self._words(c, core["neurons"])
        current = [sum(2 * weights[i][n] - 1 for i in active) for n in range(core["neurons"])]
        reads = len(active) * len(words)
        self._add(c, events=len(active), sops=len(active) * core["neurons"])  # T11, T12
        self._add(
            c, weight_reads=reads, event_list_reads=reads, event_list_writes=len(active)
        )  # T10
        self._add(c, forward_cycles=len(words) * (len(active) + 3))  # T2
        if c == self.last:
            self.out = current
            self.total = [a + b for a, b in zip(self.total, current, strict=True)]
            self._add(c, total_reads=len(words) * (t > 0), total_writes=len(words))
            self._note(c, events=active, out=self.out, total=self.total)
            return []
        spikes = []
        for n in range(core["neurons"]):
            v, clipped = integrate(self.potential[c][n], current[n], core["potential_bits"])
            self.potential[c][n], spike, self.window[c][n] = fire(v, core)
            self._add(c, potential_saturations=clipped)
            if spike:
                spikes.append(n)
        self._add(
            c, potential_reads=len(words) * (t > 0), potential_writes=len(words), spikes=len(spikes)
        )
        self._add(
            c, spikes_cycles=2 + sum(max(1, len(set(word) & set(spikes))) for word in words)
        )  # T3
        self._note(
            c,
            events=active,
            potential=list(self.potential[c]),
            window=list(self.window[c]),
            spikes=spikes,
        )
        return spikes

    def _trace(self, c: int, t: int, active: list[int]) -> None:
        """N5 and the row list (O2, T4)."""
        core, a = self.cores[c], self.traces[c]
        for i in range(self.axons[c]):
            a[i] = trace(
                a[i], i in active, core["trace_bits"], core["trace_unit"], core["trace_decay_shift"]
            )
        backs = self.window[c - 1] if c > 0 else [False] * self.axons[c]
        self.visited[c] = rows = [i for i in range(self.axons[c]) if a[i] != 0 or backs[i]]
        words, p = self._words(c, self.axons[c]), 1
        self._add(c, row_list_writes=len(rows))
        if core["trace_decay_shift"] is not None:  # T10: `none` has no trace memory
            p = PORT_FACTOR[core["memory_ports"]]
            self._add(c, trace_reads=len(words) * (t > 0), trace_writes=len(words))
        self._add(c, trace_cycles=2 + sum(max(p, len(set(word) & set(rows))) for word in words))
        self._note(c, trace=list(a), rows=rows)

    def _error(self, label: int) -> list[int]:
        """N7, T5."""
        error, neurons = self.chip["error"], self.cores[-1]["neurons"]
        z = self.out if error["of"] == "step" else self.total
        if error["kind"] == "hinge":
            delta, cycles, passes = hinge(z, label, error["margin"]), neurons + 2, 1
        else:
            delta, cycles, passes = softmax(z, label, error["sharpness"]), 10 * neurons + 2, 3
        if error["of"] == "total":  # T10
            self._add(self.last, total_reads=passes * len(self._words(self.last, neurons)))
        self._add(self.last, error_cycles=cycles + len(self._live(self.last, delta)))
        return delta

    def _live(self, c: int, delta: list[int]) -> list[tuple[int, range]]:
        """O2: the live words, each with its number j."""
        words = enumerate(self._words(c, self.cores[c]["neurons"]))
        return [(j, word) for j, word in words if any(delta[n] != 0 for n in word)]

    def _learn(self, c: int, t: int, delta: list[int]) -> list[int]:
        """Threshold, update and dense decay of one core (O1); returns δ of core c-1."""
        core, gamma = self.cores[c], self.cores[c]["flip_threshold"]
        if core["rule"] == "tbso":
            squares = sum(d * d for d in delta), sum(a * a for a in self.traces[c])
            self.second_moment[c][t] = second_moment(self.second_moment[c][t], *squares, core)
            gamma = tbso_threshold(self.second_moment[c][t], core)
            self._add(c, threshold_cycles=20)  # T6
        self._note(c, delta=delta, gamma=gamma)
        sums = self._update(c, delta, gamma)
        if core["decay"] == "dense":
            self._decay(c, list(range(self.axons[c])))
        if c == 0:
            return []
        bits = self.cores[c - 1]["error_bits"]
        return [
            backward(sums[i], core["error_shift"], bits, self.window[c - 1][i])
            for i in range(self.axons[c])
        ]

    def _update(self, c: int, delta: list[int], gamma: int) -> list[int]:
        """O3; returns S_i of each row (0 where h_i is not set)."""
        core, live, rows = self.cores[c], self._live(c, delta), self.visited[c]
        sums = [0] * self.axons[c]
        self._add(c, error_writes=len(live), live_steps=len(live) > 0)
        if not live:
            self._add(c, update_cycles=1)  # T7
            return sums
        updated = 0
        for i in rows:
            backs = c > 0 and self.window[c - 1][i]
            for _, word in live:
                before = [self.weights[c][i][n] for n in word]
                changed = (
                    self._update_word(c, i, word, delta, gamma) if self.traces[c][i] != 0 else False
                )
                updated += changed
                if backs:
                    sums[i] += sum(
                        (2 * bit - 1) * delta[n] for bit, n in zip(before, word, strict=True)
                    )
                self._add(c, weight_reads=backs or changed)
        visits = len(rows) * len(live)
        self._add(
            c,
            words_visited=visits,
            error_reads=visits,
            row_list_reads=len(rows),
            words_updated=updated,
        )
        tree = 1 + (core["lanes"] - 1).bit_length() if c > 0 else 0
        self._add(
            c, update_cycles=4 + visits + (PORT_FACTOR[core["memory_ports"]] - 1) * updated + tree
        )  # T7
        return sums

    def _update_word(self, c: int, i: int, word: range, delta: list[int], gamma: int) -> bool:
        """N9 to N12 of one word; returns whether any q ≠ 0."""
        core, m, w = self.cores[c], self.momentum[c][i], self.weights[c][i]
        shift, random = core["gradient_shift"] + self._stage()[0], self._draw(c)
        q = [
            gradient(self.traces[c][i], delta[n], shift, core["rounding"], random[n - word.start])
            for n in word
        ]
        flips = 0
        for n, step in zip(word, q, strict=True):
            w[n], m[n], flipped, clipped = momentum_flip(
                w[n], m[n], step, core["momentum_bits"], gamma, core["momentum_at_flip"]
            )
            flips += flipped
            self._add(c, momentum_updates=step != 0, flips=flipped, momentum_saturations=clipped)
        changed = any(step != 0 for step in q)
        self._add(c, weight_writes=flips > 0, momentum_reads=changed, momentum_writes=changed)
        return changed

    def _decay(self, c: int, rows: list[int]) -> None:
        """N13, O4, T8: rows ascending, all words of each ascending."""
        core, visited, changed = self.cores[c], 0, 0
        for i in rows:
            for word in self._words(c, core["neurons"]):
                m, random = self.momentum[c][i], self._draw(c)
                old = [m[n] for n in word]
                for n in word:
                    m[n] = decay(
                        m[n], core["decay_shift"], core["rounding"], random[n - word.start]
                    )
                visited += 1
                changed += old != [m[n] for n in word]
        self._add(
            c,
            words_decayed=visited,
            words_changed=changed,
            momentum_reads=visited,
            momentum_writes=changed,
        )
        self._add(c, decay_cycles=2 + visited + (PORT_FACTOR[core["memory_ports"]] - 1) * changed)
