"""What the tree promises: links, lazy starts, no torch outside training, whole numbers in numerics."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "flipcore"
PARTS = ("sim", "rtl", "hwmodel", "training")
HEAVY = ("numba", "scipy", "sklearn", "torch", "optuna", "matplotlib", "tensorboardX", "cocotb")

START = """
import sys
from flipcore.cli import main
sys.argv = ["flipcore", *sys.argv[1:]]
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
print("loaded:", *sorted(name for name in sys.modules if "." not in name))
"""


def modules_outside_training() -> list[Path]:
    """Every module of the package that must do without torch, seen through the links."""
    return [
        Path(folder) / name
        for folder, _, names in os.walk(PACKAGE, followlinks=True)
        for name in names
        if name.endswith(".py") and not Path(folder).is_relative_to(PACKAGE / "training")
    ]


def imported_packages(source: str) -> set[str]:
    """Top-level names of all imports, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def inexact_operations(source: str) -> Iterator[str]:
    """What would leave the integers, or round other than `>>` does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Div | ast.FloorDiv):
            yield type(node).__name__
        elif isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield repr(node.value)
        elif isinstance(node, ast.Name) and node.id in ("round", "float", "divmod"):
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr in ("round", "floor", "ceil", "rint"):
            yield node.attr


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_relative_links(part: str) -> None:
    assert (PACKAGE / part).readlink() == Path("../..") / part
    assert (PACKAGE / part / "__init__.py").is_file()


def test_nothing_beside_training_imports_torch() -> None:
    modules = modules_outside_training()
    assert {PACKAGE / "numerics.py", PACKAGE / "sim" / "engine.py"} < set(modules)
    users = [path for path in modules if "torch" in imported_packages(path.read_text())]
    assert users == []


def test_imports_are_found_wherever_they_stand() -> None:
    source = "from . import torch\ndef f():\n    import torch.nn as nn\n    from numpy.linalg import inv\n"
    assert imported_packages(source) == {"torch", "numpy"}
    assert imported_packages("from .torch import x") == set()


def test_numerics_stays_within_the_integers() -> None:
    assert list(inexact_operations((PACKAGE / "numerics.py").read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a / b", ["Div"]),
        ("a //= b", ["FloorDiv"]),
        ("x = 0.5", ["0.5"]),
        ("round(a)", ["round"]),
        ("a.round()", ["round"]),
        ("(a + 1) >> 1", []),
    ],
)
def test_inexact_operations_are_found(source: str, found: list[str]) -> None:
    assert list(inexact_operations(source)) == found


@pytest.mark.parametrize("words", [["--help"], ["simulate", "--help"], ["presets"], ["estimate"]])
def test_light_commands_load_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", START, *words], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.partition("loaded: ")[2].split()
    assert "typer" in loaded
    assert [name for name in HEAVY if name in loaded] == []
