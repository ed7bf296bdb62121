"""Running a bench: what is told when it cannot run."""

import shutil

import pytest

from flipcore.errors import CheckError, ToolError
from flipcore.rtl.simulators import run_bench

needs_simulator = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
)


def test_a_missing_simulator_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match=r"^iverilog: not found: .*Debian package `iverilog`\)$"):
        run_bench({"x.v": "module x; endmodule\n"}, "x", "no.such.bench", {})


@needs_simulator
def test_verilog_that_does_not_compile_is_refused_with_the_compilers_words() -> None:
    pytest.importorskip("cocotb", reason="cocotb is not installed")
    with pytest.raises(CheckError, match=r"^x: iverilog refuses it: .*syntax error"):
        run_bench({"x.v": "module x(; endmodule\n"}, "x", "no.such.bench", {})


@needs_simulator
def test_a_bench_that_does_not_start_is_no_success() -> None:
    pytest.importorskip("cocotb", reason="cocotb is not installed")
    with pytest.raises(CheckError, match=r"^x: .*no\.such|^x: .*No module named"):
        run_bench({"x.v": "module x; endmodule\n"}, "x", "no.such.bench", {})
