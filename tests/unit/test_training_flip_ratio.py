"""The flip ratio: share of signs that differ from a snapshot, whatever the kind of weight."""

import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.flip_ratio import FlipMeter
from flipcore.training.mlp import MLP, mlp
from flipcore.training.models import binary_weights
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.packed_weight import PackedWeight

SIZES = (9, 7, 3)  # 63 and 21 weights: neither fills its last byte


def network(kind: str) -> MLP:
    return mlp(SIZES, thresholds=(2,), spec=NetworkSpec(kind=kind))


def flip(model: MLP, layer: int, indices: list[int]) -> None:
    """Change the sign of these weights of a layer, by their row-major index."""
    weight = model.layers[layer].weight
    if isinstance(weight, PackedWeight):
        for index in indices:
            weight.bits[index // 8] ^= 1 << index % 8
    else:
        with torch.no_grad():
            weight.view(-1)[indices] *= -1


@pytest.mark.parametrize("kind", ["float", "latent", "dense", "packed"])
def test_ratio_is_the_share_of_changed_signs(kind: str) -> None:
    model = network(kind)
    meter = FlipMeter(model)
    assert meter.ratio().total == 0
    flip(model, 0, [0, 5, 8, 62])
    flip(model, 1, [20])
    ratio = meter.ratio()
    assert ratio.total == 5 / 84
    assert ratio.layers == {"layers.0.weight": 4 / 63, "layers.1.weight": 1 / 21}
    flip(model, 0, [5, 8])  # back again
    assert meter.ratio().layers["layers.0.weight"] == 2 / 63
    meter.snapshot()
    assert meter.ratio().total == 0


@pytest.mark.parametrize("kind", ["latent", "dense", "packed"])
def test_all_flipped_is_one(kind: str) -> None:
    model = network(kind)
    meter = FlipMeter(model)
    for layer, size in enumerate((63, 21)):
        flip(model, layer, list(range(size)))
    assert meter.ratio().total == 1
    assert set(meter.ratio().layers.values()) == {1.0}


def test_a_latent_weight_of_zero_counts_as_plus_one() -> None:
    model = network("latent")
    with torch.no_grad():
        model.layers[1].weight.fill_(0.5)
        meter = FlipMeter(model)
        model.layers[1].weight.fill_(0.0)
        assert meter.ratio().total == 0
        model.layers[1].weight.fill_(-1e-30)
        assert meter.ratio().layers["layers.1.weight"] == 1


def test_latent_weights_may_move_without_flipping() -> None:
    model = network("latent")
    meter = FlipMeter(model)
    with torch.no_grad():
        model.layers[0].weight *= 0.1
    assert meter.ratio().total == 0


def test_meter_keeps_one_bit_per_weight() -> None:
    snapshot = FlipMeter(network("latent")).state()
    assert [(signs.dtype, len(signs)) for signs in snapshot] == [(torch.uint8, 8), (torch.uint8, 3)]


def test_a_meter_goes_on_from_a_saved_snapshot() -> None:
    model = network("packed")
    meter = FlipMeter(model)
    saved = [signs.clone() for signs in meter.state()]
    flip(model, 0, [3])
    later = FlipMeter(model)
    assert later.ratio().total == 0
    later.load_state(saved)
    assert later.ratio().total == meter.ratio().total == 1 / 84


def test_a_snapshot_of_another_network_is_refused() -> None:
    meter = FlipMeter(network("packed"))
    with pytest.raises(InputError) as caught:
        meter.load_state(meter.state()[:1])
    assert str(caught.value) == (
        "flip meter: saved signs of [(8,)] bytes, the network has [(8,), (3,)]"
    )


def test_a_model_without_binary_weights_has_no_flips() -> None:
    meter = FlipMeter(torch.nn.Linear(2, 2))
    assert meter.ratio().total == 0
    assert binary_weights(torch.nn.Linear(2, 2)) == []
