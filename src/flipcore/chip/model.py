"""The model of a chip: every parameter with its limits (S3, S4), and the rules that tie them together."""

import itertools
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_AXONS = 4096  # S3
MAX_NEURONS = 4096  # S3
MAX_SYNAPSES = 1 << 22  # S3
MAX_LAYERS = 16  # S3
MAX_STEPS = 256  # S3
MAX_GRADIENT_SHIFT = 24  # S4
MAX_SCRUB_PERIOD = 1 << 20  # S4
MAX_FLIP_THRESHOLD = (1 << 15) - 2  # S4: of the widest momentum
MAX_AFTER_SAMPLES = 1 << 62  # more samples than any run sees, and in the simulator's 64 bits
MIN_READOUT_ERROR_BITS = 8  # S4: delta reaches +-64


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Core(_Model):
    """One core: its size and the parameters of SPEC S4."""

    neurons: int = Field(ge=1, description="columns of the core")
    axons: int = Field(ge=1, description="rows; derived from the layer below")
    max_gradient_shift: int = Field(
        ge=0, description="largest gradient shift of the schedule; derived"
    )
    lanes: int = Field(default=16, ge=1, le=64)
    memory_ports: Literal["1rw", "1r1w"] = "1r1w"
    neuron: Literal["lif", "if"] = "lif"
    potential_bits: int = Field(default=12, ge=4, le=24)
    threshold: int = Field(default=16, ge=1)
    leak_shift: int = Field(default=2, ge=1, le=15)
    reset: Literal["subtract", "zero"] = "subtract"
    window: int = Field(default=16, ge=1)
    trace_bits: int = Field(default=5, ge=1, le=8)
    trace_unit: int = Field(default=8, ge=1)
    trace_decay_shift: Annotated[int, Field(ge=1, le=7)] | Literal["none"] = 1
    error_bits: int = Field(default=8, ge=4, le=12)
    error_shift: int = Field(default=0, ge=0, le=15)
    rule: Literal["bso", "tbso"] = "bso"
    momentum_bits: int = Field(default=8, ge=2, le=16)
    flip_threshold: Annotated[int, Field(ge=0, le=MAX_FLIP_THRESHOLD)] | Literal["auto"] = Field(
        default="auto", description="auto: 25/32 of 2**(momentum_bits-1), the limit less 1 at most"
    )
    gradient_shift: int = Field(default=9, ge=0, le=MAX_GRADIENT_SHIFT)
    rounding: Literal["stochastic", "nearest", "floor"] = "stochastic"
    random_source: Literal["shared", "per_lane"] = "shared"
    momentum_at_flip: Literal["reset", "keep"] = "reset"
    decay: Literal["none", "scrub", "dense"] = "none"
    decay_shift: int = Field(default=3, ge=1, le=15)
    scrub_period: int = Field(default=1, ge=1, le=MAX_SCRUB_PERIOD)
    square_shift: int = Field(default=0, ge=0, le=31)
    average_shift: int = Field(default=4, ge=0, le=15)
    threshold_gain: int = Field(default=1, ge=1, le=65535)
    threshold_shift: int = Field(default=0, ge=0, le=31)

    @property
    def words(self) -> int:
        """Words of a row, J (S2)."""
        return -(-self.neurons // self.lanes)

    @property
    def trace_words(self) -> int:
        """Words of the trace memory (S2)."""
        return -(-self.axons // self.lanes)

    @property
    def momentum_limit(self) -> int:
        """Largest momentum (N11)."""
        return (1 << (self.momentum_bits - 1)) - 1

    @property
    def flip_threshold_value(self) -> int:
        """Flip threshold as a number, `auto` resolved."""
        if self.flip_threshold == "auto":
            return min(25 * (self.momentum_limit + 1) // 32, self.momentum_limit - 1)
        return self.flip_threshold

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(
            self.axons <= MAX_AXONS, "axons", self.axons, f"a core has at most {MAX_AXONS} axons"
        )
        _require(
            self.neurons <= MAX_NEURONS,
            "neurons",
            self.neurons,
            f"a core has at most {MAX_NEURONS} neurons",
        )
        _require(
            self.axons * self.neurons <= MAX_SYNAPSES,
            "neurons",
            self.neurons,
            f"a core has at most {MAX_SYNAPSES} synapses, {self.axons} axons give "
            f"{self.axons * self.neurons}",
        )
        top = 1 << (self.potential_bits - 1)
        _require(
            self.threshold < top,
            "threshold",
            self.threshold,
            f"must be below 2**(potential_bits-1) = {top}",
        )
        _require(
            self.window <= 2 * top, "window", self.window, f"at most 2**potential_bits = {2 * top}"
        )
        _require(
            self.trace_unit < 1 << self.trace_bits,
            "trace_unit",
            self.trace_unit,
            f"must be below 2**trace_bits = {1 << self.trace_bits}",
        )
        _require(
            self.rule == "tbso"
            or self.flip_threshold == "auto"
            or self.flip_threshold < self.momentum_limit,
            "flip_threshold",
            self.flip_threshold,
            f"at most {self.momentum_limit - 1}, as the momentum of {self.momentum_bits} bits ends "
            f"at {self.momentum_limit} and nothing would flip",
        )
        _require(
            self.max_gradient_shift <= MAX_GRADIENT_SHIFT,
            "gradient_shift",
            self.gradient_shift,
            f"with gradient_shift_add of the schedule it reaches {self.max_gradient_shift}, "
            f"the limit is {MAX_GRADIENT_SHIFT}",
        )
        _require(
            self.scrub_period & (self.scrub_period - 1) == 0,
            "scrub_period",
            self.scrub_period,
            "must be a power of two",
        )
        return self


class Hinge(_Model):
    """Error on the best wrong class where the margin is missed (N7)."""

    kind: Literal["hinge"] = "hinge"
    margin: int = Field(default=8, ge=0, le=1 << 20)
    of: Literal["step", "total"] = "step"


class Softmax(_Model):
    """Table softmax less the one-hot label (N7)."""

    kind: Literal["softmax"]
    sharpness: int = Field(default=2, ge=0, le=15)
    of: Literal["step", "total"] = "step"


class Stage(_Model):
    """From a number of training samples on, a larger gradient shift and scrub period (O6)."""

    after_samples: int = Field(ge=0, le=MAX_AFTER_SAMPLES)
    gradient_shift_add: int = Field(default=0, ge=0, le=MAX_GRADIENT_SHIFT)
    scrub_period_multiply: int = Field(default=1, ge=1, le=MAX_SCRUB_PERIOD)


class Workload(_Model):
    """What the preset is trained on unless the command line says otherwise."""

    dataset: str = "digits"
    epochs: int = Field(default=10, ge=0)


class Chip(_Model):
    """A whole chip and its default workload."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    clock_mhz: float = Field(default=100.0, ge=0.001, le=10_000, allow_inf_nan=False)
    inputs: int = Field(ge=1, le=MAX_AXONS, description="axons of the first core")
    steps: int = Field(default=4, ge=1, le=MAX_STEPS)
    layers: list[Core] = Field(min_length=1, max_length=MAX_LAYERS)
    error: Annotated[Hinge | Softmax, Field(discriminator="kind")] = Hinge()
    schedule: list[Stage] = Field(default_factory=list, max_length=64)
    workload: Workload = Workload()

    @cached_property
    def classes(self) -> int:
        """Neurons of the readout."""
        return self.layers[-1].neurons

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require(self.classes >= 2, "layers", self.classes, "the readout needs at least 2 neurons")
        _require(
            self.layers[-1].error_bits >= MIN_READOUT_ERROR_BITS,
            f"layers.{len(self.layers) - 1}.error_bits",
            self.layers[-1].error_bits,
            f"the readout needs at least {MIN_READOUT_ERROR_BITS}, its errors reach 64",
        )
        starts = [stage.after_samples for stage in self.schedule]
        _require(
            all(a < b for a, b in itertools.pairwise(starts)),
            "schedule",
            starts,
            "after_samples must ascend",
        )
        for k, stage in enumerate(self.schedule):
            for c, core in enumerate(self.layers):
                period = core.scrub_period * stage.scrub_period_multiply
                _require(
                    period <= MAX_SCRUB_PERIOD and period & (period - 1) == 0,
                    f"schedule.{k}.scrub_period_multiply",
                    stage.scrub_period_multiply,
                    f"makes of layers.{c}.scrub_period a period of {period}: "
                    f"a power of two up to {MAX_SCRUB_PERIOD}",
                )
        return self


def _require(holds: bool, field: str, value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"{field}={value}: {rule}")


# What a layer may say for itself: everything but what is derived from the rest of the description.
DERIVED = ("axons", "max_gradient_shift")
CORE_FIELDS = tuple(name for name in Core.model_fields if name not in (*DERIVED, "neurons"))
