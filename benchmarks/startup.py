"""Seconds of the processor until a command has printed its help, beside an empty Python process.

Run: python -m benchmarks.startup
"""

import argparse
import os
import statistics
import subprocess
import sys


def _processor_seconds(words: list[str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for words in (
        ["-c", "pass"],
        ["-m", "flipcore", "--help"],
        ["-m", "flipcore", "simulate", "--help"],
    ):
        seconds = [_processor_seconds(words) for _ in range(rounds)]
        print(
            f"python {' '.join(words):28} {statistics.median(seconds):.2f} s ({min(seconds):.2f} ... {max(seconds):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
