"""Mutation testing: does the suite notice small changes of the Verilog?

yosys makes the mutants, evenly over the cells of each module. They are run as the suite runs its chips, with few samples first. Of those that live
abc is asked whether the chip is another one, then whether the module can ever show a difference, by itself and in its surroundings; then the suite's properties are asked about the
mutated module, and at last the bench with all samples and seeds. Results are kept after every batch: started again, it goes on.
Run: python -m benchmarks.mutation [--mutants N] [--seed SEED] [--work DIR]; the results are DIR/mutants.json
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.files import write_whole
from flipcore.rtl.bench.chip_inputs import random_samples
from flipcore.rtl.bench.random_chips import random_chips
from flipcore.rtl.chip_verify import ChipTask
from flipcore.rtl.formal.mutants import broken_claim, claims, fails, surroundings_hide
from flipcore.rtl.generate import chip_files
from flipcore.rtl.mutant_proof import same_behaviour, same_logic, whole_logic
from flipcore.rtl.mutation import (
    TOP,
    Limits,
    Mutant,
    elaborate,
    make_mutants,
    module_name,
    mutated_text,
    run_mutants,
)
from tests.chips import small_chip

BATCH = 30  # of one compilation
QUICK = (20, 3)  # seed and samples that kill most
# Seeds and samples for those that live: the suite's own run of the small chip, and many short ones, as each begins with other weights and momenta.
THOROUGH = ((20, 12), *((seed, 4) for seed in range(1, 17)))
NONE = 0  # number of the chip without a mutant
PROOF_S = 120  # of a module, or of a property; a whole chip is too large for such a search
UNKNOWN, KILLED, EQUAL = "lives", "killed", "equal"
PROPERTY = "property"  # what a verdict begins with that a property has given

Judge = Callable[[Sequence[Mutant]], dict[int, tuple[str, str]]]  # numbers to verdict and reason


# Changed in a chip with softmax alone: the hinge gives two outputs at most an error, so that sums over errors and lanes take few of their values.
SOFTMAX_MODULES = frozenset({"backward_sum", "flip_unit", "readout_core"})


@dataclass(frozen=True)
class Subject:
    """A chip and the modules of it that are changed: those named, or all but those left out."""

    chip: Chip
    modules: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    def changes(self, module: str) -> bool:
        """Whether this module is changed."""
        return module in self.modules if self.modules else module not in self.left_out


def subjects() -> list[Subject]:
    """The suite's small chip, and two of its random ones for what the first does not have."""
    drawn = {chip.name: chip for chip in random_chips(12, 2026)}
    learning = {"adaptive_threshold", "square_sum", "error_softmax", "exponential", "decay", "momentum_flip", "update_control"}  # fmt: skip
    return [
        Subject(small_chip(), left_out=SOFTMAX_MODULES),
        Subject(drawn["random-2026-2"], SOFTMAX_MODULES | learning),
        Subject(drawn["random-2026-8"], frozenset({"decay", "gradient_round", "readout", "fire"})),
    ]


class Records:
    """What became of each mutant, kept in a file."""

    def __init__(self, path: Path) -> None:
        """Begin, or go on with what the file has."""
        self._path = path
        self.all: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.all = json.loads(path.read_text(encoding="utf-8"))

    def waiting(self, chip: Chip, mutants: Sequence[Mutant], judges: int) -> list[Mutant]:
        """Mutants of a chip about which so many judges have said nothing, and the next one was not asked."""
        return [
            one
            for one in mutants
            if self._of(chip, one)["verdict"] == UNKNOWN and self._of(chip, one)["judges"] == judges
        ]

    def put(self, chip: Chip, mutant: Mutant, verdict: str, how: str) -> None:
        """Say what a judge says of a mutant."""
        judges = self._of(chip, mutant)["judges"] + 1
        self.all[_key(chip, mutant)] = {
            "chip": chip.name, **asdict(mutant), "verdict": verdict, "judges": judges, "how": how,
        }  # fmt: skip

    def keep(self) -> None:
        """Write the file."""
        write_whole(self._path, json.dumps(self.all, indent=1).encode())

    def _of(self, chip: Chip, mutant: Mutant) -> dict[str, Any]:
        return self.all.get(_key(chip, mutant), {"verdict": UNKNOWN, "judges": 0})


def _key(chip: Chip, mutant: Mutant) -> str:
    return f"{chip.name} {mutant.options}"


def batches(mutants: Sequence[Mutant], size: int) -> Iterator[Sequence[Mutant]]:
    """Mutants, so many at a time."""
    for start in range(0, len(mutants), size):
        yield mutants[start : start + size]


class Court:
    """The mutants of a chip and their judges."""

    def __init__(self, subject: Subject, number: int, seed: int, folder: Path) -> None:
        """Draw so many mutants of each module, in a folder for the tools' files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.chip = subject.chip
        self._folder = folder
        self.mutants: list[Mutant] = []
        files = chip_files(self.chip)
        modules = elaborate(files, folder)
        for name in sorted({module_name(one) for one in modules}):
            if subject.changes(name):
                own = [one for one in modules if module_name(one) == name]
                self.mutants += make_mutants(folder, own, number, seed, first=len(self.mutants) + 1)
        random.Random(seed).shuffle(self.mutants)  # what is stopped early has seen all modules
        self._text = mutated_text(folder, self.mutants)
        self._claims = claims(self.chip, files, self._text, folder)
        self._fails_anyway = cache(lambda place: fails(self._claims[place], NONE, folder, PROOF_S))

    def judges(self) -> list[tuple[str, Judge, int]]:
        """What each is called, and for how many mutants at a time, in the order in which they are asked: proofs of equality before properties, which may look inside a module."""
        return [
            ("bench", lambda mutants: self.bench(mutants, [QUICK]), BATCH),
            ("the same chip?", self.same_chip, BATCH),
            ("the same module?", self.same_module, 5),
            ("the same in its surroundings?", self.same_in_surroundings, 5),
            ("properties", self.properties, 5),
            ("bench, all samples", lambda mutants: self.bench(mutants, THOROUGH), 15),
        ]

    def same_module(self, mutants: Sequence[Mutant]) -> dict[int, tuple[str, str]]:
        """Those that are proven not to show at the ports of their module."""
        logic = cache(lambda module: whole_logic(self._folder, self._text, module))
        return {
            one.number: (EQUAL, "the same module")
            for one in mutants
            if same_behaviour(self._folder, logic(one.elaborated), one.number, PROOF_S)
        }

    def same_in_surroundings(self, mutants: Sequence[Mutant]) -> dict[int, tuple[str, str]]:
        """Those that are proven not to show while the inputs of their module are what a property assumes them to be."""
        hidden = {
            one.number: surroundings_hide(self._claims, one, self._folder, PROOF_S)
            for one in mutants
        }
        return {
            number: (EQUAL, f"in the surroundings of {name}")
            for number, name in hidden.items()
            if name
        }

    def properties(self, mutants: Sequence[Mutant]) -> dict[int, tuple[str, str]]:
        """Those that break a property of the suite, which must not fail without a mutant."""
        broken: dict[int, tuple[str, str]] = {}
        for one in mutants:
            claim = broken_claim(self._claims, one, self._folder, PROOF_S)
            if claim is None:
                continue
            name = claim.obligation.property.name
            if self._fails_anyway(self._claims.index(claim)):
                raise CheckError(f"{self.chip.name}: {name} fails without a mutant")
            broken[one.number] = (KILLED, f"{PROPERTY} {name}")
        return broken

    def same_chip(self, mutants: Sequence[Mutant]) -> dict[int, tuple[str, str]]:
        """Those that leave all logic between registers and memories of the chip the same."""
        logic = whole_logic(self._folder, mutated_text(self._folder, mutants), TOP)
        return {
            one.number: (EQUAL, "the same chip")
            for one in mutants
            if same_logic(self._folder, logic, one.number)
        }

    def bench(
        self, mutants: Sequence[Mutant], runs: Sequence[tuple[int, int]]
    ) -> dict[int, tuple[str, str]]:
        """Those that the bench of the chip finds, in runs of a seed and a number of samples each."""
        killed: dict[int, tuple[str, str]] = {}
        for seed, number in runs:
            left = [one.number for one in mutants if one.number not in killed]
            found = self._run(seed, number, left) if left else {}
            killed |= {one: (KILLED, why.partition("\n")[0]) for one, why in found.items()}
        return killed

    def _run(self, seed: int, number: int, numbers: Sequence[int]) -> dict[int, str]:
        """Run mutants and after them the chip without one, which must not fail, or what the bench finds means nothing."""
        samples, state = random_samples(self.chip, number, seed)
        files = {"mutated.v": self._text}
        task = ChipTask(chip=self.chip, files=files, state=state, samples=samples, seed=seed)
        found = run_mutants(task, [*numbers, NONE], Limits())
        if NONE in found:
            raise CheckError(
                f"{self.chip.name}, seed {seed}: the bench fails without a mutant: {found[NONE]}"
            )
        return found


def try_all(court: Court, records: Records, progress: Progress) -> None:
    """Ask one judge after the other about the mutants that are still undecided."""
    chip = court.chip
    for place, (name, judge, size) in enumerate(court.judges()):
        waiting = records.waiting(chip, court.mutants, place)
        task = progress.add_task(f"{chip.name}: {name}", total=len(waiting))
        for batch in batches(waiting, size):
            said = judge(batch)
            for one in batch:
                records.put(chip, one, *said.get(one.number, (UNKNOWN, "")))
            records.keep()
            progress.advance(task, len(batch))


def report(records: Records) -> Table:
    """Mutants per module and what became of them."""
    counts: dict[str, Counter[str]] = {}
    for record in records.all.values():
        for name in (record["module"], "all"):
            count = counts.setdefault(name, Counter())
            count[record["verdict"]] += 1
            count[PROPERTY] += record["how"].startswith(PROPERTY)
    table = Table(
        "module", "mutants", "killed", "of them by a property", "equal, proven", "survive", "killed of the others, %"
    )  # fmt: skip
    for name in [*sorted(set(counts) - {"all"}), "all"]:
        count = counts[name]
        others = count[KILLED] + count[UNKNOWN]
        drawn = others + count[EQUAL]
        score = f"{100 * count[KILLED] / others:.1f}" if others else "-"
        table.add_row(name, str(drawn), str(count[KILLED]), str(count[PROPERTY]), str(count[EQUAL]), str(count[UNKNOWN]), score)  # fmt: skip
    return table


def main() -> None:
    """Judge all mutants; print the table and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=16, help="of each module")
    parser.add_argument("--seed", type=int, default=1, help="of their draw")
    parser.add_argument("--work", type=Path, help="build/mutation/SEED unless named")
    options = parser.parse_args()
    work = options.work or Path("build/mutation") / str(options.seed)
    work.mkdir(parents=True, exist_ok=True)
    records = Records(work / "mutants.json")
    console = Console()
    with Progress(console=console) as progress:
        for subject in subjects():
            court = Court(subject, options.mutants, options.seed, work / subject.chip.name)
            try_all(court, records, progress)
    console.print(report(records))
    for record in records.all.values():
        if record["verdict"] == UNKNOWN:
            console.print(f"{record['module']}: {record['mode']} {record['place']} {record['source']}", highlight=False)  # fmt: skip


if __name__ == "__main__":
    main()
