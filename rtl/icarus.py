"""Runs a cocotb bench on generated Verilog in Icarus."""

import json
import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from flipcore.errors import CheckError, ToolError
from flipcore.rtl.generate import write_files

_LOG_LINES = 4  # last ones of a failed run, in the error


@dataclass(frozen=True)
class BenchRun:
    """What a bench left behind.

    Attributes:
        documents: The JSON document that each test wrote, by the test's name.
        seconds: Wall time of compilation and simulation.
        simulator: Name and version.
    """

    documents: dict[str, Any]
    seconds: float
    simulator: str


def run_bench(files: Mapping[str, str], top: str, bench: str, task: Mapping[str, Any]) -> BenchRun:
    """Compile Verilog-2005 files and run a bench on them, in a folder of its own that is removed afterwards.

    Args:
        files: File name to text.
        top: Module under test.
        bench: Dotted name of the module with the cocotb tests.
        task: What the bench finds as `bench.json` in its working directory.

    Raises:
        ToolError: Icarus or cocotb is missing.
        CheckError: The files do not compile or a test of the bench fails.
    """
    simulator = _simulator_version()
    try:
        from cocotb_tools.runner import get_runner
    except ImportError:
        raise ToolError("cocotb: not installed: the benches need it (pip install cocotb)") from None
    with tempfile.TemporaryDirectory(prefix="flipcore-bench-") as name:
        folder = Path(name)
        sources = write_files(files, folder)
        (folder / "bench.json").write_text(json.dumps(task), encoding="utf-8")
        log, results = folder / "log.txt", folder / "results.xml"
        runner = get_runner("icarus")
        runner.log.setLevel(logging.CRITICAL)  # what goes wrong is raised, not printed
        start = time.monotonic()
        try:
            runner.build(
                sources=sources,
                hdl_toplevel=top,
                build_dir=folder,
                build_args=["-g2005"],
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except RuntimeError:
            raise CheckError(f"{top}: iverilog refuses it: {_tail(log)}") from None
        try:
            runner.test(
                test_module=bench,
                hdl_toplevel=top,
                build_dir=folder,
                results_xml=str(results),
                log_file=log,
            )
        except (RuntimeError, SystemExit):  # the results file says more, where there is one
            pass
        seconds = time.monotonic() - start
        tests = _passed_tests(results, top, log)
        documents = {
            test: json.loads((folder / f"{test}.json").read_text(encoding="utf-8"))
            for test in tests
        }
    return BenchRun(documents, seconds, simulator)


def _simulator_version() -> str:
    if shutil.which("iverilog") is None:
        raise ToolError("iverilog: not found: it runs the benches (Debian package `iverilog`)")
    answer = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
    return answer.stdout.partition("\n")[0].strip()


def _passed_tests(results: Path, top: str, log: Path) -> list[str]:
    """Names of the tests in cocotb's results file, all of which passed."""
    if not results.is_file():
        raise CheckError(f"{top}: the simulation ended without results: {_tail(log)}")
    cases = list(ElementTree.parse(results).iter("testcase"))
    for case in cases:
        for outcome in ("failure", "error"):
            problem = case.find(outcome)
            if problem is not None:
                message = problem.get("error_msg") or problem.get("message") or _tail(log)
                raise CheckError(f"{top}: {case.get('name')}: {message}")
    return [str(case.get("name")) for case in cases]


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return " | ".join(line.strip() for line in lines[-_LOG_LINES:])
