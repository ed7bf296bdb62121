"""Kinds of disturbances, and from the words a user types to one of them."""

import math
from dataclasses import dataclass
from typing import Literal

from flipcore.chip import MAX_NEURONS
from flipcore.chip.parse import near
from flipcore.errors import InputError

Of = Literal["nothing", "images", "classes", "chip"]
NO_AMOUNT = ("none", "invert")
STANDARD = "all"


@dataclass(frozen=True)
class Kind:
    """A kind of disturbance.

    Attributes:
        of: what it changes.
        amount: what the number behind the colon is; empty where there is none.
        low, high: bounds of the amount, both included.
        default: amount that is taken if none is given, and in the standard set; None where it must be given.
        is_whole: whether the amount is an integer.
    """

    of: Of
    amount: str = ""
    low: float = 0.0
    high: float = 1.0
    default: float | None = None
    is_whole: bool = False


_SHARE = "share from 0 to 1"
KINDS = {
    "none": Kind("nothing"),
    "rotate": Kind("images", "degrees anticlockwise", -180.0, 180.0, 20.0),
    "shift": Kind("images", "pixels right and down", -64, 64, 1, is_whole=True),
    "shear": Kind("images", "slant to the right, pixels a row", -2.0, 2.0, 0.3),
    "contrast": Kind("images", "factor of the brightness", 0.05, 4.0, 0.5),
    "noise": Kind("images", _SHARE + " of pixels replaced", default=0.1),
    "invert": Kind("images"),
    "new-class": Kind("classes", "class", 0, MAX_NEURONS - 1, is_whole=True),
    "dead-synapses": Kind("chip", _SHARE, default=0.1),
    "stuck-bits": Kind("chip", _SHARE, default=0.1),
    "momentum-stuck": Kind("chip", _SHARE, default=0.1),
    "dead-neurons": Kind("chip", _SHARE, default=0.2),
}


@dataclass(frozen=True)
class Disturbance:
    """One change of the world: a kind of `KINDS` and how much of it; 0 where a kind has no amount."""

    kind: str
    amount: float

    @property
    def name(self) -> str:
        """As it is typed: `rotate:20`."""
        return self.kind if self.kind in NO_AMOUNT else f"{self.kind}:{self.amount:g}"

    @property
    def of(self) -> Of:
        """What it changes."""
        return KINDS[self.kind].of


def parse_disturbance(text: str) -> Disturbance:
    """Read `KIND[:AMOUNT]`.

    Raises:
        InputError: the kind is unknown, or the amount is none, missing or out of its range.
    """
    name, colon, given = text.partition(":")
    if name not in KINDS:
        forms = ", ".join(KINDS)
        raise InputError(
            f"--disturb {text}: unknown{near(name, KINDS)} (known: {forms}, {STANDARD})"
        )
    kind = KINDS[name]
    if not kind.amount:
        if colon:
            raise InputError(f"--disturb {text}: {name} takes no amount")
        return Disturbance(name, 0.0)
    if not colon and kind.default is not None:
        return Disturbance(name, kind.default)
    span = f"{'a whole number ' if kind.is_whole else ''}from {kind.low:g} to {kind.high:g}"
    rule = f"{name}:AMOUNT needs its amount ({kind.amount}), {span}"
    try:
        amount = float(given)
    except ValueError:
        raise InputError(f"--disturb {text}: {rule}") from None
    is_legal = math.isfinite(amount) and kind.low <= amount <= kind.high
    if not is_legal or (kind.is_whole and amount != int(amount)):
        raise InputError(f"--disturb {text}: {rule}")
    return Disturbance(name, amount)


def standard_set(side: int, last_class: int) -> tuple[Disturbance, ...]:
    """What `--disturb all` stands for.

    Args:
        side: width of the images; they are shifted by an eighth of it.
        last_class: the class that is new.
    """
    amounts: dict[str, float] = {name: kind.default or 0.0 for name, kind in KINDS.items()}
    amounts["shift"] = max(1, side // 8)
    amounts["new-class"] = last_class
    return tuple(Disturbance(name, amount) for name, amount in amounts.items())


def parse_disturbances(
    texts: tuple[str, ...], side: int | None, last_class: int
) -> tuple[Disturbance, ...]:
    """Read what was asked for, each once, in its order.

    Args:
        texts: as on the command line; `all` is the standard set.
        side: width of the images; None where the samples are no square images.
        last_class: largest label.

    Raises:
        InputError: one of them is wrong, or needs images or classes that the data do not have.
    """
    found: dict[str, Disturbance] = {}
    for text in texts:
        if text == STANDARD:
            members = standard_set(side or 1, last_class)
            found |= {one.name: one for one in members if side is not None or one.of != "images"}
            continue
        one = parse_disturbance(text)
        if one.of == "images" and side is None:
            raise InputError(
                f"--disturb {text}: needs square images of pixels, and the samples are none"
            )
        if one.kind == "shift" and side is not None and abs(one.amount) >= side:
            raise InputError(f"--disturb {text}: leaves nothing of images of {side} pixels a side")
        if one.of == "classes" and one.amount > last_class:
            raise InputError(f"--disturb {text}: the data have the classes 0 ... {last_class}")
        found[one.name] = one
    return tuple(found.values())
