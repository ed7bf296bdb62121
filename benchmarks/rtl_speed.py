"""How many times faster the simulator learns than the chip's own Verilog, compiled by Verilator: same samples, one processor, one run.

Needs verilator, make and g++. The predictions and every weight word at the end must agree, or nothing is printed. No cocotb is in the loop: a C++ program drives the
streams. Run: python -m benchmarks.rtl_speed digits --samples 200
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flipcore import draws
from flipcore.chip import Chip, load_chip
from flipcore.events import EventCounts
from flipcore.rtl.bench import chip_bus, chip_inputs
from flipcore.rtl.bench.chip_bus import Pieces, address
from flipcore.rtl.bench.chip_samples import Sample, plain_transfers
from flipcore.rtl.bench.chip_state import unpack_state
from flipcore.rtl.bench.chip_stores import ExpectedStores
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.rtl.generate import chip_files, write_files
from flipcore.sim.data import load_dataset
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState
from flipcore.sim.stepper import Stepper

HARNESS = r"""
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include "Vflip_chip.h"
#include "verilated.h"

static Vflip_chip chip;
static long cycles = 0;

static void cycle() { chip.clk_i = 1; chip.eval(); chip.clk_i = 0; chip.eval(); ++cycles; }

static uint32_t bus(bool write, uint32_t address, uint32_t data) {
  chip.bus_valid_i = 1; chip.bus_write_i = write; chip.bus_address_i = address; chip.bus_wdata_i = data;
  chip.eval();
  while (!chip.bus_ready_o) cycle();
  uint32_t read = chip.bus_rdata_o;
  cycle();
  chip.bus_valid_i = 0; chip.eval();
  return read;
}

int main(int, char **argv) {
  FILE *script = fopen(argv[1], "r");
  char what;
  uint32_t a, b;
  double seconds = 0;
  long samples = 0, counted = 0;
  chip.rst_ni = 0; chip.prediction_ready_i = 1; chip.clk_i = 0; chip.eval();
  cycle(); cycle();
  chip.rst_ni = 1; chip.eval();
  while (fscanf(script, " %c %u %u", &what, &a, &b) == 3) {
    if (what == 'W') bus(true, a, b);
    if (what == 'R') printf("R %u\n", bus(false, a, 0));
    if (what != 'S') continue;
    // a sample of `a` transfers, read before the clock is looked at
    uint32_t *transfers = (uint32_t *)malloc(8u * a);
    for (uint32_t k = 0; k < a; ++k)
      if (fscanf(script, " %u %u", &transfers[2 * k], &transfers[2 * k + 1]) != 2) return 1;
    long first = cycles;
    clock_t start = clock();
    for (uint32_t k = 0; k < a; ++k) {
      chip.event_valid_i = 1; chip.event_kind_i = transfers[2 * k]; chip.event_data_i = transfers[2 * k + 1];
      chip.eval();
      while (!chip.event_ready_o) cycle();
      cycle();
    }
    chip.event_valid_i = 0; chip.eval();
    while (!chip.prediction_valid_o) cycle();
    uint32_t prediction = chip.prediction_o;
    cycle();
    seconds += double(clock() - start) / CLOCKS_PER_SEC;
    counted += cycles - first; ++samples;
    printf("P %u\n", prediction);
    free(transfers);
  }
  printf("T %.9f %ld %ld\n", seconds, samples, counted);
  return 0;
}
"""


def build(chip: Chip, folder: Path) -> Path:
    """Compile the chip, without counters, and the program that drives it."""
    sources = write_files(chip_files(chip, counters=False), folder / "verilog")
    (folder / "harness.cpp").write_text(HARNESS, encoding="utf-8")
    command = ["verilator", "--cc", "--exe", "--build", "-O3", "-CFLAGS", "-O3 -march=native"]
    command += ["--Mdir", str(folder / "obj"), "--top-module", "flip_chip", "-j", "2", "-Wno-fatal"]
    command += [*map(str, sources), str(folder / "harness.cpp")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "obj" / "Vflip_chip"


def load_lines(chip: Chip, state: ChipState, expected: ExpectedStores) -> Iterator[str]:
    """Bus writes that bring the chip to a state."""
    yield f"W {address(chip_bus.CHIP, 0, chip_bus.SAMPLES_LOW)} {state.sample_counter}"
    for c, core in enumerate(chip.layers):
        for lane in range(FlipUnit.of(core).generators):
            yield f"W {address(chip_bus.GENERATOR, c, lane)} {state.generators[c, lane]}"
        for step in range(chip.steps if core.rule == "tbso" else 0):
            yield f"W {address(chip_bus.SECOND_MOMENT, c, step)} {state.second_moment[c, step]}"
        for place, value in synapse_registers(chip, expected, c):
            yield f"W {place} {value}"


def synapse_registers(chip: Chip, expected: ExpectedStores, c: int) -> Iterator[tuple[int, int]]:
    """Every register of the weights and momentum of a core, with its value in the simulator."""
    core = chip.layers[c]
    stores = expected.synapses(c, np.arange(core.axons))
    widths = (core.lanes, core.lanes * core.momentum_bits)
    for region, store, bits in zip(
        (chip_bus.WEIGHT, chip_bus.MOMENTUM), stores, widths, strict=True
    ):
        pieces = Pieces.of(bits)
        for word, value in enumerate(store.values):
            for piece, part in enumerate(pieces.split(value)):
                yield address(region, c, word * pieces.pitch + piece), part


def measure(name: str, number: int, skip: int, rounds: int) -> None:
    """Print the two rates and their ratio."""
    chip = load_chip(name)
    dataset = load_dataset(chip.workload.dataset, num_steps=chip.steps)
    samples, packed = chip_inputs.data_samples(chip, chip.workload.dataset, number, 0, skip)
    order = draws.sample_order(0, 0, len(dataset.train))[skip : skip + number]
    records, labels = dataset.train.read(order), dataset.train.labels[order]
    relabelled = [
        Sample.read(chip, plain_transfers(one.events, [0] * chip.steps, int(label)))
        for one, label in zip(samples, labels, strict=True)
    ]

    def learn() -> tuple[Engine, list[int], float]:
        engine = Engine(chip, 0, unpack_state(packed))
        start = time.process_time()
        predictions = engine.train(records, labels, EventCounts.zeros(len(chip.layers)))
        return engine, predictions.tolist(), time.process_time() - start

    learn()  # compiles
    start_engine = Engine(chip, 0, unpack_state(packed))
    expected = ExpectedStores(chip, Stepper(start_engine))
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        program = build(chip, folder)
        lines = list(load_lines(chip, start_engine.state, expected))
        for sample in relabelled:
            lines.append(f"S {len(sample.transfers)} 0")
            lines += [f"{kind} {data}" for kind, data in sample.transfers]
        engine, predictions, _ = learn()
        learnt = ExpectedStores(chip, Stepper(engine))
        wanted = [
            item for c in range(len(chip.layers)) for item in synapse_registers(chip, learnt, c)
        ]
        lines += [f"R {place} 0" for place, _ in wanted]
        script = folder / "script.txt"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        ratios, ours, theirs, cycles = [], [], [], 0
        for _ in range(rounds):
            answer = subprocess.run([program, script], check=True, capture_output=True, text=True)
            fields = [line.split() for line in answer.stdout.splitlines()]
            found = [int(field[1]) for field in fields if field[0] == "P"]
            assert found == predictions, "predictions differ"
            read = [int(field[1]) for field in fields if field[0] == "R"]
            assert read == [value for _, value in wanted], "weights or momentum differ"
            seconds, cycles = float(fields[-1][1]), int(fields[-1][3])
            theirs.append(number / seconds)
            ours.append(number / min(learn()[2] for _ in range(3)))
            ratios.append(ours[-1] / theirs[-1])
    print(
        f"{name}: {number} samples learnt after {skip} others, {cycles / number:,.0f} cycles a sample"
    )
    print(f"simulator       {statistics.median(ours):12,.0f} samples/s")
    print(
        f"Verilator       {statistics.median(theirs):12,.0f} samples/s, predictions and weights equal"
    )
    print(
        f"ratio           {statistics.median(ratios):12,.0f} ({min(ratios):,.0f} ... {max(ratios):,.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chip", nargs="?", default="digits")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--skip", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    measure(arguments.chip, arguments.samples, arguments.skip, arguments.rounds)


if __name__ == "__main__":
    main()
