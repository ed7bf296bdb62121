"""Published chips that learn, beside the model of a flipcore chip with as many neurons and synapses.

A synaptic operation (SOP) is one synapse of one event. Published energies per SOP are of a chip that works without pause, and so are the model's: in inference half of all axons
have an event in each step, and in learning the rates are those measured on the mnist preset. Memories have one port, as theirs. Pads are left out on both sides. The model is taken
to the supply and node of the published chip by (V/V0)^2 * node/node0 for energy and (node/node0)^2 for area; only what differs from the technology's own is scaled so. A last table
prices the accesses that ODIN's published Verilog makes to its own memories. Run: python -m benchmarks.silicon [--write docs/energy/silicon.md]
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flipcore.chip import Chip, parse_chip, read_chip_document
from flipcore.files import write_whole
from flipcore.hwmodel.activity import expected_counts, fit_rates, load_rates
from flipcore.hwmodel.area import chip_area, total_area
from flipcore.hwmodel.energy import price
from flipcore.hwmodel.memory import INFERENCE_STORES, memory_bits
from flipcore.hwmodel.sram import MemoryShape, memory_cost
from flipcore.hwmodel.technology import LOGIC_COMPONENTS, Band, Technology, load_technology

SOP_EVENTS = 0.5  # of the axons have an event in a step
SAMPLES = 1000  # that rates are turned into counts for
UM2_PER_MM2 = 1e6
BEGIN, END = "<!-- benchmarks.silicon -->", "<!-- end -->"


@dataclass(frozen=True)
class Source:
    """Where a published figure stands, and whether it was seen there."""

    text: str
    url: str
    seen: str  # in words where; empty: taken from memory


SOURCES: Final = {
    "odin-abstract": Source(
        "C. Frenkel, M. Lefebvre, J.-D. Legat, D. Bol: ODIN, IEEE TBioCAS 13(1), 2019", "https://arxiv.org/abs/1804.07858", "abstract"
    ),
    "odin-readme": Source(
        "ODIN, README and doc/README", "https://github.com/ChFrenkel/ODIN", "at commit 1781931"
    ),
    "odin-verilog": Source(
        "ODIN, src/controller.v (state POP_NEUR), src/synaptic_core.v", "https://github.com/ChFrenkel/ODIN", "at commit 1781931"
    ),
    "odin-list": Source(
        "F. Ottati: Digital neuromorphic hardware read list, which says 12.7 pJ at 0.55 V", "https://open-neuromorphic.org", "text"
    ),
    "odin-text": Source("the text of the ODIN paper", "https://arxiv.org/abs/1804.07858", ""),
    "morphic-abstract": Source(
        "C. Frenkel, J.-D. Legat, D. Bol: MorphIC, IEEE TBioCAS 13(5), 2019", "https://arxiv.org/abs/1904.08513", "abstract"
    ),
    "morphic-text": Source("the text of the MorphIC paper", "https://arxiv.org/abs/1904.08513", ""),
    "reckon-readme": Source(
        "ReckOn, README and doc/README", "https://github.com/ChFrenkel/ReckOn", "at commit 5e5c0be"
    ),
    "reckon-abstract": Source(
        "C. Frenkel, G. Indiveri: ReckOn, ISSCC 2022", "https://arxiv.org/abs/2208.09759", "abstract"
    ),
    "reckon-text": Source("the text of the ReckOn paper", "https://arxiv.org/abs/2208.09759", ""),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A published number and the key of its source."""

    value: float
    source: str

    @property
    def is_checked(self) -> bool:
        """Whether it was seen at its source."""
        return bool(SOURCES[self.source].seen)


@dataclass(frozen=True)
class Silicon:
    """A published chip, and the flipcore chip of as many neurons and synapses.

    Attributes:
        name: of the chip.
        rule: how it learns.
        node_nm, voltage_v: of the process, and at which the energies were measured.
        area_mm2: of the core, without pads.
        neurons, synapses, weight_bits: what it holds.
        total_pj, incremental_pj: per SOP; incremental is what an operation adds to clock and leakage.
        clock_mhz: at that supply; only the model's leakage depends on it.
        network: inputs, hidden neurons and outputs of the flipcore chip.
        technology: nearest of the model's.
    """

    name: str
    rule: str
    node_nm: Figure
    voltage_v: Figure
    area_mm2: Figure
    neurons: Figure
    synapses: Figure
    weight_bits: Figure
    total_pj: Figure
    incremental_pj: Figure | None
    clock_mhz: Figure
    network: tuple[int, int, int]
    technology: str


CHIPS: Final = (
    Silicon(
        name="ODIN",
        rule="SDSP",
        node_nm=Figure(28, "odin-abstract"),
        voltage_v=Figure(0.55, "odin-list"),
        area_mm2=Figure(0.086, "odin-abstract"),
        neurons=Figure(256, "odin-abstract"),
        synapses=Figure(256 * 256, "odin-readme"),
        weight_bits=Figure(4, "odin-abstract"),
        total_pj=Figure(12.7, "odin-abstract"),
        incremental_pj=Figure(8.4, "odin-text"),
        clock_mhz=Figure(75, "odin-text"),
        network=(256, 246, 10),
        technology="generic-28nm",
    ),
    Silicon(
        name="MorphIC",
        rule="stochastic SDSP",
        node_nm=Figure(65, "morphic-abstract"),
        voltage_v=Figure(0.8, "morphic-text"),
        area_mm2=Figure(2.86, "morphic-abstract"),
        neurons=Figure(2048, "morphic-abstract"),
        synapses=Figure(738e3 * 2.86, "morphic-abstract"),  # density times area: two million and more
        weight_bits=Figure(1, "morphic-abstract"),
        total_pj=Figure(51, "morphic-text"),
        incremental_pj=Figure(30, "morphic-text"),
        clock_mhz=Figure(55, "morphic-text"),
        network=(1024, 2038, 10),
        technology="generic-45nm",
    ),
    Silicon(
        name="ReckOn",
        rule="modified e-prop",
        node_nm=Figure(28, "reckon-readme"),
        voltage_v=Figure(0.5, "reckon-readme"),
        area_mm2=Figure(0.45, "reckon-abstract"),
        neurons=Figure(256 + 16, "reckon-readme"),
        synapses=Figure(2 * 256 * 256 + 256 * 16, "reckon-readme"),
        weight_bits=Figure(8, "reckon-readme"),
        total_pj=Figure(5.3, "reckon-readme"),
        incremental_pj=None,
        clock_mhz=Figure(13, "reckon-text"),
        # Its recurrent synapses as those of 256 more inputs.
        network=(512, 256, 16),
        technology="generic-28nm",
    ),
)  # fmt: skip

# Words and bits of the published chips' own memories (README). ODIN's Verilog reads and writes the neuron for each SOP, and each word of eight synapses once for all of its eight SOPs.
ODIN_NEURONS = MemoryShape(256, 128, "1rw")
ODIN_SYNAPSES = MemoryShape(8192, 32, "1rw")
ODIN_SYNAPSES_PER_WORD = 8
RECKON_MEMORIES = (
    MemoryShape(4096, 128, "1rw"), MemoryShape(4096, 128, "1rw"), MemoryShape(512, 128, "1rw"), MemoryShape(128, 128, "1rw"),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What the cost model makes of the flipcore chip, at the supply and node of the published one.

    Attributes:
        chip, technology: what was priced.
        energy_factor, area_factor: that took it from the technology's supply and node.
        total_pj, incremental_pj: per SOP of an inference; incremental without clock and leakage.
        learning_pj: a training sample's energy over its SOPs.
        area_um2, learning_um2: of the chip, and of it the memory that only learning needs.
    """

    chip: Chip
    technology: Technology
    energy_factor: float
    area_factor: float
    total_pj: Band
    incremental_pj: Band
    learning_pj: Band
    area_um2: Band
    learning_um2: Band


def flipcore_chip(silicon: Silicon) -> Chip:
    """The mnist preset with as many neurons and synapses as the published chip, and memories of one port."""
    document, _ = read_chip_document("mnist")
    document["core"]["memory_ports"] = "1rw"
    inputs, hidden, outputs = silicon.network
    document |= {
        "name": f"as-{silicon.name.lower()}",
        "inputs": inputs,
        "layers": [{"neurons": hidden}, {"neurons": outputs}],
        "clock_mhz": silicon.clock_mhz.value,
    }
    return parse_chip(document, silicon.name)


def model(silicon: Silicon) -> Model:
    """Price the flipcore chip."""
    chip = flipcore_chip(silicon)
    technology = load_technology(silicon.technology)
    rates = fit_rates(load_rates("mnist"), chip)
    assert rates.training is not None
    busy = rates.inference.model_copy(update={"input_events": SOP_EVENTS})
    shrink = silicon.node_nm.value / technology.node_nm
    energy_factor = (silicon.voltage_v.value / technology.voltage_v) ** 2 * shrink
    area_factor = shrink**2
    bands = {}
    for name, side in (("inference", busy), ("training", rates.training)):
        counts = expected_counts(chip, side, SAMPLES)
        energy = price(chip, counts, technology).without_io()
        each = energy_factor * SAMPLES / counts.total("sops")
        bands[name] = energy.per_sample_pj * each
        bands[f"{name}, dynamic"] = energy.by_what()["dynamic"] * each
    area = chip_area(chip, technology)
    learning = tuple(
        row for row in area if row.kind == "memory" and row.component not in INFERENCE_STORES
    )
    return Model(
        chip=chip,
        technology=technology,
        energy_factor=energy_factor,
        area_factor=area_factor,
        total_pj=bands["inference"],
        incremental_pj=bands["inference, dynamic"],
        learning_pj=bands["training"],
        area_um2=total_area(area) * area_factor,
        learning_um2=total_area(learning) * area_factor,
    )


def odin_access_pj(technology: Technology) -> tuple[Band, Band]:
    """Energy per SOP of ODIN's accesses to its neurons and to its synapses, at the technology's own supply."""
    neuron, synapse = (memory_cost(technology, shape) for shape in (ODIN_NEURONS, ODIN_SYNAPSES))
    words = (synapse.read_pj + synapse.write_pj) * (1.0 / ODIN_SYNAPSES_PER_WORD)
    return neuron.read_pj + neuron.write_pj, words


def memory_area_um2(technology: Technology, shapes: tuple[MemoryShape, ...]) -> Band:
    """Area of some memories."""
    return Band.total(memory_cost(technology, shape).area_um2 for shape in shapes)


def table() -> str:
    """The tables, as Markdown."""
    models = [model(silicon) for silicon in CHIPS]
    lines = [
        *_sizes(models),
        "",
        *_energies(models),
        "",
        *_own_memories(),
        "",
        *_remarks(models),
    ]
    return "\n".join(lines)


def _row(name: str, *cells: str) -> str:
    return f"| {' | '.join((name, *cells))} |"


def _head(title: str, *columns: str) -> list[str]:
    return [_row(title, *columns), _row("---", *("---:" for _ in columns))]


def _published(figure: Figure | None, pattern: str = "{:g}") -> str:
    """A number, with a dagger where it was not seen at its source."""
    if figure is None:
        return "-"
    return pattern.format(figure.value) + ("" if figure.is_checked else " †")


def _band(band: Band, digits: int = 2) -> str:
    return f"{band.value:.{digits}g} ({band.low:.{digits}g} … {band.high:.{digits}g})"


def _ratio(figure: Figure | None, band: Band) -> str:
    if figure is None:
        return "-"
    ratio = figure.value / band.value
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _sizes(models: list[Model]) -> Iterator[str]:
    yield from _head("", *(silicon.name for silicon in CHIPS))
    yield _row("learning rule", *(silicon.rule for silicon in CHIPS))
    yield _row("node, nm", *(_published(silicon.node_nm) for silicon in CHIPS))
    yield _row("supply, V", *(_published(silicon.voltage_v) for silicon in CHIPS))
    yield _row("neurons", *(_published(silicon.neurons, "{:,.0f}") for silicon in CHIPS))
    yield _row("synapses", *(_published(silicon.synapses, "{:,.0f}") for silicon in CHIPS))
    yield _row("bits per synapse", *(_published(silicon.weight_bits) for silicon in CHIPS))
    yield _row("flipcore chip", *("-".join(map(str, silicon.network)) for silicon in CHIPS))
    yield _row("its synapses", *(f"{_synapses(m.chip):,}" for m in models))
    yield _row("its bits per synapse", *(f"1 + {m.chip.layers[0].momentum_bits} of momentum" for m in models))  # fmt: skip
    bits = [memory_bits(m.chip) for m in models]
    yield _row("its memory, kbit (for learning)", *(f"{b['total_chip'] / 1000:,.0f} ({b['total_learning'] / 1000:,.0f})" for b in bits))  # fmt: skip
    yield _row("modelled in", *(m.technology.name for m in models))


def _synapses(chip: Chip) -> int:
    return sum(core.axons * core.neurons for core in chip.layers)


def _energies(models: list[Model]) -> Iterator[str]:
    yield from _head("at their supply and node", *(silicon.name for silicon in CHIPS))
    for name, figures, bands in (
        ("total", [silicon.total_pj for silicon in CHIPS], [m.total_pj for m in models]),
        ("incremental", [silicon.incremental_pj for silicon in CHIPS], [m.incremental_pj for m in models]),
    ):  # fmt: skip
        yield _row(f"published, {name}, pJ/SOP", *map(_published, figures))
        yield _row(f"flipcore, inference, {name}, pJ/SOP", *map(_band, bands))
        yield _row("published to flipcore", *map(_ratio, figures, bands))
    totals = [silicon.total_pj for silicon in CHIPS]
    learning = [m.learning_pj for m in models]
    yield _row("flipcore, learning, total, pJ/SOP", *map(_band, learning))
    yield _row("published total to flipcore learning", *map(_ratio, totals, learning))
    areas = [m.area_um2 * (1 / UM2_PER_MM2) for m in models]
    yield _row("published area, mm²", *(_published(silicon.area_mm2) for silicon in CHIPS))
    yield _row("flipcore, area, mm²", *map(_band, areas))
    yield _row("of it memory for learning", *(f"{m.learning_um2.value / m.area_um2.value:.0%}" for m in models))  # fmt: skip
    yield _row("published to flipcore", *map(_ratio, (silicon.area_mm2 for silicon in CHIPS), areas))  # fmt: skip


def _own_memories() -> Iterator[str]:
    """What the model makes of memories of the published chips themselves."""
    odin, _, reckon = CHIPS
    technology = load_technology(odin.technology)
    factor = (odin.voltage_v.value / technology.voltage_v) ** 2
    neurons, synapses = (band * factor for band in odin_access_pj(technology))
    yield from _head("their own memories in the model", "published, whole chip", "model, memories", "share")  # fmt: skip
    for name, figure, band in (
        ("ODIN, pJ/SOP, incremental: neurons", odin.incremental_pj, neurons),
        ("ODIN, pJ/SOP, incremental: synapses", odin.incremental_pj, synapses),
        ("ODIN, mm²", odin.area_mm2, memory_area_um2(technology, (ODIN_NEURONS, ODIN_SYNAPSES)) * (1 / UM2_PER_MM2)),
        ("ReckOn, mm²", reckon.area_mm2, memory_area_um2(technology, RECKON_MEMORIES) * (1 / UM2_PER_MM2)),
    ):  # fmt: skip
        assert figure is not None
        yield _row(name, _published(figure), _band(band), f"{band.value / figure.value:.0%}")


def _remarks(models: list[Model]) -> Iterator[str]:
    for silicon, m in zip(CHIPS, models, strict=True):
        yield (
            f"- {silicon.name}: energies of {m.technology.name} at {m.technology.voltage_v:g} V times {m.energy_factor:.3g}, "
            f"areas times {m.area_factor:.3g}; {m.chip.layers[0].lanes} lanes."
        )
    for name in dict.fromkeys(silicon.technology for silicon in CHIPS):
        if not any(load_technology(name).rows(component) for component in LOGIC_COMPONENTS):
            yield f"- {name} prices no logic yet: energies and areas of flipcore are of its memories alone."
    yield "- † not seen at its source, whose text could not be read: from memory."
    for source in SOURCES.values():
        yield f"- {source.text}: <{source.url}> ({source.seen or 'not seen, †'})."


def write_table(path: Path) -> None:
    """Put the tables between the marks of a page."""
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise SystemExit(f"{path}: no {BEGIN} ... {END}")
    write_whole(path, f"{head}{BEGIN}\n{table()}\n{END}{tail}".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose tables to replace")
    arguments = parser.parse_args()
    if arguments.write:
        write_table(arguments.write)
    else:
        print(table())


if __name__ == "__main__":
    main()
