"""Verilog-2005 of a core's flip unit, one module per file, written for that core's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from flipcore.errors import InputError
from flipcore.files import write_whole
from flipcore.rtl.flip_unit import LATENCY_CYCLES, FlipUnit, FlipUnitParameters


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A Verilog parameter: its value in this core and the comment beside its declaration."""

    name: str
    value: int
    meaning: str


def flip_unit_files(core: FlipUnitParameters) -> dict[str, str]:
    """Generate the flip unit of a core (N9-N12) and the modules that it instantiates.

    Args:
        core: Checked parameters. What they leave unused (random source, schedule, run-time
            threshold) is not in the text.

    Returns:
        File name to text; the top module is `flip_unit`. The same core gives the same bytes.
    """
    unit = FlipUnit.of(core)
    modules = ["flip_unit", "gradient_round", "momentum_flip"]
    if unit.draws:
        modules += ["random_source", "xorshift32"]
    environment = _environment(unit)
    return {
        f"{module}.v": environment.get_template(f"{module}.v.j2").render() for module in modules
    }


def write_files(files: Mapping[str, str], out_dir: Path) -> list[Path]:
    """Write generated files into a folder, each whole or not at all; files of the same name are replaced.

    Returns:
        The paths written, in the order of `files`.

    Raises:
        InputError: The folder cannot be made or written.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out_dir}: cannot be written: {error.strerror}") from None
    for name, text in files.items():
        write_whole(out_dir / name, text.encode())
    return [out_dir / name for name in files]


def _environment(unit: FlipUnit) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flipcore.rtl", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parameters = {parameter.name: parameter for parameter in _parameters(unit)}

    def declare(*names: str) -> str:
        return _declarations([parameters[name] for name in names])

    environment.globals |= {
        "unit": unit,
        "latency": LATENCY_CYCLES,
        "module_parameters": _module_parameters(unit),
        "declare": declare,
        "override": _overrides,
    }
    return environment


def _parameters(unit: FlipUnit) -> list[_Parameter]:
    return [
        _Parameter("Lanes", unit.lanes, "synapses per word, P"),
        _Parameter("TraceBits", unit.trace_bits, "unsigned trace, Tb"),
        _Parameter("ErrorBits", unit.error_bits, "signed error, E"),
        _Parameter("MomentumBits", unit.momentum_bits, "signed momentum, B"),
        _Parameter("GradientShift", unit.gradient_shift, "s before the schedule's addition")
        if unit.shift_add_bits
        else _Parameter("GradientShift", unit.gradient_shift, "s"),
        _Parameter("ShiftAddBits", unit.shift_add_bits, "the schedule's addition to s"),
        _Parameter("MaxGradientShift", unit.max_gradient_shift, "largest s"),
        _Parameter("RoundedBits", unit.rounded_bits, "signed q, wide enough for every one"),
        _Parameter("FlipThreshold", unit.flip_threshold_value, "gamma"),
    ]


def _module_parameters(unit: FlipUnit) -> dict[str, list[str]]:
    schedule = ["ShiftAddBits"] if unit.shift_add_bits else []
    noise = ["MaxGradientShift"] if unit.shift_add_bits and unit.draws else []
    threshold = [] if unit.rule == "tbso" else ["FlipThreshold"]
    gradient = ["TraceBits", "ErrorBits", "GradientShift", *schedule, *noise, "RoundedBits"]
    return {
        "gradient_round": ["Lanes", *gradient],
        "momentum_flip": ["Lanes", "RoundedBits", "MomentumBits", *threshold],
        "flip_unit": ["Lanes", *gradient, "MomentumBits", *threshold],
    }


def _declarations(parameters: list[_Parameter]) -> str:
    """One aligned line per parameter, as they stand in a module's header."""
    name_width = max(len(parameter.name) for parameter in parameters)
    value_width = max(len(str(parameter.value)) for parameter in parameters) + 1
    lines = []
    for parameter in parameters:
        value = f"{parameter.value}{'' if parameter is parameters[-1] else ','}"
        lines.append(
            f"  parameter {parameter.name:<{name_width}} = {value:<{value_width}}"
            f"  // {parameter.meaning}"
        )
    return "\n".join(lines)


def _overrides(*names: str) -> str:
    """One aligned line per parameter that an instance takes from the module around it."""
    width = max(len(name) for name in names)
    return ",\n".join(f"    .{name:<{width}}({name})" for name in names)
