"""Placement, routing and timing on an iCE40 with nextpnr."""

import json
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import CheckError
from flipcore.rtl.programs import run_program
from flipcore.rtl.yosys import Design

HARNESS = "scan_harness"
_GOAL_MHZ = 100  # nextpnr tries harder where more is asked than it can reach


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """An iCE40 in a package.

    Attributes:
        options: That choose it in nextpnr.
        family: Timing of yosys: `hx` or `u`.
        logic_cells: A LUT4, a carry and a flip-flop each.
        block_rams: Of 4 kbit.
        large_rams: Of 256 kbit and one port.
        pins: For signals.
    """

    options: tuple[str, ...]
    family: str
    logic_cells: int
    block_rams: int
    large_rams: int
    pins: int

    @property
    def memory_bits(self) -> int:
        """Bits of all its memories."""
        return 4096 * self.block_rams + (1 << 18) * self.large_rams


DEVICES = {
    "ice40-hx8k": Device(
        options=("--hx8k", "--package", "ct256"),
        family="hx",
        logic_cells=7680,
        block_rams=32,
        large_rams=0,
        pins=206,
    ),
    "ice40-up5k": Device(
        options=("--up5k", "--package", "sg48"),
        family="u",
        logic_cells=5280,
        block_rams=30,
        large_rams=4,
        pins=39,
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What nextpnr made of a netlist.

    Attributes:
        fits: Whether the device holds it.
        logic_cells: Used.
        fmax_mhz: Of the clock, or None where it does not fit.
        start: Where the critical path starts.
        end: Where it ends.
    """

    fits: bool
    logic_cells: int | None
    fmax_mhz: float | None
    start: str
    end: str


def place(folder: Path, device: Device, *, seed: int) -> Placement:
    """Place and route the `netlist.json` of a folder.

    Raises:
        ToolError: nextpnr is missing.
        CheckError: It fails for another reason than the size of the device.
    """
    arguments = [*device.options, "--json", "netlist.json", "--report", "report.json"]
    arguments += ["--seed", str(seed), "--freq", str(_GOAL_MHZ), "--timing-allow-fail"]
    status, printed = run_program("nextpnr-ice40", arguments, folder, "nextpnr.log", may_fail=True)
    if status:
        errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
        full = (
            "Unable to place",
            "no BELs remaining",
            "failed to place",
            "Unable to find",
            "Failed to expand region",
        )
        if any(phrase in line for line in errors for phrase in full):
            return Placement(fits=False, logic_cells=None, fmax_mhz=None, start="", end="")
        raise CheckError(f"nextpnr-ice40: {(errors or ['failed'])[0]}")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    paths = [
        path["path"]
        for path in report.get("critical_paths", ())
        if path["from"] == path["to"] and path["path"]
    ]
    start, end = ("", "")
    if paths:
        start, end = paths[0][0]["from"]["cell"], paths[0][-1]["to"]["cell"]
    return Placement(
        fits=True,
        logic_cells=report["utilization"]["ICESTORM_LC"]["used"],
        fmax_mhz=min(clocks) if clocks else None,
        start=start,
        end=end,
    )


def scan_harness(design: Design) -> str:
    """Verilog of a module that feeds a design with more ports than the device has pins.

    Inputs come from a shift register and outputs go into another, so that every path of the design lies
    between registers.
    """
    clocks = ("clk_i", "rst_ni")
    inputs = {n: w for n, (d, w) in design.ports.items() if d == "input" and n not in clocks}
    outputs = {n: w for n, (d, w) in design.ports.items() if d == "output"}
    num_in, num_out = sum(inputs.values()), sum(outputs.values())
    lines = [
        f"module {HARNESS} (",
        "  input  wire clk_i,",
        "  input  wire rst_ni,",
        "  input  wire scan_i,",
        "  input  wire load_i,",
        "  output wire scan_o",
        ");",
        f"  reg  [{num_in}:0] inputs_q;",
        f"  reg  [{num_out}:0] outputs_q;",
        f"  wire [{num_out}:0] outputs;",
        f"  assign outputs[{num_out}] = 1'b0;",
        f"  assign scan_o = outputs_q[{num_out}];",
        "  always @(posedge clk_i) begin",
        f"    inputs_q  <= {{inputs_q[{num_in - 1}:0], scan_i}};",
        f"    outputs_q <= load_i ? outputs : {{outputs_q[{num_out - 1}:0], 1'b0}};",
        "  end",
        f"  {design.top} u_{design.top} (",
    ]
    connections = [f"    .{name}({name})" for name in clocks if name in design.ports]
    for vector, ports in (("inputs_q", inputs), ("outputs", outputs)):
        low = 0
        for name, width in ports.items():
            connections.append(f"    .{name}({vector}[{low + width - 1}:{low}])")
            low += width
    return "\n".join([*lines, ",\n".join(connections), "  );", "endmodule", ""])
