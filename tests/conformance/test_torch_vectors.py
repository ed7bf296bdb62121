"""The hardware-exact mode in torch against the committed vectors of the oracle: single rules on tensors, whole chips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flipcore import numerics
from flipcore.chip import Chip, Hinge, Softmax, parse_chip
from flipcore.sim.layout import momentum_values, weight_bits
from flipcore.training.hardware import HardwareChips
from flipcore.training.hardware_counts import BASIC_NAMES
from flipcore.training.hardware_error import readout_error
from flipcore.training.hardware_forward import encode_pixels, fire, raise_traces
from flipcore.training.hardware_random import NOISE_BITS, GeneratorJumps
from tests.chips import chip_from_oracle

VECTORS = Path(__file__).parents[1] / "vectors"
SYSTEMS = sorted(VECTORS.glob("system_*.npz"))
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
STOCHASTIC, NEAREST = 0, 1

pytestmark = pytest.mark.conformance


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_torch_equals_oracle(path: Path, device: str) -> None:
    """Beside the vector's chip two of other seeds and samples, which must not disturb it."""
    vector = _load(path)
    chip = chip_from_oracle(json.loads(str(vector["chip"])))
    seed = int(vector["seed"])
    chips = HardwareChips.with_seeds(chip, [seed + 1, seed, 7], device)
    dice = torch.Generator().manual_seed(5)
    predictions = []
    for spikes, label, mode in zip(vector["spikes"], vector["labels"], vector["mode"], strict=True):
        own = torch.from_numpy(spikes.astype(np.uint8))
        others = torch.randint(0, 2, (2, *own.shape), generator=dice, dtype=torch.uint8)
        together = torch.stack([others[0], own, others[1]])
        if mode:
            labels = torch.tensor([0, int(label), chip.classes - 1])
            predictions.append(int(chips.learn(together, labels)[1]))
        else:
            predictions.append(int(chips.infer(together[:, None])[1, 0]))
    assert predictions == vector["expected_predictions"].tolist()
    samples = [chips.train_counts.samples, chips.inference_counts.samples]
    assert samples == vector["expected_samples"].tolist()
    state = chips.to_chip_state(1)
    assert state.sample_counter == samples[0]
    for c in range(len(chip.layers)):
        np.testing.assert_array_equal(weight_bits(state, chip, c), vector[f"expected_weights_{c}"])
        np.testing.assert_array_equal(
            momentum_values(state, chip, c), vector[f"expected_momentum_{c}"]
        )
        generators = vector[f"expected_generators_{c}"]
        np.testing.assert_array_equal(state.generators[c, : len(generators)], generators)
        np.testing.assert_array_equal(state.second_moment[c], vector[f"expected_second_moment_{c}"])
        for counts, kind in ((chips.train_counts, "train"), (chips.inference_counts, "inference")):
            every = dict(zip(vector["count_names"].tolist(),
                             vector[f"expected_{kind}_counts_{c}"].tolist(), strict=True))  # fmt: skip
            got = {name: int(counts.per_core(name)[1, c]) for name in BASIC_NAMES}
            assert got == {name: every[name] for name in BASIC_NAMES}


def _chip() -> Chip:
    return parse_chip({"name": "x", "inputs": 2, "layers": [{"neurons": 2}]}, "x")


def _columns(rule: str, dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    """The vectors of a rule as tensors of the width that the torch code holds them in."""
    vectors = _load(VECTORS / f"rule_{rule}.npz")
    assert int(vectors.pop("spec_version")) == 2
    if "random" in vectors:
        vectors["random"] = vectors["random"] & NOISE_BITS
    return {
        name: torch.from_numpy(column).to(device=device, dtype=dtype)
        for name, column in vectors.items()
    }


def _noise(v: dict[str, torch.Tensor], shift: str) -> torch.Tensor:
    drawn = (v["random"] & numerics.noise_mask(v[shift])) * (v["rounding"] == STOCHASTIC)
    return drawn + numerics.nearest_noise(v[shift]) * (v["rounding"] == NEAREST)


def test_integrate_and_fire() -> None:
    v = _columns("integrate_fire", torch.int32, "cpu")
    base = _chip().layers[0]
    for k in range(len(v["potential"])):
        case = {name: int(column[k]) for name, column in v.items()}
        core = base.model_copy(
            update={
                "potential_bits": case["potential_bits"],
                "threshold": case["threshold"],
                "window": case["window"],
                "reset": "subtract" if case["reset_subtract"] else "zero",
                "neuron": "lif" if case["leak_shift"] else "if",
                "leak_shift": case["leak_shift"],
            }
        )
        fired = fire(core, v["potential"][k], v["current"][k])
        expected = [case[f"expected_{name}"] for name in ("potential", "window", "spike")]
        assert [int(value) for value in fired] == expected


def test_trace() -> None:
    v = _columns("trace", torch.int32, "cpu")
    base = _chip().layers[0]
    for k in range(len(v["trace"])):
        shift = int(v["decay_shift"][k]) or "none"
        widths = {"trace_bits": int(v["trace_bits"][k]), "trace_unit": int(v["trace_unit"][k])}
        core = base.model_copy(update={"trace_decay_shift": shift, **widths})
        raised = raise_traces(core, v["trace"][k], v["active"][k].bool())
        assert raised == v["expected_trace"][k]


@pytest.mark.parametrize("device", DEVICES)
def test_error(device: str) -> None:
    v = _columns("error", torch.int32, device)
    chip = _chip()
    for k, (count, margin, sharpness) in enumerate(
        zip(v["neurons"].tolist(), v["margin"].tolist(), v["sharpness"].tolist(), strict=True)
    ):
        z, label = v["z"][k : k + 1, :count], v["label"][k : k + 1].to(torch.int64)
        hinge = Hinge.model_construct(margin=margin)  # wider than a chip's
        softmax = Softmax(kind="softmax", sharpness=sharpness)
        for rule, name in ((hinge, "hinge"), (softmax, "softmax")):
            error = readout_error(chip.model_copy(update={"error": rule}), z, label)
            assert torch.equal(error[0], v[f"expected_{name}"][k, :count])
        assert z[0].argmax() == v["expected_argmax"][k]


@pytest.mark.parametrize("device", DEVICES)
def test_rules_of_learning(device: str) -> None:
    """N8-N13 in 32 bits, as learning has them."""
    v = _columns("backward", torch.int32, device)
    delta = numerics.scale_error(v["sum"], v["error_shift"], v["error_bits"]) * v["window"]
    assert torch.equal(delta, v["expected_delta"])

    v = _columns("gradient", torch.int32, device)
    gradient = v["trace"] * v["delta"]
    noise = _noise(v, "gradient_shift")
    rounded = numerics.round_gradient(gradient, noise, v["gradient_shift"])
    assert torch.equal(rounded, v["expected_q"])

    v = _columns("momentum_flip", torch.int32, device)
    limit = (1 << (v["momentum_bits"] - 1)) - 1
    new = numerics.update_momentum(v["momentum"], v["q"], limit)
    weight = (2 * v["weight"] - 1).to(torch.float32)
    flip = (v["q"] != 0) & numerics.flips(weight, new, v["flip_threshold"])
    assert torch.equal(flip.to(torch.int32), v["expected_flip"])
    assert torch.equal(new * (v["keep"] | ~flip), v["expected_momentum"])

    v = _columns("decay", torch.int32, device)
    decayed = numerics.decay_momentum(v["momentum"], _noise(v, "decay_shift"), v["decay_shift"])
    assert torch.equal(decayed, v["expected_momentum"])


@pytest.mark.parametrize("device", DEVICES)
def test_adaptive_threshold(device: str) -> None:
    v = _columns("tbso", torch.int64, device)
    square = v["sum_delta_squares"] * v["sum_trace_squares"]
    moved = numerics.average_square(
        v["second_moment"], square, v["square_shift"], v["average_shift"]
    )
    limit = (1 << (v["momentum_bits"] - 1)) - 1
    threshold = numerics.adaptive_threshold(moved, v["threshold_gain"], v["threshold_shift"], limit)
    assert torch.equal(moved, v["expected_second_moment"])
    assert torch.equal(threshold, v["expected_threshold"])


@pytest.mark.parametrize("device", DEVICES)
def test_generators(device: str) -> None:
    vectors = _load(VECTORS / "rule_random.npz")
    states = torch.from_numpy(vectors["xorshift_states"].view(np.int32)).to(device)
    counts = torch.arange(1, 9, dtype=torch.int32, device=device)
    drawn = GeneratorJumps(states.device).after(states[:, None], counts, 8)
    np.testing.assert_array_equal(drawn.cpu().numpy().view(np.uint32), vectors["expected_draws"])
    keys = numerics.lane_key(torch.arange(64, device=device))
    np.testing.assert_array_equal(keys.cpu().numpy(), vectors["expected_lane_keys"])


@pytest.mark.parametrize("device", DEVICES)
def test_pixels(device: str) -> None:
    vectors = _load(VECTORS / "rule_sigma_delta.npz")
    pixels = torch.from_numpy(vectors["pixels"].astype(np.uint8)).to(device)
    spikes = encode_pixels(torch.stack([pixels, pixels.flip(0)]), len(vectors["expected_spikes"]))
    np.testing.assert_array_equal(spikes[0].cpu().numpy(), vectors["expected_spikes"])
