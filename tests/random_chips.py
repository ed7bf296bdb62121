"""Random chip descriptions for hypothesis: every option and every limit that a chip may have, sizes kept small."""

from typing import Any

from hypothesis import strategies as st

from flipcore.chip import MAX_GRADIENT_SHIFT, MAX_SCRUB_PERIOD

Document = dict[str, Any]

MAX_SYNAPSES = 700  # of one core, so that the scalar oracle keeps up
LAYER_COUNTS = (1, 1, 2, 2, 2, 3, 4)  # with the readout
LANES = st.one_of(
    st.sampled_from((1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64)), st.integers(1, 64)
)


@st.composite
def _small_or_any(draw: st.DrawFn, low: int, small: int, high: int) -> int:
    """Mostly values at which a small chip does something, at times any legal one."""
    if draw(st.integers(0, 5)) < 4:
        return draw(st.integers(low, min(small, high)))
    return draw(st.one_of(st.integers(low, high), st.just(high)))


@st.composite
def _sizes(draw: st.DrawFn, largest: int) -> int:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return 1
    return draw(st.integers(min(6, largest), largest if kind > 3 else min(largest, 24)))


@st.composite
def core_documents(draw: st.DrawFn, *, is_readout: bool, max_gradient_shift: int) -> Document:
    """All parameters of a core but its size."""
    potential_bits = draw(_small_or_any(4, 6, 24))
    top = 1 << (potential_bits - 1)
    trace_bits = draw(st.integers(1, 8))
    momentum_bits = draw(st.integers(2, 16))
    limit = (1 << (momentum_bits - 1)) - 1
    threshold_of_flip: st.SearchStrategy[int | str] = st.one_of(
        st.just("auto"), _small_or_any(0, 8, limit - 1)
    )
    return {
        "lanes": draw(LANES),
        "memory_ports": draw(st.sampled_from(("1rw", "1r1w"))),
        "neuron": draw(st.sampled_from(("lif", "if"))),
        "potential_bits": potential_bits,
        "threshold": draw(_small_or_any(1, 3, top - 1)),
        "leak_shift": draw(st.integers(1, 15)),
        "reset": draw(st.sampled_from(("subtract", "zero"))),
        "window": draw(_small_or_any(1, 8, 2 * top)),
        "trace_bits": trace_bits,
        "trace_unit": draw(st.integers(1, (1 << trace_bits) - 1)),
        "trace_decay_shift": draw(st.one_of(st.integers(1, 7), st.just("none"))),
        "error_bits": draw(st.integers(8 if is_readout else 4, 12)),
        "error_shift": draw(_small_or_any(0, 3, 15)),
        "rule": draw(st.sampled_from(("bso", "bso", "tbso"))),
        "momentum_bits": momentum_bits,
        "flip_threshold": draw(threshold_of_flip),
        "gradient_shift": draw(_small_or_any(0, min(9, max_gradient_shift), max_gradient_shift)),
        "rounding": draw(st.sampled_from(("stochastic", "stochastic", "nearest", "floor"))),
        "random_source": draw(st.sampled_from(("shared", "per_lane"))),
        "momentum_at_flip": draw(st.sampled_from(("reset", "keep"))),
        "decay": draw(st.sampled_from(("none", "scrub", "dense"))),
        "decay_shift": draw(_small_or_any(1, 4, 15)),
        "scrub_period": 1 << draw(_small_or_any(0, 2, 16)),
        "square_shift": draw(st.integers(0, 31)),
        "average_shift": draw(st.integers(0, 15)),
        "threshold_gain": draw(_small_or_any(1, 9, 65535)),
        "threshold_shift": draw(_small_or_any(0, 9, 31)),
    }


@st.composite
def _schedules(draw: st.DrawFn, growth: int) -> list[Document]:
    starts = draw(st.lists(st.integers(0, 6), max_size=3, unique=True))
    return [
        {
            "after_samples": start,
            "gradient_shift_add": draw(st.integers(0, growth)),
            "scrub_period_multiply": 1 << draw(st.integers(0, 4)),
        }
        for start in sorted(starts)
    ]


@st.composite
def _errors(draw: st.DrawFn) -> Document:
    of = draw(st.sampled_from(("step", "total")))
    if draw(st.booleans()):
        return {"kind": "softmax", "sharpness": draw(st.integers(0, 15)), "of": of}
    return {"kind": "hinge", "margin": draw(_small_or_any(0, 20, 1 << 20)), "of": of}


@st.composite
def chip_documents(draw: st.DrawFn) -> Document:
    """A legal chip description, as YAML would give it."""
    growth = draw(st.integers(0, 2))
    inputs = draw(_sizes(150))
    layers: list[Document] = []
    axons = inputs
    count = draw(st.sampled_from(LAYER_COUNTS))
    for c in range(count):
        is_readout = c == count - 1
        # Whatever its fan-in, a core may have a few neurons; the readout two at least.
        most = max(2, min(90, MAX_SYNAPSES // axons))
        neurons = max(2 if is_readout else 1, draw(_sizes(most)))
        core = draw(
            core_documents(is_readout=is_readout, max_gradient_shift=MAX_GRADIENT_SHIFT - growth)
        )
        layers.append({"neurons": neurons, **core})
        axons = neurons
    return {
        "name": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)),
        "description": draw(st.text(st.characters(codec="utf-8"), max_size=20)),
        "clock_mhz": draw(st.floats(0.5, 10_000)),
        "inputs": inputs,
        "steps": draw(st.integers(1, 5)),
        "layers": layers,
        "error": draw(_errors()),
        "schedule": draw(_schedules(growth)),
        "workload": {
            "dataset": draw(st.text(st.characters(codec="utf-8"), max_size=9)),
            "epochs": draw(st.integers(0, 9)),
        },
    }


assert 1 << (16 + 4) == MAX_SCRUB_PERIOD  # the longest scrub period drawn, times its largest growth
