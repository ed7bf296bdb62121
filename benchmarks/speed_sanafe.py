"""Inference beside SANA-FE on one processor, turn by turn in one run; docs/BENCHMARKS.md has the method.

Needs the PyPI package `sanafe`. Run: python -m benchmarks.speed_sanafe
"""

import argparse
import json
import os
import statistics
import time

from benchmarks.inference_job import SAMPLES, STEPS, InferenceJob, cpu_rate, make_job
from benchmarks.peer_sanafe import SanaFe, readout_and_spikes

TIMINGS = ("simple", "detailed")


def _check(job: InferenceJob, peer: SanaFe, samples: int) -> None:
    """Every total of the readout and the number of hidden spikes must agree."""
    for sample in range(samples):
        peer.give(job.spikes[sample])
        theirs = readout_and_spikes(peer.run(STEPS, TIMINGS[0], trace=True), STEPS)
        ours = job.totals(sample)
        if theirs != ours:
            raise SystemExit(
                f"sample {sample}: {theirs} with SANA-FE, {ours} with flipcore: nothing was compared"
            )


def _peer_rates(
    job: InferenceJob, peer: SanaFe, first: int, samples: int, timing: str
) -> tuple[float, float]:
    """Samples per processor second of its simulation alone, and with handing the input over."""
    simulating = 0.0
    started = time.process_time()
    for sample in range(first, first + samples):
        peer.give(job.spikes[sample])
        given = time.process_time()
        peer.run(STEPS, timing)
        simulating += time.process_time() - given
    return samples / simulating, samples / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=20, help="of the peer, each round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    job = make_job()
    peer = SanaFe(job.weights, job.threshold)
    _check(job, peer, arguments.samples)
    rows = []
    for number in range(arguments.rounds):
        row = {"flipcore": cpu_rate(SAMPLES, job.infer)}
        for timing in TIMINGS:
            first = number * arguments.samples
            alone, whole = _peer_rates(job, peer, first, arguments.samples, timing)
            row[f"sanafe, {timing}"] = alone
            row[f"sanafe, {timing}, input included"] = whole
        rows.append(row)
    names = list(rows[0])
    table = {name: [row[name] for row in rows] for name in names}
    for name in names[1:]:
        table[f"flipcore / {name}"] = [row["flipcore"] / row[name] for row in rows]
    if arguments.json:
        print(json.dumps(table))
        return
    for name, values in table.items():
        print(
            f"{name:46} {statistics.median(values):9.1f}  ({min(values):.1f} … {max(values):.1f})"
        )


if __name__ == "__main__":
    main()
