"""The state from which a netlist starts: images of its memories, and what is written over its bus."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench import chip_bus
from flipcore.rtl.bench.chip_bus import address
from flipcore.rtl.bench.chip_samples import Sample
from flipcore.rtl.bench.chip_state import unpack_state
from flipcore.rtl.bench.chip_stores import ExpectedStores
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.sim.engine import Engine
from flipcore.sim.stepper import Stepper


def write_images(folder: Path, chip: Chip, state: bytes) -> Iterator[tuple[int, str, str]]:
    """Write the weights and momentum of a state; yields core, memory and file name of each image."""
    stores = ExpectedStores(chip, Stepper(Engine(chip, 0, unpack_state(state))))
    for c, core in enumerate(chip.layers):
        contents = stores.synapses(c, np.arange(core.axons))
        for memory, store in zip(("weight", "momentum"), contents, strict=True):
            image = f"{memory}_{c}.hex"
            text = "".join(f"{word:x}\n" for word in store.values)
            (folder / image).write_text(text, encoding="utf-8")
            yield c, memory, image


def register_writes(chip: Chip, state: bytes) -> Iterator[tuple[int, int]]:
    """Address and value of everything else that is loaded."""
    values = unpack_state(state)
    yield address(chip_bus.CHIP, 0, chip_bus.SAMPLES_LOW), int(values.sample_counter)
    for c, core in enumerate(chip.layers):
        for lane in range(FlipUnit.of(core).generators):
            yield address(chip_bus.GENERATOR, c, lane), int(values.generators[c, lane])
        for step in range(chip.steps if core.rule == "tbso" else 0):
            yield address(chip_bus.SECOND_MOMENT, c, step), int(values.second_moment[c, step])


def phase_counts(
    chip: Chip, state: bytes, samples: Sequence[Sample]
) -> tuple[dict[tuple[str, int], dict[str, int]], list[int]]:
    """What the simulator counts in each phase of each core, and the predictions."""
    stepper = Stepper(Engine(chip, 0, unpack_state(state)))
    sums: dict[tuple[str, int], Any] = {}
    predictions = []
    for sample in samples:
        events = [sorted(axons) for axons in sample.events]
        for record in stepper.run(events, sample.offered, sample.label):
            key = (record.phase, record.core)
            sums[key] = sums.get(key, 0) + record.counts
        assert stepper.prediction is not None
        predictions.append(stepper.prediction)
    named = {
        key: dict(zip(COUNT_NAMES, counts.tolist(), strict=True)) for key, counts in sums.items()
    }
    return named, predictions
