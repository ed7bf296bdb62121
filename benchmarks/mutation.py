"""Mutation testing: does the suite notice small changes of the Verilog?

yosys makes the mutants, evenly over the cells of each module. Each is run as the suite runs its chips, with fewer samples first; one that
lives is compared with the chip (abc: the same logic between registers and memories?), and if it is another circuit, it gets all samples and
seeds. Results are kept after every batch: started again, it goes on.
Run: python -m benchmarks.mutation [--mutants N] [--work DIR] [--out FILE]
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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
from flipcore.rtl.generate import chip_files
from flipcore.rtl.mutation import (
    Limits,
    Mutant,
    elaborate,
    make_mutants,
    module_name,
    mutated_text,
    run_mutants,
    same_circuit,
)
from tests.chips import small_chip

SEED = 1
BATCH = 40
QUICK = (5, 3)  # seed and samples that kill most
# Seeds and samples of those that live: the suite's own run of a small chip, and what `flipcore rtl verify --random-chips` does of one.
THOROUGH = ((5, 12), (2026, 7), (1, 7))


@dataclass(frozen=True)
class Subject:
    """A chip and the modules of it that are changed, all without names."""

    chip: Chip
    modules: frozenset[str] = frozenset()


def subjects() -> list[Subject]:
    """The suite's small chip, and two of its random ones for what the first does not have."""
    drawn = {chip.name: chip for chip in random_chips(12, 2026)}
    return [
        Subject(small_chip()),
        Subject(
            drawn["random-2026-2"],
            frozenset(
                {"adaptive_threshold", "square_sum", "error_softmax", "exponential", "decay", "momentum_flip", "update_control"}
            ),
        ),
        Subject(drawn["random-2026-8"], frozenset({"decay", "gradient_round", "readout", "fire"})),
    ]  # fmt: skip


class Records:
    """What became of each mutant, kept in a file."""

    def __init__(self, path: Path) -> None:
        """Begin, or go on with what the file has."""
        self._path = path
        self.all: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.all = json.loads(path.read_text(encoding="utf-8"))

    def missing(self, chip: Chip, mutants: Sequence[Mutant], *verdicts: str) -> list[Mutant]:
        """Mutants of a chip that have no verdict yet, or one of these."""
        known = ((one, self.all.get(_key(chip, one))) for one in mutants)
        return [one for one, record in known if record is None or record["verdict"] in verdicts]

    def put(self, chip: Chip, mutant: Mutant, verdict: str, how: str) -> None:
        """Say what became of a mutant: `killed`, `equal`, `lives` after the quick run, `survives` all of them."""
        record = {"chip": chip.name, **asdict(mutant), "verdict": verdict, "how": how}
        self.all[_key(chip, mutant)] = record

    def keep(self) -> None:
        """Write the file."""
        write_whole(self._path, json.dumps(self.all, indent=1).encode())


def _key(chip: Chip, mutant: Mutant) -> str:
    return f"{chip.name} {mutant.options}"


def batches(mutants: Sequence[Mutant], size: int = BATCH) -> Iterator[Sequence[Mutant]]:
    """Mutants, so many at a time."""
    for start in range(0, len(mutants), size):
        yield mutants[start : start + size]


def judge(
    subject: Subject, number: int, folder: Path, records: Records, progress: Progress
) -> None:
    """Make the mutants of a chip and find out what becomes of each."""
    chip = subject.chip
    folder.mkdir(parents=True, exist_ok=True)
    modules = elaborate(chip_files(chip), folder)
    mutants: list[Mutant] = []
    for name in sorted({module_name(one) for one in modules}):
        if not subject.modules or name in subject.modules:
            own = [one for one in modules if module_name(one) == name]
            mutants += make_mutants(folder, own, number, SEED, first=len(mutants) + 1)
    text = mutated_text(folder, mutants)
    _require_clean(chip, text)

    quick = records.missing(chip, mutants)
    task = progress.add_task(f"{chip.name}: bench", total=len(quick))
    for batch in batches(quick):
        killed = _run(chip, text, batch, *QUICK)
        for one in batch:
            verdict = "killed" if one.number in killed else "lives"
            records.put(chip, one, verdict, killed.get(one.number, ""))
        records.keep()
        progress.advance(task, len(batch))

    alive = records.missing(chip, mutants, "lives")
    task = progress.add_task(f"{chip.name}: same circuit?", total=len(alive))
    for batch in batches(alive):
        equal = same_circuit(folder, text, [one.number for one in batch])
        for one in batch:
            if one.number in equal:
                records.put(
                    chip, one, "equal", "abc: the same logic between registers and memories"
                )
        records.keep()
        progress.advance(task, len(batch))

    alive = records.missing(chip, mutants, "lives")
    task = progress.add_task(f"{chip.name}: bench, all samples", total=len(alive))
    for batch in batches(alive, 10):
        left = list(batch)
        for seed, samples in THOROUGH:
            killed = _run(chip, text, left, seed, samples)
            for one in left:
                if one.number in killed:
                    records.put(chip, one, "killed", killed[one.number])
            left = [one for one in left if one.number not in killed]
        for one in left:
            records.put(chip, one, "survives", "")
        records.keep()
        progress.advance(task, len(batch))


def _require_clean(chip: Chip, text: str) -> None:
    """Every run would count as a kill if the bench failed on the chip itself."""
    for seed, samples in (QUICK, *THOROUGH):
        samples_run, state = random_samples(chip, samples, seed)
        task = ChipTask(chip=chip, files={"mutated.v": text}, state=state, samples=samples_run, seed=seed)  # fmt: skip
        failed = run_mutants(task, [0, 0xFFFF], Limits())
        if failed:
            raise CheckError(f"{chip.name}: the bench fails without a mutant: {failed}")


def _run(
    chip: Chip, text: str, mutants: Sequence[Mutant], seed: int, number: int
) -> dict[int, str]:
    if not mutants:
        return {}
    samples, state = random_samples(chip, number, seed)
    task = ChipTask(chip=chip, files={"mutated.v": text}, state=state, samples=samples, seed=seed)
    killed = run_mutants(task, [one.number for one in mutants], Limits())
    return {one: why.partition("\n")[0] for one, why in killed.items()}


def report(records: Records) -> Table:
    """Mutants per module and what became of them."""
    counts: dict[str, Counter[str]] = {}
    for record in records.all.values():
        for name in (record["module"], "all"):
            counts.setdefault(name, Counter())[record["verdict"]] += 1
    table = Table(
        "module", "mutants", "killed", "same circuit", "survive", "killed of the others, %"
    )
    for name in [*sorted(set(counts) - {"all"}), "all"]:
        count = counts[name]
        others = count.total() - count["equal"]
        score = f"{100 * count['killed'] / others:.1f}" if others else "-"
        table.add_row(name, str(count.total()), str(count["killed"]), str(count["equal"]), str(others - count["killed"]), score)  # fmt: skip
    return table


def main() -> None:
    """Judge all mutants; print the table and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=50, help="of each module")
    parser.add_argument("--work", type=Path, default=Path("build/mutation"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    records = Records(options.work / "mutants.json")
    console = Console()
    with Progress(console=console) as progress:
        for subject in subjects():
            judge(subject, options.mutants, options.work / subject.chip.name, records, progress)
    console.print(report(records))
    for record in records.all.values():
        if record["verdict"] not in ("killed", "equal"):
            console.print(f"{record['module']}: {record['mode']} {record['place']} {record['source']}", highlight=False)  # fmt: skip


if __name__ == "__main__":
    main()
