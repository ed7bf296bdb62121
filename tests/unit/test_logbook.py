"""The TensorBoard log: what is in it, and that it needs no torch."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.sim.logbook import Logbook
from flipcore.sim.run import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(
        epoch=number,
        train_accuracy=0.5,
        test_accuracy=0.25 * number,
        flips=100 - number,
        flip_ratio=0.5**number,
        momentum_updates=10**9,
        seconds=1.5,
    )


def points(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Points by name as (step, value), read from the records: length, its sum, content, its sum."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((run_dir / "tensorboard").iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            place += 12 + length + 4
    return found


def test_every_epoch_has_a_point_of_each_figure(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0)
    for number in range(3):
        logbook.write(epoch(number))
    logbook.close()
    assert points(tmp_path) == {
        "accuracy/train": [(0, 0.5), (1, 0.5), (2, 0.5)],
        "accuracy/test": [(0, 0.0), (1, 0.25), (2, 0.5)],
        "learning/flips": [(0, 100.0), (1, 99.0), (2, 98.0)],
        "learning/flip_ratio": [(0, 1.0), (1, 0.5), (2, 0.25)],
        "learning/momentum_updates": [(0, 1e9), (1, 1e9), (2, 1e9)],
        "time/seconds": [(0, 1.5), (1, 1.5), (2, 1.5)],
    }


def test_what_is_written_is_on_disk_before_the_log_is_closed(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, 0)
    logbook.write(epoch(0))
    assert points(tmp_path)["learning/flips"] == [(0, 100.0)]
    logbook.close()


def test_a_continued_run_adds_to_its_log(tmp_path: Path) -> None:
    """Also within the second in which it was interrupted."""
    for number in range(2):
        logbook = Logbook(tmp_path, number)
        logbook.write(epoch(number))
        logbook.close()
    assert points(tmp_path)["learning/flips"] == [(0, 100.0), (1, 99.0)]


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        Logbook(tmp_path, 0)
    assert str(caught.value) == f"{tmp_path / 'tensorboard'}: cannot be written: File exists"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logbook = Logbook(tmp_path, 0)
    writer = logbook._writer._py_recordio_writer
    writer.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(writer, "_writer", full)
        with pytest.raises(InputError) as caught:
            logbook.write(epoch(0))
    told = f"{tmp_path / 'tensorboard'}: cannot be written: No space left on device"
    assert str(caught.value) == told


WITHOUT_TORCH = """
import sys
from pathlib import Path
from flipcore.sim.logbook import Logbook
Logbook(Path(sys.argv[1]), 0).close()
assert "torch" not in sys.modules
try:
    import torch
except ImportError as error:
    assert str(error) == "the fake torch", error
"""


def test_the_log_takes_no_torch_and_leaves_it_to_others(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('the fake torch')\n")
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
