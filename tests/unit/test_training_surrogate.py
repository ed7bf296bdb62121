"""Surrogate gradients: the step forward, the stated derivative backward."""

import math

import numpy as np
import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.surrogate import Surrogate

POTENTIALS = [-3.0, -0.5, 0.0, 0.4999, 0.5, 0.75, 1.0, 1.25, 1.4999, 1.5, 2.0, 7.0]


def derivative(surrogate: Surrogate, potentials: list[float], threshold: float) -> list[float]:
    potential = torch.tensor(potentials, dtype=torch.float64, requires_grad=True)
    surrogate.spikes(potential, threshold).sum().backward()
    return potential.grad.tolist()


@pytest.mark.parametrize("name", ["sigmoid", "rectangle"])
def test_spike_at_the_threshold_and_above(name: str) -> None:
    potential = torch.tensor([0.9999, 1.0, 1.0001, -5.0])
    spikes = Surrogate(name=name).spikes(potential, 1.0)
    assert spikes.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert spikes.dtype == torch.float32


@pytest.mark.parametrize("threshold", [1.0, 24.0])
@pytest.mark.parametrize("slope", [4.0, 1.5])
def test_sigmoid_is_the_logistic_functions_derivative(threshold: float, slope: float) -> None:
    potentials = np.array(POTENTIALS) * threshold
    logistic = 1 / (1 + np.exp(-slope * (potentials - threshold) / threshold))
    wanted = slope / threshold * logistic * (1 - logistic)
    found = derivative(Surrogate(slope=slope), potentials.tolist(), threshold)
    assert found == pytest.approx(wanted.tolist(), rel=1e-12)


def test_published_sigmoid_is_one_at_the_threshold() -> None:
    assert derivative(Surrogate(), [1.0], 1.0) == [1.0]


@pytest.mark.parametrize(("threshold", "width"), [(1.0, 1.0), (24.0, 2.0)])
def test_rectangle_has_an_area_of_one_and_open_ends(threshold: float, width: float) -> None:
    potentials = [x * threshold for x in POTENTIALS]
    wanted = [
        1 / (width * threshold) if abs(u - threshold) < width * threshold / 2 else 0.0
        for u in potentials
    ]
    found = derivative(Surrogate(name="rectangle", width=width), potentials, threshold)
    assert found == pytest.approx(wanted, rel=1e-12)
    assert 0.0 in found
    assert any(found)


def test_derivative_multiplies_the_error() -> None:
    potential = torch.tensor([0.8, 1.3], requires_grad=True)
    spikes = Surrogate().spikes(potential, 1.0)
    spikes.backward(torch.tensor([2.0, -3.0]))
    alone = derivative(Surrogate(), [0.8, 1.3], 1.0)
    assert potential.grad.tolist() == pytest.approx([2 * alone[0], -3 * alone[1]], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "triangle"}, "surrogate=triangle: must be sigmoid or rectangle"),
        ({"slope": 0.0}, "surrogate slope=0.0: must be a number above 0"),
        ({"width": -1.0}, "surrogate width=-1.0: must be a number above 0"),
        ({"width": math.inf}, "surrogate width=inf: must be a number above 0"),
        ({"slope": math.nan}, "surrogate slope=nan: must be a number above 0"),
    ],
)
def test_impossible_surrogates_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Surrogate(**settings)
    assert str(caught.value) == message
