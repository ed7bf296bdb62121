"""Signals: what is linear is done to spikes and trace alike."""

import torch

from flipcore.training.signal import Signal


def test_map_takes_spikes_and_trace_alike() -> None:
    signal = Signal(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.25]))
    doubled = signal.map(lambda tensor: 2 * tensor)
    assert doubled.spikes.tolist() == [2.0, 0.0]
    assert doubled.trace is not None
    assert doubled.trace.tolist() == [1.0, 0.5]


def test_map_without_a_trace() -> None:
    assert Signal(torch.ones(2), None).map(torch.sum) == (torch.tensor(2.0), None)


def test_graph_goes_on_through_the_spikes_alone() -> None:
    spikes = torch.ones(2, requires_grad=True)
    mapped = Signal(spikes, torch.ones(2)).map(lambda tensor: 3 * tensor)
    assert mapped.spikes.requires_grad
    assert mapped.trace is not None
    assert not mapped.trace.requires_grad
