"""Choices that hold for a whole network: what does not go together is refused at once."""

from typing import Any

import pytest

from flipcore.errors import InputError
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.surrogate import Surrogate


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"kind": "binary"}, "kind=binary: must be one of float, latent, dense, packed"),
        (
            {"kind": "packed", "online": False, "trace": None},
            "kind=packed: learns in the backward pass of each step, which online=False has not",
        ),
        ({"trace": "bptt"}, "trace=bptt: must be one of ottt, ndot, sltt, or none"),
        (
            {"trace": "ndot", "online": False},
            "trace=ndot: back-propagation through time (online=False) has none",
        ),
        ({"leak": 1.5}, "leak=1.5: must be in 0 ... 1"),
        (
            {"kind": "dense", "channel_scale": True},
            "channel_scale: only latent weights have magnitudes, not kind=dense",
        ),
        ({"num_steps": 0}, "num_steps=0: must be at least 1"),
    ],
)
def test_impossible_choices_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        NetworkSpec(**choices)
    assert str(caught.value) == message


def test_neurons_have_the_networks_choices() -> None:
    spec = NetworkSpec(
        leak=0.75, reset="hard", trace="sltt", threshold=2.0, surrogate=Surrogate(name="rectangle")
    )
    neurons = spec.neurons()
    assert (neurons.threshold, neurons.leak, neurons.reset) == (2.0, 0.75, "hard")
    assert (neurons.trace, neurons.online, neurons.surrogate) == ("sltt", True, spec.surrogate)
    assert spec.neurons(5).threshold == 5


def test_convolutions_have_the_networks_choices() -> None:
    conv = NetworkSpec(kind="latent", channel_scale=True).conv2d(3, 8, layer=1, stride=2)
    assert (conv.kind, conv.channel_scale, conv.stride, conv.padding) == ("latent", True, 2, 1)
    assert tuple(conv.weight.shape) == (8, 3, 3, 3)
