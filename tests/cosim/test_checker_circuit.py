"""A checker as a circuit: assumptions, constants, resets and registers without one mean what they mean to the solver."""

import shutil
from pathlib import Path

import pytest

from flipcore.rtl.formal.checker_circuit import circuit, has_one_clock, read_checker
from flipcore.rtl.formal.checkers import CHECKER
from flipcore.rtl.reachable import is_never_reached, is_reached

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in ("yosys", "berkeley-abc")),
        reason="yosys or abc (Debian packages yosys and berkeley-abc) is missing",
    ),
]

HEAD = f"""\
module {CHECKER} (input wire clk_i, input wire [3:0] in_i);
  reg started = 1'b0;
  always @(posedge clk_i) started <= 1'b1;
"""
COUNTER = """\
  reg [3:0] count_q;
  always @(posedge clk_i or negedge started) if (!started) count_q <= 0; else count_q <= count_q + in_i[0];
"""
KEPT = """\
  reg seen_q;  // no reset
  reg ran = 1'b0;
  always @(posedge clk_i) begin
    if (started) ran <= 1'b1;
    if (in_i == 3) seen_q <= 1'b1;
    else if (!ran) seen_q <= 1'b0;
  end
"""
CONSTANT = "  (* anyconst *) reg [3:0] choice;\n  reg [3:0] before;\n  always @(posedge clk_i) before <= choice;\n"
SEQUENCE = CONSTANT.replace("anyconst", "anyseq")


def holds(folder: Path, body: str, *, restarts: bool) -> bool:
    """Whether the assertions are proven; if not, one fails within 20 cycles."""
    text = f"{HEAD}{body}endmodule\n"
    checker = read_checker({"checker.v": text}, "assert", folder)
    assert has_one_clock(checker)
    lines = circuit(checker, restarts=restarts)
    proven = is_never_reached(folder, lines, 20)
    assert is_reached(folder, lines, 20, 20) is not proven
    return proven


@pytest.mark.parametrize(
    ("body", "restarts", "expected"),
    [
        (COUNTER + "  always @* assert (count_q < 9);\n", False, False),
        (COUNTER + "  always @* assert (started || count_q == 0);\n", True, True),
        (COUNTER + "  always @* if (started) begin assume (!in_i[0]); assert (count_q == 0); end\n", True, True),
        (COUNTER + "  always @* if (started) begin assume (in_i != 5); assert (count_q == 0); end\n", True, False),
        ("  always @* assert (in_i != 7);\n", False, False),
        ("  always @* begin assume (in_i < 7); assert (in_i != 7); end\n", False, True),
        (CONSTANT + "  always @* if (started) assert (before == choice);\n", False, True),
        (CONSTANT + "  always @* if (started) assert (before == choice);\n", True, True),
        (CONSTANT + "  reg once = 1'b0;\n  always @(posedge clk_i) once <= started;\n  always @* if (once) assert (before == choice);\n", True, True),
        (SEQUENCE + "  always @* if (started) assert (before == choice);\n", False, False),
        # known after its first cycle at most
        (KEPT + "  always @* if (started && !ran) assert (!seen_q);\n", False, False),
    ],
)  # fmt: skip
def test_assertions_hold_or_fail(tmp_path: Path, body: str, restarts: bool, expected: bool) -> None:
    assert holds(tmp_path, body, restarts=restarts) is expected


def test_a_restart_gives_first_values_to_the_checker_alone(tmp_path: Path) -> None:
    body = """\
  reg counted_q;  // no reset
  reg [2:0] since = 3'd0;  // of the checker
  always @(posedge clk_i) begin
    if (since == 3) counted_q <= 1'b1;
    else if (since == 1) counted_q <= 1'b0;
    if (since != 7) since <= since + 1;
  end
  always @* if (since == 1) assert (!counted_q);
"""
    old = body.replace("if (since == 1) assert", "if (in_i[0] && since == 2) assert")
    assert holds(tmp_path, old, restarts=True)
    assert not holds(tmp_path, body, restarts=True)


def test_a_checker_with_another_clock_is_told(tmp_path: Path) -> None:
    text = f"{HEAD}  reg q;\n  always @(posedge in_i[0]) q <= in_i[1];\n  always @* assert (q);\nendmodule\n"
    assert not has_one_clock(read_checker({"checker.v": text}, "assert", tmp_path))


def test_assertions_or_covers(tmp_path: Path) -> None:
    text = f"{HEAD}  always @* begin assert (in_i != 7); if (started) cover (in_i == 16); end\nendmodule\n"
    for kind, reached in (("assert", True), ("cover", False)):
        checker = read_checker({"checker.v": text}, kind, tmp_path)
        assert is_reached(tmp_path, circuit(checker, restarts=False), 3, 20) is reached
