"""Asks yosys-smtbmc, with cvc5 behind it, whether a checker's assertions hold."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
_FAILED = re.compile(r"Assert failed in \S+: \S+?:[\d.]+-(\d+)\.")


@dataclass(frozen=True, slots=True)
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
    detail: str = ""
    seconds: float = 0.0


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
    _elaborate(obligation, folder)
    outcome = _decide(obligation, folder, start + timeout_s)
    return replace(outcome, seconds=round(time.monotonic() - start, 1))


def find_counterexample(obligation: Obligation, folder: Path, timeout_s: float) -> Outcome | None:
    """Only look for a counterexample, as deep as the property says; None if there is none.

    Raises:
        ToolError: A program is missing.
        CheckError: yosys refuses the Verilog.
    """
    start = time.monotonic()
    _elaborate(obligation, folder)
    outcome = _search(obligation, folder, _depth(obligation), start + timeout_s)
    return outcome and replace(outcome, seconds=round(time.monotonic() - start, 1))


def _depth(obligation: Obligation) -> int:
    return 1 if obligation.property.method == "inputs" else obligation.cycles


def _decide(obligation: Obligation, folder: Path, deadline: float) -> Outcome:
    method, depth = obligation.property.method, _depth(obligation)
    if method == "inputs":
        return _search(obligation, folder, depth, deadline) or Outcome("proven", "all inputs")
    if method == "bounded":
        return _search(obligation, folder, depth, deadline) or Outcome(
            "holds", f"bounded, {depth} cycles"
        )
    found = _search(obligation, folder, _INDUCTION + 1, deadline)
    if found is not None:
        return found
    step = _ask(folder, ["-i", "-t", str(_INDUCTION)], "induction.log", deadline)
    if step is None:
        return Outcome("unknown", method, "no answer in time")
    closed = _closed_at(step)
    if closed is not None:
        return Outcome("proven", f"induction, k = {closed}")
    return _search(obligation, folder, depth, deadline) or Outcome(
        "unknown", method, f"none found within {depth} cycles, but induction does not close"
    )


def _search(obligation: Obligation, folder: Path, depth: int, deadline: float) -> Outcome | None:
    """Look for a counterexample in so many cycles after reset; None if there is none."""
    options = ["-t", str(depth), "--dump-vcd", TRACE_FILE]
    printed = _ask(folder, options, "base.log", deadline)
    if printed is None:
        return Outcome("unknown", obligation.property.method, "no answer in time")
    if "Status: FAILED" in printed:
        failed = _FAILED.search(printed)
        assert failed is not None
        line = obligation.files[f"{CHECKER}.v"].splitlines()[int(failed[1]) - 1].strip()
        return Outcome("failed", f"counterexample within {depth} cycles", line)
    if "Status: PASSED" not in printed:
        raise CheckError(f"{obligation.property.name}: yosys-smtbmc: {_last_line(printed)}")
    return None


def _elaborate(obligation: Obligation, folder: Path) -> None:
    sources = [path.name for path in write_files(obligation.files, folder)]
    script = [
        f"read_verilog -formal -DSYNTHESIS {' '.join(sources)}",
        f"prep -flatten -top {CHECKER}",
        "memory_map t:$mem_v2 r:SIZE=1 %i",  # write_smt2 of yosys 0.23 stumbles over arrays of one word
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
