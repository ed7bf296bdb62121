"""A copy of the sources to build from, as a build leaves files behind."""

import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("src", "sim", "rtl", "hwmodel", "training", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a package is built from, its links kept."""
    tree = tmp_path_factory.mktemp("tree")
    left_behind = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=left_behind)
        else:
            shutil.copy(source, tree / name)
    return tree
