"""Proof that a mutant of a chip is the chip itself: abc finds no way to tell them apart.

The mutant and the chip, or the changed module of both, run side by side with the same inputs; no state that they can reach shows a difference.
Memories are cut open: they give any value, the same on both sides, and what goes into them must be the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from flipcore.rtl.blif import ONE, CutModule, difference, model_name, read_cut_modules, write_logic
from flipcore.rtl.mutation import SELECT_BITS, run_yosys
from flipcore.rtl.programs import run_program
from flipcore.rtl.yosys import PLAIN_ARRAYS, PLAIN_GATES

_MEMORIES = "*memory_1r*"
_MEMORY = re.compile(r"^\.subckt (\S*memory_1r\S*) (.*)$", re.MULTILINE)
_PORT = re.compile(r"(\w+)(?:\[\d+\])?=")
_PROVED = "Property proved"
_RUNNING = "|running"  # 0 in the first cycle


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
    begin = [f"{net}|begin" for net in module.registers]
    free = sorted(module.inputs - set(SELECT_BITS)) + sorted(module.child_outputs)
    seen = {*module.outputs, *(register.pins["C"] for register in module.registers.values())}
    seen |= {net for net in module.child_inputs.values() if net not in SELECT_BITS}
    lines = [
        ".model miter",
        ".inputs " + " ".join([*free, *begin]),
        ".outputs differ",
        f".names {ONE}",
        "1",
        f".latch {ONE} {_RUNNING} 0",
        *_side(module, "first|", 0),
        *_side(module, "second|", number),
    ]
    for place, net in enumerate(sorted(seen)):
        lines += [f".names first|{net} second|{net} {place}|differs", "10 1", "01 1"]
    lines.append(".names " + " ".join(f"{place}|differs" for place in range(len(seen))) + " differ")
    lines += [
        "-" * place + "1" + "-" * (len(seen) - 1 - place) + " 1" for place in range(len(seen))
    ]
    (folder / "miter.blif").write_text("\n".join([*lines, ".end", ""]), encoding="utf-8")
    command = f"read_blif miter.blif; strash; scleanup; scorr; print_stats; pdr -T {seconds}"
    printed = run_program("berkeley-abc", ["-c", command], folder, "abc.log", may_fail=True)[1]
    return _PROVED in printed


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
    """BLIF lines of a module with its registers, all nets with the name of the side before them.

    A register without a reset begins with an input, the same for both sides. A reset takes effect at a clock edge.
    """
    for line in module.logic:
        word, *nets = line.split()
        yield " ".join([word, *(side + net for net in nets)]) if word == ".names" else line
    for place, net in enumerate(SELECT_BITS):
        yield f".names {side}{net}"
        if number >> place & 1:
            yield "1"
    drivers = {net: net for net in module.inputs if net not in SELECT_BITS} | module.child_outputs
    for free, net in drivers.items():
        yield from (f".names {free} {side}{net}", "1 1")
    for net, register in module.registers.items():
        data, reset, after = (
            side + register.pins["D"],
            side + register.pins.get("R", ""),
            f"{side}{net}|next",
        )
        if register.kind == "$_DFF_P_":
            yield f".latch {data} {side}{net}|kept 0"
            yield from (
                f".names {_RUNNING} {net}|begin {side}{net}|kept {side}{net}",
                "1-1 1",
                "01- 1",
            )
        else:
            is_one = register.kind == "$_DFF_PN1_"
            yield from (
                f".names {reset} {data} {after}",
                *(("0- 1", "-1 1") if is_one else ("11 1",)),
            )
            yield f".latch {after} {side}{net} {int(is_one)}"
