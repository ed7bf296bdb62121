"""Measures what the logic of a chip takes while it learns: a record per chip, from which coefficients are fitted and against which a model is held."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flipcore.chip import Chip, chip_document, load_chip
from flipcore.errors import CheckError
from flipcore.rtl.bench.chip_inputs import data_samples, even_samples
from flipcore.rtl.bench.chip_samples import Sample
from flipcore.rtl.bench.gate_stimulus import phase_counts
from flipcore.rtl.gate_netlist import map_chip, weigh
from flipcore.rtl.gate_power import measure_power
from flipcore.rtl.generate import chip_files
from flipcore.rtl.liberty import Library
from flipcore.rtl.liberty_power import read_power_library

RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A chip to measure, and what it learns meanwhile.

    Attributes:
        name: of the record.
        preset: chip description that `changes` change.
        dataset: as `flipcore simulate` takes it, or `random`: events and state at random.
        samples: number; of a data set every fifth is only classified.
        warm_up: samples of the data set that are learnt before.
    """

    name: str
    preset: str
    changes: tuple[str, ...]
    dataset: str
    samples: int
    warm_up: int = 200

    @property
    def chip(self) -> Chip:
        """Its description."""
        return load_chip(self.preset, (*self.changes, f"name={self.name}"))


def stimulus(subject: Subject) -> tuple[list[Sample], bytes]:
    """What a subject learns while it is measured, and the state that it starts from.

    Raises:
        InputError: the data set is missing.
    """
    chip = subject.chip
    if subject.dataset != RANDOM:
        return data_samples(chip, subject.dataset, subject.samples, 0, subject.warm_up)
    samples, state = even_samples(chip, subject.samples, 0)
    return [sample for sample in samples if not sample.ignored_kinds], state


def measure(subject: Subject, library: Library) -> dict[str, Any]:
    """Synthesise a chip, let its netlist learn, and weigh its toggles.

    Returns:
        A JSON document: the chip; per phase and core the cycles, the counts of T12 and the energy of each module's nets;
        per module clock energy a cycle, leakage, area, flip-flops. Modules are `control` and the cores by number.

    Raises:
        ToolError: yosys or Icarus is missing.
        CheckError: the netlist's predictions or cycles are not the simulator's.
        InputError: the data set is missing, or the library has no power tables.
    """
    chip = subject.chip
    power_library = read_power_library(library.text, library.name)
    files = chip_files(chip, counters=False)
    samples, state = stimulus(subject)
    counted, predictions = phase_counts(chip, state, samples)
    with tempfile.TemporaryDirectory(prefix="flipcore-power-") as name:
        folder = Path(name)
        netlist = weigh(map_chip(folder, files, library, power_library.cells), power_library)
        power = measure_power(folder, chip, netlist, power_library.cells, state, samples)
    if power.predictions != predictions:
        raise CheckError(f"{chip.name}: the netlist's predictions are not the simulator's")
    phases = {}
    for key, phase in power.phases.items():
        phase_name, core = key
        counts = counted.get(key, {})
        expected = counts.get(f"{phase_name}_cycles", 0)
        if phase_name != "idle" and phase.cycles != expected:
            raise CheckError(
                f"{chip.name}: {phase_name} of core {core} takes {phase.cycles} cycles in the netlist, "
                f"{expected} in the simulator"
            )
        phases[f"{phase_name} {core}"] = {
            "cycles": phase.cycles,
            "toggles_pj": {name: round(energy, 3) for name, energy in phase.toggles_pj.items()},
            "counts": {name: number for name, number in counts.items() if number},
        }
    return {
        "name": subject.name,
        "chip": chip_document(chip),
        "dataset": subject.dataset,
        "samples": len(samples),
        "library": library.name,
        "digest": digest(files, library),
        "phases": phases,
        "clock_pj": power.clock_pj,
        "leakage_nw": power.leakage_nw,
        "area_um2": power.area_um2,
        "flip_flops": power.flip_flops,
    }


def digest(files: Mapping[str, str], library: Library) -> str:
    """Tells whether a record is still that of the Verilog and the library."""
    text = json.dumps([sorted(files.items()), library.text])
    return hashlib.sha256(text.encode()).hexdigest()


def _learns_digits(name: str, hidden: int, lanes: int, *changes: str) -> Subject:
    """A chip 64-hidden-10 that learns the digits."""
    sizes = (f"layers.0.neurons={hidden}", f"core.lanes={lanes}")
    return Subject(
        name=name, preset="digits", changes=(*sizes, *changes), dataset="digits", samples=4
    )


def _takes_events(name: str, inputs: int, hidden: int, lanes: int, *changes: str) -> Subject:
    """A chip of many inputs with random events, as no digit has so many."""
    sizes = (f"inputs={inputs}", f"layers.0.neurons={hidden}", f"core.lanes={lanes}", "steps=2")
    return Subject(
        name=name, preset="digits", changes=(*sizes, *changes), dataset=RANDOM, samples=4
    )


# What the coefficients are fitted on: every width and option that a term has to do with varies.
FIT = (
    _learns_digits("fit-plain-8", 32, 8),
    _learns_digits("fit-plain-4", 24, 4),
    _learns_digits("fit-plain-16", 64, 16),
    _learns_digits("fit-momentum-4", 32, 8, "core.momentum_bits=4", "core.gradient_shift=13"),
    _learns_digits("fit-momentum-12", 24, 8, "core.momentum_bits=12", "core.gradient_shift=6"),
    _learns_digits("fit-trace-3", 40, 8, "core.trace_bits=3", "core.trace_unit=4"),
    _learns_digits("fit-trace-7", 32, 4, "core.trace_bits=7", "core.trace_unit=40"),
    _learns_digits("fit-softmax", 32, 8, "error={kind: softmax, sharpness: 2, of: step}"),
    _learns_digits("fit-softmax-16", 48, 16, "error={kind: softmax, sharpness: 2, of: total}"),
    _learns_digits("fit-one-port", 32, 8, "core.memory_ports=1rw"),
    _learns_digits("fit-per-lane", 32, 8, "core.random_source=per_lane"),
    _learns_digits("fit-nearest", 48, 8, "core.rounding=nearest"),
    _learns_digits("fit-scrub", 32, 8, "core.decay=scrub", "core.scrub_period=8"),
    _learns_digits("fit-dense", 16, 8, "core.decay=dense", "core.decay_shift=8"),
    _learns_digits("fit-tbso", 32, 8, "core.rule=tbso", "core.square_shift=4"),
    _learns_digits("fit-potential-16", 32, 8, "core.potential_bits=16", "core.neuron=lif"),
    _learns_digits("fit-error-12", 32, 8, "core.error_bits=12"),
    _takes_events("fit-axons-600", 600, 16, 8),
    _takes_events("fit-axons-250", 250, 20, 4, "core.memory_ports=1rw"),
    _learns_digits("fit-deep", 24, 8, "layers=[{neurons: 24}, {neurons: 16}, {neurons: 10}]"),
)

# What the model is held against: other sizes, other data, other mixtures of options.
VALIDATION = (
    Subject(name="check-random-wide", preset="digits", changes=("inputs=48", "layers=[{neurons: 40}, {neurons: 7}]", "core.lanes=24"), dataset=RANDOM, samples=6),
    Subject(name="check-random-deep", preset="digits", changes=("inputs=30", "layers=[{neurons: 20}, {neurons: 30}, {neurons: 12}, {neurons: 5}]", "core.lanes=6"), dataset=RANDOM, samples=6),
    Subject(name="check-random-10-bits", preset="digits", changes=("inputs=100", "layers=[{neurons: 36}, {neurons: 12}]", "core.lanes=12", "core.momentum_bits=10", "core.trace_bits=6"), dataset=RANDOM, samples=5),
    Subject(name="check-random-softmax", preset="digits", changes=("inputs=56", "layers=[{neurons: 50}, {neurons: 20}]", "core.lanes=10", "error={kind: softmax, sharpness: 1, of: total}"), dataset=RANDOM, samples=5),
    Subject(name="check-random-dense", preset="digits", changes=("inputs=25", "layers=[{neurons: 28}, {neurons: 6}]", "core.lanes=7", "core.decay=dense", "core.decay_shift=5", "core.momentum_bits=6"), dataset=RANDOM, samples=5),
    Subject(name="check-random-per-lane", preset="digits", changes=("inputs=44", "layers=[{neurons: 33}, {neurons: 11}]", "core.lanes=11", "core.random_source=per_lane", "core.trace_bits=4", "core.trace_unit=9"), dataset=RANDOM, samples=5),
    Subject(name="check-random-no-trace", preset="digits", changes=("inputs=70", "layers=[{neurons: 45}, {neurons: 9}]", "core.lanes=15", "core.trace_decay_shift=none", "core.rounding=nearest"), dataset=RANDOM, samples=5),
    Subject(name="check-random-tbso", preset="digits", changes=("inputs=40", "layers=[{neurons: 26}, {neurons: 10}]", "core.lanes=13", "core.rule=tbso", "core.square_shift=4", "steps=5"), dataset=RANDOM, samples=5),
    Subject(name="check-random-scrub", preset="digits", changes=("inputs=64", "layers=[{neurons: 60}, {neurons: 10}]", "core.lanes=20", "core.decay=scrub", "core.scrub_period=4", "core.momentum_bits=5", "core.gradient_shift=12"), dataset=RANDOM, samples=5),
    Subject(name="check-mnist-16", preset="mnist", changes=("layers.0.neurons=32",), dataset="mnist", samples=1, warm_up=500),
    Subject(name="check-mnist-8", preset="mnist", changes=("layers.0.neurons=20", "core.lanes=8", "core.momentum_bits=6", "core.gradient_shift=11"), dataset="mnist", samples=1, warm_up=500),
    Subject(name="check-fashion-12", preset="fashion-mnist", changes=("layers.0.neurons=24", "core.lanes=12"), dataset="fashion-mnist", samples=1, warm_up=500),
    Subject(name="check-fashion-lif", preset="fashion-mnist", changes=("layers.0.neurons=12", "core.lanes=4", "core.neuron=lif", "core.memory_ports=1rw", "steps=3"), dataset="fashion-mnist", samples=1, warm_up=500),
)  # fmt: skip
