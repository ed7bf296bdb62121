"""Programs of host operations for hypothesis, and directed ones, each for a rule of docs/RTL.md that chance seldom meets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hypothesis import strategies as st

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench import chip_bus
from flipcore.rtl.bench.chip_bus import Pieces, address
from flipcore.rtl.bench.chip_operations import (
    LONG,
    Access,
    Operation,
    Reset,
    Send,
    Take,
    Wait,
    legal_data,
)
from flipcore.rtl.bench.chip_samples import EVENT, LABEL, STEP_END, UNKNOWN_KIND, event_data_bits

Program = list[Operation]

WEIGHT = address(chip_bus.WEIGHT, 0, 0)
STATUS = address(chip_bus.CHIP, 0, chip_bus.STATUS)
SAMPLES_LOW = address(chip_bus.CHIP, 0, chip_bus.SAMPLES_LOW)
READ_STATUS = Access(False, STATUS)

PATIENCE = st.sampled_from((LONG, LONG, LONG, 1, 2, 3, 20))
_ANY_WORD = st.integers(0, 0xFFFFFFFF)
_WORDS = st.one_of(_ANY_WORD, st.sampled_from((0, 1, 0xFFFFFFFF)))


@dataclass(frozen=True)
class Whole:
    """A sample that begins where the one before has ended.

    Attributes:
        steps: axons of each step.
        label: class to learn, or none.
        take: its prediction, or leave it.
        lost: cycles after its last mark in which it is lost in a reset; -1: it is not.
    """

    steps: Sequence[Sequence[int]]
    label: int | None
    take: bool
    lost: int


Part = Operation | Whole


def programs(chip: Chip, longest: int) -> st.SearchStrategy[Program]:
    """Programs of so many parts at most, each one operation or a sample."""
    top = (1 << event_data_bits(chip)) - 1
    axons = st.lists(st.integers(0, chip.inputs - 1), max_size=5)
    whole = st.builds(
        Whole,
        st.lists(axons, min_size=1, max_size=chip.steps),
        st.sampled_from((*range(chip.classes), None)),
        st.sampled_from((True, True, False)),
        st.one_of(st.just(-1), st.just(-1), st.integers(0, 200)),
    )
    send = st.builds(Send, st.integers(0, 3), st.integers(0, top), PATIENCE)
    access, take = _accesses(chip), st.builds(Take, PATIENCE)
    wait = st.builds(Wait, st.one_of(st.integers(1, 4), st.integers(1, 120)))
    reset = st.builds(Reset, st.booleans())
    parts = st.one_of(
        whole, whole, whole, send, send, access, access, access, wait, wait, take, reset
    )
    # A list of any size would have five parts on average.
    sized = st.integers(0, longest).flatmap(lambda n: st.lists(parts, min_size=n, max_size=n))
    return sized.map(partial(_written_out, chip))


def _written_out(chip: Chip, parts: Sequence[Part]) -> Program:
    """A program of operations alone; a sample that stands after a few steps of another ends that one first."""
    program: Program = []
    for part in parts:
        if not isinstance(part, Whole):
            program.append(part)
            continue
        missing = -_marks(program) % chip.steps
        program += [Send(STEP_END, 0)] * missing
        program += [Take()] if part.take else []
        program += _sample(part.steps, part.label)
        program += [Wait(part.lost), Reset()] if part.lost >= 0 else []
    return program


def _marks(program: Program) -> int:
    """End-of-step marks since the last reset."""
    marks = 0
    for one in program:
        is_mark = isinstance(one, Send) and one.kind == STEP_END
        marks = 0 if isinstance(one, Reset) else marks + is_mark
    return marks


def _sample(steps: Sequence[Sequence[int]], label: int | None) -> Program:
    program: Program = [] if label is None else [Send(LABEL, label)]
    for axons in steps:
        program += [*(Send(EVENT, axon) for axon in axons), Send(STEP_END, 0)]
    return program


@st.composite
def _accesses(draw: st.DrawFn, chip: Chip) -> Access:
    """An access that a host may make: to something, just beyond it, or to anything."""
    place = draw(st.one_of(_places(chip), _places(chip), _places(chip), st.just(STATUS), _ANY_WORD))
    data = legal_data(chip, place, draw(_WORDS))
    return Access(draw(st.booleans()), place, data, draw(PATIENCE))


@st.composite
def _places(draw: st.DrawFn, chip: Chip) -> int:
    c = draw(st.integers(0, len(chip.layers)))  # one core too many
    core = chip.layers[min(c, len(chip.layers) - 1)]
    words = core.axons * core.words
    sizes = {
        chip_bus.CHIP: chip_bus.SAMPLES_HIGH + 1,
        chip_bus.WEIGHT: words * Pieces.of(core.lanes).pitch,
        chip_bus.MOMENTUM: words * Pieces.of(core.lanes * core.momentum_bits).pitch,
        chip_bus.GENERATOR: core.lanes,
        chip_bus.SECOND_MOMENT: chip.steps,
        chip_bus.COUNTERS: len(COUNT_NAMES),
    }
    region = draw(st.sampled_from(sorted(sizes)))
    return address(region, c, draw(st.integers(0, sizes[region])))  # one index too many


def directed_programs(chip: Chip) -> dict[str, Program]:
    """Programs that meet a rule for certain, by its name."""
    top = (1 << event_data_bits(chip)) - 1
    sample = _sample([[0, 1, 2]] * chip.steps, 0)
    return {
        "a mark without events, offered while the bus is served": [
            Access(False, WEIGHT), Send(STEP_END, 0),
            *[Send(STEP_END, 0)] * (chip.steps - 1), Take(), Access(False, WEIGHT),
        ],
        "a mark offered in the second cycle of an access": [
            Access(True, WEIGHT, 1), Wait(1), Send(STEP_END, 0), READ_STATUS,
        ],
        "a mark offered while the bus is served, and taken back": [
            Access(False, WEIGHT), Send(STEP_END, 0, 2), Wait(3), READ_STATUS,
        ],
        "offers to ignore, taken back while the bus is served": [
            operation
            for kind, data in ((EVENT, top), (LABEL, top), (UNKNOWN_KIND, 0))
            for operation in (
                Access(False, WEIGHT), Send(kind, data, 2), Wait(4), READ_STATUS, Wait(2),
            )
        ],
        "offers to ignore, taken back while the chip computes": [
            Send(LABEL, 0), Send(STEP_END, 0), Wait(2), Send(EVENT, top, 2), Wait(3),
            Send(LABEL, 1, 2), Wait(3), Send(UNKNOWN_KIND, 0, 2), Wait(3), READ_STATUS,
        ],
        "a label out of range, and one out of place": [
            Send(LABEL, top), Send(LABEL, 1), Send(LABEL, top), Wait(3), READ_STATUS,
            *[Send(STEP_END, 0)] * chip.steps, Take(), READ_STATUS,
        ],
        "a label taken back while the bus is served": [
            Access(False, WEIGHT), Send(LABEL, 1, 2), Wait(3), *_sample([[0]] * chip.steps, None),
            Take(),
        ],
        "an access while a sample waits for events": [
            Send(EVENT, 0), Wait(2), Access(False, WEIGHT, 0, 6), Wait(1), Send(EVENT, 1), Wait(6),
            *[Send(STEP_END, 0)] * chip.steps, Take(),
        ],
        "a write taken back before it is served, and when it is half served": [
            *sample, Wait(2), Access(True, WEIGHT, 0, 2), Take(), Wait(LONG), Access(False, WEIGHT),
            *(
                operation
                for data in (0, 3)
                for operation in (Access(True, WEIGHT, data, 1), Wait(3), Access(False, WEIGHT))
            ),
        ],
        "status cleared in the cycle in which a bit of it is set": [
            Send(UNKNOWN_KIND, 0), Wait(2), Access(True, STATUS, 0), Send(EVENT, top), Wait(2),
            READ_STATUS,
        ],
        "the sample counter goes round": [
            Access(True, SAMPLES_LOW, 0xFFFFFFFF), Wait(1), *sample, Take(), Wait(2 * LONG),
            Access(False, SAMPLES_LOW), Access(False, SAMPLES_LOW + 1),
        ],
        "a reset with a prediction that nobody has taken": [
            *sample, Wait(LONG), Wait(LONG), Reset(), *sample, Take(),
        ],
        "a reset in an access, with an event offered": [
            Access(True, WEIGHT, 3), Send(EVENT, 0), Wait(1), Reset(keeps_offering=True), *sample,
            Take(),
        ],
        "a reset in a sample half sent, with events in the list and bits in the status": [
            Send(LABEL, 1), Send(EVENT, 0), Send(EVENT, top), Send(UNKNOWN_KIND, 0), Wait(4),
            Reset(keeps_offering=True), *_sample([[1]] * chip.steps, None), Take(), READ_STATUS,
        ],
        "two samples with one prediction taken late": [
            *sample, *sample, Wait(LONG), Wait(LONG), Take(), Take(),
        ],
    }  # fmt: skip
