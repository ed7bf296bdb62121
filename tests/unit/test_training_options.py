"""Options: names of trainings, and storages that there are not."""

import pytest

from flipcore.errors import InputError
from flipcore.training.options import STORAGES
from tests.trainings import options


@pytest.mark.parametrize(
    ("chosen", "title"),
    [
        (options("bso"), "bso-packed-int8-seed0"),
        (options("tbso", storage="dense", seed=7), "tbso-dense-seed7"),
        (options("tbso", gate=True, storage="packed-int4"), "tbso-gate-packed-int4-seed0"),
        (options("bptt-adam"), "bptt-adam-seed0"),
        (options("float", gate=True), "float-gate-seed0"),
    ],
)
def test_trainings_of_a_recipe_have_names_of_their_own(chosen: object, title: str) -> None:
    assert chosen.title == title  # type: ignore[attr-defined]
    assert chosen.variant == title.rsplit("-", 1)[0]  # type: ignore[attr-defined]


def test_only_signs_are_packed() -> None:
    assert options("bso").packed
    assert options("bop", storage="packed-int4").packed
    assert not options("bso", storage="dense").packed
    assert not options("ottt-adam", storage="packed-int8").packed


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        options("bso", storage="int8")
    assert str(caught.value) == f"storage int8: unknown (storages: {', '.join(STORAGES)})"


@pytest.mark.parametrize("storage", STORAGES[1:])
def test_packed_weights_cannot_learn_through_time(storage: str) -> None:
    with pytest.raises(InputError) as caught:
        options("bop-bptt", storage=storage)
    assert str(caught.value) == (
        f"storage {storage}: bop-bptt goes back through time, packed weights learn step by step: "
        "write --storage dense"
    )
