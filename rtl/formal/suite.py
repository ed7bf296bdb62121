"""Proves a chip's properties, of the Verilog that is given: two at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.rtl.formal.checkers import CHECKER, Obligation, obligations
from flipcore.rtl.formal.properties import PROPERTIES, Property, property_named
from flipcore.rtl.formal.solver import TRACE_FILE, Outcome, prove, require_solver
from flipcore.rtl.generate import write_files
from flipcore.rtl.programs import working_folder

PROCESSES = 2
Told = Callable[["Result"], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A proof and what it is of.

    Attributes:
        obligation: what was claimed.
        outcome: what became of it.
        vcd: waves of the counterexample, if there is one and it was to go somewhere.
    """

    obligation: Obligation
    outcome: Outcome
    vcd: str


def chosen_properties(names: Sequence[str]) -> tuple[Property, ...]:
    """Properties by name; all without any.

    Raises:
        InputError: There is none of such a name.
    """
    found = []
    for name in names:
        one = property_named(name)
        if one is None:
            known = ", ".join(other.name for other in PROPERTIES)
            raise InputError(f"--property {name}: must be one of {known}")
        found.append(one)
    return tuple(found) or PROPERTIES


def prove_chip(
    chip: Chip,
    files: Mapping[str, str],
    wanted: tuple[Property, ...] = PROPERTIES,
    *,
    counters: bool = True,
    timeout_s: float = 120.0,
    keep: Path | None = None,
    failures: Path | None = None,
    told: Told | None = None,
) -> list[Result]:
    """Prove properties of a chip's Verilog.

    Args:
        chip: The description that it was generated from.
        files: The Verilog, file name to text; a changed text (a mutant) is judged as it stands.
        wanted: Properties; those of parts that the chip does not have are left out.
        counters: Whether it has performance counters.
        timeout_s: For each proof.
        keep: Where checkers and logs of all proofs go; nothing is kept without.
        failures: Where the waves of a counterexample and its checker go.
        told: Called after each proof, from this thread.

    Returns:
        In the order of the properties.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog.
    """
    require_solver()
    tasks = obligations(chip, files, wanted, counters=counters)
    results: dict[int, Result] = {}
    with (
        working_folder(keep) as folder,
        ThreadPoolExecutor(min(PROCESSES, os.cpu_count() or 1)) as pool,
    ):
        running = {
            pool.submit(_prove, task, folder / _place(task), timeout_s, failures): number
            for number, task in enumerate(tasks)
        }
        try:
            for done in as_completed(running):
                results[running[done]] = done.result()
                if told is not None:
                    told(done.result())
        finally:
            pool.shutdown(cancel_futures=True)
    return [results[number] for number in range(len(tasks))]


def _prove(task: Obligation, folder: Path, timeout_s: float, failures: Path | None) -> Result:
    outcome = prove(task, folder, timeout_s)
    vcd = ""
    if outcome.verdict == "failed" and failures is not None:
        vcd = str(failures / _place(task) / TRACE_FILE)
        if failures / _place(task) != folder:
            names = (TRACE_FILE, f"{CHECKER}.v")
            write_files({name: (folder / name).read_text("utf-8") for name in names}, Path(vcd).parent)  # fmt: skip
    return Result(obligation=task, outcome=outcome, vcd=vcd)


def _place(task: Obligation) -> str:
    cores = "".join(f"-{c}" for c in task.cores)
    return f"{task.property.name}{cores}"
