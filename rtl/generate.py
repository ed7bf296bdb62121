"""Verilog-2005 of a chip, one module per file, written for that chip's parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from flipcore import numerics
from flipcore.chip import Chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES
from flipcore.files import write_whole
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.core_shape import CoreShape, Parameter

_INDENT = "  "


def chip_files(chip: Chip, *, counters: bool = True) -> dict[str, str]:
    """Generate the Verilog of a chip.

    Args:
        chip: The description. What it does not use is not in the text.
        counters: Whether the cores count events (T12).

    Returns:
        File name to text; the top module is `flip_chip`. The same chip gives the same bytes.
    """
    shape = ChipShape(chip, counters)
    writer = _Writer()
    core_modules = [_write_core(writer, core) for core in shape.cores]
    writer.write_chip(shape, core_modules)
    return dict(sorted(writer.files.items()))


def flip_unit_files(core: CoreShape) -> dict[str, str]:
    """Generate the flip unit of a core alone and the modules that it instantiates.

    Returns:
        File name to text; the top module is `flip_unit`.
    """
    writer = _Writer()
    _write_flip_unit(writer, core)
    return dict(sorted(writer.files.items()))


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


@dataclass
class _Writer:
    """Renders modules; cores whose text of a module is the same share it.

    Attributes:
        files: file name to text of the modules so far.
        names: module name to the text that it stands for, values of parameters left out.
    """

    files: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def write_core_module(
        self, template: str, core: CoreShape, children: Mapping[str, str], **context: Any
    ) -> str:
        """Render a module of a core and return the name that it got."""
        base = "readout_core" if template == "flip_core" and core.is_readout else template
        for name in _candidate_names(base, core.c):
            text = self._render(template, name, core, children, context, with_values=False)
            if self.names.setdefault(name, text) == text:
                break
        if f"{name}.v" not in self.files:
            self.files[f"{name}.v"] = self._render(
                template, name, core, children, context, with_values=True
            )
        return name

    def write_chip(self, shape: ChipShape, core_modules: list[str]) -> None:
        """Render the modules that a chip has once."""
        table = shape.parameters

        def core_override(c: int) -> str:
            core = shape.cores[c]
            return _bindings({name: core.parameters[name].value for name in _core_parameters(core)})

        context = {
            "chip": shape,
            "core_modules": core_modules,
            "core_override": core_override,
            "override_values": lambda *names: _bindings(
                {name: _local(name, table[name]) for name in names}
            ),
            "declare": lambda *names: _declarations([table[name] for name in names]),
        }
        for template in ("flip_chip", "chip_control", "register_bus"):
            self.files[f"{template}.v"] = _template(template).render(context)

    def _render(
        self,
        template: str,
        name: str,
        core: CoreShape,
        children: Mapping[str, str],
        context: Mapping[str, Any],
        *,
        with_values: bool,
    ) -> str:
        table = core.parameters

        def declare(*names: str) -> str:
            chosen = [table[one] for one in names]
            if not with_values:
                chosen = [Parameter(one.name, 0, one.meaning) for one in chosen]
            return _declarations(chosen)

        return _template(template).render(
            name=name,
            core=core,
            unit=core.unit,
            declare=declare,
            override=lambda *names: _bindings({one: one for one in names}),
            module=lambda child: children[child],
            memory=_memory,
            count_names=COUNT_NAMES,
            exponentials=[value for value in numerics.EXPONENTIALS if value],
            **context,
        )


def _local(name: str, parameter: Parameter) -> object:
    """Parameters of the top that its instances take over by name."""
    by_name = ("Cores", "StepBits", "DataBits", "ClassBits", "CounterBits")
    return name if name in by_name else parameter.value


def _candidate_names(base: str, c: int) -> Iterable[str]:
    """The name that all cores share, then those of cores that differ from the ones before."""
    yield base
    for other in range(1, c):
        yield f"{base}_{other}"
    yield f"{base}_{c}"


def _write_core(writer: _Writer, core: CoreShape) -> str:
    """Write the modules of a core; returns the name of its top."""
    leaves = ["lowest_set", "word_select", "memory_1rw", "event_input", "integrate", "host_port"]
    if core.memory_module != "memory_1rw":
        leaves.append(core.memory_module)
    if core.counters:
        leaves += ["popcount", "event_counters"]
    if core.tbso:
        leaves += ["square_sum", "adaptive_threshold"]
    if core.has_below:
        leaves.append("backward_sum")
    if core.decay != "none":
        leaves.append("decay")
    if core.is_readout:
        leaves += ["readout", "output_scan", "predict"]
        leaves += ["exponential"] if core.softmax else ["error_hinge"]
    else:
        leaves += ["fire", "error_words"]
    names = {leaf: writer.write_core_module(leaf, core, {}) for leaf in leaves}
    inner = ["trace_update", "update_control"]
    inner += [] if core.is_readout else ["spike_output"]
    inner += ["error_softmax"] if core.is_readout and core.softmax else []
    names |= {module: writer.write_core_module(module, core, names) for module in inner}
    names["flip_unit"] = _write_flip_unit(writer, core)
    return writer.write_core_module(
        "flip_core",
        core,
        names,
        parameters=_core_parameters(core),
        flip_unit_parameters=_flip_unit_parameters(core),
    )


def _write_flip_unit(writer: _Writer, core: CoreShape) -> str:
    """Write the flip unit of a core and its modules; returns its name."""
    gradient, flip = _gradient_parameters(core), _momentum_parameters(core)
    names = {}
    if core.draws:
        names["xorshift32"] = writer.write_core_module("xorshift32", core, {})
        names["random_source"] = writer.write_core_module("random_source", core, names)
    names["gradient_round"] = writer.write_core_module(
        "gradient_round", core, {}, parameters=gradient
    )
    names["momentum_flip"] = writer.write_core_module("momentum_flip", core, {}, parameters=flip)
    return writer.write_core_module(
        "flip_unit",
        core,
        names,
        parameters=_flip_unit_parameters(core),
        gradient_parameters=gradient,
        flip_parameters=flip,
    )


def _gradient_parameters(core: CoreShape) -> list[str]:
    unit = core.unit
    schedule = ["ShiftAddBits"] if unit.shift_add_bits else []
    noise = ["MaxGradientShift"] if unit.shift_add_bits and unit.noisy else []
    return ["Lanes", "TraceBits", "ErrorBits", "GradientShift", *schedule, *noise, "RoundedBits"]


def _momentum_parameters(core: CoreShape) -> list[str]:
    threshold = [] if core.tbso else ["FlipThreshold"]
    return ["Lanes", "RoundedBits", "MomentumBits", *threshold]


def _flip_unit_parameters(core: CoreShape) -> list[str]:
    tag = ["TagBits"] if core.has_below else []
    return _unique([*_gradient_parameters(core), *_momentum_parameters(core), "AddressBits", *tag])


def _core_parameters(core: CoreShape) -> list[str]:
    """Parameters of a core's top module, sizes first."""
    names = ["Lanes", "Axons", "Neurons", "Words", "TraceWords", "Synapses"]
    names += ["RowBits", "CountBits", "WordBits", "TraceWordBits", "LaneBits", "NeuronBits"]
    names += ["AddressBits", "OutputBits"]
    if not core.trace_memory:
        names.remove("TraceWordBits")
        names.append("TraceWordBits")
    if core.is_readout:
        names += ["TotalBits", "ScanBits"]
        names += ["Sharpness", "PartBits"] if core.softmax else ["MarginBits", "Margin"]
    else:
        names += ["PotentialBits", "Threshold", *(["LeakShift"] if core.lif else []), "Window"]
    names += ["TraceBits", "TraceUnit"]
    names += ["TraceDecayShift"] if core.trace_memory else []
    names.append("ErrorBits")
    if core.has_below:
        names += ["ErrorShift", "BelowErrorBits", "BackwardBits"]
    names += _flip_unit_parameters(core)
    if core.tbso:
        names += ["Steps", "StepBits", "ErrorSquareBits", "TraceSquareBits", "SquareShift"]
        names += ["AverageShift", "ThresholdGain", "ThresholdShift"]
    if core.decay != "none":
        names.append("DecayShift")
    if core.decay == "scrub":
        names += ["ScrubPeriod", "ScrubBits"]
    return _unique(names)


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flipcore.rtl", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{name}.v.j2")


def _declarations(parameters: list[Parameter]) -> str:
    """One aligned line per parameter, as they stand in a module's header."""
    name_width = max(len(parameter.name) for parameter in parameters)
    value_width = max(len(str(parameter.value)) for parameter in parameters) + 1
    lines = []
    for parameter in parameters:
        value = f"{parameter.value}{'' if parameter is parameters[-1] else ','}"
        lines.append(
            f"{_INDENT}parameter {parameter.name:<{name_width}} = {value:<{value_width}}"
            f"  // {parameter.meaning}"
        )
    return "\n".join(lines)


def _bindings(values: Mapping[str, object]) -> str:
    """One aligned line per parameter that an instance is given."""
    width = max(len(name) for name in values)
    return ",\n".join(f"{_INDENT * 2}.{name:<{width}}({value})" for name, value in values.items())


def _memory(
    instance: str, module: str, words: str, bits: str, address_bits: str, signal: str
) -> str:
    """An instance of a memory wrapper on the signals that begin with `signal`."""
    ports = {
        "clk_i": "clk_i",
        "read_i": f"{signal}_read",
        "read_address_i": f"{signal}_read_address",
        "read_data_o": f"{signal}_read_data",
        "write_i": f"{signal}_write",
        "write_address_i": f"{signal}_write_address",
        "write_data_i": f"{signal}_write_data",
    }
    parameters = {"Words": words, "Bits": bits, "AddressBits": address_bits}
    return (
        f"{_INDENT}{module} #(\n{_bindings(parameters)}\n{_INDENT}) {instance} (\n"
        f"{_bindings(ports)}\n{_INDENT});"
    )
