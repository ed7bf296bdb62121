"""The fit of SRAM macros: energy, static power and area as a sum of four parts over words and bits.

The parts are those a macro is built of: control (1), a decoder and word lines by the word, sense amplifiers and write drivers by the bit, and
the cells, with the bit lines that every access moves. No part is negative, and relative errors count, so that small macros weigh as much as large.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from flipcore.errors import InputError
from flipcore.hwmodel.sram_macros import Macro
from flipcore.hwmodel.technology import SRAM_COMPONENTS, Band, Coefficient, Ports, term_value

FORM = ("1", "words", "bits", "words*bits")
NEGLIGIBLE = 1e-4  # of every macro's value: a part below is left out
_QUANTITIES = {
    "read": ("read_pj", "pJ"),
    "write": ("write_pj", "pJ"),
    "leakage": ("leakage_nw", "nW"),
    "area": ("area_um2", "um2"),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """One quantity of the macros with the same ports.

    Attributes:
        ports: Of the macros.
        action: `read`, `write`, `leakage` or `area`.
        unit: pJ, nW or um2.
        terms: Terms of the model that are not negligible.
        factors: Factor of each term.
        macros: The macros, in the order of the following.
        values: What the macros' files say.
        model: What the fit says.
        left_out: What a fit to all the other macros says of each.
    """

    ports: Ports
    action: str
    unit: str
    terms: tuple[str, ...]
    factors: tuple[float, ...]
    macros: tuple[Macro, ...]
    values: tuple[float, ...]
    model: tuple[float, ...]
    left_out: tuple[float, ...]

    @property
    def errors(self) -> tuple[float, ...]:
        """Relative errors of the model, for each macro."""
        return _errors(self.model, self.values)

    @property
    def left_out_errors(self) -> tuple[float, ...]:
        """Relative errors for each macro of the fit to all the others."""
        return _errors(self.left_out, self.values)

    @property
    def max_error(self) -> float:
        """Largest relative error of the model."""
        return max(abs(error) for error in self.errors)

    @property
    def median_error(self) -> float:
        """Median of the relative errors of the model."""
        return statistics.median(abs(error) for error in self.errors)

    @property
    def band(self) -> Band:
        """What the model is to be multiplied by: 1, and how far a macro that the fit did not see may lie below and above."""
        ratios = [value / model for value, model in zip(self.values, self.left_out, strict=True)]
        return Band(1.0, min(1.0, *ratios), max(1.0, *ratios))


def fit_macros(macros: Sequence[Macro]) -> tuple[Fit, ...]:
    """Fit read, write, leakage and area of the macros of each number of ports.

    Raises:
        InputError: There are too few macros of one kind to leave one out, or a value is 0.
    """
    fits = []
    for ports in SRAM_COMPONENTS:
        alike = tuple(macro for macro in macros if macro.ports == ports)
        if not alike:
            continue
        if len(alike) <= len(FORM):
            raise InputError(
                f"{len(alike)} macros with {ports} ports: a fit of {len(FORM)} parts needs {len(FORM) + 1} or more"
            )
        fits += [_fit(ports, alike, action) for action in _QUANTITIES]
    return tuple(fits)


def sram_rows(fits: Sequence[Fit], source: str) -> tuple[Coefficient, ...]:
    """The SRAM rows of a technology: the sizes measured and the terms of every fit, with bounds from leaving macros out."""
    rows: list[Coefficient] = []
    for fit in fits:
        component = SRAM_COMPONENTS[fit.ports]
        macro = fit.macros[0]
        corner = f"typical {macro.voltage_v:g} V {macro.temperature_c:g} C"
        if fit.action == "read":
            rows += _size_rows(component, fit.macros, corner, source)
        rows += [
            Coefficient(component, fit.action, term, fit.band * factor, fit.unit, corner, source)
            for term, factor in zip(fit.terms, fit.factors, strict=True)
        ]
    return tuple(rows)


def _size_rows(
    component: str, macros: Sequence[Macro], corner: str, source: str
) -> list[Coefficient]:
    sizes = {
        "smallest_words": min(macro.words for macro in macros),
        "largest_words": max(macro.words for macro in macros),
        "smallest_bits": min(macro.bits for macro in macros),
        "largest_bits": max(macro.bits for macro in macros),
        "largest_cells": max(macro.words * macro.bits for macro in macros),
    }
    return [
        Coefficient(component, action, "1", Band.exact(size), "count", corner, source)
        for action, size in sizes.items()
    ]


def _fit(ports: Ports, macros: tuple[Macro, ...], action: str) -> Fit:
    name, unit = _QUANTITIES[action]
    values = np.array([getattr(macro, name) for macro in macros], np.float64)
    for macro, value in zip(macros, values, strict=True):
        if not value > 0:
            raise InputError(f"{macro.name}: {action} is {value:g} {unit}, must be above 0")
    parts = np.array(
        [[term_value(term, {"words": m.words, "bits": m.bits}) for term in FORM] for m in macros]
    )
    factors = _solve(parts, values)
    kept = np.flatnonzero((parts * factors / values[:, None]).max(axis=0) > NEGLIGIBLE)
    factors = _solve(parts[:, kept], values)
    left_out = []
    for row in range(len(macros)):
        others = np.arange(len(macros)) != row
        left_out.append(float(parts[row] @ _solve(parts[others], values[others])))
    return Fit(
        ports=ports,
        action=action,
        unit=unit,
        terms=tuple(FORM[index] for index in kept),
        factors=tuple(float(factor) for factor in factors),
        macros=macros,
        values=tuple(float(value) for value in values),
        model=tuple(float(value) for value in parts[:, kept] @ factors),
        left_out=tuple(left_out),
    )


def _solve(
    parts: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Factors of 0 or more with the least squares of relative errors."""
    relative = parts / values[:, None]
    scale = relative.max(axis=0)  # parts of like size are solved more exactly
    factors, _ = nnls(relative / scale, np.ones(len(values)))
    return np.asarray(factors / scale, np.float64)


def _errors(model: Sequence[float], values: Sequence[float]) -> tuple[float, ...]:
    return tuple(got / value - 1 for got, value in zip(model, values, strict=True))
