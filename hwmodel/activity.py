"""Event counts from stated activity, without a run: rates per core, and the rules T1-T11 that turn them into counts."""

from importlib import resources
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flipcore.chip import Chip, Core, apply_change, load_chip, preset_names, read_mapping
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

THRESHOLD_CYCLES = 20  # T6
SOFTMAX_CYCLES = 10  # T5, per neuron
SOFTMAX_PASSES = 3  # T10: maximum, sum, division


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Learning(_Model):
    """What a core does in training; every rate is a share, 0 ... 1."""

    rows: Share = Field(description="rows visited, of all rows, in a step (O2)")
    trace_waits: Share = Field(
        description="cycles in which the trace memory works and no row is listed, of its port cycles (T4)"
    )
    live_steps: Share = Field(description="steps with a live word")
    live_words: Share = Field(description="live words, of J, in a live step")
    live_rows: Share = Field(description="rows visited, of all rows, in a live step")
    words_visited: Share = Field(description="words visited, of J, in a row visited in a live step")
    words_with_trace: Share = Field(description="words of rows with a trace, of the words visited")
    words_read: Share = Field(description="words whose weights are read, of the words visited")
    words_updated: Share = Field(description="words with any q not 0, of the words visited")
    words_flipped: Share = Field(description="words with a flip, of the words updated")
    lanes_updated: Share = Field(description="lanes with q not 0, of those of the words updated")
    flips: Share = Field(description="flips, of the lanes updated")
    saturations: Share = Field(description="momenta clipped, of the lanes updated")
    scrubbed: Share = Field(
        description="words that scrubbing visits, of those due with the period of the start (O6 may lengthen it)"
    )
    words_changed: Share = Field(description="words that decay changes, of those that it visits")


class Layer(_Model):
    """What a core does in every step; every rate is a share, 0 ... 1."""

    spikes: Share = Field(default=0.0, description="neurons that spike; 0 of the readout")
    silent_words: Share = Field(default=0.0, description="words without a spike, of J (T3)")
    saturations: Share = Field(default=0.0, description="potentials clipped, of the neurons")
    learning: Learning | None = Field(default=None, description="none where nothing is learnt")


class Side(_Model):
    """Activity in training or in inference."""

    input_events: Share = Field(description="distinct events, of the inputs, in a step")
    merged: float = Field(
        default=0.0, ge=0.0, lt=1.0, allow_inf_nan=False, description="merged events, of the events offered"
    )  # fmt: skip
    layers: tuple[Layer, ...] = Field(min_length=1)


class Rates(_Model):
    """Activity of a chip.

    Attributes:
        name: what to call it in results.
        source: where the rates come from, in words.
        epoch_samples: training samples of an epoch; 0 where unknown.
        training, inference: the rates.
    """

    name: str
    source: str
    epoch_samples: int = Field(default=0, ge=0)
    training: Side | None = None
    inference: Side


def rates_names() -> list[str]:
    """Names of the measured rates that come with the package."""
    names = (entry.name for entry in _folder().iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _folder() -> Any:
    return resources.files("flipcore.hwmodel").joinpath("rates")


def default_rates_name(chip: Chip) -> str:
    """The measured rates nearest to a chip: those of the preset of its name on its data set, else of its data set or name, else of mnist."""
    names, dataset = rates_names(), chip.workload.dataset
    if chip.name in preset_names() and load_chip(chip.name).workload.dataset != dataset:
        candidates = [dataset, chip.name]
    else:
        candidates = [chip.name, dataset]
    return next((name for name in candidates if name in names), "mnist")


def load_rates(name: str, changes: tuple[str, ...] = ()) -> Rates:
    """Read measured rates by their name, or a YAML file, with changes such as `training.input_events=0.1`.

    Raises:
        InputError: there are none of that name, or a rate is unknown, missing or outside 0 ... 1.
    """
    document = read_mapping(name, _shipped, "rates are")
    for change in changes:
        apply_change(document, change)
    try:
        return Rates.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InputError(f"{name}: {path}: is missing") from None
        if first["type"] == "extra_forbidden":
            raise InputError(f"{name}: {path}: unknown rate") from None
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"{name}: {path}={first['input']!r}: {message}") from None


def _shipped(name: str) -> str:
    if name not in rates_names():
        raise InputError(
            f"{name}: no such rates (measured: {', '.join(rates_names())}; a file name ends in .yaml)"
        )
    text: str = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return text


def rates_yaml(rates: Rates) -> str:
    """Write rates as YAML that `load_rates` reads back to the same rates."""
    return yaml.safe_dump(rates.model_dump(mode="json"), sort_keys=False)


def fit_rates(rates: Rates, chip: Chip) -> Rates:
    """Rates for a chip of any number of cores: the readout's for its readout, of the others the nearest for each."""
    return rates.model_copy(
        update={
            "training": _fit_side(rates.training, len(chip.layers)) if rates.training else None,
            "inference": _fit_side(rates.inference, len(chip.layers)),
        }
    )


def _fit_side(side: Side, num_cores: int) -> Side:
    *hidden, readout = side.layers
    inner = [hidden[min(c, len(hidden) - 1)] if hidden else readout for c in range(num_cores - 1)]
    return side.model_copy(update={"layers": (*inner, readout)})


def measured_side(chip: Chip, counts: EventCounts) -> Side:
    """Rates of a run's counts; those that `expected_counts` turns back into the same counts.

    Raises:
        InputError: the counts contradict each other.
    """
    steps = counts.samples * chip.steps
    first = {name: int(counts.per_core(name)[0]) for name in ("events", "merged_events")}
    return Side(
        input_events=_share(first["events"], chip.inputs * steps),
        merged=first["merged_events"] / max(sum(first.values()), 1),
        layers=tuple(_measured_layer(chip, counts, c, steps) for c in range(len(chip.layers))),
    )


def _share(part: float, whole: float) -> float:
    if part < 0:
        raise InputError(f"counts: a difference of counts is {part}: they contradict each other")
    return min(part / whole, 1.0) if whole else 0.0


def is_training(counts: EventCounts) -> bool:
    """Whether counts are of learning: every training step traces (T4)."""
    return counts.total("trace_cycles") > 0


def _measured_layer(chip: Chip, counts: EventCounts, c: int, steps: int) -> Layer:
    core = chip.layers[c]
    is_readout = c == len(chip.layers) - 1
    spikes = int(counts.per_core("spikes")[c])
    hops = int(counts.per_core("spikes_cycles")[c]) - 2 * steps - spikes
    clipped = int(counts.per_core("potential_saturations")[c])
    return Layer(
        spikes=_share(spikes, core.neurons * steps),
        silent_words=0.0 if is_readout else _share(hops, core.words * steps),
        saturations=_share(clipped, core.neurons * steps),
        learning=_measured_learning(core, counts, c, steps) if is_training(counts) else None,
    )


def _measured_learning(core: Core, counts: EventCounts, c: int, steps: int) -> Learning:
    n = {name: int(counts.per_core(name)[c]) for name in COUNT_NAMES}
    decay_draws = n["words_decayed"] if core.rounding == "stochastic" else 0
    due = core.axons * core.words * counts.samples / core.scrub_period
    lanes = n["momentum_updates"]
    return Learning(
        rows=_share(n["row_list_writes"], core.axons * steps),
        trace_waits=_share(
            n["trace_cycles"] - 2 * steps - n["row_list_writes"],
            _trace_ports(core) * core.trace_words * steps,
        ),
        live_steps=_share(n["live_steps"], steps),
        live_words=_share(n["error_writes"], core.words * n["live_steps"]),
        live_rows=_share(n["row_list_reads"], core.axons * n["live_steps"]),
        words_visited=_share(n["words_visited"], core.words * n["row_list_reads"]),
        # Without stochastic rounding nothing is drawn, and nothing depends on this.
        words_with_trace=_share(n["words_drawn"] - decay_draws, n["words_visited"])
        if core.rounding == "stochastic"
        else 1.0,
        words_read=_share(n["weight_reads"] - n["event_list_reads"], n["words_visited"]),
        words_updated=_share(n["words_updated"], n["words_visited"]),
        words_flipped=_share(n["weight_writes"], n["words_updated"]),
        lanes_updated=_share(lanes, core.lanes * n["words_updated"]),
        flips=_share(n["flips"], lanes),
        saturations=_share(n["momentum_saturations"], lanes),
        scrubbed=_share(n["words_decayed"], due) if core.decay == "scrub" else 1.0,
        # A chip without decay says nothing about one that has it: all of its words change at most.
        words_changed=_share(n["words_changed"], n["words_decayed"]) if n["words_decayed"] else 1.0,
    )


def _trace_ports(core: Core) -> int:
    """Cycles that a trace word takes at least (T4)."""
    return 1 if core.trace_decay_shift == "none" else _port_factor(core)


def _port_factor(core: Core) -> int:
    return 1 if core.memory_ports == "1r1w" else 2


def expected_counts(chip: Chip, side: Side, samples: int) -> EventCounts:
    """Counts of a number of samples with these rates, in training where every core states its learning.

    Raises:
        InputError: the rates are of another number of cores.
    """
    if len(side.layers) != len(chip.layers):
        raise InputError(
            f"rates of {len(side.layers)} layers: {chip.name} has {len(chip.layers)} cores"
        )
    learns = [layer.learning is not None for layer in side.layers]
    if any(learns) != all(learns):
        raise InputError("rates: `learning` is stated for some layers and not for others")
    counts = EventCounts.zeros(len(chip.layers))
    counts.samples = samples
    events = round(side.input_events * chip.inputs * samples * chip.steps)
    for c, layer in enumerate(side.layers):
        n = _inference_counts(chip, c, layer, events, samples)
        if c == 0:
            offered = round(events / (1.0 - side.merged))
            n["merged_events"] = offered - events
            n["input_cycles"] = offered + samples * (chip.steps + all(learns))
        if layer.learning is not None:
            for name, number in _learning_counts(chip, c, layer.learning, samples).items():
                n[name] = n.get(name, 0) + number
        counts.cores[c] = np.array([n.get(name, 0) for name in COUNT_NAMES], np.int64)
        events = n.get("spikes", 0)
    return counts


def _inference_counts(
    chip: Chip, c: int, layer: Layer, events: int, samples: int
) -> dict[str, int]:
    """Counts of core c that do not depend on whether it learns (T2, T3, T9, T10)."""
    core = chip.layers[c]
    words = core.words
    steps = samples * chip.steps
    n = {
        "events": events,
        "sops": events * core.neurons,
        "weight_reads": events * words,
        "event_list_writes": events,
        "event_list_reads": events * words,
        "forward_cycles": words * (events + 3 * steps),
    }
    if c == len(chip.layers) - 1:
        return n | {
            "total_reads": words * steps,  # J per step but the first, J for the prediction
            "total_writes": words * steps,
            "predict_cycles": samples * (core.neurons + 2),
        }
    spikes = round(layer.spikes * core.neurons * steps)
    return n | {
        "spikes": spikes,
        "spikes_cycles": 2 * steps + spikes + round(layer.silent_words * words * steps),
        "potential_reads": words * (steps - samples),
        "potential_writes": words * steps,
        "potential_saturations": round(layer.saturations * core.neurons * steps),
    }


def _learning_counts(chip: Chip, c: int, rates: Learning, samples: int) -> dict[str, int]:
    """What learning adds to the counts of core c (T4-T8, T10)."""
    core = chip.layers[c]
    steps = samples * chip.steps
    rows = round(rates.rows * core.axons * steps)
    live_steps = round(rates.live_steps * steps)
    live_words = round(rates.live_words * core.words * live_steps)
    live_rows = round(rates.live_rows * core.axons * live_steps)
    visited = round(rates.words_visited * core.words * live_rows)
    updated = round(rates.words_updated * visited)
    lanes = round(rates.lanes_updated * core.lanes * updated)
    n = {
        "row_list_writes": rows,
        "trace_cycles": 2 * steps
        + rows
        + round(rates.trace_waits * _trace_ports(core) * core.trace_words * steps),
        "live_steps": live_steps,
        "error_writes": live_words,
        "row_list_reads": live_rows,
        "words_visited": visited,
        "error_reads": visited,
        "words_updated": updated,
        "momentum_reads": updated,
        "momentum_writes": updated,
        "momentum_updates": lanes,
        "momentum_saturations": round(rates.saturations * lanes),
        "flips": round(rates.flips * lanes),
        "weight_reads": round(rates.words_read * visited),
        "weight_writes": round(rates.words_flipped * updated),
        "update_cycles": steps
        - live_steps
        + (4 + _adder_cycles(core, c)) * live_steps
        + visited
        + (_port_factor(core) - 1) * updated,
    }
    if core.rounding == "stochastic":
        n["words_drawn"] = round(rates.words_with_trace * visited)
    if core.trace_decay_shift != "none":
        n["trace_reads"] = core.trace_words * (steps - samples)
        n["trace_writes"] = core.trace_words * steps
    if core.rule == "tbso":
        n["threshold_cycles"] = THRESHOLD_CYCLES * steps
    if c == len(chip.layers) - 1:
        hinge = chip.error.kind == "hinge"
        n["error_cycles"] = (
            steps * ((1 if hinge else SOFTMAX_CYCLES) * core.neurons + 2) + live_words
        )
        if chip.error.of == "total":
            n["total_reads"] = (1 if hinge else SOFTMAX_PASSES) * core.words * steps
    for name, number in _decay_counts(chip, core, rates, samples).items():
        n[name] = n.get(name, 0) + number
    return n


def _adder_cycles(core: Core, c: int) -> int:
    """Cycles of the adder tree and the last error word of N8 (T7)."""
    return 1 + (core.lanes - 1).bit_length() if c > 0 else 0


def _decay_counts(chip: Chip, core: Core, rates: Learning, samples: int) -> dict[str, int]:
    if core.decay == "none":
        return {}
    words = core.axons * core.words
    if core.decay == "dense":
        times = samples * chip.steps
        visited = words * times
    else:
        times = samples
        visited = round(rates.scrubbed * words * samples / core.scrub_period)
    changed = round(rates.words_changed * visited)
    return {
        "words_decayed": visited,
        "words_changed": changed,
        "momentum_reads": visited,
        "momentum_writes": changed,
        "words_drawn": visited if core.rounding == "stochastic" else 0,
        "decay_cycles": 2 * times + visited + (_port_factor(core) - 1) * changed,
    }
