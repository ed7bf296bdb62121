"""Counts of everything that costs time or energy: what the simulator produces, the RTL verifies and the cost model prices (T10-T12)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError

COUNT_NAMES = (
    "events",
    "merged_events",
    "spikes",
    "sops",
    "live_steps",
    "words_visited",
    "words_drawn",
    "words_updated",
    "momentum_updates",
    "flips",
    "words_decayed",
    "words_changed",
    "potential_saturations",
    "momentum_saturations",
    "weight_reads",
    "weight_writes",
    "momentum_reads",
    "momentum_writes",
    "potential_reads",
    "potential_writes",
    "trace_reads",
    "trace_writes",
    "row_list_reads",
    "row_list_writes",
    "error_reads",
    "error_writes",
    "event_list_reads",
    "event_list_writes",
    "total_reads",
    "total_writes",
    "input_cycles",
    "forward_cycles",
    "spikes_cycles",
    "trace_cycles",
    "error_cycles",
    "threshold_cycles",
    "update_cycles",
    "decay_cycles",
    "predict_cycles",
)
CYCLE_NAMES = tuple(name for name in COUNT_NAMES if name.endswith("_cycles"))
_COLUMN = {name: index for index, name in enumerate(COUNT_NAMES)}


@dataclass
class EventCounts:
    """Event counts of a number of samples, per core.

    Attributes:
        samples: samples that were counted.
        cores: int64 [cores, counts], columns in the order of COUNT_NAMES.
    """

    samples: int = 0
    cores: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((0, len(COUNT_NAMES)), np.int64)
    )

    @classmethod
    def zeros(cls, num_cores: int) -> Self:
        """Counts of nothing yet."""
        return cls(0, np.zeros((num_cores, len(COUNT_NAMES)), np.int64))

    def per_core(self, name: str) -> npt.NDArray[np.int64]:
        """One count for each core, int64 [cores]."""
        return self.cores[:, _COLUMN[name]]

    def total(self, name: str) -> int:
        """One count summed over the cores."""
        return int(self.per_core(name).sum())

    @property
    def cycles(self) -> int:
        """Cycles of all phases; they run one after the other (SPEC section 5)."""
        return sum(self.total(name) for name in CYCLE_NAMES)

    def add(self, other: "EventCounts") -> None:
        """Add the counts of further samples in place."""
        self.samples += other.samples
        self.cores += other.cores

    def minus(self, other: "EventCounts") -> "EventCounts":
        """Counts since an earlier state of the same counter."""
        return EventCounts(self.samples - other.samples, self.cores - other.cores)

    def copy(self) -> "EventCounts":
        """An independent copy."""
        return EventCounts(self.samples, self.cores.copy())

    def as_dict(self) -> dict[str, int | list[int]]:
        """Samples, and each count as a list over the cores, for JSON."""
        counts: dict[str, int | list[int]] = {"samples": self.samples}
        for name in COUNT_NAMES:
            counts[name] = [int(value) for value in self.per_core(name)]
        return counts

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote, as it comes back from JSON.

        Raises:
            InputError: a count is missing, unknown, negative, no integer, or not there for every core.
        """
        names = {"samples", *COUNT_NAMES}
        for name in sorted(names ^ counts.keys()):
            raise InputError(f"{'no' if name in names else 'unknown'} count {name}")
        columns = [counts[name] for name in COUNT_NAMES]
        if any(type(column) is not list for column in columns):
            raise InputError("every count but samples is a list with a value per core")
        if len({len(column) for column in columns}) != 1 or not columns[0]:
            raise InputError("the counts are not there for the same number of cores")
        for name, column in (("samples", [counts["samples"]]), *zip(COUNT_NAMES, columns, strict=True)):  # fmt: skip
            for value in column:
                if type(value) is not int or not 0 <= value < 1 << 63:
                    raise InputError(f"count {name} is {value}: a number of events is an integer of 0 or more")  # fmt: skip
        return cls(counts["samples"], np.array(columns, np.int64).T.copy())
