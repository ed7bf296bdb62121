"""Working arrays of the compiled loops, and the names by which the loops find counts and rules."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flipcore.events import COUNT_NAMES
from flipcore.sim.layout import CHUNK

(
    EVENTS,
    MERGED_EVENTS,
    SPIKES,
    SOPS,
    LIVE_STEPS,
    WORDS_VISITED,
    WORDS_DRAWN,
    WORDS_UPDATED,
    MOMENTUM_UPDATES,
    FLIPS,
    WORDS_DECAYED,
    WORDS_CHANGED,
    POTENTIAL_SATURATIONS,
    MOMENTUM_SATURATIONS,
    WEIGHT_READS,
    WEIGHT_WRITES,
    MOMENTUM_READS,
    MOMENTUM_WRITES,
    POTENTIAL_READS,
    POTENTIAL_WRITES,
    TRACE_READS,
    TRACE_WRITES,
    ROW_LIST_READS,
    ROW_LIST_WRITES,
    ERROR_READS,
    ERROR_WRITES,
    EVENT_LIST_READS,
    EVENT_LIST_WRITES,
    TOTAL_READS,
    TOTAL_WRITES,
    INPUT_CYCLES,
    FORWARD_CYCLES,
    SPIKES_CYCLES,
    TRACE_CYCLES,
    ERROR_CYCLES,
    THRESHOLD_CYCLES,
    UPDATE_CYCLES,
    DECAY_CYCLES,
    PREDICT_CYCLES,
) = range(len(COUNT_NAMES))

HINGE, SOFTMAX = 0, 1
PLANE_PITCH = 1024  # 64-bit words from one bit plane to the next: a row of 4096 neurons on one lane
NUM_PLANES = 14  # bits of a count of up to 4096 events, and one more
GROUP = 8  # event rows that one tree of full adders takes in

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt8s = npt.NDArray[np.uint8]


class ErrorRule(NamedTuple):
    """How the readout makes its error (N7)."""

    kind: int
    margin: int
    sharpness: int
    of_total: int


class Scratch(NamedTuple):
    """Working arrays of one run of the loops; nothing in them outlives a sample.

    Per-neuron arrays are padded as `layout.neuron_positions` says and held as [chunks, 16] of all cores, core after core.
    """

    potentials: Int64s  # V
    windows: UInt8s  # h
    is_neuron: UInt8s  # 0 in padding lanes
    errors: Int64s  # delta
    sums: Int64s  # I of N3, then spikes, of the core at hand
    traces: Int64s  # [axons of all cores], a
    events: Int32s  # [axons of all cores], events of this step
    num_events: Int64s  # [cores]
    rows: Int32s  # [axons of all cores], visited rows
    num_rows: Int64s  # [cores]
    live: Int32s  # [words], live words of the core at hand
    totals: Int64s  # [classes]
    outputs: Int64s  # [classes]
    pattern: Int64s  # [4, 16], what the lanes XOR onto a draw (R5), or their constant noise
    planes: npt.NDArray[np.uint16]  # bit planes, then gathered rows, then a carry plane


def make_scratch(cores: npt.NDArray[np.void], positions: Int32s) -> Scratch:
    """Working arrays for these cores."""
    last = cores[-1]
    num_chunks = int(last["chunk_start"] + last["row_chunks"])
    num_axons = int(last["axon_start"] + last["axons"])
    is_neuron = np.zeros(num_chunks * CHUNK, np.uint8)
    for core in cores:
        own = positions[core["position_start"] : core["position_start"] + core["neurons"]]
        is_neuron[core["chunk_start"] * CHUNK + own] = 1
    classes = int(last["neurons"])
    return Scratch(
        potentials=np.zeros((num_chunks, CHUNK), np.int64),
        windows=np.zeros((num_chunks, CHUNK), np.uint8),
        is_neuron=is_neuron.reshape(-1, CHUNK),
        errors=np.zeros((num_chunks, CHUNK), np.int64),
        sums=np.zeros((int(cores["row_chunks"].max()), CHUNK), np.int64),
        traces=np.zeros(num_axons, np.int64),
        events=np.zeros(num_axons + 1, np.int32),
        num_events=np.zeros(len(cores), np.int64),
        rows=np.zeros(num_axons + 1, np.int32),
        num_rows=np.zeros(len(cores), np.int64),
        live=np.zeros(int(cores["words"].max()) + 1, np.int32),
        totals=np.zeros(classes, np.int64),
        outputs=np.zeros(classes, np.int64),
        pattern=np.zeros((4, CHUNK), np.int64),
        planes=np.zeros((NUM_PLANES + GROUP + 1) * PLANE_PITCH * 4, np.uint16),
    )
