"""What `flipcore train` keeps of a command line, for `--resume`: it comes back, or is refused in one line."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from flipcore.cli.train import REQUEST, Request, make_request, resume
from flipcore.errors import InputError
from flipcore.training.recipe import load_recipe, recipe_document


def request() -> Request:
    return make_request(
        "digits",
        "idx:data",
        ("batch_size=16",),
        algorithms=("bso", "bptt-adam"),
        storage="packed-int4",
        gate=False,
        amp=False,
        first_seed=2,
        seeds=3,
        epochs=None,
        validation=0.0,
        device="nowhere",
        deterministic=False,
    )


def written(folder: Path, **changes: Any) -> Path:
    (folder / REQUEST).write_text(json.dumps(asdict(request()) | changes))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        resume(folder, as_json=True)
    return str(caught.value)


def test_the_recipe_is_kept_as_changed() -> None:
    changed = load_recipe("digits", ("batch_size=16", "dataset=idx:data"))
    assert request().recipe == recipe_document(changed)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Reading goes well, as it is the device that is refused."""
    assert refusal(written(tmp_path)) == "device nowhere: unknown: write cpu, cuda or cuda:N"


DAMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "seeds": ({"seeds": 0}, "seeds: Input should be greater than or equal to 1"),
    "no number": ({"epochs": "few"}, "epochs: Input should be a valid integer"),
    "storage": ({"storage": "int8"}, "storage: Input should be 'dense', 'packed-float32'"),
    "no algorithm": ({"algorithms": []}, "algorithms: Tuple should have at least 1 item"),
    "text for algorithms": ({"algorithms": "bso"}, "algorithms: Input should be a valid array"),
    "validation": ({"validation": 1.0}, "validation: Input should be less than 1"),
    "recipe": ({"recipe": None}, "recipe: Input should be an object"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_request_that_says_something_else_is_refused(case: str, tmp_path: Path) -> None:
    changes, expected = DAMAGES[case]
    path = tmp_path / REQUEST
    message = refusal(written(tmp_path, **changes))
    assert message.startswith(f"{path}: damaged or not a request: {expected}")


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", "\x00"])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / REQUEST).write_text(text)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / REQUEST}: damaged or not a request: ")
    assert "\n" not in message


def test_none_there(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: no training began here: {REQUEST} is missing"


def test_a_request_of_another_recipe_is_refused_by_its_field(tmp_path: Path) -> None:
    plain = request().recipe | {"batch_size": 0}
    path = tmp_path / REQUEST
    assert refusal(written(tmp_path, recipe=plain, device="cpu")) == (
        f"{path}: batch_size=0: input should be greater than or equal to 1"
    )
