"""The algorithms by name: what the table says of them, and of names that are none."""

import pytest

from flipcore.errors import InputError
from flipcore.training.algorithms import ALGORITHMS, find_algorithm


def test_names_lead_to_themselves() -> None:
    assert list(ALGORITHMS) == [
        *("bso", "tbso", "bop", "bop-bptt", "ottt-sgd", "ottt-adam", "bptt-sgd", "bptt-adam"),
        "float",
    ]
    assert all(find_algorithm(name).name == name for name in ALGORITHMS)


def test_signs_alone_flip_by_a_rule_of_their_own() -> None:
    for algorithm in ALGORITHMS.values():
        assert algorithm.flips == (algorithm.updates in ("bso", "tbso", "bop")), algorithm.name
        assert algorithm.flips == (algorithm.weights == "binary"), algorithm.name


def test_only_bso_and_tbso_update_in_each_step() -> None:
    """Liang et al. 2025; the others update once per batch, and nothing online is left over from BPTT."""
    assert [one.name for one in ALGORITHMS.values() if one.update_each_step] == ["bso", "tbso"]
    assert [one.name for one in ALGORITHMS.values() if not one.online] == [
        *("bop-bptt", "bptt-sgd", "bptt-adam", "float")
    ]


def test_each_has_a_source() -> None:
    assert all(algorithm.source for algorithm in ALGORITHMS.values())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bsoo", ", did you mean `bso`?"),
        ("t-bso", ", did you mean `tbso`?"),
        ("bptt_adam", ", did you mean `bptt-adam`?"),
        ("xyz", ""),
    ],
)
def test_unknown_names_are_refused(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        find_algorithm(name)
    known = ", ".join(ALGORITHMS)
    assert str(caught.value) == f"algorithm {name}: unknown{hint} (algorithms: {known})"
