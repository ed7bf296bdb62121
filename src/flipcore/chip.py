"""The chip description: every parameter of a chip, checked against the SPEC's limits when it is loaded (S1-S4)."""

import difflib
import itertools
import reprlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from flipcore.errors import InputError

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
            f"with the schedule it reaches {self.max_gradient_shift}, "
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
        for stage in self.schedule:
            for core in self.layers:
                period = core.scrub_period * stage.scrub_period_multiply
                _require(
                    period <= MAX_SCRUB_PERIOD and period & (period - 1) == 0,
                    "schedule",
                    stage.scrub_period_multiply,
                    f"makes a scrub period of {period}: a power of two up to {MAX_SCRUB_PERIOD}",
                )
        return self


def _require(holds: bool, field: str, value: object, rule: str) -> None:
    if not holds:
        raise ValueError(f"{field}={value}: {rule}")


# What a layer may say for itself: everything but what is derived from the rest of the description.
_DERIVED = ("axons", "max_gradient_shift")
CORE_FIELDS = tuple(name for name in Core.model_fields if name not in (*_DERIVED, "neurons"))


def parse_chip(document: object, source: str) -> Chip:
    """Build a chip from a parsed YAML document; `source` names it in errors.

    Raises:
        InputError: names the field, its value and the rule that it breaks.
    """
    if not isinstance(document, Mapping):
        raise InputError(
            f"{source}: a chip description is a mapping of fields, not {type(document).__name__}"
        )
    try:
        return Chip.model_validate(_resolve_layers(document, source))
    except ValidationError as error:
        raise InputError(f"{source}: {_first_error(error)}") from None


def _resolve_layers(document: Mapping[object, object], source: str) -> dict[object, object]:
    """Give each layer the defaults of `core` and what follows from its neighbours."""
    resolved = {key: value for key, value in document.items() if key != "core"}
    defaults = document.get("core", {})
    layers = document.get("layers")
    if not isinstance(defaults, Mapping):
        raise InputError(
            f"{source}: core={reprlib.repr(defaults)}: must be a mapping of core parameters"
        )
    if not isinstance(layers, list):
        raise InputError(
            f"{source}: layers: must be a list with one entry per layer, input side first"
        )
    for key in defaults:
        if key in _DERIVED:
            raise InputError(f"{source}: core.{key}: is derived and cannot be given")
        if key not in CORE_FIELDS:
            raise InputError(
                f"{source}: core.{_one_line(key)}: unknown field{_near(str(key), CORE_FIELDS)}"
            )
    axons = document.get("inputs")
    growth = _largest_growth(document.get("schedule"))
    merged = []
    for index, layer in enumerate(layers):
        if not isinstance(layer, Mapping):
            raise InputError(
                f"{source}: layers.{index}={reprlib.repr(layer)}: must be a mapping with `neurons`"
            )
        for key in _DERIVED:
            if key in layer:
                raise InputError(f"{source}: layers.{index}.{key}: is derived and cannot be given")
        core = {**defaults, **layer}
        shift = core.get("gradient_shift", Core.model_fields["gradient_shift"].default)
        core["axons"] = axons if isinstance(axons, int) else 1
        core["max_gradient_shift"] = max(0, shift + growth) if isinstance(shift, int) else 0
        merged.append(core)
        axons = layer.get("neurons")
    resolved["layers"] = merged
    error = document.get("error")
    if isinstance(error, Mapping) and "kind" not in error:
        resolved["error"] = {"kind": Hinge.model_fields["kind"].default, **error}
    return resolved


def _largest_growth(schedule: object) -> int:
    """Largest gradient_shift_add of a schedule that may still be malformed."""
    stages = schedule if isinstance(schedule, list) else []
    adds = [stage.get("gradient_shift_add", 0) for stage in stages if isinstance(stage, Mapping)]
    return max([0, *(add for add in adds if isinstance(add, int))])


def _near(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean `{matches[0]}`?" if matches else ""


def _first_error(error: ValidationError) -> str:
    """One line for the first broken field, with the number of further ones."""
    errors = error.errors()
    first = errors[0]
    path = _field_path(first)
    same = [one for one in errors if _field_path(one) == path]
    others = len({_field_path(one) for one in errors}) - 1
    more = f" (and {others} more)" if others else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        # A field of another part of the description is not its own correction.
        return f"{path}: unknown field{_near(name, _FIELD_NAMES - {name, *_DERIVED})}{more}"
    if first["type"] == "missing":
        return f"{path}: is missing{more}"
    if first["type"] == "value_error":
        message = str(first["msg"]).removeprefix("Value error, ")
        return f"{path}.{message}{more}" if path else f"{message}{more}"
    # Every branch of a union has its say: a number up to 7 or `none`.
    message = " or ".join(one["msg"][0].lower() + one["msg"][1:] for one in same)
    return f"{path}={reprlib.repr(first['input'])}: {message}{more}"


def _field_path(error: ErrorDetails) -> str:
    """Path of a field; union branches add their own names to the location, a field path has none of them."""
    *parents, last = error["loc"] or ("",)
    known = [part for part in parents if not isinstance(part, str) or part in _FIELD_NAMES]
    if error["type"] == "extra_forbidden" or not isinstance(last, str) or last in _FIELD_NAMES:
        known.append(last)
    return ".".join(_one_line(part) for part in known)


def _one_line(key: object) -> str:
    """A key of a document, which may be any text, fit for an error of one line."""
    return reprlib.repr(str(key))[1:-1]


_FIELD_NAMES = frozenset(
    name for model in (Core, Hinge, Softmax, Stage, Workload, Chip) for name in model.model_fields
)


# PyYAML lets through what its constructors raise, of dates and numbers that are none for example.
YAML_DAMAGE = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)


def read_chip_document(name: str) -> tuple[dict[str, Any], str]:
    """Read the YAML of a preset or a file; returns the document and what to call it in errors.

    A name that ends in .yaml or .yml, or holds a path separator, is a file; anything else a preset.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise InputError(f"{name}: cannot be read: {reason}") from None
    else:
        text = preset_text(name)
    try:
        document = yaml.safe_load(text)
    except YAML_DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: not valid YAML: {reason}") from None
    if not isinstance(document, dict):
        raise InputError(f"{name}: a chip description is a mapping of fields")
    return document, name


def load_chip(name: str, changes: Iterable[str] = ()) -> Chip:
    """Load a preset or a YAML file, with changes such as `core.momentum_bits=4` applied first."""
    document, source = read_chip_document(name)
    for change in changes:
        apply_change(document, change)
    return parse_chip(document, source)


def apply_change(document: dict[str, Any], change: str) -> None:
    """Set one value, given as `path.to.field=value` with a YAML value, in a chip document in place."""
    path, equals, text = change.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise InputError(f"{change}: write changes as field=value, such as core.momentum_bits=4")
    try:
        value = yaml.safe_load(text)
    except YAML_DAMAGE:
        raise InputError(f"{change}: the value is not valid YAML") from None
    set_field(document, path, value)


def set_field(document: dict[str, Any], path: str, value: object) -> None:
    """Set the field at `path.to.field` of a chip document in place; nothing is checked but that there is such a place.

    `core.field` holds for every layer: a layer's own value of it is taken away.

    Raises:
        InputError: the path leads through something without fields, or past the end of a list.
    """
    keys = path.split(".")
    layers = document.get("layers")
    if keys[0] == "core" and len(keys) == 2 and isinstance(layers, list):
        for layer in layers:
            if isinstance(layer, dict):
                layer.pop(keys[1], None)
    place: Any = document
    for depth, key in enumerate(keys[:-1]):
        place = _step_into(place, key, ".".join(keys[: depth + 1]))
    if isinstance(place, list):
        place[_list_index(place, keys[-1], path)] = value
    elif isinstance(place, dict):
        place[keys[-1]] = value
    else:
        raise InputError(f"{path}: {'.'.join(keys[:-1])} holds no fields")


def _step_into(place: Any, key: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_list_index(place, key, path)]
    if isinstance(place, dict):
        if place.get(key) is None:
            place[key] = {}
        return place[key]
    raise InputError(f"{path}: holds no fields")


def _list_index(items: list[Any], key: str, path: str) -> int:
    if not key.removeprefix("-").isdecimal() or not -len(items) <= int(key) < len(items):
        raise InputError(f"{path}: {key} is not an index of a list of {len(items)}")
    return int(key)


def chip_schema() -> dict[str, Any]:
    """JSON schema of a chip description as it is written: `core` holds defaults, nothing derived is given."""
    schema = Chip.model_json_schema()
    core = schema["$defs"]["Core"]
    for name in _DERIVED:
        del core["properties"][name]
        core["required"].remove(name)
    schema["properties"]["core"] = {
        "type": "object",
        "description": "parameters of every layer that does not give its own",
        "properties": {name: core["properties"][name] for name in CORE_FIELDS},
        "additionalProperties": False,
    }
    return schema


def chip_document(chip: Chip) -> dict[str, Any]:
    """Describe a chip as a document that parses back to the same chip, shared values under `core`."""
    document = chip.model_dump(exclude={"layers"})
    layers = [core.model_dump(exclude=set(_DERIVED)) for core in chip.layers]
    shared = {
        key: layers[0][key]
        for key in CORE_FIELDS
        if all(layer[key] == layers[0][key] for layer in layers)
    }
    document["core"] = shared
    document["layers"] = [
        {key: value for key, value in layer.items() if key not in shared} for layer in layers
    ]
    return document


def chip_yaml(chip: Chip) -> str:
    """Write a chip as YAML that `load_chip` reads back to the same chip."""
    # PyYAML reads back some control characters otherwise than it wrote them, unless they are escaped.
    plain = chip.description.isprintable() and chip.workload.dataset.isprintable()
    return yaml.safe_dump(chip_document(chip), sort_keys=False, allow_unicode=plain)


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in _preset_folder().iterdir()
        if entry.name.endswith(".yaml")
    )


def preset_text(name: str) -> str:
    """YAML of a preset as it was written, comments and all.

    Raises:
        InputError: there is no such preset.
    """
    if name not in preset_names():
        raise InputError(
            f"{name}: no such preset{_near(name, preset_names())} "
            f"(presets: {', '.join(preset_names())}; a file name ends in .yaml)"
        )
    return str(_preset_folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def _preset_folder() -> Any:
    return resources.files("flipcore").joinpath("presets")
