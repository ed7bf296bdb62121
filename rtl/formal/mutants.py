"""Do a chip's properties notice a mutant, and if not, is it the same module in their surroundings?

Each property is asked about the mutated module, in its full size. Its checker says what surrounds the module: what it assumes of the inputs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.rtl.formal.checker_circuit import circuit, has_one_clock, read_checker
from flipcore.rtl.formal.checkers import CHECKER, Obligation, obligations
from flipcore.rtl.formal.properties import PROPERTIES, Sizes
from flipcore.rtl.mutation import SELECT, Mutant, module_parameters, written_name
from flipcore.rtl.reachable import is_never_reached, is_reached
from flipcore.rtl.tables import Port, read_module

_MODULE = re.compile(r"^module (\S+) ?\((.*?)\);.*?^endmodule", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\S+)  ?\S+ \($", re.MULTILINE)
_UNDER_TEST = re.compile(r"^  \w+ #\([^;]*?\n  \) dut \($", re.MULTILINE)
_DUT = re.compile(r"^  (\S+)  ?dut \(\n(.*?)\n  \);", re.MULTILINE | re.DOTALL)
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


def broken_claim(
    claims: Sequence[Claim], mutant: Mutant, folder: Path, seconds: int
) -> Claim | None:
    """First claim that has a counterexample with a mutant, the shortest asked first; None if none is found.

    Whether it fails without a mutant as well is for the caller to ask (`fails`), once for each claim.

    Args:
        claims: Of the mutated chip.
        mutant: One of its mutants.
        folder: To work in.
        seconds: That abc may search, for each property.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog.
    """
    about = _about(claims, mutant)
    return next((one for one in about if fails(one, mutant.number, folder, seconds)), None)


def fails(claim: Claim, number: int, folder: Path, seconds: int) -> bool:
    """Whether abc finds a counterexample to a claim with a mutant, or without one (0), within the bound of the property and so many seconds."""
    obligation = claim.of(number)
    cycles = 1 if obligation.property.method == "inputs" else obligation.cycles
    checker = read_checker(obligation.files, "assert", folder)
    return has_one_clock(checker) and is_reached(
        folder, circuit(checker, restarts=False), cycles + 1, seconds
    )


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
        checker = read_checker(_pair(claim, mutant.number), "cover", folder)
        if has_one_clock(checker) and is_never_reached(
            folder, circuit(checker, restarts=True), seconds
        ):
            return claim.obligation.property.name
    return None


def _about(claims: Sequence[Claim], mutant: Mutant) -> list[Claim]:
    """Claims about the module of a mutant, the shortest first."""
    own = mutant.elaborated.removeprefix("\\")
    about = [claim for claim in claims if own in claim.modules]
    return sorted(about, key=lambda claim: claim.obligation.cycles)


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
