"""Do a chip's properties notice a mutant, and if not, is it the same module in their surroundings?

Each property is asked about the mutated module, in its full size. Its checker says what surrounds the module: what it assumes of the inputs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.rtl.blif import CutModule, Register, read_cut_modules
from flipcore.rtl.formal.checkers import CHECKER, Obligation, obligations
from flipcore.rtl.formal.properties import PROPERTIES, Sizes
from flipcore.rtl.generate import write_files
from flipcore.rtl.mutation import SELECT, Mutant, module_parameters, run_yosys, written_name
from flipcore.rtl.reachable import (
    REACHED,
    any_lines,
    begin_net,
    begun_lines,
    head_lines,
    is_never_reached,
    is_reached,
    logic_lines,
    unless_lines,
)
from flipcore.rtl.tables import Port, read_module
from flipcore.rtl.yosys import PLAIN_ARRAYS, PLAIN_GATES

_MODULE = re.compile(r"^module (\S+) ?\((.*?)\);.*?^endmodule", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\S+)  ?\S+ \($", re.MULTILINE)
_UNDER_TEST = re.compile(r"^  \w+ #\([^;]*?\n  \) dut \($", re.MULTILINE)
_DUT = re.compile(r"^  (\S+)  ?dut \(\n(.*?)\n  \);", re.MULTILINE | re.DOTALL)
_RESTART = "|restart"
_HELD = "|held"  # all assumptions did, so far
_BOXES = {kind: {"A": "input", "EN": "input"} for kind in ("$assume", "$assert", "$cover")}
_BOXES |= {kind: {"Y": "output"} for kind in ("$anyconst", "$anyseq")}
# Outputs that their takers look at only while another output is 1; the takers do nothing without it.
_LOOKED_AT_IF = {
    ("integrate", "sums_o"): "sums_valid_o",
    ("predict", "prediction_o"): "done_o",
    ("decay", "momentum_read_address_o"): "momentum_read_o",
    ("decay", "momentum_write_address_o"): "momentum_write_o",
    ("decay", "momentum_data_o"): "momentum_write_o",
}
_FULL_SIZE = tuple(replace(one, sizes=Sizes()) for one in PROPERTIES)


@dataclass(frozen=True, slots=True)
class Claim:
    """A property of a module of a mutated chip.

    Attributes:
        obligation: with a checker that instantiates the module of the mutated text.
        modules: that it is about, as yosys names them: the module and all below it.
        outputs: of the module.
    """

    obligation: Obligation
    modules: frozenset[str]
    outputs: tuple[Port, ...]

    def of(self, number: int) -> Obligation:
        """The same claim with a mutant active."""
        files = self.obligation.files
        checker = files[f"{CHECKER}.v"].replace(f"`{SELECT}", f"16'd{number}")
        return replace(self.obligation, files={**files, f"{CHECKER}.v": checker})


def claims(chip: Chip, files: Mapping[str, str], text: str, folder: Path) -> list[Claim]:
    """All properties of a mutated chip's modules, in the sizes of the chip.

    Args:
        chip: The description that the Verilog was generated from.
        files: The Verilog, file name to text.
        text: Of the chip with its mutants (`mutated_text`).
        folder: Of `elaborate`.

    Raises:
        CheckError: A module that a property is of is not in the text.
    """
    modules = {found[1].removeprefix("\\"): found[0] for found in _MODULE.finditer(text)}
    parameters = module_parameters(folder)
    return [
        _claim(one, modules, _elaborated(one, parameters), text)
        for one in obligations(chip, files, _FULL_SIZE, counters=True)
    ]


def broken_property(
    claims: Sequence[Claim], mutant: Mutant, folder: Path, seconds: int
) -> str | None:
    """Name of the first property that has a counterexample with a mutant; None if none is found.

    Args:
        claims: Of the mutated chip.
        mutant: One of its mutants.
        folder: To work in.
        seconds: That abc may search, for each property.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog, or the property fails without a mutant as well.
    """
    for claim in _about(claims, mutant):
        if _fails(claim, mutant.number, folder, seconds):
            name = claim.obligation.property.name
            if _fails(claim, 0, folder, seconds):
                raise CheckError(f"{name}: fails without a mutant as well")
            return name
    return None


def surroundings_hide(
    claims: Sequence[Claim], mutant: Mutant, folder: Path, seconds: int
) -> str | None:
    """Name of the first property in whose surroundings a mutant is proven never to show, resets at any time; None if there is none.

    Asked are the properties whose assumptions hold everywhere in a chip.

    Args:
        claims: Of the mutated chip.
        mutant: One of its mutants.
        folder: To work in.
        seconds: That abc may search, for each property.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog.
    """
    for claim in _about(claims, mutant):
        if not claim.obligation.property.everywhere:
            continue
        files = _pair(claim, mutant.number)
        checker = _logic(files, folder, "chformal -assert -remove")
        if _has_one_clock(checker) and is_never_reached(
            folder, _circuit(checker, restarts=True), seconds
        ):
            return claim.obligation.property.name
    return None


def _about(claims: Sequence[Claim], mutant: Mutant) -> list[Claim]:
    """Claims about the module of a mutant, the shortest first."""
    own = mutant.elaborated.removeprefix("\\")
    about = [claim for claim in claims if own in claim.modules]
    return sorted(about, key=lambda claim: claim.obligation.cycles)


def _fails(claim: Claim, number: int, folder: Path, seconds: int) -> bool:
    obligation = claim.of(number)
    cycles = 1 if obligation.property.method == "inputs" else obligation.cycles
    checker = _logic(obligation.files, folder, "chformal -cover -remove")
    circuit = _circuit(checker, restarts=False)
    return _has_one_clock(checker) and is_reached(folder, circuit, cycles + 1, seconds)


def _has_one_clock(checker: CutModule) -> bool:
    """Whether all registers have the clock, which a circuit of latches takes for granted; a mutant may change it."""
    return {register.pins["C"] for register in checker.registers.values()} <= {"clk_i"}


def _logic(files: Mapping[str, str], folder: Path, prepare: str) -> CutModule:
    write_files(files, folder)
    script = [
        f"read_verilog -formal -DSYNTHESIS {' '.join(files)}",
        f"prep -flatten -top {CHECKER}",
        prepare,
        *PLAIN_ARRAYS,
        *PLAIN_GATES,
        "write_blif -cname checker.blif",
    ]
    run_yosys(folder, script, "checker")
    return read_cut_modules(folder / "checker.blif", _BOXES)[CHECKER]


def _circuit(checker: CutModule, *, restarts: bool) -> list[str]:
    """What can be reached: an assertion that fails, or a cover, while all assumptions have held.

    A restart is a reset at once, after which the checker begins anew. Registers without a reset keep what they have.
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


def _pair(claim: Claim, number: int) -> dict[str, str]:
    """The checker around the module and, with the same inputs, the module with a mutant; a cover is where they differ."""
    files = dict(claim.of(0).files)
    checker = files[f"{CHECKER}.v"]
    found = _DUT.search(checker)
    assert found is not None
    pins = found[2].replace(f".{SELECT}(16'd0)", f".{SELECT}(16'd{number})")
    lines = []
    for port in claim.outputs:
        pins = pins.replace(f"({port.name})", f"(other_{port.name})")
        lines.append(f"  wire {port.width} other_{port.name};")
    module = claim.obligation.property.module
    differ = " | ".join(_differs(module, port.name) for port in claim.outputs)
    lines += [f"  {found[1]}  other (", pins, "  );"]
    lines.append(f"  always @* if (started) cover ({differ});")
    return {**files, f"{CHECKER}.v": checker.replace(found[0], "\n".join([found[0], *lines]), 1)}


def _differs(module: str, output: str) -> str:
    different = f"{output} != other_{output}"
    valid = _LOOKED_AT_IF.get((module, output))
    return f"({valid} & ({different}))" if valid else f"({different})"


def _elaborated(obligation: Obligation, parameters: Mapping[str, Mapping[str, int]]) -> str:
    """The module that a claim is about, as yosys names it."""
    for name, values in parameters.items():
        if written_name(name) == obligation.module and all(
            obligation.parameters[parameter] == value for parameter, value in values.items()
        ):
            return name
    raise CheckError(f"{obligation.property.name}: {obligation.module} is not in the mutated text")


def _claim(obligation: Obligation, modules: Mapping[str, str], top: str, text: str) -> Claim:
    checker = obligation.files[f"{CHECKER}.v"]
    instance = f"  \\{top}  dut (" if not top.isidentifier() else f"  {top} dut ("
    header = _MODULE.match(modules[top])
    assert header is not None
    if SELECT in header[2]:
        instance += f"\n    .{SELECT}(`{SELECT}),"
    module = read_module(obligation.files[f"{obligation.module}.v"])
    changed, count = _UNDER_TEST.subn(lambda _: instance, checker)
    assert count == 1
    return Claim(
        replace(obligation, files={"mutated.v": text, f"{CHECKER}.v": changed}),
        frozenset(_below(modules, top)),
        tuple(port for port in module.ports if port.direction == "output"),
    )


def _below(modules: Mapping[str, str], top: str) -> Iterator[str]:
    yield top
    for name in _INSTANCE.findall(modules[top]):
        yield from _below(modules, name.removeprefix("\\"))
