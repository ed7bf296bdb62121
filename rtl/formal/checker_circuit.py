"""A checker as a circuit of gates and latches, for abc."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from flipcore.rtl.blif import CutModule, Register, read_cut_modules
from flipcore.rtl.formal.checkers import CHECKER
from flipcore.rtl.generate import write_files
from flipcore.rtl.mutation import run_yosys
from flipcore.rtl.reachable import (
    REACHED,
    any_lines,
    begin_net,
    begun_lines,
    head_lines,
    logic_lines,
    unless_lines,
)
from flipcore.rtl.yosys import PLAIN_ARRAYS, PLAIN_GATES

_RESTART = "|restart"
_HELD = "|held"  # all assumptions did, so far
_BOXES = {kind: {"A": "input", "EN": "input"} for kind in ("$assume", "$assert", "$cover")}
_BOXES |= {kind: {"Y": "output"} for kind in ("$anyconst", "$anyseq")}


def read_checker(files: Mapping[str, str], kind: str, folder: Path) -> CutModule:
    """Take a checker and what is below it to gates, its assumptions, and its assertions or covers, as instances.

    Args:
        files: Verilog, file name to text.
        kind: `assert` or `cover`: what can be reached.
        folder: To work in.

    Raises:
        ToolError: yosys is missing.
        CheckError: It refuses the Verilog.
    """
    write_files(files, folder)
    other = {"assert": "cover", "cover": "assert"}[kind]
    script = [
        f"read_verilog -formal -DSYNTHESIS {' '.join(files)}",
        f"prep -flatten -top {CHECKER}",
        f"chformal -{other} -remove",
        *PLAIN_ARRAYS,
        *PLAIN_GATES,
        "write_blif -cname checker.blif",
    ]
    run_yosys(folder, script, "checker")
    return read_cut_modules(folder / "checker.blif", _BOXES)[CHECKER]


def has_one_clock(checker: CutModule) -> bool:
    """Whether all registers have the clock, which a circuit of latches takes for granted; a mutant may change it."""
    return {register.pins["C"] for register in checker.registers.values()} <= {"clk_i"}


def circuit(checker: CutModule, *, restarts: bool) -> list[str]:
    """Circuit in which it can be asked whether an assertion fails, or a cover is met, while all assumptions have held.

    Args:
        checker: Of `read_checker`; its registers have one clock.
        restarts: Whether there may be a reset at any time: at once, after which the checker begins anew. Registers without a reset keep what they have.
    """
    free = {
        net: checker.children[pin.rpartition("|")[0]] for pin, net in checker.child_outputs.items()
    }
    constants = [net for net, kind in free.items() if kind == "$anyconst"]
    changing = [net for net, kind in free.items() if kind == "$anyseq"]
    begin = [begin_net(net) for net in checker.registers]
    fresh = [begin_net(net) for net in constants]
    if restarts:
        fresh += [_RESTART, *(f"{net}|again" for net in constants)]
    lines = [
        *head_lines([*sorted(checker.inputs), *changing, *begin, *fresh]),
        *logic_lines(checker),
    ]
    lines += [f".names {_RESTART}"] if not restarts else []
    for register in checker.registers.values():
        lines += _register(register)
    for net in constants:  # one value until the next restart
        if restarts:
            lines += [f".names {_RESTART} {net}|again {net} {net}|next", "11- 1", "0-1 1"]
        lines += begun_lines(net, net, f"{net}|next" if restarts else net)
    holding, reached = [_HELD], []
    for child, kind in checker.children.items():
        if kind in ("$anyconst", "$anyseq"):
            continue
        asked, enabled = (checker.child_inputs[f"{child}|{pin}"] for pin in ("A", "EN"))
        seen = f"{child}|seen"
        if kind == "$assume":
            lines += [f".names {asked} {enabled} {seen}", "1- 1", "-0 1"]
            holding.append(seen)
        else:
            lines += [f".names {asked} {enabled} {seen}", "11 1" if kind == "$cover" else "01 1"]
            reached.append(seen)
    lines += [f".names {' '.join(holding)} {_HELD}|next", "1" * len(holding) + " 1"]
    lines += [f".latch {_HELD}|next {_HELD} 1", *any_lines(reached, f"{_HELD}|any")]
    return [*lines, f".names {_HELD}|next {_HELD}|any {REACHED}", "11 1"]


def _register(register: Register) -> Iterator[str]:
    """One of the checker, which a restart gives its first value, or of the module: a reset takes effect at once, and what it held before is unknown."""
    net, data, after = register.net, register.pins["D"], f"{register.net}|next"
    if register.first:
        yield from unless_lines(data, _RESTART, "1", int(register.first), after)
        yield f".latch {after} {net} {register.first}"
    elif register.kind == "$_DFF_P_":
        yield from begun_lines(net, net, data)
    else:
        reset, value = register.pins["R"], int(register.kind == "$_DFF_PN1_")
        yield from unless_lines(data, reset, "0", value, after)
        yield from begun_lines(net, f"{net}|held", after)
        yield from unless_lines(f"{net}|held", reset, "0", value, net)
