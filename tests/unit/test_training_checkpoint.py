"""Checkpoints: what is written comes back; damage and payloads are refused, and nothing in a file is run."""

import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint

CONTENT = {
    "learner": {"weights": torch.arange(12, dtype=torch.uint8), "rates": [0.1, 0.2]},
    "progress": {"epoch": 3, "history": [{"loss": 0.5}]},
    "nothing": None,
}


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_checkpoint(folder)
    return str(caught.value)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONTENT)
    read = read_checkpoint(tmp_path)
    assert torch.equal(read["learner"].pop("weights"), CONTENT["learner"]["weights"])
    assert read == CONTENT | {"learner": {"rates": [0.1, 0.2]}}
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_none_there(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path / CHECKPOINT}: no such checkpoint"


def test_an_older_one_survives_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        write_checkpoint(tmp_path / "missing", CONTENT)


@pytest.mark.parametrize("size", [0, 1, 100, 700])
def test_truncated_files_are_refused(size: int, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONTENT)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(tmp_path).startswith(f"{path}: damaged or not a checkpoint: ")
    assert "\n" not in refusal(tmp_path)


def test_damage_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    """Bytes written over at random: a mapping or an InputError, never the IndexError of torch's unpickler."""
    write_checkpoint(tmp_path, CONTENT)
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    dice = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            assert isinstance(read_checkpoint(tmp_path), dict)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: damaged or not a checkpoint: ")
    assert refused > 50


class Payload:
    """What would write a file if pickle had its way."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_payload_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    torch.save({"learner": Payload(target)}, tmp_path / CHECKPOINT)
    assert refusal(tmp_path).startswith(f"{tmp_path / CHECKPOINT}: damaged or not a checkpoint: ")
    assert not target.exists()


def test_a_payload_in_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    (tmp_path / CHECKPOINT).write_bytes(pickle.dumps(Payload(target)))
    assert refusal(tmp_path).startswith(f"{tmp_path / CHECKPOINT}: damaged or not a checkpoint: ")
    assert not target.exists()
    pickle.loads(pickle.dumps(Payload(target)))
    assert target.exists()  # so the payload is one


def test_a_payload_put_into_a_good_file_is_refused_and_not_run(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONTENT)
    target = tmp_path / "executed"
    path = tmp_path / CHECKPOINT
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            is_pickle = name.endswith("data.pkl")
            archive.writestr(name, pickle.dumps(Payload(target), 2) if is_pickle else text)
    assert "damaged or not a checkpoint" in refusal(tmp_path)
    assert not target.exists()


def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / CHECKPOINT)
    assert refusal(tmp_path) == (
        f"{tmp_path / CHECKPOINT}: damaged or not a checkpoint: holds no mapping"
    )
