"""What the Verilog of a whole chip consists of: its cores and what its control needs to know of them."""

from dataclasses import dataclass
from functools import cached_property

from flipcore.chip import Chip, Stage
from flipcore.rtl.core_shape import CoreShape, Parameter, period_shift_bits
from flipcore.rtl.flip_unit import index_bits

MIN_COUNTER_BITS = 32  # of the sample counter


@dataclass(frozen=True)
class StageShape:
    """A stage of the schedule (O6) as constants of the control."""

    after_samples: int
    gradient_shift_add: int
    period_shift: int

    @classmethod
    def of(cls, stage: Stage) -> "StageShape":
        """Take the constants from a stage of the description."""
        return cls(
            stage.after_samples,
            stage.gradient_shift_add,
            stage.scrub_period_multiply.bit_length() - 1,
        )


@dataclass(frozen=True)
class ChipShape:
    """A chip as its Verilog needs it.

    Attributes:
        chip: the description.
        counters: whether the performance counters are emitted.
    """

    chip: Chip
    counters: bool

    @cached_property
    def cores(self) -> list[CoreShape]:
        """Its cores, input side first."""
        return [CoreShape(self.chip, c, self.counters) for c in range(len(self.chip.layers))]

    @property
    def title(self) -> str:
        """Name and sizes, one line."""
        sizes = "-".join(str(size) for size in (self.chip.inputs, *(c.neurons for c in self.cores)))
        return f"Chip {self.chip.name}: {sizes}, {self.chip.steps} steps a sample."

    @property
    def any_tbso(self) -> bool:
        """Tell whether a core has an adaptive threshold."""
        return any(core.tbso for core in self.cores)

    @property
    def any_dense(self) -> bool:
        """Tell whether a core decays after each step."""
        return any(core.decay == "dense" for core in self.cores)

    @property
    def any_scrub(self) -> bool:
        """Tell whether a core is scrubbed."""
        return bool(self.scrub_cores)

    @property
    def any_decay(self) -> bool:
        """Tell whether a core decays at all."""
        return self.any_dense or self.any_scrub

    @property
    def scrub_cores(self) -> list[int]:
        """Indices of the cores that are scrubbed."""
        return [c for c, core in enumerate(self.cores) if core.decay == "scrub"]

    @property
    def scrub_order(self) -> list[tuple[int, int]]:
        """Each scrubbed core but the last, and the one after it."""
        return list(zip(self.scrub_cores, self.scrub_cores[1:], strict=False))

    def core_is(self, kind: str, index: str) -> str:
        """Verilog condition that core `index` decays densely (`dense`) or has the rule `tbso`."""
        chosen = [c for c, core in enumerate(self.cores) if kind in (core.decay, core.core.rule)]
        if len(chosen) == len(self.cores):
            return "1'b1"
        return " || ".join(f"{index} == 4'd{c}" for c in chosen)

    def first_learn_phase(self, index: str) -> str:
        """Verilog expression of the phase that learning of core `index` begins with."""
        if not self.any_tbso:
            return "Update"
        condition = self.core_is("tbso", index)
        return "Threshold" if condition == "1'b1" else f"({condition}) ? Threshold : Update"

    @property
    def shift_add_bits(self) -> int:
        """Bits of the schedule's addition to the gradient shift (O6); 0: no stage adds."""
        return max(core.unit.shift_add_bits for core in self.cores)

    @property
    def period_shift_bits(self) -> int:
        """Bits of what the schedule shifts the scrub period by (O6); 0: no stage does."""
        return period_shift_bits(self.chip)

    @property
    def stages_last_first(self) -> list[StageShape]:
        """Stages that begin after some samples, the last one first."""
        later = [stage for stage in self.chip.schedule if stage.after_samples]
        return [StageShape.of(stage) for stage in reversed(later)]

    @property
    def before_stages(self) -> StageShape:
        """What holds from the first sample on."""
        first = [stage for stage in self.chip.schedule if not stage.after_samples]
        return StageShape.of(first[0]) if first else StageShape(0, 0, 0)

    @property
    def step_bits(self) -> int:
        """Bits of a step's index."""
        return index_bits(self.chip.steps)

    @property
    def counter_bits(self) -> int:
        """Bits of the sample counter: beyond the schedule's last stage, 32 at least."""
        last = max([0, *(stage.after_samples for stage in self.chip.schedule)])
        return max(MIN_COUNTER_BITS, last.bit_length() + 1)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the modules of the whole chip, by name."""
        data_bits = max(index_bits(self.chip.inputs), index_bits(self.chip.classes))
        table = [
            ("Cores", len(self.cores), "cores"),
            ("Steps", self.chip.steps, "steps of a sample, T"),
            ("StepBits", self.step_bits, "index of a step"),
            ("Axons", self.chip.inputs, "axons of core 0"),
            ("Classes", self.chip.classes, "neurons of the readout"),
            ("DataBits", data_bits, "axon or label"),
            ("ClassBits", index_bits(self.chip.classes), "class"),
            ("CounterBits", self.counter_bits, "sample counter"),
        ]
        return {name: Parameter(name, value, meaning) for name, value, meaning in table}
