"""Exported networks in other tools, and theirs in flipcore: the same spikes; skipped where snnTorch and Norse are not installed."""

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flipcore.sim.engine import Engine
from flipcore.sim.layout import empty_state, store_weights
from flipcore.training.nir_import import import_network

REASON = "snnTorch or Norse is not installed: they come with the extra dev"
pytest.importorskip("snntorch", reason=REASON)
pytest.importorskip("norse", reason=REASON)
import torch  # noqa: E402

SAMPLES = 60
EXACT = {"IF, zero", "IF, zero, three cores"}


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    """The benchmark, which imports both."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, on import
        from benchmarks import nir_tools
    return nir_tools


@pytest.fixture(scope="module")
def rows(tools: ModuleType) -> list[Any]:
    """All chips of the benchmark, a little trained, on a few digits."""
    chips = tools.CHIPS.items()
    return [
        row
        for name, changes in chips
        for row in tools.compare(name, changes, samples=SAMPLES, train=300, epochs=1)
    ]


def test_networks_do_something(rows: list[Any]) -> None:
    assert all(row.spikes > SAMPLES * 10 for row in rows)
    assert {row.tool for row in rows} == {"snnTorch", "Norse"}


def test_if_neurons_reset_to_zero_are_the_same_as_imported(rows: list[Any]) -> None:
    exact = [row for row in rows if row.chip in EXACT]
    assert {(row.tool, row.nodes) for row in exact} == {
        ("snnTorch", "LIF"), ("Norse", "LIF"), ("Norse", "IF"),
    }  # fmt: skip
    for row in exact:
        assert row.setting == "imported"
        assert row.spikes_differ == row.outputs_differ == row.predictions_differ == 0


def test_if_neurons_reset_by_subtraction_are_the_same_once_it_is_set(rows: list[Any]) -> None:
    chosen = [row for row in rows if row.chip == "IF, subtract"]
    for row in chosen:
        assert (row.spikes_differ > 0) == (row.setting == "imported")
        assert (row.outputs_differ > 0) == (row.setting == "imported")
    assert sum(row.setting == "reset set" for row in chosen) == 2


def test_rounding_of_the_leak_is_all_that_sets_lif_neurons_apart(rows: list[Any]) -> None:
    chosen = [row for row in rows if row.chip.startswith("LIF")]
    assert sum(row.setting == "leak rounded" for row in chosen) == 8
    for row in chosen:
        if row.setting == "leak rounded":
            assert row.spikes_differ == row.outputs_differ == row.predictions_differ == 0
        else:
            assert 0 < row.spikes_differ < row.spikes / 4


def test_the_two_tools_do_the_same(rows: list[Any]) -> None:
    by_tool = {
        tool: [
            (row.chip, row.setting, row.spikes_differ, row.outputs_differ)
            for row in rows
            if row.tool == tool and row.nodes == "LIF"
        ]
        for tool in ("snnTorch", "Norse")
    }
    assert by_tool["snnTorch"] == by_tool["Norse"]


def signs(neurons: int, axons: int, scale: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(0, 2, (neurons, axons), generator=generator) * 2 - 1) * scale


def layer(neurons: int, axons: int, scale: float, seed: int) -> torch.nn.Linear:
    linear = torch.nn.Linear(axons, neurons, bias=False)
    linear.weight.data = signs(neurons, axons, scale, seed)
    return linear


def test_network_written_by_norse_classifies_the_same_on_a_chip(
    tools: ModuleType, tmp_path: Path
) -> None:
    """Binary weights of 1/4 and a threshold of 1.1, 4.4 units, so that a chip fires at 5."""
    import nir
    import norse.torch
    from norse.torch.functional.iaf import IAFParameters
    from norse.torch.module.iaf import IAFCell

    neurons = IAFCell(IAFParameters(torch.full((32,), 1.1)))
    model = norse.torch.SequentialState(layer(32, 64, 0.25, 0), neurons, layer(10, 32, 0.5, 1))
    file = tmp_path / "theirs.nir"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nir.write(file, norse.torch.to_nir(model, torch.zeros(1, 64)))
    imported = import_network(file, ("steps=8",))
    hidden = imported.chip.layers[0]
    assert (hidden.neuron, hidden.threshold, hidden.reset) == ("if", 5, "zero")
    state = empty_state(imported.chip)
    for c, bits in enumerate(imported.weights):
        store_weights(state, imported.chip, c, bits)
    events, _ = tools.digit_events(imported.chip, SAMPLES)
    ours = tools.simulate(Engine(imported.chip, 0, state), events)
    memory = None
    for step, output in zip(events, ours.outputs, strict=True):
        with torch.no_grad():
            theirs, memory = model(torch.from_numpy(step).float(), memory)
        assert (theirs.numpy() == output * 0.5).all()
    assert ours.spikes[0].any()


def test_leak_written_by_snntorch_is_a_shift(tmp_path: Path) -> None:
    import nir
    import snntorch
    from snntorch.export_nir import export_to_nir

    neurons = snntorch.Leaky(torch.full((32,), 0.75), torch.full((32,), 1.1), init_hidden=True)
    model = torch.nn.Sequential(layer(32, 64, 0.25, 0), neurons, layer(10, 32, 0.5, 1))
    file = tmp_path / "theirs.nir"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nir.write(file, export_to_nir(model, torch.zeros(64)))
    imported = import_network(file)
    hidden = imported.chip.layers[0]
    assert (hidden.neuron, hidden.leak_shift, hidden.threshold) == ("lif", 2, 5)
    assert (imported.weights[1] == (signs(10, 32, 1, 1) > 0).numpy().T).all()
