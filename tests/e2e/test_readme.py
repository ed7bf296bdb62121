"""What the README shows is what happens: its commands run, its chip description loads."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from flipcore.chip import parse_chip
from tests.e2e.command import flipcore

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Every flipcore command of the README's blocks and tables, comments taken off."""
    shown = [line for _, block in BLOCKS for line in block.splitlines()]
    shown += re.findall(r"`(flipcore sweep [^`]*)`", README)
    return [line.partition("#")[0].strip() for line in shown if line.startswith(("flipcore ",))]


def test_the_chip_description_loads() -> None:
    (text,) = [block for language, block in BLOCKS if language == "yaml"]
    assert parse_chip(yaml.safe_load(text), "README").inputs == 64


def test_every_command_of_the_tour_runs(tmp_path: Path) -> None:
    tour = [command for command in commands() if "mnist" not in command]
    assert len(tour) >= 6
    sweeps: list[str] = []
    for command in tour:
        words, _, target = command.partition(" > ")
        arguments = shlex.split(words)[1:]
        if arguments[0] in ("simulate", "sweep", "train", "compare"):
            # The tour's own epochs would take minutes here; the last value counts.
            arguments += ["--epochs", "1"]
        if "--seeds" in arguments:
            arguments[arguments.index("--seeds") + 1] = "1"
        if arguments[0] == "compare":
            arguments += ["--samples", "200", "--algorithms", "bso,chip:8"]
        if arguments[0] == "adapt":
            arguments += ["--samples", "50", "--seeds", "1"]
        if arguments[0] == "sweep" and sweeps:
            arguments += ["--out", f"sweep{len(sweeps)}"]  # the first has the folder of its own
        if arguments[0] == "sweep":
            sweeps.append(command)
        if "--vectors" in arguments:
            arguments[arguments.index("--vectors") + 1] = "100"
        done = flipcore(*arguments, folder=tmp_path)
        assert done.returncode == 0, (command, done.stderr)
        if target:
            (tmp_path / target).write_text(done.stdout)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((docs/[^)#]+)", README))))
def test_links_lead_somewhere(name: str) -> None:
    assert (ROOT / name).exists()
