"""Bitstream of a chip on a board: synthesis, placement, routing, packing, and what they say of size and speed."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import CheckError
from flipcore.rtl.board.generate_board import PINS_FILE, TOP, board_files
from flipcore.rtl.board.shape import BoardShape
from flipcore.rtl.generate import write_files
from flipcore.rtl.place_ice40 import DEVICES
from flipcore.rtl.programs import program_version, require_program, run_program
from flipcore.rtl.yosys import Design, Netlist, map_to_ice40

DEVICE = "ice40-up5k"
BITSTREAM_FILE = "board.bin"
_ROUTED_FILE = "board.asc"
_REPORT_FILE = "report.json"
_USED = re.compile(r"(ICESTORM_LC|ICESTORM_RAM|ICESTORM_SPRAM): *(\d+)/ *(\d+)")
_CELLS = {
    "ICESTORM_LC": "logic cells",
    "ICESTORM_RAM": "block RAMs",
    "ICESTORM_SPRAM": "SPRAMs",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bitstream:
    """What became of a chip on a board.

    Attributes:
        path: the bitstream.
        luts: LUT4, before placement.
        flip_flops: number.
        logic_cells: of the device, used after packing; it has 5,280.
        block_rams: of 4 kbit, used; it has 30.
        large_rams: SPRAMs of 256 kbit, used; it has 4.
        fmax_mhz: of the clock, after routing.
        clock_mhz: of the board, which that must reach.
        seed: of the placement.
        tools: their versions.
        seconds: wall time.
    """

    path: str
    luts: int
    flip_flops: int
    logic_cells: int
    block_rams: int
    large_rams: int
    fmax_mhz: float
    clock_mhz: int
    seed: int
    tools: list[str]
    seconds: float


def build_bitstream(board: BoardShape, folder: Path, seeds: Sequence[int]) -> Bitstream:
    """Make the bitstream of a chip on a board; sources, netlist, logs and bitstream stay in the folder.

    Args:
        board: the chip and its board.
        folder: for all files.
        seeds: of placements to try, in order, until one reaches the board's clock.

    Raises:
        ToolError: yosys, nextpnr-ice40 or icepack is missing.
        CheckError: the chip does not fit the device, or no placement reaches the clock.
        InputError: the folder cannot be written.
    """
    for program in ("yosys", "nextpnr-ice40", "icepack"):
        require_program(program)
    start = time.monotonic()
    names = [path.name for path in write_files(board_files(board), folder)]
    sources = [name for name in names if name.endswith(".v")]
    design = Design(top=TOP, sources=sources, macros=[], ports={})
    netlist = map_to_ice40(folder, design, device="u", spram=False, black_boxes=False)
    tried = []
    for seed in seeds:
        fmax_mhz, cells = _place(folder, board, seed)
        tried.append(f"{fmax_mhz:.2f} MHz with seed {seed}")
        if fmax_mhz >= board.kind.clock_mhz:
            break
    else:
        raise CheckError(
            f"{board.chip.name}: {board.kind.title} runs at {board.kind.clock_mhz} MHz, routed are only "
            f"{', '.join(tried)}: try other seeds, or more lanes in the widest layer, which shorten the "
            "longest path"
        )
    run_program("icepack", [_ROUTED_FILE, BITSTREAM_FILE], folder, "icepack.log")
    return Bitstream(
        path=str(folder / BITSTREAM_FILE),
        luts=_count(netlist, "SB_LUT4"),
        flip_flops=_count(netlist, "SB_DFF"),
        logic_cells=cells,
        block_rams=_count(netlist, "SB_RAM40_4K"),
        large_rams=_count(netlist, "SB_SPRAM256KA"),
        fmax_mhz=round(fmax_mhz, 2),
        clock_mhz=board.kind.clock_mhz,
        seed=seed,
        tools=[program_version("yosys", "-V"), program_version("nextpnr-ice40", "--version")],
        seconds=round(time.monotonic() - start, 1),
    )


def _place(folder: Path, board: BoardShape, seed: int) -> tuple[float, int]:
    """Place and route; returns the clock that is reached, in MHz, and the logic cells used."""
    arguments = [*DEVICES[DEVICE].options, "--json", "netlist.json", "--pcf", PINS_FILE]
    arguments += ["--asc", _ROUTED_FILE, "--report", _REPORT_FILE]
    # It tries no harder than it must, and the clock is not all that varies between seeds.
    arguments += ["--freq", str(board.kind.clock_mhz), "--timing-allow-fail", "--seed", str(seed)]
    status, printed = run_program("nextpnr-ice40", arguments, folder, "nextpnr.log", may_fail=True)
    if status:
        lacking = [
            f"{int(used):,} {_CELLS[kind]} of {int(available):,}"
            for kind, used, available in _USED.findall(printed)
            if int(used) > int(available)
        ]
        if lacking:
            raise CheckError(
                f"{board.chip.name} does not fit {board.kind.title}: {', '.join(lacking)}"
            )
        errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
        raise CheckError(f"nextpnr-ice40: {board.chip.name}: {(errors or ['failed'])[0]}")
    report = json.loads((folder / _REPORT_FILE).read_text(encoding="utf-8"))
    fmax_mhz = min(clock["achieved"] for clock in report["fmax"].values())
    return fmax_mhz, report["utilization"]["ICESTORM_LC"]["used"]


def _count(netlist: Netlist, prefix: str) -> int:
    return sum(number for name, number in netlist.cells.items() if name.startswith(prefix))
