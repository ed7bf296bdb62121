"""Checkers: modules that instantiate a generated module with free inputs and state a property of it."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jinja2

from flipcore.chip import Chip
from flipcore.errors import CheckError
from flipcore.numerics import EXPONENTIALS
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.core_shape import CoreShape
from flipcore.rtl.formal.properties import Property, Sizes, subjects
from flipcore.rtl.tables import read_module

CHECKER = "formal_checker"
_LANES_OF_ONE_WORD = 4
_INSTANCE = re.compile(r"^  (\w+) (?:#\((?:.|\n)*?\n  \) )?(u_\w+) \(", re.MULTILINE)
_VARIANT = re.compile(r"_\d+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Obligation:
    """A property of one module with one set of parameters: what one proof is about.

    Attributes:
        property: what is claimed.
        module: name of the generated module.
        cores: indices of the cores that have it; empty for a module of the whole chip.
        parameters: of the instance.
        reduced: parameters that differ from the chip's own.
        files: Verilog that the proof reads, file name to text, the checker among them.
        cycles: bound after reset.
    """

    property: Property
    module: str
    cores: tuple[int, ...]
    parameters: Mapping[str, int]
    reduced: tuple[str, ...]
    files: Mapping[str, str]
    cycles: int


def obligations(
    chip: Chip, files: Mapping[str, str], wanted: tuple[Property, ...], *, counters: bool
) -> list[Obligation]:
    """List what has to be shown of a chip's Verilog.

    Args:
        chip: The description that the Verilog was generated from.
        files: The Verilog, file name to text; it may have been changed, but not its headers.
        wanted: Properties.
        counters: Whether it has performance counters.

    Returns:
        One for each property and different module; cores whose module and parameters are the same share it.

    Raises:
        CheckError: A module that a property is of is not there.
    """
    shape = ChipShape(chip, counters)
    found: dict[tuple[str, str, tuple[tuple[str, int], ...], str], Obligation] = {}
    for one in wanted:
        for core in subjects(shape, one):
            made = _obligation(shape, core, files, one)
            key = (
                one.name,
                made.module,
                tuple(sorted(made.parameters.items())),
                made.files[f"{CHECKER}.v"],
            )
            earlier = found.get(key)
            cores = (earlier.cores if earlier else ()) + made.cores
            found[key] = Obligation(
                property=one,
                module=made.module,
                cores=cores,
                parameters=made.parameters,
                reduced=made.reduced,
                files=made.files,
                cycles=made.cycles,
            )
    return list(found.values())


def _obligation(
    shape: ChipShape, core: CoreShape | None, files: Mapping[str, str], wanted: Property
) -> Obligation:
    modules = modules_below(files, core)
    if wanted.module not in modules:
        raise CheckError(f"{wanted.name}: there is no module {wanted.module} in the Verilog")
    module = read_module(files[f"{modules[wanted.module]}.v"])
    small = smaller_core(core, wanted.sizes) if core else None
    own = core.parameters if core else shape.parameters
    table = small.parameters if small else own
    names = [name for name, _, _ in module.parameters]
    values = {name: table[name].value for name in [*names, *wanted.parameters]}
    reduced = tuple(name for name in values if values[name] != own[name].value)
    needed = set(_below(files, modules[wanted.module]))
    template = _environment().get_template(f"formal/{wanted.name}.v.j2")
    cycles = wanted.cycles(values)
    checker = template.render(
        property=wanted,
        module=module,
        module_parameters=names,
        parameters=values,
        inputs=[p for p in module.ports if p.direction == "input" and p.name not in ("clk_i", "rst_ni")],
        outputs=[p for p in module.ports if p.direction == "output"],
        core=small or core,
        chip=shape,
        cycles=cycles,
        inner=_inner,
        exponentials=EXPONENTIALS,
    )  # fmt: skip
    return Obligation(
        property=wanted,
        module=module.name,
        cores=(core.c,) if core else (),
        parameters=values,
        reduced=reduced,
        files={**{f"{name}.v": files[f"{name}.v"] for name in sorted(needed)}, f"{CHECKER}.v": checker},
        cycles=cycles,
    )  # fmt: skip


def modules_below(files: Mapping[str, str], core: CoreShape | None) -> dict[str, str]:
    """Modules below a core, or those that the chip has once: name without variant to name."""
    if core is None:
        return {
            name: name
            for name in ("flip_chip", "chip_control", "register_bus")
            if f"{name}.v" in files
        }
    tops = {instance: module for module, instance in _INSTANCE.findall(files["flip_chip.v"])}
    top = tops.get(f"u_core_{core.c}")
    if top is None or f"{top}.v" not in files:
        raise CheckError(f"core {core.c}: there is no such instance in flip_chip")
    return {_VARIANT.sub("", name): name for name in _below(files, top)}


def _below(files: Mapping[str, str], top: str) -> Iterator[str]:
    """A module and all that it instantiates, each once or more."""
    yield top
    for module, _ in _INSTANCE.findall(files[f"{top}.v"]):
        if f"{module}.v" in files:
            yield from _below(files, module)


def smaller_core(core: CoreShape, sizes: Sizes) -> CoreShape:
    """A core with the same options and at most these sizes, padded where the chip's is.

    One of a single word keeps `_LANES_OF_ONE_WORD` lanes, as it would be left with too few neurons.
    """
    words = min(core.core.words, sizes.words or core.core.words)
    least = _LANES_OF_ONE_WORD if words == 1 and sizes.words else 0
    lanes = min(core.lanes, max(sizes.lanes, least) if sizes.lanes else core.lanes)
    axons = min(core.axons, sizes.axons or core.axons)
    neurons = min(core.neurons, words * lanes - (1 if core.padding and lanes > 1 else 0))
    if (lanes, words) == (core.lanes, core.core.words):
        neurons = core.neurons
    layers = []
    for c, layer in enumerate(core.chip.layers):
        change: dict[str, int] = {}
        if c == core.c:
            change = {"lanes": lanes, "axons": axons, "neurons": neurons}
        elif c == core.c - 1:
            change = {"neurons": axons}
        layers.append(layer.model_copy(update=change))
    return CoreShape(core.chip.model_copy(update={"layers": tuple(layers)}), core.c, core.counters)


def _inner(width: str, path: str, name: str | None = None) -> str:
    """Declare a signal inside the module under test, by the path from it, under a name of its own.

    yosys joins wires marked `hierconn` with the signal of that name when it flattens.
    """
    space = f"{width} " if width else ""
    local = name or path
    return f"  (* hierconn *) wire {space}\\dut.{path} ;\n  wire {space}{local} = \\dut.{path} ;"


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("flipcore.rtl", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
