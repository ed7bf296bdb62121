"""Settings of the whole process: threads of small networks, determinism where it is asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from flipcore.training.recipe import load_recipe
from flipcore.training.torch_settings import configure_torch
from tests.trainings import recipe

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"


@pytest.fixture(autouse=True)
def settings_come_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back afterwards
    monkeypatch.delenv(VARIABLE)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def test_small_networks_have_one_thread(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    configure_torch(load_recipe("cifar10-vgg11"), deterministic=False)
    assert torch.get_num_threads() == 2
    configure_torch(recipe(tmp_path), deterministic=False)
    assert torch.get_num_threads() == 1


def test_determinism_is_there_when_asked_for(tmp_path: Path) -> None:
    configure_torch(recipe(tmp_path), deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ[VARIABLE] == ":4096:8"
    configure_torch(recipe(tmp_path), deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_choice_of_the_users_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ":16:8")
    configure_torch(recipe(tmp_path), deterministic=True)
    assert os.environ[VARIABLE] == ":16:8"
