"""From what is typed to a disturbance: defaults, bounds, near matches, the standard set."""

import pytest

from flipcore.adapt.disturbances import (
    KINDS,
    Disturbance,
    parse_disturbance,
    parse_disturbances,
    standard_set,
)
from flipcore.errors import InputError


@pytest.mark.parametrize(
    ("text", "kind", "amount", "name"),
    [
        ("rotate", "rotate", 20.0, "rotate:20"),
        ("rotate:-7.5", "rotate", -7.5, "rotate:-7.5"),
        ("shift:2", "shift", 2.0, "shift:2"),
        ("dead-neurons:0", "dead-neurons", 0.0, "dead-neurons:0"),
        ("stuck-bits:1", "stuck-bits", 1.0, "stuck-bits:1"),
        ("new-class:0", "new-class", 0.0, "new-class:0"),
        ("none", "none", 0.0, "none"),
        ("invert", "invert", 0.0, "invert"),
    ],
)
def test_what_is_typed(text: str, kind: str, amount: float, name: str) -> None:
    found = parse_disturbance(text)
    assert found == Disturbance(kind, amount)
    assert found.name == name
    assert parse_disturbance(name) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rotat:5", "--disturb rotat:5: unknown, did you mean `rotate`? (known: none, rotate, "),
        ("xyz", "--disturb xyz: unknown (known: none, rotate, shift, "),
        ("rotate:181", "rotate:AMOUNT needs its amount (degrees anticlockwise), from -180 to 180"),
        ("rotate:nan", "from -180 to 180"),
        ("rotate:", "rotate:AMOUNT needs its amount"),
        ("noise:1.01", "noise:AMOUNT needs its amount (share from 0 to 1 of pixels replaced), from 0 to 1"),
        ("noise:-0.1", "from 0 to 1"),
        ("dead-neurons:many", "dead-neurons:AMOUNT needs its amount"),
        ("shift:1.5", "shift:AMOUNT needs its amount (pixels right and down), a whole number from -64 to 64"),
        ("new-class", "new-class:AMOUNT needs its amount (class), a whole number from 0 to 4095"),
        ("none:1", "--disturb none:1: none takes no amount"),
        ("invert:1", "--disturb invert:1: invert takes no amount"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_disturbance(text)
    assert str(refused.value).startswith(f"--disturb {text}: ")
    assert says in str(refused.value)


def test_the_standard_set_has_every_kind_once() -> None:
    members = standard_set(28, 9)
    assert [one.kind for one in members] == list(KINDS)
    assert Disturbance("shift", 3) in members
    assert Disturbance("new-class", 9) in members
    for one in members:
        assert parse_disturbance(one.name) == one


def test_each_is_done_once_in_its_order() -> None:
    found = parse_disturbances(("noise:0.3", "rotate:20", "noise:0.30", "all"), 8, 9)
    names = [one.name for one in found]
    assert names[:3] == ["noise:0.3", "rotate:20", "none"]
    assert len(names) == len(set(names)) == len(KINDS) + 1


def test_without_images_only_those_that_need_none() -> None:
    assert {one.of for one in parse_disturbances(("all",), None, 3)} == {"nothing", "classes", "chip"}  # fmt: skip
    with pytest.raises(InputError) as refused:
        parse_disturbances(("rotate:5",), None, 3)
    assert str(refused.value) == (
        "--disturb rotate:5: needs square images of pixels, and the samples are none"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shift:-8", "--disturb shift:-8: leaves nothing of images of 8 pixels a side"),
        ("new-class:4", "--disturb new-class:4: the data have the classes 0 ... 3"),
    ],
)
def test_what_the_data_do_not_have(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_disturbances((text,), 8, 3)
    assert str(refused.value) == says
