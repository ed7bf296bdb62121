"""Compiled loops of the forward phases: integrate, fire, spikes, readout (N3, N4, N6; T2, T3)."""

import numpy as np

from flipcore import numerics
from flipcore.sim.kernel_cache import compiled
from flipcore.sim.layout import CHUNK
from flipcore.sim.scratch import (
    EVENT_LIST_READS,
    EVENT_LIST_WRITES,
    EVENTS,
    FORWARD_CYCLES,
    GROUP,
    NUM_PLANES,
    PLANE_PITCH,
    POTENTIAL_READS,
    POTENTIAL_SATURATIONS,
    POTENTIAL_WRITES,
    SOPS,
    SPIKES,
    SPIKES_CYCLES,
    TOTAL_READS,
    TOTAL_WRITES,
    WEIGHT_READS,
)

GATHERED = NUM_PLANES * PLANE_PITCH
CARRY = (NUM_PLANES + GROUP) * PLANE_PITCH


@compiled
def forward(c, cores, weights, positions, scratch, first_step, counts):
    """FORWARD and SPIKES of a core but the last (T2, T3)."""
    core = cores[c]
    count = counts[c]
    num_events = scratch.num_events[c]
    _accumulate(weights, core, scratch.events, num_events, scratch.planes, scratch.sums)
    count[POTENTIAL_SATURATIONS] += _fire(
        core,
        first_step,
        scratch.sums,
        scratch.potentials,
        scratch.windows,
        scratch.is_neuron,
    )
    spikes = scratch.sums.reshape(-1)
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
    _accumulate(weights, core, scratch.events, num_events, scratch.planes, scratch.sums)
    for n in range(core.neurons):
        place = positions[core.position_start + n]
        output = scratch.sums[place >> 4, place & 15]
        scratch.outputs[n] = output
        scratch.totals[n] = output if first_step else scratch.totals[n] + output
    count[TOTAL_READS] += 0 if first_step else core.words
    count[TOTAL_WRITES] += core.words
    _count_forward(core, num_events, count)


@compiled
def _count_forward(core, num_events, count):
    count[EVENTS] += num_events
    count[SOPS] += num_events * core.neurons
    count[WEIGHT_READS] += num_events * core.words
    count[EVENT_LIST_READS] += num_events * core.words
    count[EVENT_LIST_WRITES] += num_events
    count[FORWARD_CYCLES] += core.words * (num_events + 3)


@compiled
def _accumulate(weights, core, events, num_events, planes, sums):
    """I_n = sum of w over the rows with an event (N3): set bits counted in carry-save planes, 2 * count - events."""
    width = core.row_chunks // 4
    wide_weights = weights.view(np.uint64)[core.weight_start // 4 :]
    wide_planes = planes.view(np.uint64)
    for plane in range(3):
        for x in range(width):
            wide_planes[plane * PLANE_PITCH + x] = 0
    num_planes = 3
    for first in range(0, num_events, GROUP):
        for k in range(GROUP):
            place = GATHERED + k * PLANE_PITCH
            if first + k < num_events:
                start = events[core.axon_start + first + k] * width
                for x in range(width):
                    wide_planes[place + x] = wide_weights[start + x]
            else:
                for x in range(width):
                    wide_planes[place + x] = 0
        _add_group(wide_planes, width)
        # The carry of weight 8 ripples only as far as the count of earlier groups reaches.
        plane = 3
        while (first >> plane) > 0:
            _ripple(wide_planes, plane, width)
            plane += 1
        _put_carry(wide_planes, plane, plane == num_planes, width)
        num_planes = max(num_planes, plane + 1)
    for x in range(core.row_chunks):
        for lane in range(CHUNK):
            sums[x, lane] = -num_events
    for plane in range(num_planes):
        _add_plane(planes[plane * PLANE_PITCH * 4 :], plane, core.row_chunks, sums)


@compiled
def _add_group(planes, width):
    """Add eight gathered rows to the planes of weight 1, 2 and 4; the carry of weight 8 is left in CARRY."""
    for x in range(width):
        r0 = planes[GATHERED + x]
        r1 = planes[GATHERED + PLANE_PITCH + x]
        r2 = planes[GATHERED + 2 * PLANE_PITCH + x]
        r3 = planes[GATHERED + 3 * PLANE_PITCH + x]
        r4 = planes[GATHERED + 4 * PLANE_PITCH + x]
        r5 = planes[GATHERED + 5 * PLANE_PITCH + x]
        r6 = planes[GATHERED + 6 * PLANE_PITCH + x]
        r7 = planes[GATHERED + 7 * PLANE_PITCH + x]
        ones = planes[x]
        twos = planes[PLANE_PITCH + x]
        fours = planes[2 * PLANE_PITCH + x]
        half = ones ^ r0
        twos_a = (ones & r0) | (half & r1)
        ones = half ^ r1
        half = ones ^ r2
        twos_b = (ones & r2) | (half & r3)
        ones = half ^ r3
        half = twos ^ twos_a
        fours_a = (twos & twos_a) | (half & twos_b)
        twos = half ^ twos_b
        half = ones ^ r4
        twos_a = (ones & r4) | (half & r5)
        ones = half ^ r5
        half = ones ^ r6
        twos_b = (ones & r6) | (half & r7)
        ones = half ^ r7
        half = twos ^ twos_a
        fours_b = (twos & twos_a) | (half & twos_b)
        twos = half ^ twos_b
        half = fours ^ fours_a
        planes[CARRY + x] = (fours & fours_a) | (half & fours_b)
        planes[x] = ones
        planes[PLANE_PITCH + x] = twos
        planes[2 * PLANE_PITCH + x] = half ^ fours_b


@compiled
def _ripple(planes, plane, width):
    for x in range(width):
        old = planes[plane * PLANE_PITCH + x]
        carry = planes[CARRY + x]
        planes[plane * PLANE_PITCH + x] = old ^ carry
        planes[CARRY + x] = old & carry


@compiled
def _put_carry(planes, plane, is_new, width):
    for x in range(width):
        old = np.uint64(0) if is_new else planes[plane * PLANE_PITCH + x]
        planes[plane * PLANE_PITCH + x] = old | planes[CARRY + x]


@compiled
def _add_plane(planes, plane, width, sums):
    """Add a plane's bits, twice their weight, to the sums."""
    one = 1 << (plane + 1)
    for x in range(width):
        bits = np.int64(planes[x]) << (plane + 1)
        for lane in range(CHUNK):
            sums[x, lane] += (bits >> lane) & one


@compiled
def _fire(core, first_step, sums, potentials, windows, is_neuron):
    """Integrate and fire every neuron (N3, N4), spikes left in `sums`; returns how many potentials were clipped."""
    saturations = 0
    for x in range(core.row_chunks):
        place = core.chunk_start + x
        for lane in range(CHUNK):
            before = 0 if first_step else potentials[place, lane]
            summed = before + sums[x, lane]
            potential = numerics.clip_potential(summed, core.potential_bits)
            saturations += (potential != summed) & is_neuron[place, lane]
            windows[place, lane] = numerics.in_window(potential, core.threshold, core.window)
            spike = numerics.fires(potential, core.threshold)
            potential = numerics.reset_potential(potential, spike, core.threshold, core.subtract)
            leaked = numerics.leak_potential(potential, core.leak_shift)
            potentials[place, lane] = leaked if core.is_lif else potential
            sums[x, lane] = spike
    return saturations
