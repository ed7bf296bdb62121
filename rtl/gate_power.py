"""Energy of a chip's gates while it learns, phase by phase: a netlist of library cells simulated with real samples, its toggles weighed."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flipcore.chip import Chip
from flipcore.errors import CheckError, ToolError
from flipcore.rtl.bench.chip_phases import PHASES
from flipcore.rtl.bench.chip_samples import Sample, event_data_bits
from flipcore.rtl.bench.gate_stimulus import register_writes, write_images
from flipcore.rtl.flip_unit import index_bits
from flipcore.rtl.gate_netlist import TOP, GateNetlist, cell_models
from flipcore.rtl.liberty_power import PowerCell
from flipcore.rtl.yosys import NETLIST_FILE

PERIOD_NS = 40  # longer than any path; energy per cycle does not depend on it

_BENCH = """\
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst_n = 0;
  reg event_valid = 0, bus_valid = 0;
  reg [1:0] event_kind = 0;
  reg [{data_top}:0] event_data = 0;
  reg [31:0] bus_address = 0, bus_wdata = 0;
  wire event_ready, bus_ready, prediction_valid, phase_run, phase_done;
  wire [31:0] bus_rdata;
  wire [{class_top}:0] prediction;
  wire [3:0] phase, phase_core;
  flip_chip chip (
    .clk_i(clk), .rst_ni(rst_n),
    .event_valid_i(event_valid), .event_ready_o(event_ready), .event_kind_i(event_kind), .event_data_i(event_data),
    .prediction_valid_o(prediction_valid), .prediction_ready_i(1'b1), .prediction_o(prediction),
    .bus_valid_i(bus_valid), .bus_ready_o(bus_ready), .bus_write_i(1'b1), .bus_address_i(bus_address),
    .bus_wdata_i(bus_wdata), .bus_rdata_o(bus_rdata),
    .phase_o(phase), .phase_core_o(phase_core), .phase_run_o(phase_run), .phase_done_o(phase_done)
  );
  integer script, log, found, what, a, b, running;
  always #{half} clk = ~clk;
  // What the chip did in a cycle is known just before the edge that ends it.
  initial begin
    running = 0;
    #{log_phase};
    forever begin
      if (running) $fwrite(log, "%0d %0d %0d %0d\\n", $time, phase, phase_core, phase_run);
      #{period};
    end
  end
  initial begin
    script = $fopen("script.txt", "r");
    log = $fopen("phases.txt", "w");
{loads}
    #{reset} rst_n = 1;
    @(negedge clk);
    found = $fscanf(script, "%d %d %d", what, a, b);
    while (found == 3) begin
      if (what == {begin_op}) begin
        $dumpfile("waves.vcd");
        $dumpvars(2, chip);
        running = 1;
      end else if (what == {bus_op}) begin
        bus_valid = 1; bus_address = a; bus_wdata = b;
        #1 while (!bus_ready) @(negedge clk);
        @(negedge clk) bus_valid = 0;
      end else if (what == {event_op}) begin
        event_valid = 1; event_kind = a; event_data = b;
        #1 while (!event_ready) @(negedge clk);
        @(negedge clk) event_valid = 0;
      end else begin
        while (!prediction_valid) @(negedge clk);
        $display("%0d", prediction);
        @(negedge clk);
      end
      found = $fscanf(script, "%d %d %d", what, a, b);
    end
    $finish;
  end
endmodule
"""
_BEGIN, _BUS, _EVENT, _PREDICTION = range(4)


@dataclass(frozen=True, kw_only=True)
class PhaseEnergy:
    """Energies of the modules of a chip in one phase of one core, over a whole run.

    Attributes:
        cycles: of the phase.
        toggles_pj: module (`control`, or a core's number as a text) to the energy of its nets, without the clock's.
    """

    cycles: int = 0
    toggles_pj: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GatePower:
    """What a run showed.

    Attributes:
        phases: by phase name and core; `idle` is what is no phase.
        clock_pj: module to the energy of its registers' clock pins in a cycle.
        leakage_nw, area_um2: module to what its cells leak and cover.
        flip_flops: module to their number.
        predictions: of the samples, in order.
    """

    phases: dict[tuple[str, int], PhaseEnergy]
    clock_pj: dict[str, float]
    leakage_nw: dict[str, float]
    area_um2: dict[str, float]
    flip_flops: dict[str, int]
    predictions: list[int]


def measure_power(
    folder: Path,
    chip: Chip,
    netlist: GateNetlist,
    cells: Mapping[str, PowerCell],
    state: bytes,
    samples: Sequence[Sample],
    *,
    glitches: bool = True,
) -> GatePower:
    """Simulate the netlist in a folder (see `build_netlist`) with samples, from a state as `pack_state` gives it.

    Raises:
        ToolError: Icarus is missing.
        CheckError: It refuses the netlist, or the chip does not come to its predictions.
    """
    _write_bench(folder, chip, state, samples)
    text = (folder / NETLIST_FILE).read_text(encoding="utf-8")
    used = {name for name in cells if f" {name} " in text}
    (folder / "cells.v").write_text(
        cell_models(netlist, cells, used, delays=glitches), encoding="utf-8"
    )
    _simulate(folder)
    predictions = [int(line) for line in (folder / "printed.txt").read_text().split() if line.isdigit()]  # fmt: skip
    if len(predictions) != len(samples):
        raise CheckError(f"{chip.name}: the netlist came to {len(predictions)} of {len(samples)} predictions")  # fmt: skip
    modules = {"control": netlist.modules[TOP]}
    for instance, name in modules["control"].instances.items():
        modules[instance.removeprefix("u_core_")] = netlist.modules[name]
    return GatePower(
        phases=_phases(folder, netlist),
        clock_pj={name: module.clock_pj for name, module in modules.items()},
        leakage_nw={name: module.leakage_nw for name, module in modules.items()},
        area_um2={name: module.area_um2 for name, module in modules.items()},
        flip_flops={name: module.flip_flops for name, module in modules.items()},
        predictions=predictions,
    )


def _write_bench(folder: Path, chip: Chip, state: bytes, samples: Sequence[Sample]) -> None:
    loads = [
        f'    #0 $readmemh("{image}", chip.u_core_{c}.u_{memory}.memory);'
        for c, memory, image in write_images(folder, chip, state)
    ]
    (folder / "bench.v").write_text(
        _BENCH.format(
            data_top=event_data_bits(chip) - 1,
            class_top=index_bits(chip.classes) - 1,
            half=PERIOD_NS // 2,
            period=PERIOD_NS,
            log_phase=PERIOD_NS // 2 - 1,
            reset=PERIOD_NS * 2,
            loads="\n".join(loads),
            begin_op=_BEGIN,
            bus_op=_BUS,
            event_op=_EVENT,
        ),
        encoding="utf-8",
    )
    lines = [f"{_BUS} {place} {value}" for place, value in register_writes(chip, state)]
    lines.append(f"{_BEGIN} 0 0")
    for sample in samples:
        lines += [f"{_EVENT} {kind} {data}" for kind, data in sample.transfers]
        lines.append(f"{_PREDICTION} 0 0")
    (folder / "script.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _simulate(folder: Path) -> None:
    commands = (
        ["iverilog", "-g2005", "-o", "gates.vvp", "-s", "bench", "bench.v", NETLIST_FILE, "cells.v"],
        ["vvp", "-n", "gates.vvp"],
    )  # fmt: skip
    for command in commands:
        try:
            with (folder / "printed.txt").open("wb") as printed:
                done = subprocess.run(
                    command, cwd=folder, stdout=printed, stderr=subprocess.STDOUT, check=False
                )
        except FileNotFoundError:
            raise ToolError(
                f"{command[0]}: not found: it simulates the netlist (Debian package `iverilog`)"
            ) from None
        if done.returncode:
            tail = (folder / "printed.txt").read_text(errors="replace").splitlines()[-3:]
            raise CheckError(f"{command[0]}: {' | '.join(tail)}")


def _phases(folder: Path, netlist: GateNetlist) -> dict[tuple[str, int], PhaseEnergy]:
    ends, kinds = [], []
    for line in (folder / "phases.txt").read_text().splitlines():
        time, phase, core, run = line.split()
        ends.append(int(time) * 1000)  # the waves count in ps
        kinds.append((PHASES[int(phase)] if run == "1" else "idle", int(core)))
    phases: dict[tuple[str, int], PhaseEnergy] = {}
    for cycle, toggles in _energies(folder / "waves.vcd", netlist, ends):
        old = phases.get(kinds[cycle], PhaseEnergy())
        merged = {
            name: old.toggles_pj.get(name, 0.0) + toggles.get(name, 0.0)
            for name in {*old.toggles_pj, *toggles}
        }
        phases[kinds[cycle]] = PhaseEnergy(cycles=old.cycles + 1, toggles_pj=merged)
    return phases


def _energies(
    path: Path, netlist: GateNetlist, ends: Sequence[int]
) -> Iterator[tuple[int, dict[str, float]]]:
    """Energy of each module's toggles in each cycle; a cycle lasts to its end."""
    with path.open(encoding="utf-8", errors="replace") as waves:
        weights = _read_header(waves, netlist)
        scalars = {key: bits[0] for key, bits in weights.items() if len(bits) == 1}
        old: dict[str, str] = {}
        cycle, started = 0, False
        totals: dict[str, float] = {}
        for line in waves:
            first = line[0]
            if first == "#":
                started = started or bool(old)
                time = int(line[1:])
                while cycle < len(ends) and time > ends[cycle]:
                    yield cycle, totals
                    totals = {}
                    cycle += 1
                continue
            if first in "01":
                key = line[1:-1]
                if key in scalars and old.get(key) != first:
                    if started:
                        for module, energy in scalars[key]:
                            totals[module] = totals.get(module, 0.0) + energy
                    old[key] = first
            elif first == "b":
                value, _, key = line[1:-1].partition(" ")
                if key not in weights:
                    continue
                bits = weights[key]
                value = value.rjust(len(bits), "0" if value[0] in "01" else value[0])
                before = old.get(key)
                if started and before is not None and before != value:
                    for place, (a, b) in enumerate(
                        zip(reversed(before), reversed(value), strict=True)
                    ):
                        if a != b:
                            for module, energy in bits[place]:
                                totals[module] = totals.get(module, 0.0) + energy
                old[key] = value
        while cycle < len(ends):
            yield cycle, totals
            totals = {}
            cycle += 1


Weights = dict[str, list[list[tuple[str, float]]]]


def _read_header(waves: Iterator[str], netlist: GateNetlist) -> Weights:
    """For each identifier of the waves, for each of its bits, lowest first: whose energy an edge is, and how much."""
    weights: Weights = {}
    scopes: list[str] = []
    for line in waves:
        words = line.split()
        if not words:
            continue
        if words[0] == "$scope":
            scopes.append(words[2])
        elif words[0] == "$upscope":
            scopes.pop()
        elif words[0] == "$var":
            _add_net(weights, netlist, scopes, words)
        elif words[0] == "$enddefinitions":
            break
    return weights


def _add_net(
    weights: Weights, netlist: GateNetlist, scopes: Sequence[str], words: list[str]
) -> None:
    """$var TYPE WIDTH KEY NAME [RANGE] $end."""
    top = netlist.modules[TOP]
    if scopes == ["bench", "chip"]:
        owner, module = "control", top
    elif len(scopes) == 3 and scopes[2] in top.instances:
        owner, module = scopes[2].removeprefix("u_core_"), netlist.modules[top.instances[scopes[2]]]
    else:
        return
    width, key = int(words[2]), words[3]
    name = words[4].removeprefix("\\")
    energies = module.nets.get(name)
    if energies is None and width == 1 and len(words) == 7:
        energies = module.nets.get(name + words[5])  # a single bit of a vector that was taken apart
    if energies is None or not any(energies):
        return
    assert len(energies) == width, (
        f"{name}: {width} bits in the waves, {len(energies)} in the netlist"
    )
    bits = weights.setdefault(key, [[] for _ in range(width)])
    for place, energy in enumerate(energies):
        if energy:
            bits[place].append((owner, energy))
