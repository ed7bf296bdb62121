"""`flipcore rtl verify`: the flip units against the reference, the whole chip against the simulator, and what was compared."""

import json as json_format
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from flipcore.chip import Chip, chip_yaml, load_chip
from flipcore.cli.verification_tables import print_result
from flipcore.errors import CheckError, ToolError
from flipcore.files import write_whole

try:
    from flipcore.rtl.bench.chip_inputs import data_samples, random_samples
    from flipcore.rtl.bench.random_chips import random_chips
    from flipcore.rtl.chip_verify import ChipCheck, ChipTask, verify_chip
    from flipcore.rtl.core_shape import CoreShape
    from flipcore.rtl.equivalence import netlist_files
    from flipcore.rtl.generate import chip_files, flip_unit_files
    from flipcore.rtl.simulators import Options, Simulator
    from flipcore.rtl.verify import FlipUnitCheck, verify_flip_unit
except ModuleNotFoundError as error:
    raise ToolError(f"{error.name} is missing: install flipcore[rtl]") from None

Tell = Callable[[str], None]

RANDOM = "random"  # in place of a data set: random events
WARM_UP = 50  # samples that the simulator learns before those of a data set are verified


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        chip: Preset or file; with `random_chips` it names nothing.
        random_chips: So many random chips are verified in place of `chip`.
        vectors: Words for each flip unit; 0: no flip unit is verified apart.
        samples: Samples for each chip; 0: no chip is verified.
        keep: Folder for the waves of a difference.
        netlist: Chips are run as the netlists that yosys makes of them.
    """

    chip: str
    changes: tuple[str, ...]
    random_chips: int
    dataset: str | None
    simulator: Simulator
    vectors: int
    samples: int
    seed: int
    keep: Path
    netlist: bool


@dataclass
class Result:
    """All checks of a call, in the order in which they were made."""

    flip_units: list[tuple[str, FlipUnitCheck]] = field(default_factory=list)
    chips: list[tuple[Chip, ChipCheck]] = field(default_factory=list)
    problem: str = ""  # the first mismatch

    def document(self, request: Request) -> dict[str, Any]:
        """The result as one JSON object."""
        units = [check for _, check in self.flip_units]
        chips = [check for _, check in self.chips]
        checks: list[FlipUnitCheck | ChipCheck] = [*units, *chips]
        coverage: Counter[str] = Counter()
        transitions: Counter[str] = Counter()
        for check in checks:
            coverage.update(check.coverage)
        for chip in chips:
            transitions.update(chip.transitions)
        return {
            "chip": RANDOM if request.random_chips else request.chip,
            "seed": request.seed,
            "simulator": checks[0].simulator if checks else "",
            "lane_updates": sum(check.lane_updates for check in units),
            "samples": sum(check.samples for check in chips),
            "cycles": sum(check.cycles for check in chips),
            "words_compared": sum(check.words_compared for check in chips),
            "bit_mismatches": sum(check.bit_mismatches for check in checks),
            "cycle_mismatches": sum(check.cycle_mismatches for check in chips),
            "mismatch": self.problem,
            "coverage": dict(coverage),
            "transitions": dict(transitions),
            "seconds": sum(check.seconds for check in checks),
            "flip_units": [{"core": name, **asdict(check)} for name, check in self.flip_units],
            "chips": [asdict(check) for check in chips],
        }


def verify(request: Request, *, as_json: bool) -> None:
    """Verify up to the first difference and print what was compared; CheckError if there is one."""
    if request.random_chips:
        chips = random_chips(request.random_chips, request.seed)
    else:
        chips = [load_chip(request.chip, request.changes)]
    result = Result()
    with _progress() as tell:
        for k, chip in enumerate(chips):
            _verify_one(replace(request, seed=request.seed + k), chip, result, tell)
            if result.problem:
                break
    if as_json:
        print(json_format.dumps(result.document(request)))
    else:
        print_result(
            Console(),
            result.flip_units,
            result.chips,
            result.document(request),
            shows_options=bool(request.random_chips),
        )
    if result.problem:
        raise CheckError(result.problem)


def _verify_one(request: Request, chip: Chip, result: Result, tell: Tell) -> None:
    """Verify one chip: first its flip units, then all of it."""
    for c in range(len(chip.layers)) if request.vectors else ():
        name = f"{chip.name}, core {c}"
        tell(f"flip unit of {name}")
        shape = CoreShape(chip, c, counters=True)
        check = verify_flip_unit(
            shape.unit,
            flip_unit_files(shape),
            words=request.vectors,
            seed=request.seed,
            options=Options(simulator=request.simulator),
        )
        result.flip_units.append((name, check))
        if check.bit_mismatches:
            result.problem = (
                f"flip unit of {name}: {check.bit_mismatches} bits differ from the reference"
            )
            return
    if not request.samples:
        return
    tell(f"chip {chip.name}")
    dataset = RANDOM if request.random_chips else request.dataset or chip.workload.dataset
    if dataset == RANDOM:
        samples, state = random_samples(chip, request.samples, request.seed)
    else:
        samples, state = data_samples(chip, dataset, request.samples, request.seed, WARM_UP)
    files = chip_files(chip)
    if request.netlist:
        tell(f"chip {chip.name}: synthesising")
        files = netlist_files(files)
    task = ChipTask(chip=chip, files=files, state=state, samples=samples, seed=request.seed)
    options = Options(
        simulator=request.simulator,
        progress=lambda text: tell(f"chip {chip.name}: sample {text}"),
    )
    try:
        check_of_chip = verify_chip(task, options, keep=request.keep)
    except CheckError as error:  # a chip that hangs or breaks a stream gives no result
        again = _replay(request, chip, dataset)
        raise CheckError(f"chip {chip.name}: {error}; again: {again}") from None
    result.chips.append((chip, check_of_chip))
    if check_of_chip.mismatch:
        replay = _replay(request, chip, dataset)
        result.problem = (
            f"chip {chip.name}: {check_of_chip.mismatch}; waves: {check_of_chip.vcd}; "
            f"again: {replay}"
        )


def _replay(request: Request, chip: Chip, dataset: str) -> str:
    """The command that makes the same run of the chip again; its description is kept beside the waves."""
    path = request.keep / f"{chip.name}.yaml"
    write_whole(path, chip_yaml(chip).encode())
    words = ["flipcore", "rtl", "verify", str(path), "--dataset", dataset, "--vectors", "0"]
    words += ["--samples", str(request.samples), "--seed", str(request.seed)]
    words += ["--simulator", request.simulator, "--keep", str(request.keep)]
    words += ["--netlist"] if request.netlist else []
    return shlex.join(words)


@contextmanager
def _progress() -> Iterator[Tell]:
    with Console(stderr=True).status("") as status:  # silent where stderr is no terminal
        yield lambda text: status.update(text)
