"""Peak memory of `flipcore simulate mnist`: the training set as it is and four times as long, few steps and many.

MNIST is looked for in the folder FLIPCORE_DATA; the long set is written to a temporary folder. Run: python -m benchmarks.memory
"""

import argparse
import gzip
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
TIMES = 4


def _write_long(source: Path, target: Path) -> None:
    """Write the data set with its training split repeated, piece by piece: a child's peak is at least its parent's."""
    for name in FILES:
        head = 16 if "images" in name else 8
        times = TIMES if name.startswith("train") else 1
        with (target / name).open("wb") as long:
            for number in range(times):
                with gzip.open(source / f"{name}.gz") as data:
                    start = data.read(head)
                    if number == 0:
                        samples = struct.unpack(">i", start[4:8])[0] * times
                        long.write(start[:4] + struct.pack(">i", samples) + start[8:])
                    shutil.copyfileobj(data, long)


def _peak(out: Path, words: list[str]) -> float:
    """Peak resident set of one run in MiB."""
    command = [sys.executable, "-m", "flipcore", "simulate", "mnist", "--epochs", "1", "--json"]
    run = subprocess.Popen([*command, "--out", str(out), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    if status:
        raise SystemExit("a run failed")
    return usage.ru_maxrss / 1024  # Linux counts in KiB


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    source = Path(os.environ["FLIPCORE_DATA"]) / "mnist"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "long").mkdir()
        _write_long(source, folder / "long")
        _peak(folder / "warm", [])  # compiles
        for number, (title, words) in enumerate(
            (
                ("60,000 samples, T = 4", []),
                ("240,000 samples, T = 4", ["--dataset", f"idx:{folder / 'long'}"]),
                ("60,000 samples, T = 16", ["--set", "steps=16"]),
            )
        ):
            print(f"{title:24} {_peak(folder / str(number), words):6.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
