"""What another parser, pyverilog, finds in generated Verilog: modules, parameters, ports, and the bits of every register."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import CheckError, ToolError
from flipcore.rtl.generate import write_files

# Where the stores of SPEC T13 stand in a core, and the register or array there (docs/RTL.md).
STORES = {
    "weight": ("u_weight", "memory"),
    "momentum": ("u_momentum", "memory"),
    "event_list": ("u_event_list", "memory"),
    "row_list": ("u_row_list", "memory"),
    "error": ("u_error", "memory"),
    "trace": ("u_trace", "memory"),
    "potential": ("u_potential", "memory"),
    "total": ("u_total", "memory"),
    "window": ("u_fire", "window_q"),
    "spike": ("u_fire", "spike_q"),
    "output": ("u_readout", "output_q"),
    "event_map": ("u_event_input", "event_map_q"),
    "live_words": ("u_error_words", "live_q"),
    "generator": ("u_flip_unit.u_random_source.u_xorshift32", "state_q"),
    "second_moment": ("u_adaptive_threshold", "second_moment_q"),
}
_READOUT_LIVE_WORDS = ("u_error_unit", "live_q")
_MEMORY_OUTPUT = "read_data_q"  # of the wrappers: part of a macro where one is swapped in


@dataclass(frozen=True)
class Instance:
    """One instance of the elaborated design.

    Attributes:
        path: Instance names from the top, joined by points; empty for the top.
        module: Its module.
        parameters: Their values.
        ports: Name to direction and bits.
        registers: Name to bits of what is assigned at a clock edge, arrays as a whole.
    """

    path: str
    module: str
    parameters: Mapping[str, int]
    ports: Mapping[str, tuple[str, int]]
    registers: Mapping[str, int]


@dataclass(frozen=True)
class Design:
    """A design as pyverilog reads it.

    Attributes:
        instances: Top first.
        round_trip: Module's file name to the text that pyverilog writes for it.
    """

    instances: list[Instance]
    round_trip: dict[str, str]


def read_design(files: Mapping[str, str], top: str) -> Design:
    """Parse and elaborate generated files.

    Raises:
        ToolError: pyverilog, or Icarus, which is its preprocessor, is missing.
        CheckError: The files do not parse.
    """
    if importlib.util.find_spec("pyverilog") is None:
        raise ToolError("pyverilog: not installed: it reads the Verilog (pip install pyverilog)")
    if shutil.which("iverilog") is None:
        raise ToolError(
            "iverilog: not found: pyverilog preprocesses with it (Debian package `iverilog`)"
        )
    with tempfile.TemporaryDirectory(prefix="flipcore-syntax-") as name:
        folder = Path(name)
        sources = write_files(files, folder / "in")
        out = folder / "out"
        out.mkdir()
        command = [sys.executable, "-m", "flipcore.rtl.syntax_worker", top, str(out)]
        answer = subprocess.run(
            [*command, *map(str, sources)], cwd=folder, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            last = (answer.stderr.strip() or answer.stdout.strip() or "no message").splitlines()[-1]
            raise CheckError(f"{top}: pyverilog refuses it: {last}")
        document = json.loads((out / "elaborated.json").read_text(encoding="utf-8"))
        texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*.v"))}
    instances = [
        Instance(
            path=one["path"],
            module=one["module"],
            parameters=one["parameters"],
            ports={port: (kind, bits) for port, (kind, bits) in one["ports"].items()},
            registers=one["registers"],
        )
        for one in document
    ]
    return Design(instances, texts)


@dataclass(frozen=True)
class CoreBits:
    """Bits that the Verilog of a core declares.

    Attributes:
        stores: Store of SPEC T13 to bits.
        counters: Bits of the performance counters.
        memory_outputs: Bits of the output registers of the memory wrappers.
        control: Path below the core and register to bits, of all others.
    """

    stores: dict[str, int]
    counters: int
    memory_outputs: int
    control: dict[str, int]


def core_bits(design: Design, c: int) -> CoreBits:
    """Sort every register and memory of core c into the SPEC's stores and the rest."""
    prefix = f"u_core_{c}."
    places = {place: store for store, place in STORES.items()}
    places[_READOUT_LIVE_WORDS] = "live_words"
    stores = dict.fromkeys(STORES, 0)
    counters = memory_outputs = 0
    control: dict[str, int] = {}
    for instance in design.instances:
        if not instance.path.startswith(prefix):
            continue
        path = instance.path.removeprefix(prefix)
        for name, bits in instance.registers.items():
            store = places.get((path, name))
            if store:
                stores[store] += bits
            elif name == _MEMORY_OUTPUT:
                memory_outputs += bits
            elif path == "u_event_counters":
                counters += bits
            else:
                control[f"{path}.{name}"] = bits
    return CoreBits(stores, counters, memory_outputs, control)


def store_differences(design: Design, c: int, expected: Mapping[str, int]) -> list[str]:
    """Compare the stores of core c with the memory table's, bit for bit; a line for each that differs."""
    found = core_bits(design, c).stores
    names = sorted(set(found) | set(expected))
    return [
        f"core {c}: {name}: {found.get(name, 0):,} bits in the Verilog, {expected.get(name, 0):,} in the memory table"
        for name in names
        if found.get(name, 0) != expected.get(name, 0)
    ]


def parameter_differences(design: Design, c: int, expected: Mapping[str, int]) -> list[str]:
    """Compare the elaborated parameters of core c and the units in it with the generator's; a line for each that differs.

    Modules that several units share (memories, lowest_set, word_select, popcount, square_sum) have parameters of their own and are left out.
    """
    differences = []
    for instance in design.instances:
        own = instance.path == f"u_core_{c}" or instance.path.startswith(f"u_core_{c}.")
        if not own or instance.module.startswith(_SHARED):
            continue
        for name, value in instance.parameters.items():
            if name in expected and value != expected[name]:
                differences.append(
                    f"{instance.path}: {name} is {value}, the generator's is {expected[name]}"
                )
    return differences


_SHARED = (
    "memory_",
    "lowest_set",
    "word_select",
    "popcount",
    "square_sum",
    "xorshift32",
    "event_counters",
)
