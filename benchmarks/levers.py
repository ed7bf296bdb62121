"""What each choice in a chip for MNIST does to accuracy, energy and area, on held-out training samples: how the mnist-lowpower preset was found.

Without options the counts kept in docs/studies/energy/levers.json are priced; `--train` measures the variants named (all: three quarters of an hour on one core) anew.
Run: python -m benchmarks.levers [VARIANT ...]
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.headline import learn
from flipcore.chip import Chip, apply_change, chip_document, parse_chip, read_chip_document
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.files import write_whole
from flipcore.hwmodel.area import chip_area, total_area
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.technology import Band, Technology, load_technology
from flipcore.sim.data import load_dataset, split_validation
from flipcore.sim.run import Settings

KEPT = Path("docs/studies/energy/levers.json")
HELD_OUT = 0.15
EPOCH = 51_000  # samples that are left to learn from

SMALL = ("layers.0.neurons=256",)
MIDDLE = ("layers.0.neurons=384",)
# The readout's shift stays 3 above.
BITS = {
    bits: (f"core.momentum_bits={bits}", f"core.gradient_shift={shift}", f"layers.1.gradient_shift={shift + 3}")
    for bits, shift in ((4, 13), (5, 12), (6, 11), (7, 10))
}  # fmt: skip
# Traces of one bit, hidden errors of -1, 0, 1: the same gradient needs smaller shifts.
ONE_BIT = (
    "core.trace_decay_shift=none", "core.trace_bits=1", "core.trace_unit=1", "core.momentum_bits=6", "core.gradient_shift=0",
    "layers.0.error_bits=4", "layers.1.error_shift=7", "layers.1.gradient_shift=10",
)  # fmt: skip

# Epochs, and changes to the mnist preset with one memory port.
VARIANTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "256": (5, SMALL),
    "256, 6 bits": (5, (*SMALL, *BITS[6])),
    "256, 5 bits": (5, (*SMALL, *BITS[5])),
    "256, 4 bits": (5, (*SMALL, *BITS[4])),
    "256, T = 2": (5, (*SMALL, "steps=2")),
    "256, 6 bits, margin 4": (5, (*SMALL, *BITS[6], "error.margin=4")),
    "256, 6 bits, margin 2": (5, (*SMALL, *BITS[6], "error.margin=2")),
    "256, 7 bits, margin 4": (5, (*SMALL, *BITS[7], "error.margin=4")),
    "256, 6 bits, margin 4, 8 lanes": (5, (*SMALL, *BITS[6], "error.margin=4", "core.lanes=8")),
    "256, 6 bits, margin 4, 32 lanes": (5, (*SMALL, *BITS[6], "error.margin=4", "core.lanes=32")),
    "256, 6 bits, margin 4, window 16": (5, (*SMALL, *BITS[6], "error.margin=4", "core.window=16")),
    "256, one-bit traces, margin 4, window 16": (5, (*SMALL, *ONE_BIT, "error.margin=4", "core.window=16")),
    "512, 6 bits, margin 4": (5, (*BITS[6], "error.margin=4")),
    "512, 6 bits, margin 4, T = 2": (5, (*BITS[6], "error.margin=4", "steps=2")),
    "256, one-bit traces, margin 4, window 16, 10 epochs": (10, (*SMALL, *ONE_BIT, "error.margin=4", "core.window=16")),
    "384, 6 bits, margin 4, window 16, 10 epochs": (10, (*MIDDLE, *BITS[6], "error.margin=4", "core.window=16")),
    "384, one-bit traces, margin 4, window 16, 10 epochs": (10, (*MIDDLE, *ONE_BIT, "error.margin=4", "core.window=16")),
    "the same, T = 3: mnist-lowpower": (10, (*MIDDLE, *ONE_BIT, "error.margin=4", "core.window=16", "steps=3")),
    "the same, 7 bits": (10, (*MIDDLE, *ONE_BIT, "core.momentum_bits=7", "core.gradient_shift=0", "layers.1.gradient_shift=9", "error.margin=4", "core.window=16", "steps=3")),
}  # fmt: skip


def variant_chip(name: str) -> Chip:
    """The chip of a variant; its shift grows by 4 bits within the epochs, as in the preset."""
    epochs, changes = VARIANTS[name]
    document, _ = read_chip_document("mnist")
    every = EPOCH * (epochs // 5)
    stages = [{"after_samples": k * every, "gradient_shift_add": k} for k in range(1, 5)]
    document["schedule"] = stages
    for change in ("core.memory_ports=1rw", *changes):
        apply_change(document, change)
    return parse_chip(document, name)


def measure(name: str) -> dict[str, Any]:
    """Train a variant with one seed; what is kept of it."""
    chip = variant_chip(name)
    dataset = split_validation(load_dataset("mnist", num_steps=chip.steps), HELD_OUT, 0)
    learnt = learn(chip, dataset, Settings("mnist", VARIANTS[name][0], 0, HELD_OUT))
    return {
        "chip": chip_document(chip),
        "accuracy": learnt.accuracies[0],
        "whole": learnt.whole.as_dict(),
        "first": learnt.first.as_dict(),
    }


def table(kept: dict[str, Any], technology: Technology) -> str:
    """Write what is kept as a Markdown table, priced in a technology, without lines to other chips."""
    lines = [
        "| variant | held-out accuracy | nJ a training sample | first 1,000 | mm² |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in kept.items():
        chip = parse_chip(one["chip"], name)
        whole, first = (
            price(chip, EventCounts.from_dict(one[part]), technology).without_io().per_sample_pj
            for part in ("whole", "first")
        )
        area = total_area(chip_area(chip, technology)).value * 1e-6
        lines.append(f"| {name} | {one['accuracy']:.2%} | {_nj(whole)} | {_nj(first)} | {area:.2f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def _nj(band: Band) -> str:
    return f"{band.value / 1e3:.0f} ({band.low / 1e3:.0f} ... {band.high / 1e3:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", help="default: all")
    parser.add_argument("--train", action="store_true", help="measure them anew (MNIST in FLIPCORE_DATA)")  # fmt: skip
    parser.add_argument("--technology", default="generic-28nm")
    arguments = parser.parse_args()
    names = arguments.variants or list(VARIANTS)
    unknown = set(names) - set(VARIANTS)
    if unknown:
        parser.error(f"unknown variant {', '.join(sorted(unknown))}; known: {'; '.join(VARIANTS)}")
    try:
        technology = load_technology(arguments.technology)
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        for name in names if arguments.train else ():
            kept[name] = measure(name)
            write_whole(KEPT, (json.dumps(kept) + "\n").encode())
        print(table({name: kept[name] for name in names if name in kept}, technology))
    except InputError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
