"""From a parsed document to a chip; what is wrong is said in one line that names field, value and rule."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Set

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flipcore.chip.model import CORE_FIELDS, DERIVED, Chip, Core, Hinge, Softmax, Stage, Workload
from flipcore.errors import InputError


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
        raise InputError(f"{source}: {first_error(error, _FIELD_NAMES)}") from None


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
        if key in DERIVED:
            raise InputError(f"{source}: core.{key}: is derived and cannot be given")
        if key not in CORE_FIELDS:
            raise InputError(
                f"{source}: core.{one_line(key)}: unknown field{near(str(key), CORE_FIELDS)}"
            )
    axons = document.get("inputs")
    growth = _largest_growth(document.get("schedule"))
    merged = []
    for index, layer in enumerate(layers):
        if not isinstance(layer, Mapping):
            raise InputError(
                f"{source}: layers.{index}={reprlib.repr(layer)}: must be a mapping with `neurons`"
            )
        for key in DERIVED:
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


def near(name: str, known: Iterable[str]) -> str:
    """Hint at the known name that was perhaps meant; empty where none is close."""
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean `{matches[0]}`?" if matches else ""


def first_error(error: ValidationError, field_names: Set[str]) -> str:
    """One line for the first broken field, with the number of further ones.

    Args:
        error: what pydantic found.
        field_names: of all fields of the description; everything else in a location names a branch of a union.
    """
    errors = error.errors()
    first = errors[0]
    path = _field_path(first, field_names)
    same = [one for one in errors if _field_path(one, field_names) == path]
    others = len({_field_path(one, field_names) for one in errors}) - 1
    more = f" (and {others} more)" if others else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        # A field of another part of the description is not its own correction.
        return f"{path}: unknown field{near(name, field_names - {name, *DERIVED})}{more}"
    if first["type"] == "missing":
        return f"{path}: is missing{more}"
    if first["type"] == "value_error":
        message = str(first["msg"]).removeprefix("Value error, ")
        return f"{path}.{message}{more}" if path else f"{message}{more}"
    # Every branch of a union has its say: a number up to 7 or `none`.
    message = " or ".join(one["msg"][0].lower() + one["msg"][1:] for one in same)
    return f"{path}={reprlib.repr(first['input'])}: {message}{more}"


def _field_path(error: ErrorDetails, field_names: Set[str]) -> str:
    """Path of a field; union branches add their own names to the location, a field path has none of them."""
    *parents, last = error["loc"] or ("",)
    known = [part for part in parents if not isinstance(part, str) or part in field_names]
    if error["type"] == "extra_forbidden" or not isinstance(last, str) or last in field_names:
        known.append(last)
    return ".".join(one_line(part) for part in known)


def one_line(key: object) -> str:
    """A key of a document, which may be any text, fit for an error of one line."""
    return reprlib.repr(str(key))[1:-1]


_FIELD_NAMES = frozenset(
    name for model in (Core, Hinge, Softmax, Stage, Workload, Chip) for name in model.model_fields
)
