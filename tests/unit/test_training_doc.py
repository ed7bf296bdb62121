"""What docs/TRAINING.md shows is so: its Python runs, its recipe loads, its commands parse, its tables are complete."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml

from flipcore.cli.app import app
from flipcore.training.algorithms import ALGORITHMS
from flipcore.training.options import STORAGES
from flipcore.training.recipe import parse_recipe, recipe_names

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "TRAINING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [block for name, block in BLOCKS if name == language]


def commands() -> list[str]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines]


def column(head: str, number: int) -> list[str]:
    """Names in back quotes in a column of the table that begins so."""
    table = TEXT[TEXT.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [name for row in table for name in re.findall(r"`(.+?)`", row.split("|")[number])]


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    known: dict[str, Any] = {}
    shown = blocks("python")
    assert len(shown) == 2
    for block in shown:
        exec(compile(block, "TRAINING.md", "exec"), known)
    assert set(known["weight"].unique().tolist()) == {-1.0, 1.0}
    assert known["scheduler"].get_last_lr()[0] == pytest.approx(1e-2 * 0.9**5)
    assert len(known["optimizer"].state[known["weight"]]) == 1
    assert all(weight.momentum.updates == 4 for weight in known["flips"].names)
    assert "'momentum': 3211264" in capsys.readouterr().out  # 8 bits for each of 784 x 512


def test_the_recipe_loads() -> None:
    (text,) = blocks("yaml")
    assert parse_recipe(yaml.safe_load(text), "TRAINING.md").chip().inputs == 64
    (network,) = re.findall(r"`network: (\{.*?\})`", TEXT)
    plain = {"name": "v", "dataset": "x", "epochs": 1, "batch_size": 1}
    parse_recipe({**plain, "network": yaml.safe_load(network)}, "TRAINING.md")


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command: str) -> None:
    program, name, *words = shlex.split(command)
    assert program == "flipcore"
    known = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    context = known.make_context(name, words)
    algorithms = context.params.get("algorithms") or ()
    assert set(algorithms) <= set(ALGORITHMS)
    model = context.params.get("model")
    assert model is None or model in recipe_names() or model.endswith(".yaml")


def test_tables_name_what_there_is() -> None:
    assert column("| `-a` |", 1) == list(ALGORITHMS)
    assert column("| `--storage` |", 1) == list(STORAGES)
    (recipes,) = re.findall(r"come with the package: (.*?)\.\n", TEXT)
    assert re.findall(r"`(.+?)`", recipes) == recipe_names()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", TEXT)
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)
