"""What `make` tells on a machine that lacks something, with programs that stand in for the machine's."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="make (Debian package `make`) is missing")

OLD_PYTHON = '[ "$1" = --version ] && echo "Python 3.9.2" || exit 1'
NO_VENV = '[ "$2" != venv ]'


def make(folder: Path, target: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run a target where only shell tools and `programs` (name: shell script) are found."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    found = folder / "bin"
    found.mkdir()
    for name in ("sh", "id", "rm", "sed", "expand", "touch"):
        (found / name).symlink_to(str(shutil.which(name)))
    for name, script in programs.items():
        path = found / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return subprocess.run(
        [str(MAKE), target],
        cwd=folder,
        env={"PATH": str(found)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_target(tmp_path: Path) -> None:
    done = make(tmp_path, "help")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"help", "demo", "test"}


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({}, "python3 is missing: install Python 3.11 or newer"),
        ({"python3": OLD_PYTHON}, "python3 is Python 3.9.2: Python 3.11 or newer is needed"),
        ({"python3": NO_VENV}, "sudo apt-get install python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_told(
    tmp_path: Path, programs: dict[str, str], told: str
) -> None:
    done = make(tmp_path, "demo", **programs)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_simulator_that_cannot_be_installed_is_told(tmp_path: Path) -> None:
    done = make(tmp_path, "iverilog", apt_get="exit 100", sudo="exit 1")
    assert done.returncode != 0
    assert "Error 3" in done.stderr
    assert "sudo apt-get install iverilog" in done.stderr


def test_a_missing_simulator_is_installed(tmp_path: Path) -> None:
    install = f'[ "$1" != install ] || echo "$@" > {tmp_path / "asked"}'
    done = make(tmp_path, "iverilog", apt_get=install, sudo='shift; exec "$@"')
    assert done.returncode == 0
    assert (tmp_path / "asked").read_text().split()[-1] == "iverilog"
