"""Asks abc whether a sequential circuit can ever raise a net; writes the registers of a cut module as latches for it.

A register without a reset and without a first value begins with an input of its own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from flipcore.rtl.blif import ONE, CutModule
from flipcore.rtl.programs import run_program

REACHED = "|reached"
_SHOWN = "|shown"  # the output: reached a cycle ago, as abc wants a circuit with registers
_RUNNING = "|running"  # 0 in the first cycle
_FILE = "circuit.blif"
_PROVED = "Property proved"
_ASSERTED = "was asserted in frame"


def is_never_reached(folder: Path, lines: Sequence[str], seconds: int) -> bool:
    """Whether abc proves within so many seconds that `REACHED` stays 0.

    Args:
        folder: To work in.
        lines: Of the circuit, `head_lines` first.
        seconds: Of the search.

    Raises:
        ToolError: abc is missing.
    """
    return _PROVED in _ask(folder, lines, f"scorr; print_stats; pdr -T {seconds}")


def is_reached(folder: Path, lines: Sequence[str], cycles: int, seconds: int) -> bool:
    """Whether abc finds within so many cycles, and seconds, how `REACHED` becomes 1.

    Args:
        folder: To work in.
        lines: Of the circuit, `head_lines` first.
        cycles: To look at.
        seconds: Of the search.

    Raises:
        ToolError: abc is missing.
    """
    return _ASSERTED in _ask(folder, lines, f"print_stats; bmc3 -F {cycles + 1} -T {seconds}")


def _ask(folder: Path, lines: Sequence[str], question: str) -> str:
    (folder / _FILE).write_text("\n".join([*lines, ".end", ""]), encoding="utf-8")
    command = f"read_blif {_FILE}; strash; scleanup; {question}"
    return run_program("berkeley-abc", ["-c", command], folder, "abc.log", may_fail=True)[1]


def head_lines(inputs: Sequence[str]) -> Iterator[str]:
    """Begin a circuit with these inputs."""
    yield ".model circuit"
    yield ".inputs " + " ".join(inputs)
    yield f".outputs {_SHOWN}"
    yield from (f".names {ONE}", "1", f".latch {ONE} {_RUNNING} 0")
    yield f".latch {REACHED} {_SHOWN} 0"


def any_lines(nets: Sequence[str], out: str) -> Iterator[str]:
    """A net that is 1 if one of these is."""
    yield f".names {' '.join(nets)} {out}"
    for place in range(len(nets)):
        yield "-" * place + "1" + "-" * (len(nets) - 1 - place) + " 1"


def logic_lines(module: CutModule, side: str = "") -> Iterator[str]:
    """Gates of a module, all nets with the name of a side before them."""
    for line in module.logic:
        word, *nets = line.split()
        yield " ".join([word, *(side + net for net in nets)]) if word == ".names" else line


def register_lines(module: CutModule, side: str = "") -> Iterator[str]:
    """Registers of a module, all nets but `begin_net` with the name of a side before them; a reset takes effect at a clock edge."""
    for net, register in module.registers.items():
        data, after = side + register.pins["D"], f"{side}{net}|next"
        if register.kind == "$_DFF_P_":
            yield from begun_lines(net, f"{side}{net}", data)
        else:
            first = int(register.kind == "$_DFF_PN1_")
            yield from unless_lines(data, side + register.pins["R"], "0", first, after)
            yield f".latch {after} {side}{net} {first}"


def unless_lines(data: str, clear: str, active: str, value: int, out: str) -> Iterator[str]:
    """A net that has the data, or a value while another net is active (`0` or `1`)."""
    yield f".names {clear} {data} {out}"
    if value:
        yield from (f"{active}- 1", "-1 1")
    else:
        yield "01 1" if active == "1" else "11 1"


def begin_net(register: str) -> str:
    """The input that a register begins with."""
    return f"{register}|begin"


def begun_lines(register: str, net: str, data: str) -> Iterator[str]:
    """A register that drives a net and begins with its input."""
    yield f".latch {data} {net}|kept 0"
    yield f".names {_RUNNING} {begin_net(register)} {net}|kept {net}"
    yield from ("1-1 1", "01- 1")
