"""Mutants of a chip's Verilog: small changes, one at a time, that its benches should notice.

yosys picks cells at random and inverts, fixes or confuses bits of their ports. All mutants of a chip live in one text; an input
that yosys leads to them selects the active one, 0 for none, so that the chip is compiled once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flipcore.errors import CheckError
from flipcore.rtl.chip_verify import ChipTask, run_chip_bench
from flipcore.rtl.generate import write_files
from flipcore.rtl.programs import run_program
from flipcore.rtl.simulators import Options

TOP = "flip_chip"
SELECT = "mutant_i"  # input of the top, and of all modules down to the change: number of the active mutant
MUTANTS_FILE = "mutants.json"  # in the bench's working directory: numbers to run
BENCH = "flipcore.rtl.bench.bench_mutants"
_SELECT_BITS = 16
SELECT_BITS = tuple(f"{SELECT}[{k}]" for k in range(_SELECT_BITS))  # as nets, lowest first
_DESIGN_FILE = "design.il"
_PARAMETERS = re.compile(r"^\$paramod(?:\$[0-9a-f]+)?\\([^\\]+)")
_VARIANT = re.compile(r"_\d+$")
_TEST_NUMBER = re.compile(r"number=(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One change.

    Attributes:
        number: that selects it, from 1 on.
        module: whose text it is in, without the number of a variant.
        elaborated: the module with its parameters, as yosys names it.
        mode: what is done to a bit: `inv`, `const0`, `const1`, `cnot0`, `cnot1`.
        place: cell, port and bit.
        source: file, line and column that the cell comes from; empty if yosys does not say.
        options: of the command that makes it.
    """

    number: int
    module: str
    elaborated: str
    mode: str
    place: str
    source: str
    options: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """When a mutant hangs.

    Attributes:
        timeout_cycles: simulated clock cycles.
        timeout_s: processor time, for loops that take no simulated time.
    """

    timeout_cycles: int = 100_000
    timeout_s: int = 30


def elaborate(files: Mapping[str, str], folder: Path) -> list[str]:
    """Elaborate a chip's Verilog in a folder, without any synthesis.

    Returns:
        Its modules as yosys names them, memory wrappers left out.

    Raises:
        ToolError: yosys is missing.
        CheckError: It refuses the Verilog.
    """
    sources = " ".join(path.name for path in write_files(files, folder))
    script = [
        f"read_verilog -DSYNTHESIS {sources}",
        f"hierarchy -check -top {TOP}",
        "proc -norom",  # a table that became a memory could not be changed
        "opt_clean",
        f"write_ilang {_DESIGN_FILE}",
        "tee -q -o modules.txt ls",
    ]
    run_yosys(folder, script, "elaborate")
    listed = (folder / "modules.txt").read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in listed if line.startswith("  ")]
    return [name for name in names if not module_name(name).startswith("memory_1r")]


def module_parameters(folder: Path) -> dict[str, dict[str, int]]:
    """Values of the parameters of each module of an elaborated chip, by its name in yosys without a leading backslash."""
    found: dict[str, dict[str, int]] = {}
    own: dict[str, int] = {}
    for line in (folder / _DESIGN_FILE).read_text(encoding="utf-8").splitlines():
        if line.startswith("module "):
            own = found.setdefault(line.removeprefix("module ").removeprefix("\\"), {})
        elif line.startswith("  parameter "):
            name, value = line.split()[1:]
            own[name.removeprefix("\\")] = int(value)
    return found


def module_name(elaborated: str) -> str:
    """Name of a module without its parameters and the number of a variant."""
    return _VARIANT.sub("", written_name(elaborated))


def written_name(elaborated: str) -> str:
    """Name of a module in the Verilog that yosys elaborated."""
    found = _PARAMETERS.match(elaborated)
    return found[1] if found else elaborated.lstrip("\\")


def make_mutants(
    folder: Path, modules: Sequence[str], number: int, seed: int, *, first: int = 1
) -> list[Mutant]:
    """Draw mutants of an elaborated chip, spread evenly over its cells.

    Args:
        folder: Of `elaborate`.
        modules: As `elaborate` names them.
        number: How many of them together; fewer if there are not so many.
        seed: Of the draw.
        first: Number of the first.
    """
    chosen = " ".join(name.replace("\\", "?") for name in modules)  # a backslash would quote
    script = [
        f"read_ilang {_DESIGN_FILE}",
        f"mutate -list {number} -seed {seed} -o list.txt {chosen}",
    ]
    run_yosys(folder, script, "list")
    lines = (folder / "list.txt").read_text(encoding="utf-8").splitlines()
    return [_mutant(line, first + place) for place, line in enumerate(lines)]


def _mutant(line: str, number: int) -> Mutant:
    words = line.split()[1:]
    options: dict[str, list[str]] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        options.setdefault(option, []).append(value)
    elaborated = options["-module"][0]
    place = " ".join(options[option][0] for option in ("-cell", "-port", "-portbit"))
    return Mutant(
        number=number,
        module=module_name(elaborated),
        elaborated=elaborated,
        mode=options["-mode"][0],
        place=place,
        source=options.get("-src", [""])[-1],
        options=line.removeprefix("mutate ").partition(" -src ")[0].partition(" -wire ")[0],
    )


def mutated_text(folder: Path, mutants: Sequence[Mutant]) -> str:
    """Verilog of an elaborated chip with all these mutants, none active while the select is 0.

    Raises:
        CheckError: A mutant does not belong to the chip.
    """
    script = [f"read_ilang {_DESIGN_FILE}"]
    script += [
        f"mutate -ctrl {SELECT} {_SELECT_BITS} {one.number} {one.options}" for one in mutants
    ]
    run_yosys(folder, [*script, "write_verilog -noattr mutated.v"], "mutate")
    return (folder / "mutated.v").read_text(encoding="utf-8")


def run_mutants(task: ChipTask, numbers: Sequence[int], limits: Limits) -> dict[int, str]:
    """Run the bench of a chip on mutants.

    Args:
        task: Chip, samples and seed of the bench, and the mutated text as its Verilog.
        numbers: Mutants to run; 0 is the chip itself.
        limits: Of each.

    Returns:
        Number of each mutant that was killed to what killed it.

    Raises:
        ToolError: Icarus or cocotb is missing.
        CheckError: The text does not compile.
    """
    hanging: dict[int, str] = {}
    while True:
        left = [number for number in numbers if number not in hanging]
        running: list[str] = []
        mutants = {"numbers": left, **asdict(limits)}
        data = {MUTANTS_FILE: json.dumps(mutants).encode()}
        try:
            run = run_chip_bench(
                task, BENCH, Options(data=data, may_fail=True, progress=running.append)
            )
        except CheckError:
            if not running:
                raise
            hanging[int(running[-1])] = "the simulation goes round without time passing"
            continue
        killed = {_number(test): message for test, message in run.failures.items()}
        return hanging | killed


def _number(test: str) -> int:
    found = _TEST_NUMBER.search(test)
    if found is None:
        raise CheckError(f"{test}: not the test of a mutant")
    return int(found[1])


def run_yosys(folder: Path, script: Sequence[str], name: str) -> None:
    """Run a script of yosys in a folder; leaves `name.ys` and `name.log` there."""
    (folder / f"{name}.ys").write_text("\n".join([*script, ""]), encoding="utf-8")
    run_program("yosys", ["-Q", "-T", "-s", f"{name}.ys"], folder, f"{name}.log")
