"""What each feature of the learning logic costs: area and critical path in a cell library, LUT4 on iCE40.

Needs yosys, OpenSTA and a Liberty file of the cells. Every row is one change to the unit of the first row. Run: python -m benchmarks.area LIBERTY [--quick]
"""

import argparse
from typing import Any

from flipcore.chip import Chip, Core, Hinge, Softmax
from flipcore.rtl.core_shape import CoreShape
from flipcore.rtl.generate import chip_files, flip_unit_files
from flipcore.rtl.synth import Ice40Result, LibraryResult, Options, synthesize

BASE: dict[str, Any] = {
    "axons": 20, "neurons": 16, "lanes": 16, "momentum_bits": 8, "trace_bits": 5, "error_bits": 8,
    "gradient_shift": 8, "max_gradient_shift": 10,
}  # fmt: skip
FLIP_UNITS: dict[str, dict[str, Any]] = {
    "16 lanes, product, run-time shift, one generator": {},
    "fixed shift": {"max_gradient_shift": 8},
    "no product: trace of 1 bit": {"trace_bits": 1, "trace_unit": 1},
    "rounded to nearest, no generator": {"rounding": "nearest"},
    "a generator per lane": {"random_source": "per_lane"},
    "momentum kept at a flip": {"momentum_at_flip": "keep"},
    "T-BSO's threshold port": {"rule": "tbso"},
    "one memory port": {"memory_ports": "1rw"},
    "momentum of 4 bits": {"momentum_bits": 4},
    "momentum of 6 bits": {"momentum_bits": 6},
    "momentum of 16 bits": {"momentum_bits": 16},
    "4 lanes": {"lanes": 4},
    "8 lanes": {"lanes": 8},
    "32 lanes": {"lanes": 32},
}


def core_shape(changes: dict[str, Any], *, counters: bool = False) -> CoreShape:
    """The first of two cores, with these changes."""
    core = Core(**{**BASE, **changes})
    readout = Core(axons=core.neurons, neurons=4, max_gradient_shift=24)
    chip = Chip(name="area", inputs=core.axons, steps=2, layers=[core, readout])
    return CoreShape(chip, 0, counters)


def row(name: str, files: dict[str, str], top: str, library: str) -> None:
    """Print one row of the table."""
    cells = synthesize(files, top, f"liberty:{library}", Options())
    assert isinstance(cells, LibraryResult)
    # Only LUT4 and flip-flops are asked for; nothing is placed if ports exceed the device's.
    fabric = synthesize(files, top, "ice40-hx8k", Options())
    assert isinstance(fabric, Ice40Result)
    print(
        f"| {name} | {cells.area_um2:,.0f} | {cells.critical_path_ns:.2f} | {fabric.luts:,} | {cells.flip_flops:,} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("liberty", help="Liberty file of the cells, plain or gzipped")
    parser.add_argument("--quick", action="store_true", help="the first two rows only")
    arguments = parser.parse_args()
    print("| unit | area (um2) | critical path (ns) | LUT4 | flip-flops |")
    print("|---|---:|---:|---:|---:|", flush=True)
    for name, changes in list(FLIP_UNITS.items())[: 2 if arguments.quick else None]:
        row(name, flip_unit_files(core_shape(changes)), "flip_unit", arguments.liberty)
    if arguments.quick:
        return
    row(
        "with the counters' outputs",
        flip_unit_files(core_shape({}, counters=True)),
        "flip_unit",
        arguments.liberty,
    )
    adaptive = chip_files(core_shape({"rule": "tbso"}).chip, counters=False)
    row("T-BSO: adaptive threshold", adaptive, "adaptive_threshold", arguments.liberty)
    row("T-BSO: one sum of squares, 16 errors", adaptive, "square_sum", arguments.liberty)
    core = Core(axons=256, neurons=10, max_gradient_shift=9)
    for name, error in (("hinge", Hinge()), ("softmax", Softmax(kind="softmax"))):
        chip = Chip(name="area", inputs=256, steps=8, layers=[core], error=error)
        files = chip_files(chip, counters=False)
        title = f"error unit of 10 neurons: {name}"
        row(title, files, f"error_{name}", arguments.liberty)


if __name__ == "__main__":
    main()
