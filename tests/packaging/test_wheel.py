"""What is installed is complete: every module and data file, from a checkout and from an sdist."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"

USE_IT = """
import importlib, importlib.metadata, sys
from importlib.resources import files

target = sys.argv[1]
for name in ("flipcore", *(f"flipcore.{part}" for part in ("sim", "rtl", "hwmodel", "training"))):
    module = importlib.import_module(name)
    assert module.__file__.startswith(target), module.__file__
assert importlib.import_module("flipcore").__version__ == importlib.metadata.version("flipcore")

from flipcore.chip import load_chip

for file in (files("flipcore") / "presets").iterdir():
    load_chip(file.name.removesuffix(".yaml"))
    print(file.name)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module", params=["checkout", "sdist"])
def wheel(
    request: pytest.FixtureRequest, source_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A wheel built from the sources as they lie, or from their sdist."""
    folder = tmp_path_factory.mktemp(request.param)
    tree = folder / "tree"
    shutil.copytree(source_tree, tree, symlinks=True)
    source: Path = tree
    if request.param == "sdist":
        run(sys.executable, "-c", BUILD_SDIST, folder, cwd=tree)
        (source,) = folder.glob("*.tar.gz")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_holds_every_file_of_the_package(wheel: Path, source_tree: Path) -> None:
    src = source_tree / "src"
    expected = {
        (Path(folder) / name).relative_to(src).as_posix()
        for folder, _, names in os.walk(src / "flipcore", followlinks=True)
        for name in names
        if not name.endswith(".md")
    }
    assert {"flipcore/py.typed", "flipcore/sim/__init__.py"} < expected
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == expected


def test_is_complete_when_installed_elsewhere(
    wheel: Path, source_tree: Path, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    run(*PIP, "install", "--no-deps", "--target", target, wheel, cwd=tmp_path)
    told = run(sys.executable, "-P", "-c", USE_IT, target, cwd=tmp_path, PYTHONPATH=str(target))
    presets = {path.name for path in (source_tree / "src/flipcore/presets").iterdir()}
    assert set(told.splitlines()) == presets
    generate = [target / "bin" / "flipcore", "rtl", "generate", "digits", "--out", "verilog"]
    run(*generate, cwd=tmp_path, PYTHONPATH=str(target))
    assert list((tmp_path / "verilog").glob("*.v"))
