"""Static timing of a netlist in the corner of a cell library, with OpenSTA."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flipcore.errors import CheckError
from flipcore.rtl.liberty import Library, macro_liberty
from flipcore.rtl.programs import run_program
from flipcore.rtl.yosys import LIBRARY_FILE, NETLIST_FILE, Design, Netlist, named_macros

_MACRO_FILE = "memories.lib"
_CLOCK = "clk_i"
_RESET = "rst_ni"

# Inputs change and outputs are taken at the clock edge, so that every path counts in full; the reset is no path.
_SCRIPT = """\
{libraries}read_verilog {netlist}
link_design {top}
create_clock -name clock -period {period} [get_ports {clock}]
set inputs {{}}
foreach port [all_inputs] {{
  if {{[lsearch {{{clock} {reset}}} [get_property $port full_name]] < 0}} {{ lappend inputs $port }}
}}
if {{[llength $inputs]}} {{ set_input_delay 0 -clock clock $inputs }}
set_output_delay 0 -clock clock [all_outputs]
{false_path}report_checks -path_delay max -format full -digits 4 -fields {{capacitance slew}}
set path [lindex [find_timing_paths -path_delay max] 0]
puts "path slack [get_property $path slack]"
puts "path start [get_property [get_property $path startpoint] full_name]"
puts "path end [get_property [get_property $path endpoint] full_name]"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticalPath:
    """The slowest path between registers, memories and ports.

    Attributes:
        ns: Shortest clock period that it allows, setup time included.
        start: Register or port where it starts.
        end: Register or port where it ends.
        report: The path cell by cell, as OpenSTA prints it.
    """

    ns: float
    start: str
    end: str
    report: str


def find_critical_path(
    folder: Path,
    design: Design,
    netlist: Netlist,
    library: Library,
    *,
    period_ns: float,
    memory_access_ns: float,
) -> CriticalPath:
    """Time the netlist that lies in a folder.

    Args:
        folder: Holds `LIBRARY_FILE` and `NETLIST_FILE`.
        design: The design of the netlist.
        netlist: Names the registers.
        library: Its corner is the corner of the result.
        period_ns: Of the clock; the path does not depend on it.
        memory_access_ns: Clock to data of the memories, which are black boxes.

    Raises:
        ToolError: OpenSTA is missing.
        CheckError: It cannot read the netlist or finds no path.
    """
    macros = named_macros(design)
    libraries = [LIBRARY_FILE]
    if macros:
        text = macro_liberty(macros, library.time_ps, memory_access_ns)
        (folder / _MACRO_FILE).write_text(text, encoding="utf-8")
        libraries.append(_MACRO_FILE)
    path = find_slowest_path(folder, design, libraries, library.time_ps, period_ns=period_ns)
    return replace(path, start=_register(path.start, netlist), end=_register(path.end, netlist))


def find_slowest_path(
    folder: Path, design: Design, libraries: Sequence[str], time_ps: float, *, period_ns: float
) -> CriticalPath:
    """Time the netlist that lies in a folder with Liberty files that lie there; start and end are pins or ports.

    Args:
        folder: Holds `NETLIST_FILE` and the libraries.
        design: The design of the netlist.
        libraries: Names of the files of one corner, the cells' first.
        time_ps: Unit of time of the first.
        period_ns: Of the clock; the path does not depend on it.

    Raises:
        ToolError: OpenSTA is missing.
        CheckError: It cannot read the netlist or finds no path.
    """
    units_per_ns = 1000.0 / time_ps
    script = _SCRIPT.format(
        libraries="".join(f"read_liberty {name}\n" for name in libraries),
        netlist=NETLIST_FILE,
        top=design.top,
        period=period_ns * units_per_ns,
        clock=_CLOCK,
        reset=_RESET,
        false_path=f"set_false_path -from [get_ports {_RESET}]\n" if _RESET in design.ports else "",
    )
    (folder / "timing.tcl").write_text(script, encoding="utf-8")
    # It goes on after an error and then exits with 0.
    _, printed = run_program("sta", ["-no_splash", "-exit", "timing.tcl"], folder, "timing.log")
    found = dict(re.findall(r"^path (slack|start|end) (\S+)$", printed, re.MULTILINE))
    errors = [line for line in printed.splitlines() if line.startswith("Error")]
    if errors or len(found) < 3:
        raise CheckError(f"sta: {design.top}: {(errors or ['no path'])[0]}")
    report = printed[printed.find("Startpoint:") : printed.find("path slack")].rstrip()
    return CriticalPath(
        ns=period_ns - float(found["slack"]) / units_per_ns,
        start=found["start"],
        end=found["end"],
        report=report,
    )


def _register(pin: str, netlist: Netlist) -> str:
    """The register bit behind a pin, or the pin or port itself."""
    return netlist.registers.get(pin.partition("/")[0], pin.replace("\\", ""))
