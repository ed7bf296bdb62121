"""The properties that are proven of generated Verilog: what each says, of which module, and how it is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.core_shape import CoreShape

# inputs: no state matters, so one cycle of free inputs and free registers is all there is.
# induction: it holds in the first cycles after reset, and in the cycle after any in which it holds.
# bounded: it holds in so many cycles after reset, whatever the inputs are.
Method = Literal["inputs", "induction", "bounded"]
Parameters = Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Largest sizes of an instance that a property is shown of; None: those of the chip.

    The text of the module stays as it was generated; its parameters get the values of a smaller core with the same options.
    """

    lanes: int | None = None
    axons: int | None = None
    words: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property of a module.

    Attributes:
        name: of the property and of its checker's template.
        statement: what holds, in a line.
        rules: of the SPEC.
        module: that it is of, without the number of a variant.
        method: how it is shown.
        cycles: after reset that are looked at, from the parameters of the instance; by induction, if it does not close.
        sizes: of the instance.
        applies: whether a core has it; properties of the whole chip's modules have none.
        parameters: of the core, that its checker needs beyond those of the module.
        everywhere: what its checker assumes holds in every cycle of every chip, in all phases; others look at one phase or one walk.
    """

    name: str
    statement: str
    rules: str
    module: str
    method: Method
    cycles: Callable[[Parameters], int] = lambda _: 12
    sizes: Sizes = Sizes()
    applies: Callable[[CoreShape], bool] = lambda _: True
    parameters: tuple[str, ...] = ()
    everywhere: bool = False

    @property
    def of_chip(self) -> bool:
        """Tell whether its module is one that a chip has once."""
        return self.module in ("chip_control", "register_bus")


_TWO_LANES = Sizes(lanes=2)  # each lane is a copy of the next: one generate loop

PROPERTIES = (
    Property(
        name="momentum_saturates",
        statement="the momentum is clipped and never wraps",
        rules="N11",
        module="momentum_flip",
        method="inputs",
        sizes=_TWO_LANES,
    ),
    Property(
        name="flip_rule",
        statement="a weight flips if and only if the rule says so",
        rules="N12",
        module="momentum_flip",
        method="inputs",
        sizes=_TWO_LANES,
    ),
    Property(
        name="momentum_at_flip",
        statement="a flip resets the momentum, or keeps it, as the chip says",
        rules="N12",
        module="momentum_flip",
        method="inputs",
        sizes=_TWO_LANES,
    ),
    Property(
        name="untouched_without_gradient",
        statement="a lane whose rounded gradient is 0 changes nothing",
        rules="N11",
        module="momentum_flip",
        method="inputs",
        sizes=_TWO_LANES,
    ),
    Property(
        name="gradient_rule",
        statement="the rounded gradient is that of wide arithmetic",
        rules="N9, N10",
        module="gradient_round",
        method="induction",
        sizes=Sizes(lanes=1),
    ),
    Property(
        name="gradient_handshake",
        statement="valid and payload hold until they are taken; each word comes out once",
        rules="docs/RTL.md",
        module="gradient_round",
        method="induction",
        sizes=_TWO_LANES,
    ),
    Property(
        name="flip_handshake",
        statement="valid and payload hold until they are taken",
        rules="docs/RTL.md",
        module="flip_unit",
        method="induction",
        sizes=_TWO_LANES,
    ),
    Property(
        name="flip_words",
        statement="each word gives one result, in order, with its own address and what goes with it",
        rules="O3",
        module="flip_unit",
        method="induction",
        sizes=_TWO_LANES,
    ),
    Property(
        name="random_never_zero",
        statement="no generator reaches 0, where it would stay",
        rules="R5",
        module="random_source",
        method="induction",
        sizes=_TWO_LANES,
        applies=lambda core: core.draws,
    ),
    Property(
        name="random_rule",
        statement="a draw is the published step, and steps once",
        rules="R5",
        module="random_source",
        method="induction",
        sizes=_TWO_LANES,
        applies=lambda core: core.draws,
    ),
    Property(
        name="potential_saturates",
        statement="the potential is clipped and never wraps; reset and leak",
        rules="N3, N4",
        module="fire",
        method="inputs",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: not core.is_readout,
    ),
    Property(
        name="spike_rule",
        statement="a neuron spikes, and its window is open, if and only if the rule says so",
        rules="N4, S2",
        module="fire",
        method="inputs",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: not core.is_readout,
    ),
    Property(
        name="trace_saturates",
        statement="the trace is clipped and never wraps",
        rules="N5",
        module="trace_update",
        method="inputs",
        sizes=Sizes(lanes=2, axons=5),
    ),
    Property(
        name="totals_exact",
        statement="totals of a sample never wrap",
        rules="N6",
        module="readout",
        method="inputs",
        sizes=_TWO_LANES,
        applies=lambda core: core.is_readout,
    ),
    Property(
        name="backward_saturates",
        statement="the error of a neuron below is rounded and clipped and never wraps",
        rules="N8",
        module="backward_sum",
        method="inputs",
        applies=lambda core: core.has_below,
    ),
    Property(
        name="backward_sum_exact",
        statement="the sum of a row never wraps",
        rules="N8",
        module="backward_sum",
        method="induction",
        applies=lambda core: core.has_below,
    ),
    Property(
        name="decay_rule",
        statement="decayed momentum is that of wide arithmetic and never wraps",
        rules="N13",
        module="decay",
        method="inputs",
        sizes=_TWO_LANES,
        applies=lambda core: core.decay != "none",
    ),
    Property(
        name="average_saturates",
        statement="the second moment is clipped and never wraps",
        rules="N14",
        module="adaptive_threshold",
        method="inputs",
        applies=lambda core: core.tbso,
    ),
    Property(
        name="events_once",
        statement="each axon with an event is listed once, and no other",
        rules="N2, T1",
        module="event_input",
        method="induction",
        sizes=Sizes(axons=5),
    ),
    Property(
        name="spikes_once",
        statement="each spike leaves once, in order, whatever the taker does; then idle",
        rules="T3",
        module="spike_output",
        method="induction",
        sizes=Sizes(lanes=2, words=3),
        applies=lambda core: not core.is_readout,
    ),
    Property(
        name="spike_handshake",
        statement="valid and payload hold until they are taken",
        rules="docs/RTL.md",
        module="spike_output",
        method="induction",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: not core.is_readout,
    ),
    Property(
        name="integrate_addresses",
        statement="each listed event reads one word of each row's words; addresses inside; then idle",
        rules="N3, T10",
        module="integrate",
        method="induction",
        parameters=("Axons",),
        everywhere=True,
    ),
    Property(
        name="integrate_sums",
        statement="the sum of a lane is that of its weights over the listed rows; cycles of T2; then idle",
        rules="N3, T2",
        module="integrate",
        method="bounded",
        cycles=lambda p: p["Words"] * (p["Axons"] + 3) + 3,
        sizes=Sizes(lanes=1, axons=2, words=2),
        parameters=("Axons",),
    ),
    Property(
        name="integrate_counts",
        statement="the sum of a lane is that of the weights that were read, one for each listed event",
        rules="N3",
        module="integrate",
        method="induction",
        cycles=lambda p: p["Axons"] + 4,
        parameters=("Axons",),
        everywhere=True,
    ),
    Property(
        name="rows_once",
        statement="each row to visit is listed once, in order; addresses inside; then idle",
        rules="O2",
        module="trace_update",
        method="induction",
        sizes=Sizes(lanes=2, axons=5),
    ),
    Property(
        name="update_words_once",
        statement="each live word of each listed row is handed over once, in order; addresses inside; then idle",
        rules="O3",
        module="update_control",
        method="induction",
        sizes=Sizes(axons=3, words=3),
        parameters=("Axons",),
    ),
    Property(
        name="decay_rows_once",
        statement="each word of each row that is due decays once, in order; addresses inside; then idle",
        rules="O4",
        module="decay",
        method="induction",
        sizes=Sizes(lanes=2, axons=3, words=2),
        applies=lambda core: core.decay != "none",
        everywhere=True,
    ),
    Property(
        name="error_words_once",
        statement="each word with an error is written once, at its address, and no other",
        rules="N8, O2",
        module="error_words",
        method="induction",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: not core.is_readout,
    ),
    Property(
        name="scan_in_order",
        statement="each neuron of the readout is shown once, in order, with its own value; addresses inside; then idle",
        rules="T5, T9",
        module="output_scan",
        method="induction",
        sizes=Sizes(lanes=2, axons=2, words=3),
        applies=lambda core: core.is_readout,
    ),
    Property(
        name="prediction_rule",
        statement="the lowest neuron with the largest total is predicted; then idle",
        rules="N6",
        module="predict",
        method="induction",
        applies=lambda core: core.is_readout,
        everywhere=True,
    ),
    Property(
        name="hinge_ends",
        statement="the error phase comes to its end and leaves the unit idle; addresses inside",
        rules="N7, T5",
        module="error_hinge",
        method="induction",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: core.is_readout and not core.softmax,
    ),
    Property(
        name="softmax_ends",
        statement="the error phase comes to its end and leaves the unit idle; addresses inside",
        rules="N7, T5",
        module="error_softmax",
        method="induction",
        sizes=Sizes(lanes=2, words=2),
        applies=lambda core: core.is_readout and core.softmax,
    ),
    Property(
        name="division_rule",
        statement="a step of the division leaves a remainder below the divisor and loses nothing",
        rules="N7",
        module="error_softmax",
        method="inputs",
        applies=lambda core: core.is_readout and core.softmax,
    ),
    Property(
        name="exponential_table",
        statement="the exponentials are those of the rule",
        rules="N7",
        module="exponential",
        method="inputs",
        applies=lambda core: core.is_readout and core.softmax,
    ),
    Property(
        name="threshold_stands",
        statement="the flip threshold is that of the root when a phase ends, clipped, until the next",
        rules="N14",
        module="adaptive_threshold",
        method="induction",
        cycles=lambda _: 21,
        applies=lambda core: core.tbso,
    ),
    Property(
        name="moments_stored",
        statement="the second moment that the host looks at is what the host or the phase stored last",
        rules="N14",
        module="adaptive_threshold",
        method="induction",
        cycles=lambda _: 4,
        applies=lambda core: core.tbso,
    ),
    Property(
        name="threshold_ends",
        statement="the threshold phase lasts 20 cycles and leaves the unit idle",
        rules="T6",
        module="adaptive_threshold",
        method="induction",
        applies=lambda core: core.tbso,
    ),
    Property(
        name="host_accesses",
        statement="the host reads a word before it writes it, in two cycles; addresses inside",
        rules="docs/RTL.md",
        module="host_port",
        method="induction",
    ),
    Property(
        name="events_taken",
        statement="events are taken in the input phase only, and those in range reach the core",
        rules="T1",
        module="chip_control",
        method="inputs",
    ),
    Property(
        name="prediction_handshake",
        statement="a sample gives one prediction; it holds until it is taken",
        rules="T9, docs/RTL.md",
        module="chip_control",
        method="induction",
    ),
    Property(
        name="phases_in_order",
        statement="one phase of one core at a time, each later in the order than the one before, back to input after every step",
        rules="O1",
        module="chip_control",
        method="induction",
    ),
)


def property_named(name: str) -> Property | None:
    """Find a property by its name."""
    return next((one for one in PROPERTIES if one.name == name), None)


def subjects(chip: ChipShape, wanted: Property) -> list[CoreShape | None]:
    """Cores of a chip that a property is of; [None] if it is of a module that the chip has once."""
    if wanted.of_chip:
        return [None]
    return [core for core in chip.cores if wanted.applies(core)]
