"""What a chip costs: energy, area, latency, with their bounds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flipcore.api.chips import as_chip
from flipcore.api.simulations import Simulation
from flipcore.chip import Chip
from flipcore.hwmodel.estimate import Workload, estimate_figures, make_estimate, rates_workload
from flipcore.hwmodel.technology import Band, load_technology

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Price:
    """A chip priced in a technology. `print` it for its figures; every band has a value, a lower and an upper bound.

    Attributes:
        counts_from: where the activity comes from, in words.
        training_energy_pj: of a mean training sample, input lines included; None where nothing was learnt.
        inference_energy_pj: of a mean classified sample.
        warnings: what limits the figures, in words.
        figures: the same and all others, as `flipcore estimate --json` prints them.
    """

    chip: Chip
    technology: str
    counts_from: str
    training_energy_pj: Band | None
    inference_energy_pj: Band
    area_um2: Band
    training_latency_us: float | None
    inference_latency_us: float
    warnings: tuple[str, ...]
    figures: dict[str, Any] = field(repr=False)

    def to_pandas(self) -> "pandas.DataFrame":
        """Energy by component, pJ: one line per component, columns by sample and bound (needs pandas, extra `pandas`)."""
        import pandas

        columns = {
            (side, bound): {name: band[bound] for name, band in parts["component"].items()}
            for side, parts in self.figures["energy_by"].items()
            for bound in ("value", "low", "high")
        }
        return pandas.DataFrame(columns).rename_axis("component")

    def __str__(self) -> str:
        """The main figures, one a line."""
        lines = [f"{self.chip.name} in {self.technology}, from {self.counts_from}"]
        if self.training_energy_pj is not None:
            lines.append(f"training sample  {_in(self.training_energy_pj, 1e-3)} nJ, {self.training_latency_us:,.1f} us")  # fmt: skip
        lines.append(f"inference        {_in(self.inference_energy_pj, 1e-3)} nJ, {self.inference_latency_us:,.1f} us")  # fmt: skip
        lines.append(f"area             {_in(self.area_um2, 1e-6)} mm2")
        return "\n".join([*lines, *(f"note: {line}" for line in self.warnings)])


def _in(band: Band, unit: float) -> str:
    return f"{band.value * unit:,.3g} ({band.low * unit:,.3g} ... {band.high * unit:,.3g})"


def estimate(
    what: Simulation | Chip | str | Path = "digits", technology: str = "ihp-sg13g2"
) -> Price:
    """Price a finished simulation from its own counts, or a chip from the activity measured on the preset nearest to it.

    Args:
        what: a simulation, a chip, the name of a preset, or a YAML file.
        technology: name of a technology, or a file of coefficients that ends in .csv.

    Raises:
        InputError: the technology is unknown or lacks a memory that the chip needs.
    """
    priced = make_estimate(_workload(what), load_technology(technology))
    figures = estimate_figures(priced)
    return Price(
        chip=priced.workload.chip,
        technology=priced.technology.name,
        counts_from=priced.workload.origin,
        training_energy_pj=None if priced.training is None else priced.training.per_sample_pj,
        inference_energy_pj=priced.inference.per_sample_pj,
        area_um2=Band(**figures["area_um2"]),
        training_latency_us=figures["latency_us"]["train_sample"],
        inference_latency_us=figures["latency_us"]["inference"],
        warnings=tuple(figures["warnings"]),
        figures=figures,
    )


def _workload(what: Simulation | Chip | str | Path) -> Workload:
    if not isinstance(what, Simulation):
        return rates_workload(as_chip(what), None, ())
    training = what.train_counts if what.train_counts.samples else None
    epochs = len(what.history)
    return Workload(
        what.chip,
        training,
        what.inference_counts,
        what.train_counts.samples // epochs if epochs else 0,
        f"a simulation of {what.chip.name} on {what.dataset}, {epochs} epochs, seed {what.seed}",
    )
