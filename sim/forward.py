"""Compiled loops of the phases without learning: input, forward, spikes, predict (N3, N4, N6; T1-T3, T9)."""

import numpy as np

from flipcore import numerics
from flipcore.sim.kernel_cache import compiled
from flipcore.sim.layout import CHUNK
from flipcore.sim.scratch import (
    EVENT_LIST_READS,
    EVENT_LIST_WRITES,
    EVENTS,
    FORWARD_CYCLES,
    INPUT_CYCLES,
    MERGED_EVENTS,
    POTENTIAL_READS,
    POTENTIAL_SATURATIONS,
    POTENTIAL_WRITES,
    PREDICT_CYCLES,
    SOPS,
    SPIKES,
    SPIKES_CYCLES,
    TOTAL_READS,
    TOTAL_WRITES,
    WEIGHT_READS,
)

CHUNKS_PER_WIDE = 4  # chunks of 16 neurons in the 64 that are counted at a time


@compiled
def take_input(axons, offered, has_label, scratch, counts):
    """INPUT of a step: distinct events for core 0, of all that were offered; a label takes one cycle more (T1)."""
    num_events = len(axons)
    for k in range(num_events):
        scratch.events[k] = axons[k]
    scratch.num_events[0] = num_events
    counts[0, INPUT_CYCLES] += offered + 1 + has_label
    counts[0, MERGED_EVENTS] += offered - num_events


@compiled
def forward(c, cores, weights, positions, scratch, first_step, counts):
    """FORWARD and SPIKES of a core but the last (T2, T3)."""
    core = cores[c]
    count = counts[c]
    num_events = scratch.num_events[c]
    _accumulate(weights, core, num_events, scratch)
    count[POTENTIAL_SATURATIONS] += _fire(core, first_step, scratch)
    spikes = scratch.sums
    events = scratch.events[cores[c + 1].axon_start :]
    num_spikes = 0
    cycles = 2
    for j in range(core.words):
        before = num_spikes
        word = j * core.chunks * CHUNK
        first = j * core.lanes
        for lane in range(min(core.lanes, core.neurons - first)):
            events[num_spikes] = first + lane
            num_spikes += spikes[word + lane]
        cycles += max(1, num_spikes - before)
    scratch.num_events[c + 1] = num_spikes
    count[SPIKES] += num_spikes
    count[SPIKES_CYCLES] += cycles
    count[POTENTIAL_READS] += 0 if first_step else core.words
    count[POTENTIAL_WRITES] += core.words
    _count_forward(core, num_events, count)


@compiled
def read_out(cores, weights, positions, scratch, first_step, counts):
    """FORWARD of the last core: outputs of the step and their totals (N6)."""
    c = len(cores) - 1
    core = cores[c]
    count = counts[c]
    num_events = scratch.num_events[c]
    _accumulate(weights, core, num_events, scratch)
    for n in range(core.neurons):
        output = scratch.sums[positions[core.position_start + n]]
        scratch.outputs[n] = output
        scratch.totals[n] = output if first_step else scratch.totals[n] + output
    count[TOTAL_READS] += 0 if first_step else core.words
    count[TOTAL_WRITES] += core.words
    _count_forward(core, num_events, count)


@compiled
def predict(cores, scratch, counts):
    """PREDICT: the class with the largest total (N6, T9)."""
    last = len(cores) - 1
    counts[last, PREDICT_CYCLES] += cores[last].neurons + 2
    counts[last, TOTAL_READS] += cores[last].words
    return np.argmax(scratch.totals)


@compiled
def _count_forward(core, num_events, count):
    count[EVENTS] += num_events
    count[SOPS] += num_events * core.neurons
    count[WEIGHT_READS] += num_events * core.words
    count[EVENT_LIST_READS] += num_events * core.words
    count[EVENT_LIST_WRITES] += num_events
    count[FORWARD_CYCLES] += core.words * (num_events + 3)


@compiled
def _accumulate(weights, core, num_events, scratch):
    """I_n = sum of w over the rows with an event (N3): twice the set bits less the events, 64 neurons at a time."""
    width = np.uint64(core.row_chunks // CHUNKS_PER_WIDE)
    wide_weights = weights.view(np.int64)[core.weight_start // CHUNKS_PER_WIDE :]
    events = scratch.events[core.axon_start :]
    starts = scratch.event_starts
    sums = scratch.wide_sums
    for k in range(num_events):
        starts[k] = np.uint64(events[k]) * width
    num_planes = 3
    while (num_events >> num_planes) > 0:
        num_planes += 1
    for x in range(width):
        _count_bits(wide_weights, starts, num_events, x, num_planes, scratch.planes)
        for lane in range(64):
            sums[x, lane] = -num_events
        for plane in range(num_planes):
            bits = scratch.planes[plane]
            for lane in range(64):
                sums[x, lane] += ((bits >> lane) & 1) << (plane + 1)


@compiled
def _count_bits(weights, starts, num_rows, x, num_planes, planes):
    """Count the set bits of 64 neurons over some rows: bit p of each count in planes[p].

    Full adders shrink eight rows at a time to one carry of weight 8 (carry-save); the rest is added row by row.
    """
    planes[:num_planes] = 0
    ones = np.int64(0)
    twos = np.int64(0)
    fours = np.int64(0)
    num_grouped = num_rows - num_rows % 8
    for k in range(0, num_grouped, 8):
        ones, twos_a = _full_add(ones, weights[starts[k] + x], weights[starts[k + 1] + x])
        ones, twos_b = _full_add(ones, weights[starts[k + 2] + x], weights[starts[k + 3] + x])
        twos, fours_a = _full_add(twos, twos_a, twos_b)
        ones, twos_a = _full_add(ones, weights[starts[k + 4] + x], weights[starts[k + 5] + x])
        ones, twos_b = _full_add(ones, weights[starts[k + 6] + x], weights[starts[k + 7] + x])
        twos, fours_b = _full_add(twos, twos_a, twos_b)
        fours, carry = _full_add(fours, fours_a, fours_b)
        for plane in range(3, num_planes):
            old = planes[plane]
            planes[plane] = old ^ carry
            carry &= old
    planes[0] = ones
    planes[1] = twos
    planes[2] = fours
    for k in range(num_grouped, num_rows):
        carry = weights[starts[k] + x]
        for plane in range(num_planes):
            old = planes[plane]
            planes[plane] = old ^ carry
            carry &= old


@compiled
def _full_add(a, b, c):
    """Sums and carries of 64 full adders."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@compiled
def _fire(core, first_step, scratch):
    """Integrate and fire every neuron (N3, N4), spikes left in `sums`; returns how many potentials were clipped."""
    size = core.row_chunks * CHUNK
    start = core.chunk_start * CHUNK
    sums = scratch.sums
    potentials = scratch.potentials[start : start + size]
    windows = scratch.windows[start : start + size]
    is_neuron = scratch.is_neuron[start : start + size]
    potential_bits = core.potential_bits
    threshold = core.threshold
    window = core.window
    subtract = core.subtract
    leak_shift = core.leak_shift
    is_lif = core.is_lif
    if first_step:
        potentials[:] = 0
    saturations = 0
    for i in range(size):
        summed = potentials[i] + sums[i]
        potential = numerics.clip_potential(summed, potential_bits)
        saturations += (potential != summed) & is_neuron[i]
        windows[i] = numerics.in_window(potential, threshold, window)
        spike = numerics.fires(potential, threshold)
        potential = numerics.reset_potential(potential, spike, threshold, subtract)
        leaked = numerics.leak_potential(potential, leak_shift)
        potentials[i] = leaked if is_lif else potential
        sums[i] = spike
    return saturations
