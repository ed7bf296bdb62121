"""Chip descriptions with hostile values in them: refused in one line that names the field, or a chip that runs and has its Verilog.

FLIPCORE_EXAMPLES: how many descriptions (200 by default).
"""

import copy
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from flipcore.chip import Chip, chip_yaml, load_chip, parse_chip
from flipcore.chip.parse import one_line
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.rtl.generate import chip_files
from flipcore.sim.data import Records
from flipcore.sim.engine import Engine
from tests.random_chips import Document, chip_documents

EXAMPLES = int(os.environ.get("FLIPCORE_EXAMPLES", "200"))
RUN_AXONS = 4_000  # a description that grew beyond is not simulated: it is legal, and slow
Place = tuple[str | int, ...]

HOSTILE = st.one_of(
    st.sampled_from(
        [
            None, True, False, "", " ", "auto", "none", "1e3", "0x10", "\n", "a\nb", "…", "x" * 300, [], {}, [[]], {"a": 1}, [1, 2],
            math.nan, math.inf, -math.inf, 0.5, 1.0, -0.0, 1e308, b"\x00", 2**31, 2**32, 2**63, 2**64, 2**200, -(2**63),
        ]
    ),
    st.integers(-70, 70),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)  # fmt: skip


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every place in a document, from the outermost on."""
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


def put(document: Any, place: Place, value: Any) -> Any:
    """A copy of a document with another value in one place."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    at = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return changed


def without(document: Any, place: Place) -> Any:
    """A copy of a document without what is in one place."""
    changed = copy.deepcopy(document)
    at = changed
    for key in place[:-1]:
        at = at[key]
    del at[place[-1]]
    return changed


@dataclass(frozen=True)
class Spoilt:
    """A description that was legal.

    Attributes:
        document: the description.
        names: of what was spoilt, of which a refusal must hold one: path or field; of what is gone, also the path of what it was in.
    """

    document: Any
    names: tuple[str, ...]


@st.composite
def hostile_documents(draw: st.DrawFn) -> Spoilt:
    """A legal description in which one or two places were spoilt."""
    document: Any = draw(chip_documents())
    names: list[str] = []
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        here = list(places(document))
        place = draw(st.sampled_from(here[1:] or here))
        kind = draw(st.sampled_from(("put", "put", "put", "remove", "add")))
        if kind == "remove" and place:
            document = without(document, place)
            names += names_of(place[:-1])
        elif kind == "add" and isinstance(document, dict):
            inside = draw(st.sampled_from([p for p in here if isinstance(_at(document, p), dict)]))
            place = (*inside, draw(st.text(max_size=6)))
            document = put(document, place, draw(HOSTILE))
        else:
            document = put(document, place, draw(HOSTILE))
        names += names_of(place)
    return Spoilt(document, tuple(names))


def names_of(place: Place) -> list[str]:
    """Path and field of a place, as an error of one line has them; of the whole document, what it should have been."""
    if not place:
        return ["mapping"]
    path = [one_line(key) for key in place]
    fields = [key for key in path if not key.isdigit()]
    return [".".join(path), *fields[-1:]]


def _at(document: Any, place: Place) -> Any:
    for key in place:
        document = document[key]
    return document


def holds_what_it_says(chip: Chip) -> None:
    """A description that was taken reads back, learns a sample, and has its Verilog."""
    assert parse_chip(yaml.safe_load(chip_yaml(chip)), "again") == chip
    if max(core.axons for core in chip.layers) > RUN_AXONS or chip.steps > RUN_AXONS:
        event("accepted, too large to run")
        return
    event("accepted, run")
    bitmaps = np.full((1, chip.steps, -(-chip.inputs // 8)), 0xFF, np.uint8)
    bitmaps[..., -1] = 0xFF >> (-chip.inputs % 8)
    records = Records(
        pixels=np.empty((1, 0), np.uint8), bitmaps=bitmaps.reshape(1, chip.steps, -1), merged=np.zeros((1, chip.steps), np.int32)
    )  # fmt: skip
    counts = EventCounts.zeros(len(chip.layers))
    Engine(chip, 0).train(records, np.zeros(1, np.int64), counts)
    assert "flip_chip.v" in chip_files(chip)


@given(hostile_documents())
@example(Spoilt({}, ("layers",)))
@example(Spoilt([], ("mapping",)))
@example(Spoilt(None, ("mapping",)))
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_a_spoilt_description_is_refused_in_a_line_that_names_the_field_or_runs(
    spoilt: Spoilt,
) -> None:
    try:
        chip = parse_chip(spoilt.document, "chip.yaml")
    except InputError as error:
        event("refused")
        message = str(error)
        assert message.startswith("chip.yaml: ")
        assert "\n" not in message
        assert len(message) < 1000
        assert any(name in message.removeprefix("chip.yaml: ") for name in spoilt.names)
        return
    holds_what_it_says(chip)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@example(b"name: a\n\tinputs: 3")
@example(b"&a [*a]")
@example(b"!!python/object/apply:os.system [true]")
@example(b"name: {a: 1}\nname: b")
@example(b"? [1]\n: 2")
@example(b"2001-01-01: 1")
@example(b"\xff\xfe\x00")
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_a_file_of_anything_is_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_chip(str(path))
    assert "\n" not in str(caught.value)


def test_a_spoilt_description_is_spoilt() -> None:
    document: Document = {"name": "t", "inputs": 4, "layers": [{"neurons": 2}]}
    assert list(places(document)) == [(), ("name",), ("inputs",), ("layers",), ("layers", 0), ("layers", 0, "neurons")]  # fmt: skip
    assert put(document, ("layers", 0, "neurons"), -1)["layers"] == [{"neurons": -1}]
    assert without(document, ("inputs",)) == {"name": "t", "layers": [{"neurons": 2}]}
    assert document["layers"] == [{"neurons": 2}]


def test_names_of_a_place() -> None:
    assert names_of(("layers", 0, "neurons")) == ["layers.0.neurons", "neurons"]
    assert names_of(("layers", 0)) == ["layers.0", "layers"]
    assert names_of(("a\nb",)) == ["a\\nb", "a\\nb"]
    assert names_of(()) == ["mapping"]
