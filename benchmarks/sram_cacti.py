"""Static power and area of SRAM in nodes whose macros nobody publishes: CACTI 7 over a grid of sizes, fitted as macros are.

The rows `cacti-28nm` and `cacti-45nm` of the technologies come from here, and what their notes say of energy. Needs a CACTI 7 that was built where its sources lie, such as
those that hwcomponents-cacti packs. Run: python -m benchmarks.sram_cacti FOLDER_OF_CACTI [--node 0.045]
"""

import argparse
import csv
import itertools
import statistics
import subprocess
import tempfile
from pathlib import Path

from flipcore.hwmodel.sram_fit import fit_macros, sram_rows
from flipcore.hwmodel.sram_macros import Macro
from flipcore.hwmodel.technology import Ports, format_rows

WORDS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
BITS = (8, 16, 32, 64)
VOLTAGES = {0.045: 1.1, 0.028: 0.92}  # of ITRS LSTP, at 28 nm between CACTI's tables
KELVIN = 300
PORTS: dict[Ports, tuple[int, int, int]] = {"1rw": (1, 0, 0), "1r1w": (0, 1, 1)}
# The settings of hwcomponents-cacti: low static power first.
CONFIGURATION = """\
-size (bytes) {bytes}
-block size (bytes) {block}
-associativity 1
-read-write port {read_write}
-exclusive read port {read}
-exclusive write port {write}
-single ended read ports 0
-UCA bank 1
-technology (u) {node}
-page size (bits) 0
-burst length 8
-internal prefetch width 8
-Data array cell type - "itrs-lstp"
-Data array peripheral type - "itrs-lstp"
-Tag array cell type - "itrs-lstp"
-Tag array peripheral type - "itrs-lstp"
-output/input bus width {bits}
-operating temperature (K) {kelvin}
-cache type "ram"
-tag size (b) 0
-access mode (normal, sequential, fast) - "fast"
-design objective (weight delay, dynamic power, leakage power, cycle time, area) 0:0:1000000:0:0
-deviate (delay, dynamic power, leakage power, cycle time, area) 20:10:100000:100:100
-NUCAdesign objective (weight delay, dynamic power, leakage power, cycle time, area) 100:100:0:0:100
-NUCAdeviate (delay, dynamic power, leakage power, cycle time, area) 10:10000:10000:10000:10000
-Optimize ED or ED^2 (ED, ED^2, NONE): "ED^2"
-Cache model (NUCA, UCA)  - "UCA"
-NUCA bank count 0
-Wire signaling (fullswing, lowswing, default) - "Global_30"
-Wire inside mat - "semi-global"
-Wire outside mat - "semi-global"
-Interconnect projection - "normal"
-Core count 1
-Add ECC - "false"
-Print level (DETAILED, CONCISE) - "DETAILED"
-Print input parameters - "true"
-Force cache config - "false"
-dram_type "DDR3"
-io state "WRITE"
-addr_timing 1.0
-mem_density 4 Gb
-bus_freq 800 MHz
-duty_cycle 1.0
-activity_dq 1.0
-activity_ca 0.5
-num_dq 72
-num_dqs 18
-num_ca 25
-num_clk 2
-num_mem_dq 2
-mem_data_width 8
-rtt_value 10000
-ron_value 34
-tflight_value
-num_bobs 1
-capacity 80
-num_channels_per_bob 1
-first metric "Cost"
-second metric "Bandwidth"
-third metric "Energy"
-DIMM model "ALL"
-mirror_in_bob "F"
-Array Power Gating - "false"
-WL Power Gating - "false"
-CL Power Gating - "false"
-Bitline floating - "false"
-Interconnect Power Gating - "false"
-Power Gating Performance Loss 0.01
"""


def run_cacti(folder: Path, node: float, words: int, bits: int, ports: Ports) -> Macro:
    """One memory as CACTI sees it."""
    read_write, read, write = PORTS[ports]
    with tempfile.TemporaryDirectory() as place:
        settings = Path(place) / "ram"
        settings.write_text(
            CONFIGURATION.format(
                bytes=words * bits // 8, block=bits // 8, bits=bits, node=node, kelvin=KELVIN,
                read_write=read_write, read=read, write=write,
            )
        )  # fmt: skip
        command = ["./cacti", "-infile", settings]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        with settings.with_suffix(".out").open(newline="") as file:
            found = list(csv.DictReader(file, skipinitialspace=True))[-1]
    return Macro(
        name=f"CACTI_{words}x{bits}",
        words=words,
        bits=bits,
        ports=ports,
        read_clock_pj=float(found["Dynamic read energy (nJ)"]) * 1e3,
        write_clock_pj=float(found["Dynamic write energy (nJ)"]) * 1e3,
        read_pins_pj=0.0,
        write_pins_pj=0.0,
        leakage_nw=float(found["Standby leakage per bank(mW)"]) * 1e6,
        area_um2=float(found["Area (mm2)"]) * 1e6,
        voltage_v=VOLTAGES[node],
        temperature_c=KELVIN - 273,
    )


def main() -> None:
    """Run CACTI and print the rows, and energy by words^0.5 times bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cacti", type=Path, help="folder with the program `cacti`")
    parser.add_argument("--node", type=float, choices=sorted(VOLTAGES), default=0.045)
    options = parser.parse_args()
    macros = [
        run_cacti(options.cacti, options.node, words, bits, ports)
        for ports, words, bits in itertools.product(PORTS, WORDS, BITS)
    ]
    fits = fit_macros(macros)
    print(format_rows(sram_rows(fits, f"cacti-{options.node * 1000:g}nm")))
    for fit in fits:
        print(f"{fit.ports} {fit.action}: {fit.max_error:.0%} at most, {fit.median_error:.0%} in the median")  # fmt: skip
    for ports in PORTS:
        alike = [macro for macro in macros if macro.ports == ports]
        for name in ("read", "write"):
            factors = [getattr(m, f"{name}_pj") / (m.words**0.5 * m.bits) * 1e3 for m in alike]
            print(f"{ports} {name}: {min(factors):.2f} to {max(factors):.2f} fJ times words^0.5 times bits, {statistics.median(factors):.2f} in the median")  # fmt: skip


if __name__ == "__main__":
    main()
