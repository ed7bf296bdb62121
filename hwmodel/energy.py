"""Energy of counted events: what one action of every part of a chip costs, and the sum over what happened."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeVar

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.components import has_component
from flipcore.hwmodel.features import core_features
from flipcore.hwmodel.memories import core_memories
from flipcore.hwmodel.phases import CYCLES, io_numbers, phase_numbers
from flipcore.hwmodel.sram import memory_cost
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology

What = Literal["dynamic", "clock", "leakage"]
Kind = Literal["memory", "logic", "io"]
Key = TypeVar("Key")

LEAKAGE = "leakage"
IO: Final = "io"
IO_ACTIONS = ("events", "labels", "predictions")
PJ_PER_NW_US = 1e-3  # 1 nW over 1 us


@dataclass(frozen=True, slots=True)
class ActionCost:
    """What one action of a component costs.

    Attributes:
        core: the core that has the component; I/O is of the core at whose side it is.
        kind: memory, logic or io.
        component: a store of SPEC T13, a module of the RTL, or `io`.
        action: `read`, `write`; a count of SPEC T12; `cycles`, `leakage`: each cycle of the chip; a kind of transfer.
        what: dynamic; clock: what every cycle costs, busy or idle; leakage.
        each_pj: energy of one action.
    """

    core: int
    kind: Kind
    component: str
    action: str
    what: What
    each_pj: Band


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """Energy of one action of a component in one phase."""

    cost: ActionCost
    phase: str
    number: int

    @property
    def energy_pj(self) -> Band:
        """Number of actions times the energy of each."""
        return self.cost.each_pj * self.number


@dataclass(frozen=True)
class Energy:
    """Energy of some counted samples.

    Attributes:
        rows: per core, component, action and phase; their sum is the total.
        samples: samples that were counted.
    """

    rows: tuple[EnergyRow, ...]
    samples: int

    @cached_property
    def total_pj(self) -> Band:
        """Energy of all samples."""
        return Band.total(row.energy_pj for row in self.rows)

    @property
    def per_sample_pj(self) -> Band:
        """Mean energy of a sample; 0 where none was counted."""
        return self.total_pj * (1.0 / self.samples if self.samples else 0.0)

    def by_component(self) -> dict[str, Band]:
        """Energy per sample of each component, all cores together."""
        return self.per_sample_by(lambda row: row.cost.component)

    def by_phase(self) -> dict[str, Band]:
        """Energy per sample of each phase."""
        return self.per_sample_by(lambda row: row.phase)

    def by_core(self) -> dict[int, Band]:
        """Energy per sample of each core."""
        return self.per_sample_by(lambda row: row.cost.core)

    def by_what(self) -> dict[What, Band]:
        """Energy per sample: dynamic, of the clock, leaked."""
        return self.per_sample_by(lambda row: row.cost.what)

    def by_memory(self) -> dict[str, Band]:
        """Energy per sample of each memory, its leakage included, all cores together."""
        memories = tuple(row for row in self.rows if row.cost.kind == "memory")
        return Energy(memories, self.samples).by_component()

    def without_io(self) -> "Energy":
        """The same without lines to other chips: what cores inside a larger chip take."""
        return Energy(tuple(row for row in self.rows if row.cost.kind != IO), self.samples)

    def per_sample_by(self, key: Callable[[EnergyRow], Key]) -> dict[Key, Band]:
        """Energy per sample of the rows of each key; the values sum up to that of the sample."""
        share = 1.0 / self.samples if self.samples else 0.0
        sums: dict[Key, Band] = {}
        for row in self.rows:
            sums[key(row)] = sums.get(key(row), Band.exact(0.0)) + row.energy_pj * share
        return sums


def action_costs(chip: Chip, technology: Technology) -> tuple[ActionCost, ...]:
    """What each action of each component of a chip costs, in pJ; leakage per cycle at the chip's clock.

    Raises:
        InputError: the technology has no memory that the chip needs.
    """
    costs: list[ActionCost] = []
    for c in range(len(chip.layers)):
        costs += _memory_costs(chip, c, technology)
        costs += _logic_costs(chip, c, technology)
    for action in IO_ACTIONS:
        core = len(chip.layers) - 1 if action == "predictions" else 0
        each = technology.cost(IO, action, {})
        costs.append(ActionCost(core, IO, IO, action, "dynamic", each))
    return tuple(costs)


def _memory_costs(chip: Chip, c: int, technology: Technology) -> Iterator[ActionCost]:
    for name, shape in core_memories(chip, c).items():
        cost = memory_cost(technology, shape)
        yield ActionCost(c, "memory", name, "read", "dynamic", cost.read_pj)
        yield ActionCost(c, "memory", name, "write", "dynamic", cost.write_pj)
        leakage = _leakage_pj(cost.leakage_nw, chip)
        yield ActionCost(c, "memory", name, LEAKAGE, "leakage", leakage)


def _logic_costs(chip: Chip, c: int, technology: Technology) -> Iterator[ActionCost]:
    features = core_features(chip, c)
    for component in LOGIC_COMPONENTS:
        actions = {row.action for row in technology.rows(component)}
        if not actions or not has_component(chip, c, component):
            continue
        for action in (*COUNT_NAMES, CYCLES):
            if action in actions:
                each = technology.cost(component, action, features)
                what: What = "clock" if action == CYCLES else "dynamic"
                yield ActionCost(c, "logic", component, action, what, each)
        if LEAKAGE in actions:
            leakage = _leakage_pj(technology.cost(component, LEAKAGE, features), chip)
            yield ActionCost(c, "logic", component, LEAKAGE, "leakage", leakage)


def _leakage_pj(leakage_nw: Band, chip: Chip) -> Band:
    """Static power as energy per cycle."""
    return leakage_nw * (PJ_PER_NW_US / chip.clock_mhz)


def price_actions(chip: Chip, counts: EventCounts, costs: tuple[ActionCost, ...]) -> Energy:
    """Energy of counted samples with known costs of actions.

    Raises:
        InputError: the counts are of another chip or contradict each other.
    """
    transfers = io_numbers(chip, counts)
    rows = []
    for cost in costs:
        if cost.kind == IO:
            numbers = transfers[cost.action]
        else:
            numbers = phase_numbers(chip, counts, cost.core, _count_name(cost))
        rows += [EnergyRow(cost, phase, number) for phase, number in numbers.items()]
    return Energy(tuple(rows), counts.samples)


def _count_name(cost: ActionCost) -> str:
    if cost.action == LEAKAGE:
        return CYCLES
    return f"{cost.component}_{cost.action}s" if cost.kind == "memory" else cost.action


def price(chip: Chip, counts: EventCounts, technology: Technology) -> Energy:
    """Energy of counted samples: events times their energy, clock and leakage times cycles.

    Raises:
        InputError: the counts are of another chip or contradict each other; the technology has no memory that the chip needs.
    """
    return price_actions(chip, counts, action_costs(chip, technology))


def idle_power_uw(chip: Chip, costs: tuple[ActionCost, ...]) -> Band:
    """Power of the chip waiting for input with its clock running: clock and leakage, in uW."""
    return Band.total(cost.each_pj for cost in costs if cost.what != "dynamic") * chip.clock_mhz


def leakage_power_uw(chip: Chip, costs: tuple[ActionCost, ...]) -> Band:
    """Power of the chip with its clock stopped, in uW."""
    return Band.total(cost.each_pj for cost in costs if cost.what == "leakage") * chip.clock_mhz


def latency_us(chip: Chip, counts: EventCounts) -> float:
    """Mean time of a sample at the chip's clock; senders that make it wait are not counted (T1)."""
    return counts.cycles / max(counts.samples, 1) / chip.clock_mhz
