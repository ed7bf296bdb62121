"""N-MNIST: event-camera recordings of digits, binned into the network's steps."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError
from flipcore.sim.data.dataset import (
    Dataset,
    EventLayout,
    Progress,
    Provenance,
    Split,
    make_dataset,
)
from flipcore.sim.data.recordings import (
    Part,
    Recording,
    find_recordings,
    opened_sources,
)
from flipcore.sim.data.store import Int64s, Spool, sha256_of

SENSOR = 34  # pixels in a row and in a column
NUM_AXONS = 2 * SENSOR * SENSOR
EVENT_BYTES = 5
# Three saccades of 105 ms. Fixed, so that the chip's steps are a steady clock; few recordings last
# longer, and only by a few events.
WINDOW_US = 315_000
_TOLD_EVERY = 1000


def load_nmnist(paths: Sequence[Path], *, num_steps: int, spec: str, progress: Progress) -> Dataset:
    """Load recordings; an event at t us falls into step min(t * steps // 315000, steps - 1).

    Axon (polarity * 34 + y) * 34 + x. The order of events in a file does not matter. `late_events`
    in the provenance counts those after 315 ms, which the last step takes.

    Raises:
        InputError: a path, a list or a recording is missing, corrupt or there twice.
    """
    layout = EventLayout(NUM_AXONS, num_steps)
    splits: dict[Part, Split] = {}
    provenance: Provenance = {"spec": spec, "window_us": WINDOW_US}
    late_events = 0
    with opened_sources(paths) as sources:
        for number, source in enumerate(sources):
            provenance[f"source_{number}"] = source.path.name
            if source.path.is_file():
                provenance[f"source_{number}_sha256"] = sha256_of(source.path)
        for part, recordings in find_recordings(sources).items():
            splits[part], digest, late = _spool(recordings, layout, f"{part} recordings", progress)
            provenance[f"{part}_recordings_sha256"] = digest
            late_events += late
    provenance["late_events"] = late_events
    return make_dataset(
        "n-mnist", train=splits["train"], test=splits["test"], provenance=provenance
    )


def bin_events(content: bytes, layout: EventLayout, where: str) -> tuple[bytes, int]:
    """One recording as a raw record of `layout`, and the number of its events after the window.

    An event is 5 bytes, most significant bit first: x (8), y (8), polarity (1), time in us (23).

    Raises:
        InputError: no events, a broken last event, or an event outside the sensor.
    """
    if not content or len(content) % EVENT_BYTES:
        raise InputError(
            f"{where}: {len(content)} bytes: must be a positive multiple of {EVENT_BYTES}"
        )
    fields = np.frombuffer(content, np.uint8).reshape(-1, EVENT_BYTES).astype(np.int64)
    x, y = fields[:, 0], fields[:, 1]
    _check_on_sensor(x, y, where)
    polarity = fields[:, 2] >> 7
    time_us = ((fields[:, 2] & 0x7F) << 16) | (fields[:, 3] << 8) | fields[:, 4]
    step = np.minimum(time_us * layout.num_steps // WINDOW_US, layout.num_steps - 1)
    flags = np.zeros((layout.num_steps, layout.num_axons), np.bool_)
    flags[step, (polarity * SENSOR + y) * SENSOR + x] = True
    merged = np.bincount(step, minlength=layout.num_steps) - flags.sum(axis=1)
    return layout.encode(flags, merged), int((time_us >= WINDOW_US).sum())


def _check_on_sensor(x: Int64s, y: Int64s, where: str) -> None:
    bad = np.flatnonzero((x >= SENSOR) | (y >= SENSOR))
    if len(bad):
        first = int(bad[0])
        raise InputError(
            f"{where}: event {first}: x {x[first]}, y {y[first]}: must be 0 ... {SENSOR - 1}"
        )


def _spool(
    recordings: list[Recording], layout: EventLayout, title: str, progress: Progress
) -> tuple[Split, str, int]:
    spool = Spool(title)
    digest = hashlib.sha256()
    late_events = 0
    for count, recording in enumerate(recordings):
        if progress and count % _TOLD_EVERY == 0:
            progress(f"binning {title}: {count} of {len(recordings)}")
        content = recording.read()
        digest.update(content)
        record, late = bin_events(content, layout, recording.where)
        spool.write(record)
        late_events += late
    labels: npt.NDArray[np.int32] = np.array(
        [recording.label for recording in recordings], np.int32
    )
    return Split(labels, layout, spool.store(layout.record_bytes)), digest.hexdigest(), late_events
