"""Sets of recordings: a folder per class, or a list; binned into the network's steps."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import EventLayout, Progress, Provenance, Split, make_dataset
from flipcore.sim.data.recordings import Part
from flipcore.sim.data.store import Spool, told_in_one_line
from flipcore.training.data.aedat4 import Aedat4Reader
from flipcore.training.data.event_files import SUFFIXES, Events, read_events
from flipcore.training.data.samples import SampleSet, as_sample_set

# Larger sensors are reduced to this: DVS-CIFAR10's 128 x 128 become the usual 48 x 48.
LONGEST_SIDE = 48
_PART = re.compile(r"(?:.*[-_ ])?(train|test)(?:ing)?", re.IGNORECASE)
_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True)
class _Recording:
    path: Path
    class_name: str


_Parts = dict[Part, list[_Recording]]


def load_events(path: Path, *, num_steps: int, spec: str, progress: Progress) -> SampleSet:
    """Load recordings of `CLASS/FILE`, `train/CLASS/FILE` and `test/CLASS/FILE`, or of a list.

    A list is a text file; each line is `train` or `test`, a class and a path beside the list. Where
    folders name no split, every fifth recording of each class is test. Classes are numbered in
    their order, by value if all are numbers.

    An event falls into step (t - first) * steps // (last - first + 1) of its own recording. The
    sensor is as large as the largest coordinates of all recordings; if its longer side has more
    than 48 pixels, column x becomes x * width' // width, and rows likewise.

    Raises:
        InputError: a recording or a line is damaged or missing.
        ToolError: the format needs a library that is not installed.
    """
    parts, how = _from_list(path) if path.is_file() else _from_folder(path)
    everything = [recording for part in parts.values() for recording in part]
    classes = _ordered({recording.class_name for recording in everything})
    digest = hashlib.sha256()
    with Aedat4Reader() as aedat4:
        sensor = _sensor(everything, aedat4, progress)
        grid = _Grid(sensor, _reduced(sensor), num_steps)
        splits = {
            part: _spool(_labelled(recordings, classes), grid, part, aedat4, digest, progress)
            for part, recordings in parts.items()
        }
    provenance: Provenance = {
        "spec": spec,
        "source": path.name,
        "events_sha256": digest.hexdigest(),
        "classes": ",".join(classes),
        "test_split": how,
        "sensor": f"{sensor[1]}x{sensor[0]}",
        "reduced_to": f"{grid.size[1]}x{grid.size[0]}",
    }
    dataset = make_dataset(
        path.stem, train=splits["train"], test=splits["test"], provenance=provenance
    )
    return as_sample_set(dataset, (2, *grid.size))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where events fall: sensor and size are (rows, columns)."""

    sensor: tuple[int, int]
    size: tuple[int, int]
    num_steps: int

    @property
    def layout(self) -> EventLayout:
        return EventLayout(2 * self.size[0] * self.size[1], self.num_steps)

    def record(self, events: Events) -> bytes:
        """Bin a recording; axon (polarity * rows + row) * columns + column."""
        since = events.time_us - events.time_us.min()
        step = since * self.num_steps // (since.max() + 1)
        row = events.y * self.size[0] // self.sensor[0]
        column = events.x * self.size[1] // self.sensor[1]
        flags = np.zeros((self.num_steps, self.layout.num_axons), np.bool_)
        flags[step, (events.polarity * self.size[0] + row) * self.size[1] + column] = True
        merged = np.bincount(step, minlength=self.num_steps) - flags.sum(axis=1)
        return self.layout.encode(flags, merged)


def _reduced(sensor: tuple[int, int]) -> tuple[int, int]:
    longest = max(sensor)
    if longest <= LONGEST_SIDE:
        return sensor
    return -(-sensor[0] * LONGEST_SIDE // longest), -(-sensor[1] * LONGEST_SIDE // longest)


def _sensor(
    recordings: list[_Recording], aedat4: Aedat4Reader, progress: Progress
) -> tuple[int, int]:
    rows = columns = 0
    for count, recording in enumerate(recordings):
        if progress and count % _TOLD_EVERY == 0:
            progress(f"measuring the sensor: {count} of {len(recordings)} recordings")
        events = read_events(recording.path, aedat4)
        rows, columns = max(rows, int(events.y.max())), max(columns, int(events.x.max()))
    return rows + 1, columns + 1


def _labelled(recordings: list[_Recording], classes: list[str]) -> list[tuple[Path, int]]:
    labels = {name: label for label, name in enumerate(classes)}
    return [(recording.path, labels[recording.class_name]) for recording in recordings]


def _spool(
    recordings: list[tuple[Path, int]],
    grid: _Grid,
    part: Part,
    aedat4: Aedat4Reader,
    digest: "hashlib._Hash",
    progress: Progress,
) -> Split:
    spool = Spool(f"{part} recordings")
    for count, (path, _) in enumerate(recordings):
        if progress and count % _TOLD_EVERY == 0:
            progress(f"binning {part} recordings: {count} of {len(recordings)}")
        events = read_events(path, aedat4)
        for values in events:
            digest.update(values.tobytes())
        spool.write(grid.record(events))
    labels = np.array([label for _, label in recordings], np.int32)
    return Split(labels, grid.layout, spool.store(grid.layout.record_bytes))


def _ordered(classes: set[str]) -> list[str]:
    if all(re.fullmatch("[0-9]+", name) for name in classes):
        return sorted(classes, key=int)
    return sorted(classes)


def _from_folder(path: Path) -> tuple[_Parts, str]:
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    paths = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not paths:
        there = f"; it holds {files[0].name}" if files else ""
        raise InputError(f"{path}: no recordings: looked for {', '.join(SUFFIXES)}{there}")
    parts: dict[Part | None, list[_Recording]] = {}
    for file in paths:
        folders = file.relative_to(path).parts[:-1]
        if not folders:
            raise InputError(f"{file}: must lie in a folder named after its class")
        matches = filter(None, map(_PART.fullmatch, folders[:-1]))
        part = next((cast(Part, match[1].lower()) for match in matches), None)
        parts.setdefault(part, []).append(_Recording(file, folders[-1]))
    unsplit = parts.pop(None, [])
    if unsplit and parts:
        raise InputError(f"{unsplit[0].path}: must lie below a folder train or test, as others do")
    if unsplit:
        return _every_fifth(path, unsplit), "every fifth recording of each class"
    return _both(path, cast(_Parts, parts)), "by folder"


def _every_fifth(path: Path, recordings: list[_Recording]) -> _Parts:
    parts: _Parts = {"train": [], "test": []}
    seen: dict[str, int] = {}
    for recording in recordings:
        seen[recording.class_name] = seen.get(recording.class_name, 0) + 1
        part: Part = "train" if seen[recording.class_name] % 5 else "test"
        parts[part].append(recording)
    if not parts["test"]:
        raise InputError(
            f"{path}: no class has 5 recordings: must be so for a fifth to become the test"
        )
    return parts


def _both(path: Path, parts: _Parts) -> _Parts:
    both: _Parts = {"train": parts.get("train", []), "test": parts.get("test", [])}
    for part, recordings in both.items():
        if not recordings:
            raise InputError(f"{path}: no {part} recordings")
    return both


def _from_list(path: Path) -> tuple[_Parts, str]:
    parts: _Parts = {"train": [], "test": []}
    with told_in_one_line(str(path)):
        lines = path.read_text("utf-8", "replace").splitlines()
    for count, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(maxsplit=2)
        if len(fields) != 3 or fields[0] not in parts:
            raise InputError(
                f"{path}: line {count}: {line!r}: must be train or test, a class and a path"
            )
        file = path.parent / fields[2].strip()
        if file.suffix.lower() not in SUFFIXES:
            raise InputError(
                f"{path}: line {count}: {file.name}: must be one of {', '.join(SUFFIXES)}"
            )
        parts["train" if fields[0] == "train" else "test"].append(_Recording(file, fields[1]))
    return _both(path, parts), f"as listed in {path.name}"
