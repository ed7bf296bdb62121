"""The tour is true: its Python blocks run one after the other, and its commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import environment
from tests.e2e.command import flipcore as command

DOCS = Path(__file__).parents[2] / "docs"
TOUR = (DOCS / "TOUR.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TOUR, re.DOTALL)


def commands() -> list[str]:
    """Every command of the tour, in blocks and in the text."""
    lines = [line for language, block in BLOCKS if not language for line in block.splitlines()]
    lines += re.findall(r"`(flipcore [^`]+)`", TOUR)
    return sorted({line.partition("#")[0].partition(" > ")[0].strip() for line in lines})


@pytest.mark.slow
def test_the_python_blocks_run(tmp_path: Path) -> None:
    code = "\n".join(block for language, block in BLOCKS if language == "python")
    assert code.count("flipcore.") >= 7
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "digits: layers.0.momentum_bits=1:" in done.stdout
    assert (tmp_path / "compared" / "report.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["compared"]


@pytest.mark.parametrize("line", commands())
def test_its_commands_and_their_options_exist(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)[1:]
    names = [word for word in words if not word.startswith("-")]
    depth = 2 if names[0] in ("rtl", "nir", "hw", "board") else 1
    shown = command(*names[:depth], "--help", folder=tmp_path, COLUMNS="200").stdout
    assert "Usage" in shown
    for word in words:
        if word.startswith("--"):
            assert word in shown, word


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TOUR))))
def test_links_lead_somewhere(name: str) -> None:
    assert (DOCS / name).exists()
