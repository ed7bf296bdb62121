"""The extras bring what they promise, in versions that exist together."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def reach_a_registry() -> None:
    """Skip the test where pip finds no registry: what it would resolve cannot be known."""
    command = [*PIP, "--retries", "0", "--timeout", "20", "index", "versions", "setuptools"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no package registry can be reached: `pip index versions setuptools` fails")


@pytest.mark.network
@pytest.mark.slow
def test_extras_resolve_under_the_constraints(source_tree: Path, tmp_path: Path) -> None:
    reach_a_registry()
    report = tmp_path / "report.json"
    what = [
        "--constraint",
        REPOSITORY / "constraints.txt",
        f"{source_tree}[train,events,nir,rtl,dev]",
    ]
    how = ["--dry-run", "--ignore-installed", "--report", report, "-q"]
    done = subprocess.run(
        [*PIP, "install", *how, *what], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    versions = {
        item["metadata"]["name"].lower(): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    assert {"numpy", "torch", "cocotb", "pyverilog", "pytest", "nir", "tonic"} <= versions.keys()
    assert versions["torch"].split("+")[0] == "2.13.0"
