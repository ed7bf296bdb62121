"""Contenders by the words that a user types: what they mean, and what is refused in one line."""

import re

import pytest

from flipcore.comparison.contenders import parse_contenders
from flipcore.errors import InputError
from flipcore.training.algorithms import ALGORITHMS


def refusal(*texts: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_contenders(texts)
    return str(caught.value)


def test_comma_lists_and_repetition_give_each_contender_once() -> None:
    found = parse_contenders(["bso, tbso", "chip:4,bso:packed-int8", "bso"])
    assert [contender.text for contender in found] == ["bso", "tbso", "chip:4"]


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("gate", ["", "+gate"])
def test_every_algorithm_can_be_asked_for(name: str, gate: str) -> None:
    (contender,) = parse_contenders([name + gate])
    assert (contender.where, contender.head, contender.gate) == ("software", name, bool(gate))
    options = contender.options(seed=3, validation=0.2)
    assert (options.algorithm.name, options.seed, options.validation) == (name, 3, 0.2)
    # Weights that flip are packed where the algorithm can learn step by step.
    assert options.packed == (ALGORITHMS[name].flips and ALGORITHMS[name].online)
    assert contender.software_label.endswith("AGMM's gate") == bool(gate)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bso", "bso"),
        ("bso:dense+gate", "bso-dense-gate"),
        ("bso:packed-int4", "bso-packed-int4"),
        ("chip", "chip"),
        ("chip:8", "chip-8"),
        ("chip-tbso:16", "chip-tbso-16"),
    ],
)
def test_names_of_rows_are_letters_digits_and_hyphens(text: str, name: str) -> None:
    (contender,) = parse_contenders([text])
    assert contender.name == name
    assert re.fullmatch("[A-Za-z0-9-]+", name)
    assert contender.text == text


def test_chips_have_a_width_or_their_own() -> None:
    narrow, own = parse_contenders(["chip-tbso:04", "chip"])
    assert (narrow.where, narrow.head, narrow.momentum_bits) == ("chip", "chip-tbso", 4)
    assert narrow.text == "chip-tbso:4"
    assert (own.where, own.momentum_bits) == ("chip", None)


def test_unknown_algorithms_are_refused_with_a_near_one() -> None:
    told = refusal("bsoo")
    assert told.startswith("algorithm bsoo: unknown, did you mean `bso`? (software: bso, tbso, ")
    assert "chip: chip:BITS" in told
    assert refusal("chips:8").startswith("algorithm chips:8: unknown, did you mean `chip`?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("chip:8+gate", "algorithm chip:8+gate: AGMM's gate is software: a chip has none"),
        ("chip:wide", "algorithm chip:wide: wide: after the colon stand the bits of the momentum, such as chip:8"),
        ("bptt-adam:dense", "algorithm bptt-adam:dense: bptt-adam keeps a float per weight: only weights that flip have a storage"),
        ("bso:int8", "algorithm bso:int8: storage int8: unknown (storages: dense, packed-float32, packed-bfloat16, packed-int8, packed-int4)"),
        ("bop-bptt:packed-int8", "algorithm bop-bptt:packed-int8: storage packed-int8: bop-bptt goes back through time, packed weights learn step by step: write --storage dense"),
        ("bso+gates", "algorithm bso+gates: write bso:dense or bso+gate"),
        ("chip:", "algorithm chip:: write chip:8"),
        (" , ", "--algorithms: names none"),
    ],
)  # fmt: skip
def test_what_a_contender_cannot_have_is_refused_in_one_line(text: str, told: str) -> None:
    assert refusal(text) == told
