"""Chips exported as NIR and run in snnTorch and Norse: how many hidden spikes, outputs and predictions differ from the simulator's, and why.

Each chip learns the digits, goes out as a NIR file, and classifies test digits in the simulator and in both tools, each by its own import. Three settings:
`imported`: as the tool imports the file; `reset set`: with the reset by subtraction of the file's metadata; `leak rounded`: with that, and the leak rounded as SPEC N4 says.
Run: python -m benchmarks.nir_tools (needs snntorch, norse and flipcore[nir,train]; docs/NIR.md has the results)
"""

import argparse
import contextlib
import io
import itertools
import json
import logging
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import nir
import norse.torch
import numpy as np
import numpy.typing as npt
import torch
from norse.torch.functional.reset import reset_subtract
from snntorch.import_nir import import_from_nir

from flipcore.chip import Chip, load_chip
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.data import load_dataset
from flipcore.sim.encoding import encode_pixels
from flipcore.sim.engine import Engine
from flipcore.sim.layout import weight_bits
from flipcore.sim.stepper import Stepper
from flipcore.training.nir_dynamics import STEP_SECONDS
from flipcore.training.nir_export import Integrators, export_network

Setting = Literal["imported", "reset set", "leak rounded"]
TOOLS = ("snnTorch", "Norse")
DEEP = "layers=[{neurons: 128}, {neurons: 64}, {neurons: 10}]"
CHIPS = {
    "IF, zero": ("core.neuron=if", "core.reset=zero"),
    "IF, zero, three cores": ("core.neuron=if", "core.reset=zero", DEEP),
    "IF, subtract": ("core.neuron=if", "core.reset=subtract"),
    "LIF 1/2, zero": ("core.leak_shift=1", "core.reset=zero"),
    "LIF 1/8, zero": ("core.leak_shift=3", "core.reset=zero"),
    "LIF 1/2, subtract": ("core.leak_shift=1", "core.reset=subtract"),
    "LIF 1/8, subtract": ("core.leak_shift=3", "core.reset=subtract"),
}
_SATURATIONS = COUNT_NAMES.index("potential_saturations")


@dataclass(frozen=True)
class Activity:
    """What a network did.

    Attributes:
        spikes: of each hidden layer, bool [steps, samples, neurons].
        outputs: of the readout, float64 [steps, samples, classes].
    """

    spikes: list[npt.NDArray[np.bool_]]
    outputs: npt.NDArray[np.float64]

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Lowest class with the largest sum of outputs, [samples] (N6)."""
        return self.outputs.sum(axis=0).argmax(axis=1)


@dataclass(frozen=True)
class Row:
    """A chip in a tool under a setting; `spikes` and `accuracy` are the simulator's, `differ` those of the tool that are not equal."""

    chip: str
    nodes: str
    tool: str
    setting: Setting
    spikes: int
    spikes_differ: int
    outputs: int
    outputs_differ: int
    samples: int
    predictions_differ: int
    accuracy: float
    tool_accuracy: float


def learn_digits(changes: tuple[str, ...], samples: int, epochs: int) -> Engine:
    """A digits chip, changed, that has learnt `samples` training digits `epochs` times."""
    chip = load_chip("digits", changes)
    engine = Engine(chip, seed=0)
    split = load_dataset("digits", num_steps=chip.steps).train
    chosen = np.arange(min(samples, len(split)))
    counts = EventCounts.zeros(len(chip.layers))
    for _ in range(epochs):
        engine.train(split.read(chosen), split.labels[chosen], counts)
    return engine


def digit_events(chip: Chip, samples: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
    """Input events of test digits (N2), bool [steps, samples, axons], and their labels."""
    split = load_dataset("digits", num_steps=chip.steps).test
    chosen = np.arange(min(samples, len(split)))
    axons = np.empty(len(chosen) * chip.steps * chip.inputs + 1, np.int32)
    starts = np.empty(len(chosen) * chip.steps + 1, np.int64)
    encode_pixels(split.read(chosen).pixels, chip.steps, axons, starts)
    events = np.zeros((len(chosen) * chip.steps, chip.inputs), np.bool_)
    for row, (first, end) in zip(events, itertools.pairwise(starts), strict=True):
        row[axons[first:end]] = True
    shaped = events.reshape(len(chosen), chip.steps, chip.inputs)
    return shaped.transpose(1, 0, 2), split.labels[chosen]


def simulate(engine: Engine, events: npt.NDArray[np.bool_]) -> Activity:
    """What the simulator does with input events, bool [steps, samples, axons]."""
    hidden = engine.chip.layers[:-1]
    steps, samples, _ = events.shape
    spikes = [np.zeros((steps, samples, core.neurons), np.bool_) for core in hidden]
    outputs = np.zeros((steps, samples, engine.chip.classes))
    stepper = Stepper(engine)
    for sample in range(samples):
        axons = [np.flatnonzero(step).tolist() for step in events[:, sample]]
        for record in stepper.run(axons, [len(step) for step in axons]):
            if record.counts[_SATURATIONS]:
                raise SystemExit("a potential was clipped, of which NIR knows nothing: widen it")
            if record.phase == "spikes":
                spikes[record.core][record.step, sample, stepper.spikes(record.core)] = True
            elif record.phase == "forward" and record.core == len(hidden):
                outputs[record.step, sample] = stepper.outputs()
    return Activity(spikes, outputs)


class _Rounding:
    """Rounds leaked potentials up to integers, as V - (V >> k) does, all but the threshold margin that a reset by subtraction leaves."""

    def __init__(self, leak_shift: int) -> None:
        self.slack = 2.0 ** -(leak_shift + 1)

    def __call__(self, potential: torch.Tensor) -> torch.Tensor:
        return torch.ceil(potential - self.slack)


def set_snntorch(cell: Any, told: dict[str, Any], setting: Setting) -> None:
    """Give a `snntorch.Leaky` what its import leaves out."""
    if setting == "imported":
        return
    if told["reset"] == "subtract":
        # Its own subtraction comes before the spike is decided or after the leak, as `reset_delay` says; the chip's is between spike and leak.
        cell.reset_delay = True
        cell.state_function = lambda current: (
            cell.beta * (cell.mem - cell.reset * cell.threshold) + current
        )
    if setting == "leak rounded" and "leak_shift" in told:
        cell.state_quant = _Rounding(int(told["leak_shift"]))


def set_norse(cell: Any, told: dict[str, Any], setting: Setting) -> None:
    """Give a Norse `LIFBoxCell` what its import leaves out; an `IAFCell` has no other reset than to zero."""
    if setting == "imported":
        return
    if told["reset"] == "subtract" and "reset_method" in cell.p._fields:
        cell.p = cell.p._replace(reset_method=reset_subtract)
    if setting == "leak rounded" and "leak_shift" in told:
        unit = 2.0 ** -int(told["leak_shift"])
        kept = 1 - unit
        rounding, step = _Rounding(int(told["leak_shift"])), cell.activation

        def rounded(current: Any, state: Any, parameters: Any, dt: float) -> Any:
            leaked = rounding(state.v / unit * kept)
            return step(current, state._replace(v=leaked / kept * unit), parameters, dt)

        cell.activation = rounded


def run_tool(file: Path, tool: str, setting: Setting, events: npt.NDArray[np.bool_]) -> Activity:
    """Run a NIR file in a tool on input events, bool [steps, samples, axons]."""
    graph = nir.read(file)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter(
            "ignore"
        )  # both tools are on the way from one nirtorch call to another
        if tool == "snnTorch":
            model, settle = import_from_nir(graph), set_snntorch
        else:
            model, settle = norse.torch.from_nir(graph, dt=STEP_SECONDS), set_norse
    names = sorted(name for name, node in graph.nodes.items() if isinstance(node, nir.LIF | nir.IF))
    modules = dict(model.named_modules())
    fired: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in names}
    for name in names:
        settle(modules[name], graph.nodes[name].metadata, setting)
        modules[name].register_forward_hook(
            lambda _module, _inputs, output, name=name: fired[name].append(
                (output[0] if isinstance(output, tuple) else output).numpy() > 0.5
            )
        )
    outputs, state = [], None
    with torch.no_grad():
        for step in events:
            output, state = model(torch.from_numpy(step).float(), state)
            outputs.append(output.numpy())
    return Activity([np.array(fired[name]) for name in names], np.array(outputs, np.float64))


def compare(
    name: str, changes: tuple[str, ...], *, samples: int, train: int, epochs: int
) -> list[Row]:
    """All rows of one chip."""
    engine = learn_digits(changes, train, epochs)
    chip = engine.chip
    events, labels = digit_events(chip, samples)
    ours = simulate(engine, events)
    bits = [weight_bits(engine.state, chip, c) for c in range(len(chip.layers))]
    settings: tuple[Setting, ...] = ("imported",)
    if chip.layers[0].reset == "subtract":
        settings += ("reset set",)
    if chip.layers[0].neuron == "lif":
        settings += ("leak rounded",)
    forms: tuple[Integrators, ...] = ("if", "lif") if chip.layers[0].neuron == "if" else ("if",)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for form in forms:
            file = Path(folder) / f"{form}.nir"
            file.write_bytes(export_network(chip, bits, form))
            nodes = form.upper() if chip.layers[0].neuron == "if" else "LIF"
            for tool, setting in itertools.product(TOOLS, settings):
                if nodes == "IF" and (tool == "snnTorch" or setting == "reset set"):
                    continue  # snnTorch's import of IF does not run; Norse's has no subtraction
                theirs = run_tool(file, tool, setting, events)
                rows.append(_row(name, nodes, tool, setting, ours, theirs, labels))
    return rows


def _row(name: str, nodes: str, tool: str, setting: Setting, ours: Activity, theirs: Activity,
         labels: npt.NDArray[np.int32]) -> Row:  # fmt: skip
    pairs = list(zip(ours.spikes, theirs.spikes, strict=True))
    return Row(
        chip=name,
        nodes=nodes,
        tool=tool,
        setting=setting,
        spikes=sum(int(mine.sum()) for mine, _ in pairs),
        spikes_differ=sum(int((mine != other).sum()) for mine, other in pairs),
        outputs=ours.outputs.size,
        outputs_differ=int((ours.outputs != theirs.outputs).sum()),
        samples=len(labels),
        predictions_differ=int((ours.predictions != theirs.predictions).sum()),
        accuracy=float((ours.predictions == labels).mean()),
        tool_accuracy=float((theirs.predictions == labels).mean()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=360, help="test digits")
    parser.add_argument("--epochs", type=int, default=5, help="epochs that each chip learns")
    parser.add_argument("--json", action="store_true", help="print a JSON list and nothing else")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # Norse says of every node that r is 1, as it should be
    rows = []
    for name, changes in CHIPS.items():
        new = compare(
            name, changes, samples=arguments.samples, train=1 << 20, epochs=arguments.epochs
        )
        rows += new
        if not arguments.json:
            _print(new)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))


def _print(rows: list[Row]) -> None:
    for row in rows:
        print(
            f"| {row.chip} | {row.nodes} | {row.tool} | {row.setting} "
            f"| {row.spikes_differ:,} of {row.spikes:,} | {row.outputs_differ:,} of {row.outputs:,} "
            f"| {row.predictions_differ} of {row.samples} "
            f"| {row.accuracy:.1%} | {row.tool_accuracy:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
