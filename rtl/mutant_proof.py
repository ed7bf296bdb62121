"""Proof that a mutant of a chip is the chip itself: abc finds no way to tell them apart.

The mutant and the chip, or the changed module of both, run side by side with the same inputs; no state that they can reach shows a difference.
Memories are cut open: they give any value, the same on both sides, and what goes into them must be the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from flipcore.rtl.blif import CutModule, difference, model_name, read_cut_modules, write_logic
from flipcore.rtl.mutation import SELECT_BITS, run_yosys
from flipcore.rtl.reachable import (
    REACHED,
    any_lines,
    begin_net,
    head_lines,
    is_never_reached,
    logic_lines,
    register_lines,
)
from flipcore.rtl.yosys import PLAIN_ARRAYS, PLAIN_GATES

_MEMORIES = "*memory_1r*"
_MEMORY = re.compile(r"^\.subckt (\S*memory_1r\S*) (.*)$", re.MULTILINE)
_PORT = re.compile(r"(\w+)(?:\[\d+\])?=")


def whole_logic(folder: Path, text: str, top: str) -> CutModule:
    """Logic of a module or a chip without its hierarchy, its memories cut open.

    Args:
        folder: To work in.
        text: Verilog with mutants in it.
        top: Module, as yosys names it.

    Raises:
        ToolError: yosys is missing.
        CheckError: Something is left that is neither a gate nor a register.
    """
    (folder / "whole.v").write_text(text, encoding="utf-8")
    name = f"\\{top}" if top.startswith("$") else top
    script = [
        "read_verilog whole.v",
        f"hierarchy -check -top {name}",
        f"blackbox {_MEMORIES}",
        *PLAIN_ARRAYS,
        "flatten",
        *PLAIN_GATES,
        "write_blif -cname whole.blif",
    ]
    run_yosys(folder, script, "whole")
    path = folder / "whole.blif"
    modules = read_cut_modules(path, _memory_ports(path.read_text(encoding="utf-8")))
    return modules[model_name(name)]


def _memory_ports(blif: str) -> dict[str, dict[str, str]]:
    """Port to its direction, which its name tells, of each memory that is instantiated."""
    return {
        kind: {port: "output" if port.endswith("_o") else "input" for port in _PORT.findall(pins)}
        for kind, pins in _MEMORY.findall(blif)
    }


def same_behaviour(folder: Path, module: CutModule, number: int, seconds: int) -> bool:
    """Whether outputs and what goes into memories are the same at all times, from the same state on, resets at any time.

    Args:
        folder: To work in.
        module: Logic with the mutant in it.
        number: That selects the mutant.
        seconds: That abc may search for a proof.
    """
    begin = [begin_net(net) for net in module.registers]
    free = sorted(module.inputs - set(SELECT_BITS)) + sorted(module.child_outputs)
    seen = {*module.outputs, *(register.pins["C"] for register in module.registers.values())}
    seen |= {net for net in module.child_inputs.values() if net not in SELECT_BITS}
    lines = [
        *head_lines([*free, *begin]),
        *_side(module, "first|", 0),
        *_side(module, "second|", number),
    ]
    for place, net in enumerate(sorted(seen)):
        lines += [f".names first|{net} second|{net} {place}|differs", "10 1", "01 1"]
    lines += any_lines([f"{place}|differs" for place in range(len(seen))], REACHED)
    return is_never_reached(folder, lines, seconds)


def same_logic(folder: Path, module: CutModule, number: int) -> bool:
    """Whether the logic between registers and memories is the same: quick for a whole chip, and blind to what registers can never hold.

    Args:
        folder: To work in.
        module: Logic with the mutant in it.
        number: That selects the mutant.
    """
    inputs = {net: [net] for net in module.inputs if net not in SELECT_BITS}
    inputs |= {pin: [net] for pin, net in module.child_outputs.items()}
    inputs |= {f"{net}/Q": [net] for net in module.registers}
    outputs = {net: net for net in module.outputs}
    outputs |= {pin: net for pin, net in module.child_inputs.items() if net not in SELECT_BITS}
    for net, register in module.registers.items():
        outputs |= {f"{net}/{pin}": at for pin, at in register.pins.items()}
    for name, selected in (("first.blif", 0), ("second.blif", number)):
        constants = {net: bool(selected >> k & 1) for k, net in enumerate(SELECT_BITS)}
        write_logic(folder / name, module, inputs, outputs, constants)
    return not difference(folder, "first.blif", "second.blif")


def _side(module: CutModule, side: str, number: int) -> Iterator[str]:
    """BLIF lines of a module with its registers, all nets with the name of the side before them; what is free is the same for both sides."""
    yield from logic_lines(module, side)
    for place, net in enumerate(SELECT_BITS):
        yield f".names {side}{net}"
        if number >> place & 1:
            yield "1"
    drivers = {net: net for net in module.inputs if net not in SELECT_BITS} | module.child_outputs
    for free, net in drivers.items():
        yield from (f".names {free} {side}{net}", "1 1")
    yield from register_lines(module, side)
