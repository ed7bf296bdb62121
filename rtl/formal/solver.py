"""Asks yosys-smtbmc, with cvc5 behind it, whether a checker's assertions hold."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flipcore.errors import CheckError
from flipcore.rtl.formal.checkers import CHECKER, Obligation
from flipcore.rtl.generate import write_files
from flipcore.rtl.programs import require_program, run_program

Verdict = Literal["proven", "holds", "failed", "unknown"]

PROGRAMS = ("yosys", "yosys-smtbmc", "cvc5")
TRACE_FILE = "trace.vcd"
_INDUCTION = 2  # the properties carry what they need; more cycles prove no more of them
_FAILED = re.compile(r"Assert failed in \S+: \S+?:(\d+)\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a proof.

    Attributes:
        verdict: `proven`; `holds`: within the bound; `failed`: there is a counterexample; `unknown`: neither was found.
        method: how, with depth or bound.
        detail: of a failure, the assertion that fails; of `unknown`, why.
        seconds: wall time.
    """

    verdict: Verdict
    method: str
    detail: str
    seconds: float


def require_solver() -> None:
    """Raise a `ToolError` that names the package of the first program that is missing."""
    for program in PROGRAMS:
        require_program(program)


def prove(obligation: Obligation, folder: Path, timeout_s: float) -> Outcome:
    """Show an obligation or find a counterexample; files, logs and a trace of a failure stay in the folder.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog.
    """
    start = time.monotonic()
    deadline = start + timeout_s
    _elaborate(obligation, folder)
    method = obligation.property.method
    cycles = 1 if method == "inputs" else obligation.cycles
    said = {
        "inputs": "all inputs",
        "induction": "induction",
        "bounded": f"bounded, {cycles} cycles",
    }[method]

    def outcome(verdict: Verdict, how: str, detail: str = "") -> Outcome:
        return Outcome(
            verdict=verdict,
            method=how,
            detail=detail,
            seconds=round(time.monotonic() - start, 1),
        )

    def search(depth: int) -> Outcome | None:
        """Look for a counterexample; None if there is none up to this depth."""
        base = _ask(folder, ["-t", str(depth), "--dump-vcd", TRACE_FILE], "base.log", deadline)
        if base is None:
            return outcome("unknown", said, f"no answer in {timeout_s:g} s")
        if "Status: FAILED" in base:
            failed = _FAILED.search(base)
            assert failed is not None
            line = obligation.files[f"{CHECKER}.v"].splitlines()[int(failed[1]) - 1].strip()
            return outcome("failed", f"counterexample within {depth} cycles", line)
        if "Status: PASSED" not in base:
            raise CheckError(f"{obligation.property.name}: yosys-smtbmc: {_last_line(base)}")
        return None

    if method != "induction":
        return search(cycles) or outcome("proven" if method == "inputs" else "holds", said)
    found = search(_INDUCTION + 1)
    if found is not None:
        return found
    step = _ask(folder, ["-i", "-t", str(_INDUCTION)], "induction.log", deadline)
    if step is None:
        return outcome("unknown", said, f"no answer in {timeout_s:g} s")
    depth = _closed_at(step)
    if depth is not None:
        return outcome("proven", f"induction, k = {depth}")
    return search(cycles) or outcome(
        "unknown", said, f"no counterexample within {cycles} cycles, but induction does not close"
    )


def _elaborate(obligation: Obligation, folder: Path) -> None:
    sources = [path.name for path in write_files(obligation.files, folder)]
    script = [
        f"read_verilog -formal -DSYNTHESIS {' '.join(sources)}",
        f"prep -flatten -top {CHECKER}",
        "async2sync",
        "dffunmap",
        "opt_clean -purge",
        "check -assert",
        "write_smt2 -wires problem.smt2",
    ]
    (folder / "script.ys").write_text("\n".join([*script, ""]), encoding="utf-8")
    run_program("yosys", ["-Q", "-T", "-s", "script.ys"], folder, "yosys.log")


def _ask(folder: Path, options: Sequence[str], log: str, deadline: float) -> str | None:
    """Run yosys-smtbmc and return what it says, or None if time is up; its solver ends with it."""
    command = ["yosys-smtbmc", "-s", "cvc5", *options, "problem.smt2"]
    with (folder / log).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return (folder / log).read_text(encoding="utf-8", errors="replace")


def _closed_at(printed: str) -> int | None:
    if "Temporal induction successful" not in printed:
        return None
    tried = re.findall(r"Trying induction in step (\d+)", printed)
    return _INDUCTION - int(tried[-1]) if tried else _INDUCTION


def _last_line(printed: str) -> str:
    lines = [line.strip("\b |/-\\") for line in printed.splitlines() if line.strip("\b |/-\\")]
    return lines[-1] if lines else "no message"
