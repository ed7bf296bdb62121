"""The compiled order of a sample: one phase after the other, as SPEC section 4 has it (O1-O6).

The arithmetic is `flipcore.numerics` itself, made callable from compiled code here; the phases are in `forward` and `learning`.
"""

from types import FunctionType

from numba.extending import register_jitable

from flipcore import numerics
from flipcore.sim.forward import forward, predict, read_out, take_input
from flipcore.sim.kernel_cache import compiled
from flipcore.sim.layout import DECAY_DENSE, DECAY_SCRUB
from flipcore.sim.learning import (
    adapt_threshold,
    decay,
    list_live_words,
    make_error,
    scrub,
    trace,
    update,
)

for _rule in vars(numerics).values():
    if isinstance(_rule, FunctionType):
        register_jitable(_rule)


@compiled
def run_samples(
    cores, positions, weights, momentum, generators, second_moment, scratch, events, starts,
    offered, labels, rule, stages, sample_counter, learn, counts, predictions,
):  # fmt: skip
    """Run samples one after the other through the chip (O1), learning from each or from none.

    Args:
        cores: the table of `layout.core_table`.
        positions: int32, padded position of every neuron, core after core.
        weights: as in `layout.ChipState`, changed if `learn`; so are the next three.
        momentum: as in `layout.ChipState`.
        generators: as in `layout.ChipState`.
        second_moment: as in `layout.ChipState`.
        scratch: working arrays.
        events: int32, axons of the input events, step after step, sample after sample, ascending in each step.
        starts: int64 [samples * steps + 1], where each step's events start.
        offered: int32 [samples, steps], events offered, merged ones included.
        labels: int32 [samples]; read only if `learn`.
        rule: ErrorRule (N7).
        stages: int64 [stages, 3], the schedule (O6).
        sample_counter: counter of the first sample (O5).
        learn: whether the chip learns.
        counts: int64 [cores, counts], added to.
        predictions: int32 [samples], written (N6).
    """
    num_steps = offered.shape[1]
    last = len(cores) - 1
    state = (weights, momentum, generators)
    for sample in range(len(predictions)):
        shift_add, period_multiply = schedule_stage(stages, sample_counter + sample)
        for t in range(num_steps):
            first_step = t == 0
            k = sample * num_steps + t
            axons = events[starts[k] : starts[k + 1]]
            take_input(axons, offered[sample, t], learn and first_step, scratch, counts)
            for c in range(last):
                forward(c, cores, weights, positions, scratch, first_step, counts)
            read_out(cores, weights, positions, scratch, first_step, counts)
            if learn:
                for c in range(last + 1):
                    trace(c, cores, scratch, first_step, counts)
                num_live = make_error(cores, positions, scratch, labels[sample], rule, counts)
                _learn_step(
                    t, cores, state, second_moment, positions, scratch, num_live, shift_add, counts
                )
        if learn:
            for c in range(last + 1):
                if cores[c].decay == DECAY_SCRUB:
                    counter = sample_counter + sample
                    scrub(c, cores, state, scratch, counter, period_multiply, counts)
        predictions[sample] = predict(cores, scratch, counts)


@compiled
def _learn_step(
    t, cores, state, second_moment, positions, scratch, num_live, shift_add, counts
):  # fmt: skip
    """THRESHOLD, UPDATE and dense decay of the cores from the last to the first (O1)."""
    for c in range(len(cores) - 1, -1, -1):
        core = cores[c]
        if c < len(cores) - 1:
            num_live = list_live_words(core, scratch)
        flip_threshold = core.flip_threshold
        if core.is_tbso:
            flip_threshold = adapt_threshold(c, t, core, second_moment, scratch, counts[c])
        shift = core.gradient_shift + shift_add
        update(c, cores, state, positions, scratch, num_live, shift, flip_threshold, counts)
        if core.decay == DECAY_DENSE:
            decay(c, core, state, scratch, 0, 1, counts[c])


@compiled
def schedule_stage(stages, sample):
    """Growth of the gradient shift and of the scrub period for a training sample (O6)."""
    shift_add = 0
    period_multiply = 1
    for k in range(len(stages)):
        if stages[k, 0] <= sample:
            shift_add = stages[k, 1]
            period_multiply = stages[k, 2]
    return shift_add, period_multiply
