"""What tests ask for: real data, external tools; and what must hold where nothing may be skipped.

FLIPCORE_DATA: the folder of real data sets; by default `../shared/data` beside the checkout.
FLIPCORE_REQUIRE_DATA=1: a test that lacks its data fails instead of being skipped.
FLIPCORE_REQUIRE_TOOLS=1: no run without the tools that tests skip without.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

# Tests run side by side: threads of torch would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parents[1]

# The programs that tests skip without, each with the Debian package that brings it.
SIMULATOR_PROGRAMS = {"iverilog": "iverilog", "vvp": "iverilog"}

hypothesis.settings.register_profile(
    "flipcore",
    deadline=None,  # the first call of a loop compiles it
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("flipcore")


def pytest_sessionstart() -> None:
    """Refuse to start where tools are required and missing, however the tests would skip."""
    if not _is_set("FLIPCORE_REQUIRE_TOOLS"):
        return
    for program, package in SIMULATOR_PROGRAMS.items():
        if shutil.which(program) is None:
            raise pytest.UsageError(
                f"FLIPCORE_REQUIRE_TOOLS=1: {program} (Debian package `{package}`) is missing"
            )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets."""
    chosen = os.environ.get("FLIPCORE_DATA")
    folder = Path(chosen) if chosen else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        reason = f"{folder}: no such folder of real data sets (FLIPCORE_DATA names another)"
        _skip_or_fail(reason, required=bool(chosen) or _is_set("FLIPCORE_REQUIRE_DATA"))
    return folder


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str, str], Path]:
    """A function that finds a program, given its name and Debian package, or skips the test."""

    def find(program: str, package: str) -> Path:
        path = shutil.which(program)
        if path is None:
            reason = f"{program} (Debian package `{package}`) is missing"
            _skip_or_fail(reason, required=_is_set("FLIPCORE_REQUIRE_TOOLS"))
        return Path(path)

    return find


def _is_set(variable: str) -> bool:
    return os.environ.get(variable) == "1"


def _skip_or_fail(reason: str, *, required: bool) -> NoReturn:
    if required:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
