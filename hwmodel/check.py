"""The model held against gates: a record of a netlist that learns, priced from its counts alone."""

from dataclasses import dataclass
from typing import Any

from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.hwmodel.area import chip_area
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.logic_fit import (
    CONTROL,
    Record,
    measured_control,
    measured_energy,
    record_chip,
    total_counts,
)
from flipcore.hwmodel.technology import Technology


@dataclass(frozen=True)
class Check:
    """A chip as measured and as the model has it, over the samples of its record.

    Attributes:
        name: of the record.
        logic_pj, model_logic_pj: energy of all gates, leakage included.
        memory_pj: energy of the memories, leakage included, which both sides take from the model.
        area_um2, model_area_um2: of all gates.
        components: model by component of the logic, in pJ.
    """

    name: str
    logic_pj: float
    model_logic_pj: float
    memory_pj: float
    area_um2: float
    model_area_um2: float
    components: dict[str, float]

    @property
    def logic_error(self) -> float:
        """Relative error of the energy of the gates."""
        return self.model_logic_pj / self.logic_pj - 1.0

    @property
    def total_error(self) -> float:
        """Relative error of the energy, memories included."""
        return (self.model_logic_pj - self.logic_pj) / (self.logic_pj + self.memory_pj)

    @property
    def area_error(self) -> float:
        """Relative error of the area of the gates."""
        return self.model_area_um2 / self.area_um2 - 1.0


def check_record(record: Record, technology: Technology) -> Check:
    """Price a record's counts and compare.

    Raises:
        InputError: the technology has no memory that the chip needs.
    """
    chip = record_chip(record)
    cores = range(len(chip.layers))
    energy = price(chip, record_counts(record), technology)
    model: dict[str, float] = {}
    memory_pj = 0.0
    for row in energy.rows:
        if row.cost.kind == "logic":
            name = row.cost.component
            model[name] = model.get(name, 0.0) + row.energy_pj.value
        elif row.cost.kind == "memory":
            memory_pj += row.energy_pj.value
    toggles_pj = sum(sum(measured_energy(record, c).values()) for c in cores)
    seconds = total_counts(record, 0)["cycles"] / (chip.clock_mhz * 1e6)
    leakage_pj = sum(record["leakage_nw"].values()) * 1e-9 * seconds * 1e12
    area = chip_area(chip, technology)
    return Check(
        name=str(record["name"]),
        logic_pj=toggles_pj + measured_control(record) + leakage_pj,
        model_logic_pj=sum(model.values()),
        memory_pj=memory_pj,
        area_um2=sum(record["area_um2"][name] for name in (CONTROL, *map(str, cores))),
        model_area_um2=sum(row.area_um2.value for row in area if row.kind == "logic"),
        components=model,
    )


def record_counts(record: Record) -> EventCounts:
    """The counts of a record's samples."""
    chip = record_chip(record)
    counts: dict[str, Any] = {"samples": record["samples"]}
    totals = [total_counts(record, c) for c in range(len(chip.layers))]
    for name in COUNT_NAMES:
        counts[name] = [total.get(name, 0) for total in totals]
    return EventCounts.from_dict(counts)
