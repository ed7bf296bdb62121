"""Compiled loops of the learning phases: trace, error, threshold, update, decay (N5, N7-N14; T4-T8)."""

import numpy as np

from flipcore import numerics
from flipcore.sim.kernel_cache import compiled
from flipcore.sim.layout import CHUNK, NEAREST, NO_TRACE_MEMORY, STOCHASTIC
from flipcore.sim.scratch import (
    DECAY_CYCLES,
    ERROR_CYCLES,
    ERROR_READS,
    ERROR_WRITES,
    FLIPS,
    HINGE,
    LIVE_STEPS,
    MOMENTUM_READS,
    MOMENTUM_SATURATIONS,
    MOMENTUM_UPDATES,
    MOMENTUM_WRITES,
    ROW_LIST_READS,
    ROW_LIST_WRITES,
    THRESHOLD_CYCLES,
    TOTAL_READS,
    TRACE_CYCLES,
    TRACE_READS,
    TRACE_WRITES,
    UPDATE_CYCLES,
    WEIGHT_READS,
    WEIGHT_WRITES,
    WORDS_CHANGED,
    WORDS_DECAYED,
    WORDS_DRAWN,
    WORDS_UPDATED,
    WORDS_VISITED,
)

UNIT_ERROR = numerics.UNIT_ERROR
EXPONENTIALS = np.array(numerics.EXPONENTIALS, np.int64)


@compiled
def trace(c, cores, scratch, first_step, counts):
    """TRACE of a core: decay, events of this step, count of visited rows (N5, O2, T4)."""
    core = cores[c]
    count = counts[c]
    start = core.axon_start
    traces = scratch.traces[start : start + core.axons]
    has_memory = core.trace_decay_shift != NO_TRACE_MEMORY
    if first_step or not has_memory:
        traces[:] = 0
    else:
        for i in range(core.axons):
            traces[i] = numerics.decay_trace(traces[i], core.trace_decay_shift)
    for k in range(scratch.num_events[c]):
        row = scratch.events[start + k]
        traces[row] = numerics.raise_trace(traces[row], 1, core.trace_unit, core.trace_bits)
    in_window = scratch.in_window[start : start + core.axons]
    if c > 0:
        _unpad_windows(cores[c - 1], scratch.windows, in_window)
    ports = core.ports if has_memory else 1
    num_rows = 0
    cycles = 2
    for first in range(0, core.axons, core.lanes):
        word_traces = traces[first : first + core.lanes]
        word_windows = in_window[first : first + core.lanes]
        in_word = 0
        for i in range(len(word_traces)):
            in_word += (word_traces[i] != 0) | (word_windows[i] != 0)
        num_rows += in_word
        cycles += max(ports, in_word)
    scratch.num_rows[c] = num_rows
    count[TRACE_READS] += 0 if first_step or not has_memory else core.trace_words
    count[TRACE_WRITES] += core.trace_words if has_memory else 0
    count[ROW_LIST_WRITES] += num_rows
    count[TRACE_CYCLES] += cycles


@compiled
def _unpad_windows(core, windows, unpadded):
    """Window bits of a core's neurons without the padding."""
    for j in range(core.words):
        place = core.chunk_start * CHUNK + j * core.chunks * CHUNK
        word = windows[place : place + core.lanes]
        own = unpadded[j * core.lanes : (j + 1) * core.lanes]
        for lane in range(len(own)):
            own[lane] = word[lane]


@compiled
def make_error(cores, positions, scratch, label, rule, counts):
    """ERROR of the readout (N7, T5); returns the number of live words, listed in `live`."""
    core = cores[len(cores) - 1]
    count = counts[len(cores) - 1]
    values = scratch.totals if rule.of_total else scratch.outputs
    place = positions[core.position_start :]
    errors = scratch.errors[core.chunk_start : core.chunk_start + core.row_chunks]
    errors[:] = 0
    if rule.kind == HINGE:
        rival = -1
        for n in range(core.neurons):
            if n != label and (rival < 0 or values[n] > values[rival]):
                rival = n
        if values[label] - values[rival] < rule.margin:
            errors[place[label] >> 4, place[label] & 15] = -UNIT_ERROR
            errors[place[rival] >> 4, place[rival] & 15] = UNIT_ERROR
        cycles = core.neurons + 2
        passes = 1
    else:
        maximum = values[0]
        for n in range(core.neurons):
            maximum = max(maximum, values[n])
        whole = 0
        for n in range(core.neurons):
            whole += EXPONENTIALS[numerics.softmax_index(maximum, values[n], rule.sharpness)]
        for n in range(core.neurons):
            part = EXPONENTIALS[numerics.softmax_index(maximum, values[n], rule.sharpness)]
            probability = numerics.divide_unit(part, whole)
            errors[place[n] >> 4, place[n] & 15] = probability - UNIT_ERROR * (n == label)
        cycles = 10 * core.neurons + 2
        passes = 3  # maximum, sum, division
    num_live = list_live_words(core, scratch)
    count[ERROR_CYCLES] += cycles + num_live
    count[ERROR_WRITES] += num_live
    count[TOTAL_READS] += passes * core.words if rule.of_total else 0
    return num_live


@compiled
def list_live_words(core, scratch):
    """List the words with an error that is not 0 (O2); returns how many."""
    num_live = 0
    for j in range(core.words):
        first = core.chunk_start + j * core.chunks
        any_error = np.int64(0)
        for x in range(first, first + core.chunks):
            for lane in range(CHUNK):
                any_error |= scratch.errors[x, lane]
        scratch.live[num_live] = j * core.chunks
        num_live += any_error != 0
    return num_live


@compiled
def adapt_threshold(c, t, core, second_moment, scratch, count):
    """THRESHOLD: T-BSO's adaptive flip threshold of this step (N14, T6)."""
    errors = np.int64(0)
    for x in range(core.chunk_start, core.chunk_start + core.row_chunks):
        for lane in range(CHUNK):
            errors += scratch.errors[x, lane] * scratch.errors[x, lane]
    traces = np.int64(0)
    for i in range(core.axon_start, core.axon_start + core.axons):
        traces += scratch.traces[i] * scratch.traces[i]
    second_moment[c, t] = numerics.average_square(
        second_moment[c, t], errors * traces, core.square_shift, core.average_shift
    )
    count[THRESHOLD_CYCLES] += 20
    return numerics.adaptive_threshold(
        second_moment[c, t], core.threshold_gain, core.threshold_shift, core.momentum_limit
    )


@compiled
def _start_noise(core, shift, generators, pattern):
    """Set what the lanes XOR onto the shared draw, so that one expression gives the noise of every rounding mode; returns its mask.

    Lane constants of the shared generator, the states of per-lane generators, or a constant without a generator (N10, R5).
    """
    for lane in range(4 * CHUNK):
        if core.rounding != STOCHASTIC:
            noise = numerics.nearest_noise(shift) if core.rounding == NEAREST else 0
        elif core.per_lane:
            noise = generators[lane]
        else:
            noise = numerics.lane_key(lane)
        pattern[lane >> 4, lane & 15] = noise
    return numerics.noise_mask(shift) if core.rounding == STOCHASTIC else -1


@compiled
def _keep_generators(core, generators, pattern):
    """Put the states of per-lane generators back where they are kept."""
    if core.rounding == STOCHASTIC and core.per_lane:
        for lane in range(core.lanes):
            generators[lane] = pattern[lane >> 4, lane & 15]


@compiled
def _step_generators(chunks, pattern):
    """Step the lanes' own generators once (R5)."""
    for x in range(chunks):
        for lane in range(CHUNK):
            pattern[x, lane] = numerics.xorshift32(pattern[x, lane])


@compiled
def _learn_rows(
    core, traces, in_window, live, num_live, weights, momentum, errors, generators, shift, mask,
    flip_threshold, pattern, count,
):  # fmt: skip
    """Learn the live words of every row with a trace (N9-N12); returns the number of words updated."""
    chunks = np.uint64(core.chunks)
    limit = core.momentum_limit
    keep = 1 - core.reset_momentum
    stochastic = core.rounding == STOCHASTIC
    is_shared = core.per_lane == 0
    base = generators[0] if stochastic and is_shared else 0
    tally = np.int64(0)  # momentum updates, and saturations above them: one sum costs half of two
    rows_learnt = 0
    updated = 0
    num_flips = 0
    weight_reads = 0
    words_flipped = 0
    for row in range(core.axons):
        trace = traces[row]
        if trace == 0:
            continue
        row_start = np.uint64(core.weight_start + row * core.row_chunks)
        rows_learnt += 1
        updated_before = updated
        for m in range(num_live):
            j = live[m]
            word = row_start + j
            if stochastic:
                if is_shared:
                    base = numerics.xorshift32(base)
                else:
                    _step_generators(core.chunks, pattern)
            word_tally = np.int64(0)
            flips_before = num_flips
            for x in range(chunks):
                bits = np.int64(weights[word + x])
                flipped = np.int64(0)
                chunk_tally = np.int64(0)
                for lane in range(CHUNK):
                    noise = (base ^ pattern[x, lane]) & mask
                    q = numerics.round_gradient(trace * errors[j + x, lane], noise, shift)
                    old = np.int64(momentum[word + x, lane])
                    new = numerics.update_momentum(old, q, limit)
                    weight = 2 * ((bits >> lane) & 1) - 1
                    flip = (q != 0) & numerics.flips(weight, new, flip_threshold)
                    momentum[word + x, lane] = new * (keep | (1 - flip))
                    flipped |= np.int64(flip) << lane
                    chunk_tally += (q != 0) + (np.int64(old + q != new) << 32)
                word_tally += chunk_tally
                if flipped != 0:
                    num_flips += _ones(flipped)
                    weights[word + x] = np.uint16(bits ^ flipped)
            tally += word_tally
            updated += word_tally != 0
            words_flipped += num_flips != flips_before
        if in_window[row] == 0:
            weight_reads += updated - updated_before
    if stochastic and is_shared:
        generators[0] = base
    count[WORDS_DRAWN] += rows_learnt * num_live if stochastic else 0
    count[WORDS_UPDATED] += updated
    count[MOMENTUM_UPDATES] += tally & 0xFFFFFFFF
    count[MOMENTUM_SATURATIONS] += tally >> 32
    count[FLIPS] += num_flips
    count[WEIGHT_READS] += weight_reads
    count[WEIGHT_WRITES] += words_flipped
    return updated


@compiled
def _ones(bits):
    """Number of set bits of 16."""
    bits = bits - ((bits >> 1) & 0x5555)
    bits = (bits & 0x3333) + ((bits >> 2) & 0x3333)
    bits = (bits + (bits >> 4)) & 0x0F0F
    return (bits + (bits >> 8)) & 31


@compiled
def _backward(core, below, in_window, place, live, num_live, weights, errors, errors_below, count):
    """Errors of the layer below (N8), with the weights before any of them is changed."""
    chunks = np.uint64(core.chunks)
    error_shift = core.error_shift
    error_bits = below.error_bits
    for row in range(core.axons):
        if in_window[row] == 0:
            continue
        row_start = np.uint64(core.weight_start + row * core.row_chunks)
        set_bits = np.int64(0)
        whole = np.int64(0)
        for m in range(num_live):
            j = live[m]
            for x in range(chunks):
                bits = np.int64(weights[row_start + j + x])
                for lane in range(CHUNK):
                    set_bits += errors[j + x, lane] * ((bits >> lane) & 1)
                    whole += errors[j + x, lane]
        error = numerics.scale_error(2 * set_bits - whole, error_shift, error_bits)
        errors_below[place[row] >> 4, place[row] & 15] = error
        count[WEIGHT_READS] += num_live  # T10: serves the row's learning as well


@compiled
def update(c, cores, state, positions, scratch, num_live, shift, flip_threshold, counts):
    """UPDATE of a core: errors of the layer below and the learning of every visited row (O3, T7)."""
    weights, momentum, generators = state
    core = cores[c]
    count = counts[c]
    if c < len(cores) - 1:  # the error words that the update of the core above wrote
        count[ERROR_WRITES] += num_live
    below = cores[max(c - 1, 0)]
    errors_below = scratch.errors[below.chunk_start : below.chunk_start + below.row_chunks]
    if c > 0:
        errors_below[:] = 0
    if num_live == 0:
        count[UPDATE_CYCLES] += 1
        return
    errors = scratch.errors[core.chunk_start : core.chunk_start + core.row_chunks]
    traces = scratch.traces[core.axon_start :]
    in_window = scratch.in_window[core.axon_start :]
    live = scratch.live
    pattern = scratch.pattern
    if c > 0:
        place = positions[below.position_start :]
        _backward(
            core, below, in_window, place, live, num_live, weights, errors, errors_below, count
        )
    mask = _start_noise(core, shift, generators[c], pattern)
    updated = _learn_rows(
        core, traces, in_window, live, num_live, weights, momentum, errors, generators[c],
        shift, mask, flip_threshold, pattern, count,
    )  # fmt: skip
    _keep_generators(core, generators[c], pattern)
    num_rows = scratch.num_rows[c]
    count[LIVE_STEPS] += 1
    count[WORDS_VISITED] += num_rows * num_live
    count[MOMENTUM_READS] += updated
    count[MOMENTUM_WRITES] += updated
    count[ROW_LIST_READS] += num_rows
    count[ERROR_READS] += num_rows * num_live
    cycles = 4 + num_rows * num_live + (core.ports - 1) * updated
    count[UPDATE_CYCLES] += cycles + (1 + core.adder_depth if c > 0 else 0)


@compiled
def scrub(c, cores, state, scratch, sample_counter, period_multiply, counts):
    """Decay the rows of a core whose turn it is after a training sample (N13)."""
    period = cores[c].scrub_period * period_multiply
    decay(c, cores[c], state, scratch, sample_counter % period, period, counts[c])


@compiled
def decay(c, core, state, scratch, first_row, row_step, count):
    """Decay the momentum of rows first_row, first_row + row_step, ... (N13, O4, T8)."""
    _, momentum, generators = state
    pattern = scratch.pattern
    shift = core.decay_shift
    stochastic = core.rounding == STOCHASTIC
    is_shared = core.per_lane == 0
    mask = _start_noise(core, shift, generators[c], pattern)
    base = generators[c, 0] if stochastic and is_shared else 0
    visited = 0
    changed = 0
    for row in range(first_row, core.axons, row_step):
        for j in range(core.words):
            if stochastic:
                if is_shared:
                    base = numerics.xorshift32(base)
                else:
                    _step_generators(core.chunks, pattern)
            any_change = np.int64(0)
            for x in range(core.chunks):
                place = (core.chunk_start + j * core.chunks + x) * CHUNK
                word = core.weight_start + row * core.row_chunks + j * core.chunks + x
                for lane in range(CHUNK):
                    noise = (base ^ pattern[x, lane]) & mask
                    old = np.int64(momentum[word, lane])
                    new = numerics.decay_momentum(old, noise, shift)
                    # Padding lanes hold 0 and must stay 0 (S2) whatever their noise.
                    new *= scratch.is_neuron[place + lane]
                    momentum[word, lane] = new
                    any_change |= old ^ new
            visited += 1
            changed += any_change != 0
    if stochastic and is_shared:
        generators[c, 0] = base
    _keep_generators(core, generators[c], pattern)
    count[WORDS_DECAYED] += visited
    count[WORDS_CHANGED] += changed
    count[MOMENTUM_READS] += visited
    count[MOMENTUM_WRITES] += changed
    count[WORDS_DRAWN] += visited if stochastic else 0
    count[DECAY_CYCLES] += 2 + visited + (core.ports - 1) * changed
