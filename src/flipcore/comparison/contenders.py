"""Who can be compared, by the words that a user types: `bso`, `bso:dense`, `bptt-adam+gate`, `chip:4`, `chip-tbso:8`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flipcore.chip.parse import near
from flipcore.comparison.rows import Where
from flipcore.errors import InputError
from flipcore.training.algorithms import ALGORITHMS, find_algorithm
from flipcore.training.options import Options, Storage

CHIP = "chip"
CHIP_TBSO = "chip-tbso"
DEFAULT_STORAGE: Storage = "packed-int8"
GATE = "+gate"
MOMENTUM_BITS = {"packed-int8": 8, "packed-int4": 4}  # other storages keep floats

_FORM = re.compile(r"(?P<head>[^:+]+)(:(?P<detail>[^:+]+))?(?P<gate>\+gate)?")
_SOFTWARE_LABELS = {
    "bso": "BSO",
    "tbso": "T-BSO",
    "bop": "Bop, online gradients",
    "bop-bptt": "Bop, BPTT",
    "ottt-sgd": "OTTT, latent weights, SGD",
    "ottt-adam": "OTTT, latent weights, Adam",
    "bptt-sgd": "BPTT, latent weights, SGD",
    "bptt-adam": "BPTT, latent weights, Adam",
    "float": "BPTT, float weights, Adam",
}
_STORAGE_LABELS: dict[str, str] = {
    "dense": "float32, dense",
    "packed-float32": "float32, packed",
    "packed-bfloat16": "bfloat16, packed",
    "packed-int8": "8-bit momentum, packed",
    "packed-int4": "4-bit momentum, packed",
}
RULE_LABELS = {"bso": "BSO", "tbso": "T-BSO"}


@dataclass(frozen=True)
class Contender:
    """One way to train, as asked for.

    Attributes:
        text: how it is asked for, in its shortest form; equal for equal contenders.
        head: name of an algorithm of `training.algorithms`, or CHIP, or CHIP_TBSO.
        storage: of software whose weights flip; None for all others.
        gate: whether AGMM's gate stands in front of the layers.
        momentum_bits: asked of a chip; None for as many as it has.
    """

    text: str
    head: str
    storage: Storage | None = None
    gate: bool = False
    momentum_bits: int | None = None

    @property
    def where(self) -> Where:
        """Whether it is software or a chip."""
        return "chip" if self.head in (CHIP, CHIP_TBSO) else "software"

    @property
    def name(self) -> str:
        """Name of its row: letters, digits and hyphens."""
        return re.sub(r"[:+]", "-", self.text)

    def options(self, seed: int, validation: float) -> Options:
        """What software is trained with."""
        return Options(
            algorithm=find_algorithm(self.head),
            storage=self.storage or DEFAULT_STORAGE,
            gate=self.gate,
            seed=seed,
            validation=validation,
        )

    @property
    def software_label(self) -> str:
        """What people call this software."""
        parts = [_SOFTWARE_LABELS[self.head]]
        if self.storage is not None:
            parts.append(_STORAGE_LABELS[self.storage])
        if self.gate:
            parts.append("AGMM's gate")
        return ", ".join(parts)


def parse_contenders(texts: Iterable[str]) -> tuple[Contender, ...]:
    """The contenders of comma lists, each once, in their order.

    Raises:
        InputError: one is unknown, or asks for what it cannot have; or there is none.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    found = {contender.text: contender for contender in map(_parse, filter(None, words))}
    if not found:
        raise InputError("--algorithms: names none")
    return tuple(found.values())


def _parse(word: str) -> Contender:
    form = _FORM.fullmatch(word)
    head, detail = (form["head"], form["detail"]) if form else (re.split("[:+]", word)[0], None)
    _check_head(word, head)
    if form is None:
        raise InputError(
            f"algorithm {word}: write {head}{_detail_form(head)}{'' if head in (CHIP, CHIP_TBSO) else f' or {head}{GATE}'}"
        )
    gate = form["gate"] is not None
    if head in (CHIP, CHIP_TBSO):
        return _chip(word, head, detail, gate=gate)
    return _software(word, head, detail, gate=gate)


def _check_head(word: str, head: str) -> None:
    heads = (*ALGORITHMS, CHIP, CHIP_TBSO)
    if head not in heads:
        raise InputError(
            f"algorithm {word}: unknown{near(head, heads)} (software: {', '.join(ALGORITHMS)}, each with {GATE}; chip: {CHIP}:BITS, {CHIP_TBSO}:BITS)"
        )


def _detail_form(head: str) -> str:
    if head in (CHIP, CHIP_TBSO):
        return ":8"
    return ":dense" if ALGORITHMS[head].flips else ""


def _chip(word: str, head: str, detail: str | None, *, gate: bool) -> Contender:
    if gate:
        raise InputError(f"algorithm {word}: AGMM's gate is software: a chip has none")
    if detail is None:
        return Contender(head, head)
    if not detail.isascii() or not detail.isdecimal():
        raise InputError(
            f"algorithm {word}: {detail}: after the colon stand the bits of the momentum, such as {head}:8"
        )
    bits = int(detail)
    return Contender(f"{head}:{bits}", head, momentum_bits=bits)


def _software(word: str, head: str, detail: str | None, *, gate: bool) -> Contender:
    algorithm = find_algorithm(head)
    if not algorithm.flips:
        if detail is not None:
            raise InputError(
                f"algorithm {word}: {head} keeps a float per weight: only weights that flip have a storage"
            )
        return Contender(f"{head}{GATE if gate else ''}", head, gate=gate)
    # Packed weights learn step by step, which needs online gradients.
    usual: Storage = DEFAULT_STORAGE if algorithm.online else "dense"
    storage: Storage = detail or usual  # type: ignore[assignment]
    try:
        Options(algorithm=algorithm, storage=storage)
    except InputError as error:
        raise InputError(f"algorithm {word}: {error}") from None
    shown = "" if storage == usual else f":{storage}"
    return Contender(f"{head}{shown}{GATE if gate else ''}", head, storage, gate)
