"""What weighing toggles may be wrong by: the same netlist and samples without glitches, with other slews, with estimated wires.

Run: python -m benchmarks.power_method LIBERTY
"""

import argparse
import tempfile
from pathlib import Path

from flipcore.rtl.characterize import FIT, stimulus
from flipcore.rtl.gate_netlist import map_chip, weigh
from flipcore.rtl.gate_power import GatePower, measure_power
from flipcore.rtl.generate import chip_files
from flipcore.rtl.liberty import read_liberty
from flipcore.rtl.liberty_power import SLEW_NS, read_power_library


def _energies(power: GatePower) -> tuple[float, float]:
    """Energy of toggles and of the clock, in pJ."""
    toggles = sum(sum(phase.toggles_pj.values()) for phase in power.phases.values())
    cycles = sum(phase.cycles for phase in power.phases.values())
    return toggles, cycles * sum(power.clock_pj.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("liberty", type=Path)
    library = read_liberty(parser.parse_args().liberty)
    subject = FIT[0]
    chip = subject.chip
    samples, state = stimulus(subject)
    base = read_power_library(library.text, library.name)
    with tempfile.TemporaryDirectory(prefix="flipcore-power-") as name:
        folder = Path(name)
        mapped = map_chip(folder, chip_files(chip, counters=False), library, base.cells)
        variants = [
            (f"slew {SLEW_NS} ns, glitches, no wires", base, "", True),
            ("no glitches", base, "", False),
        ]
        variants += [
            (f"slew {slew} ns", read_power_library(library.text, library.name, slew), "", True)
            for slew in (0.02, 0.3)
        ]
        variants += [(f"wires of wire load {load}", base, load, True) for load in base.wire_loads]
        print(f"{chip.name}, {len(samples)} samples\n")
        print("| | toggles | clock | all |\n|---|---:|---:|---:|")
        first = (0.0, 0.0)
        for title, power_library, load, glitches in variants:
            netlist = weigh(mapped, power_library, base.wire_loads[load] if load else None)
            power = measure_power(
                folder, chip, netlist, power_library.cells, state, samples, glitches=glitches
            )
            toggles, clock = _energies(power)
            first = first if first[0] else (toggles, clock)
            print(
                f"| {title} | {toggles / first[0]:.2f} | {clock / first[1]:.2f} | "
                f"{(toggles + clock) / sum(first):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
