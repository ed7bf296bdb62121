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
NUM_PLANES = 13  # bits of a count of up to 4096 events

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt64s = npt.NDArray[np.uint64]
UInt8s = npt.NDArray[np.uint8]


class ErrorRule(NamedTuple):
    """How the readout makes its error (N7)."""

    kind: int
    margin: int
    sharpness: int
    of_total: int


class Scratch(NamedTuple):
    """Working arrays of one run of the loops; nothing in them outlives a sample.

    Per-neuron arrays are padded as `layout.neuron_positions` says, core after core; [chunks, 16] where words are handled one by one.
    """

    potentials: Int64s  # V
    windows: UInt8s  # h
    is_neuron: UInt8s  # 0 in padding lanes
    errors: Int64s  # [chunks, 16], delta
    sums: Int64s  # I of N3, then spikes, of the core at hand
    wide_sums: Int64s  # the same memory, 64 neurons a row
    planes: Int64s  # bit planes of the counts of 64 neurons
    traces: Int64s  # [axons of all cores], a
    in_window: UInt8s  # [axons of all cores], h of the neuron below, 0 for inputs
    events: Int32s  # [axons of all cores], events of this step
    event_starts: UInt64s  # where the weights of each event's row start, of the core at hand
    num_events: Int64s  # [cores]
    num_rows: Int64s  # [cores], visited rows
    live: UInt64s  # [words], first chunk of each live word of the core at hand
    totals: Int64s  # [classes]
    outputs: Int64s  # [classes]
    pattern: Int64s  # [4, 16], what the lanes XOR onto a draw (R5), or their constant noise


def make_scratch(cores: npt.NDArray[np.void], positions: Int32s) -> Scratch:
    """Working arrays for these cores."""
    last = cores[-1]
    num_lanes = int(last["chunk_start"] + last["row_chunks"]) * CHUNK
    num_axons = int(last["axon_start"] + last["axons"])
    widest = int(cores["row_chunks"].max()) * CHUNK
    is_neuron = np.zeros(num_lanes, np.uint8)
    for core in cores:
        own = positions[core["position_start"] : core["position_start"] + core["neurons"]]
        is_neuron[core["chunk_start"] * CHUNK + own] = 1
    classes = int(last["neurons"])
    sums = np.zeros(widest, np.int64)
    return Scratch(
        potentials=np.zeros(num_lanes, np.int64),
        windows=np.zeros(num_lanes, np.uint8),
        is_neuron=is_neuron,
        errors=np.zeros((num_lanes // CHUNK, CHUNK), np.int64),
        sums=sums,
        wide_sums=sums.reshape(-1, 64),
        planes=np.zeros(NUM_PLANES, np.int64),
        traces=np.zeros(num_axons, np.int64),
        in_window=np.zeros(num_axons, np.uint8),
        events=np.zeros(num_axons + 1, np.int32),
        event_starts=np.zeros(int(cores["axons"].max()), np.uint64),
        num_events=np.zeros(len(cores), np.int64),
        num_rows=np.zeros(len(cores), np.int64),
        live=np.zeros(int(cores["words"].max()) + 1, np.uint64),
        totals=np.zeros(classes, np.int64),
        outputs=np.zeros(classes, np.int64),
        pattern=np.zeros((4, CHUNK), np.int64),
    )
