"""Prices of logic on an iCE40 from synthesis of our own units: LUT4, flip-flops and block RAMs of each, the fit to them, and the rows of `ice40-up5k`.

`--measure` synthesises nine chips (half an hour) and writes the record; without it, rows and errors follow from the record that is committed.
Run: python -m benchmarks.ice40_rows [--measure]
"""

import argparse
import hashlib
import json
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flipcore.chip import Chip, chip_document, load_chip
from flipcore.files import write_whole
from flipcore.hwmodel.lut_fit import (
    CellPrices,
    cells_per_lut,
    check_luts,
    fit_luts,
    is_of_one_chip,
    lut_rows,
)
from flipcore.hwmodel.technology import Band, Coefficient, format_rows, load_technology
from flipcore.rtl.generate import chip_files, write_files
from flipcore.rtl.programs import program_version, run_program

RECORD = Path(__file__).parents[1] / "docs" / "energy" / "records" / "ice40.json"
TECHNOLOGY = "ice40-up5k"
# As the notes of sources.yaml say. Published currents of the device at 1.219 V, in uA: a multiplier of two 8-bit counters beside the counters, 12 MHz.
VOLT, MHZ = 1.219, 12
MULTIPLIER_UA, COUNTERS_UA = 996, 645
MULTIPLIER_CELLS = 208 - 28
ACTIVE_PJ = (MULTIPLIER_UA - COUNTERS_UA) * VOLT / MHZ / MULTIPLIER_CELLS
# 5.9 uW per MHz for a block of 8 LUTs of a Virtex-II, 150 nm and 1.5 V, taken to 40 nm and 1.2 V as C V^2.
VIRTEX_PJ = 5.9 / 8 * (40 / 150) * (1.2 / 1.5) ** 2
DIE_UM2 = 2150 * 2550 / 5280  # of the whole device, for each of its logic cells
# 64,306 um2 and 1,708 LUT4 are the same flip unit (docs/AREA.md); 4.42 is what Kuon and Rose say of an FPGA in 40 nm against cells in 130 nm.
GAP_UM2 = 64306 / 1708 * 4.42
SOURCES = {"LUT4": "ice40-synthesis", "um2": "ice40-cell-area", "pJ": "ice40-cell-energy"}
DEVICE = "u"  # iCE40 UltraPlus
# Modules that are counted apart: the units of the phases, the memories, the cores. What is below them is theirs.
UNITS = (
    "adaptive_threshold", "backward_sum", "chip_control", "decay", "error_hinge", "error_softmax", "error_words", "event_input", "fire", "flip_unit",
    "host_port", "integrate", "output_scan", "predict", "random_source", "readout", "spike_output", "square_sum", "trace_update", "update_control",
)  # fmt: skip
MEMORIES = ("memory_1rw", "memory_1r1w")
CELLS = "SB_"  # of the device; yosys lists what they are among the modules
CORES = ("flip_core", "readout_core")
TBSO = "rule: tbso, square_shift: 4"
# Every width and option that a term has to do with varies, and each core of a chip has its own.
FIT: dict[str, tuple[str, ...]] = {
    "lanes": (
        "layers=[{neurons: 24, lanes: 4}, {neurons: 32, lanes: 8, momentum_bits: 4, gradient_shift: 13}, "
        "{neurons: 24, lanes: 12, trace_bits: 3, trace_unit: 4}, {neurons: 10, lanes: 8}]",
    ),
    "widths": (
        "inputs=40",
        "layers=[{neurons: 32, lanes: 8, momentum_bits: 12, gradient_shift: 6}, {neurons: 20, lanes: 4, trace_bits: 7, trace_unit: 40}, "
        "{neurons: 32, lanes: 16, error_bits: 12}, {neurons: 10, lanes: 16}]",
    ),
    "neurons": (
        "inputs=100",
        "layers=[{neurons: 32, lanes: 8, potential_bits: 16, neuron: lif}, {neurons: 32, lanes: 16, rounding: nearest}, "
        "{neurons: 16, lanes: 4, random_source: per_lane}, {neurons: 6, lanes: 6, random_source: per_lane}]",
        "error={kind: softmax, sharpness: 2, of: step}",
    ),
    "tbso": (
        f"layers=[{{neurons: 24, lanes: 8, {TBSO}, decay: scrub, scrub_period: 8}}, {{neurons: 10, lanes: 4, {TBSO}, decay: dense, decay_shift: 8}}]",
        "error={kind: softmax, sharpness: 2, of: total}",
    ),
    "axons": (
        "inputs=500",
        "layers=[{neurons: 100, lanes: 10, memory_ports: 1rw}, {neurons: 10, lanes: 4, decay: dense, decay_shift: 8}]",
    ),
}
# Other sizes and mixtures than those of the fit, each chip synthesised whole.
CHECK: dict[str, tuple[str, tuple[str, ...]]] = {
    "digits": ("digits", ()),
    "fashion-lif": ("fashion-mnist", ("layers.0.neurons=12", "core.lanes=4", "core.neuron=lif", "core.memory_ports=1rw", "steps=3")),
    "scrub": ("digits", ("inputs=50", "layers=[{neurons: 33}, {neurons: 12}]", "core.lanes=11", "core.decay=scrub", "core.scrub_period=4", "core.momentum_bits=5", "core.gradient_shift=12")),
    "tbso": ("digits", ("inputs=40", "layers=[{neurons: 26}, {neurons: 9}]", "core.lanes=6", "core.rule=tbso", "core.square_shift=4", "steps=5")),
}  # fmt: skip


def synthesise(files: Mapping[str, str], folder: Path, *, units_apart: bool) -> dict[str, Any]:
    """Modules of a chip's netlist for an iCE40, by name, as yosys writes them to JSON; one module unless its units stay apart."""
    sources = [path.name for path in write_files(files, folder)]
    kept = " ".join(f"*{name}*" for name in (*UNITS, *MEMORIES, *CORES))
    script = [
        f"read_verilog -DSYNTHESIS {' '.join(sources)}",
        "hierarchy -check -top flip_chip",
        *([f"setattr -mod -set keep_hierarchy 1 {kept}"] if units_apart else []),
        f"synth_ice40 -top flip_chip -device {DEVICE}",
        "write_json netlist.json",
    ]
    (folder / "script.ys").write_text("\n".join([*script, ""]), encoding="utf-8")
    run_program("yosys", ["-Q", "-T", "-q", "-s", "script.ys"], folder, "yosys.log")
    modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    return {name: module for name, module in modules.items() if not name.startswith(CELLS)}


def counts(module: dict[str, Any]) -> dict[str, int]:
    """Cells of a module itself."""
    kinds = Counter(cell["type"] for cell in module["cells"].values())

    def number(prefix: str) -> int:
        return sum(count for kind, count in kinds.items() if kind.startswith(prefix))

    return {
        "luts": number("SB_LUT4"),
        "carries": number("SB_CARRY"),
        "flip_flops": number("SB_DFF"),
        "block_rams": number("SB_RAM40_4K"),
    }


def _sum(parts: dict[str, dict[str, int]], name: str, found: dict[str, int]) -> None:
    before = parts.setdefault(name, dict.fromkeys(found, 0))
    parts[name] = {key: before[key] + number for key, number in found.items()}


def _base(modules: dict[str, Any], kind: str) -> str:
    """Name of a module in the templates: without its parameters and its number."""
    name: str = modules[kind]["attributes"].get("hdlname", kind)
    return re.sub(r"_\d+$", "", name.lstrip("\\"))


def parts_of_chip(modules: dict[str, Any], num_cores: int) -> list[dict[str, Any]]:
    """Counts of every core's units and memories; what surrounds the cores is the first entry's `chip`."""
    cores: list[dict[str, Any]] = [{"units": {}, "memories": {}} for _ in range(num_cores)]
    around: dict[str, dict[str, int]] = {}

    def add(c: int, kind: str, instance: str) -> None:
        found, name = counts(modules[kind]), _base(modules, kind)
        if name in MEMORIES:
            cores[c]["memories"][instance.removeprefix("u_")] = found
        else:
            _sum(cores[c]["units"], "memory_ports" if name in CORES else name, found)
        for child, cell in modules[kind]["cells"].items():
            if cell["type"] in modules:
                add(c, cell["type"], child)

    _sum(around, "chip_control", counts(modules["flip_chip"]))
    for instance, cell in modules["flip_chip"]["cells"].items():
        core = re.fullmatch(r"u_core_(\d+)", instance)
        if core is not None:
            add(int(core[1]), cell["type"], instance)
        elif cell["type"] in modules:
            _sum(around, "chip_control", counts(modules[cell["type"]]))
    cores[0]["units"] |= around
    return cores


def logic_cells(folder: Path) -> int:
    """Logic cells that nextpnr packs a netlist into; nothing is placed."""
    arguments = ["--up5k", "--package", "sg48", "--json", "netlist.json", "--pack-only"]
    _, printed = run_program("nextpnr-ice40", arguments, folder, "nextpnr.log", may_fail=True)
    found = re.search(r"ICESTORM_LC:\s*(\d+)\s*/", printed)
    if found is None:
        raise SystemExit(f"nextpnr-ice40: {printed[-500:]}")
    return int(found[1])


def measure_fit(chip: Chip, folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """Counts of a chip's units, each synthesised by itself."""
    modules = synthesise(files, folder, units_apart=True)
    return {"cores": parts_of_chip(modules, len(chip.layers))}


def measure_check(_: Chip, folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """Counts of a whole chip, synthesised as one module, as it would be for a device."""
    modules = synthesise(files, folder, units_apart=False)
    return {"counts": counts(modules["flip_chip"]) | {"logic_cells": logic_cells(folder)}}


def measure(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Synthesise what the record lacks, or has of other Verilog; yields the record as it grows."""
    tools = [program_version("yosys", "-V"), program_version("nextpnr-ice40", "--version")]
    subjects = [("fit", name, "digits", changes) for name, changes in FIT.items()]
    subjects += [("check", name, preset, changes) for name, (preset, changes) in CHECK.items()]
    entries = {
        (role, one["name"]): one for role in ("fit", "check") for one in record.get(role, ())
    }
    for role, name, preset, changes in subjects:
        chip = load_chip(preset, (*changes, f"name={name}"))
        files = chip_files(chip, counters=False)
        digest = hashlib.sha256(json.dumps([sorted(files.items()), tools]).encode()).hexdigest()
        if entries.get((role, name), {}).get("digest") != digest:
            with tempfile.TemporaryDirectory(prefix="flipcore-ice40-") as place:
                found = (measure_fit if role == "fit" else measure_check)(chip, Path(place), files)
            entries[role, name] = {"name": name, "chip": chip_document(chip), "digest": digest, **found}  # fmt: skip
        grown: dict[str, Any] = {"tools": tools, "fit": [], "check": []}
        for kind, other, _, _ in subjects:
            if (kind, other) in entries:
                grown[kind].append(entries[kind, other])
        yield grown


def read_record() -> dict[str, Any]:
    """The record that is committed; empty where there is none."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}  # fmt: skip
    return record


def shipped_rows(record: dict[str, Any]) -> list[Coefficient]:
    """Rows of logic and of memories of flip-flops that follow from a record."""
    prices = CellPrices(
        active_pj=Band(ACTIVE_PJ, VIRTEX_PJ / 2, 2 * ACTIVE_PJ),
        area_um2=Band(DIE_UM2 / 2, GAP_UM2, DIE_UM2),
        cells_per_lut=cells_per_lut(record),
    )
    return lut_rows(fit_luts(record), prices, SOURCES)


def print_fit(record: dict[str, Any]) -> None:
    """Every unit's fit, and its error for the chips that it was not fitted on."""
    print("| unit | LUT4 | error of cores left out: median, worst |")
    print("|---|---|---|")
    for group in fit_luts(record):
        terms = " + ".join(f"{factor:,.3g} {term}" if term != "1" else f"{factor:,.0f}" for (_, _, term), factor in group.factors.items())  # fmt: skip
        found = f"{group.median_error:.1%}, {max(map(abs, group.errors)):.0%} of {len(group.observations)}"
        print(f"| {group.name.replace('_', ' ')} | {terms} | {'one chip' if is_of_one_chip(group) else found} |")  # fmt: skip


def print_checks(record: dict[str, Any]) -> None:
    """Whole chips beside the technology as it is shipped."""
    checks = check_luts(record, load_technology(TECHNOLOGY))
    print("| chip | LUT4 | model | | logic cells | flip-flops | model | block RAMs | model |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for one in checks:
        print(
            f"| {one.name} | {one.luts:,} | {one.model_luts.value:,.0f} ({one.model_luts.low:,.0f} ... {one.model_luts.high:,.0f}) | {one.error:+.1%} | "
            f"{one.logic_cells:,} | {one.flip_flops:,} | {one.model_flip_flops:,.0f} | {one.block_rams} | {one.model_block_rams} |"
        )
    errors = [abs(one.error) for one in checks]
    print(f"| **median, worst** | | | {statistics.median(errors):.1%}, {max(errors):.1%} | | | | | |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="synthesise what the record lacks")
    if parser.parse_args().measure:
        for record in measure(read_record()):
            write_whole(RECORD, (json.dumps(record) + "\n").encode())
            print(f"{len(record['fit'])} + {len(record['check'])} chips", flush=True)
    record = read_record()
    print_fit(record)
    print(format_rows(shipped_rows(record)))
    print_checks(record)


if __name__ == "__main__":
    main()
