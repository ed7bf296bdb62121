"""The hardware-exact mode in torch against the committed vectors of the oracle: single rules on tensors, whole chips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flipcore.sim.layout import momentum_values, weight_bits
from flipcore.training.hardware import HardwareChips
from flipcore.training.hardware_counts import BASIC_NAMES
from tests.chips import chip_from_oracle

VECTORS = Path(__file__).parents[1] / "vectors"
SYSTEMS = sorted(VECTORS.glob("system_*.npz"))

pytestmark = pytest.mark.conformance


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_torch_equals_oracle(path: Path) -> None:
    """Beside the vector's chip two of other seeds and samples, which must not disturb it."""
    vector = _load(path)
    chip = chip_from_oracle(json.loads(str(vector["chip"])))
    seed = int(vector["seed"])
    chips = HardwareChips.with_seeds(chip, [seed + 1, seed, 7])
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
