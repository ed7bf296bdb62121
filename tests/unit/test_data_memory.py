"""Memory does not grow with the number of samples, measured by the kernel."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

NUM_AXONS = 100

# The high-water mark of this very process (of its image after exec, unlike ru_maxrss).
PEAK = """
import sys
from pathlib import Path
import numpy as np
from flipcore.sim.data import load_dataset, split_validation

dataset = split_validation(load_dataset(sys.argv[1], num_steps=4), 0.1, 0)
order = np.random.default_rng(0).integers(0, len(dataset.train), 5000)
total = 0
for start in range(0, 5000, 50):
    total += int(dataset.train.read(order[start : start + 50]).pixels.sum())
assert total > 0
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


def peak_mib(path: Path) -> float:
    command = [sys.executable, "-c", PEAK, f"npz:{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def save(path: Path, count: int, dtype: str, packed: bool) -> Path:
    x = np.zeros((count, NUM_AXONS), dtype)
    x[:, ::7] = 3
    y = np.arange(count, dtype=np.uint8) % 10
    (np.savez_compressed if packed else np.savez)(
        path, x_train=x, y_train=y, x_test=x[:9], y_test=y[:9]
    )
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("dtype", "packed"), [("uint8", False), ("uint8", True), ("float32", False)]
)
def test_peak_memory_does_not_grow_with_the_samples(
    tmp_path: Path, dtype: str, packed: bool
) -> None:
    few = peak_mib(save(tmp_path / "few.npz", 6_000, dtype, packed))
    many = peak_mib(save(tmp_path / "many.npz", 600_000, dtype, packed))
    # 600,000 records are 57 MiB (229 as float32); labels, positions and keys take 25 bytes a sample
    # at the peak, and that is all.
    assert many - few < 600_000 * 40 / 2**20
