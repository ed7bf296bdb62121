"""A batch through a learner: what changes, how often, what is refused, what comes back from a saved state."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flipcore.errors import InputError
from flipcore.training.algorithms import ALGORITHMS
from flipcore.training.batch_flips import BatchFlips
from flipcore.training.frames import make_coder
from flipcore.training.fused_flips import FusedFlips
from flipcore.training.learner import Learner
from flipcore.training.models import binary_weights
from flipcore.training.networks import build_network
from flipcore.training.optimizers import BSO, TBSO, Bop
from flipcore.training.options import Options
from flipcore.training.packed_weight import PackedWeight
from tests.trainings import CPU, STEPS, images, options, recipe

PACKED_AND_DENSE = [("bso", "packed-int8"), ("tbso", "dense"), ("bop", "packed-float32")]


def learner(folder: Path, chosen: Options, epochs: int = 4, **changes: Any) -> Learner:
    plan = recipe(folder, **changes)
    return Learner(plan, chosen, build_network(plan, chosen, images()), CPU, epochs)


def batch(one: Learner, size: int = 8) -> tuple[list[Tensor], Tensor]:
    """Frames and labels."""
    samples = images()
    raw = samples.train.batch(np.arange(size))
    return list(make_coder(one.recipe, samples, STEPS)(raw)), samples.train.labels[:size]


def learn(one: Learner, times: int = 1) -> None:
    frames, labels = batch(one)
    for _ in range(times):
        one.learn(iter(frames), labels, STEPS)


def copies(one: Learner) -> dict[str, Tensor]:
    """Everything that the network keeps, by name."""
    state = one.model.state_dict()
    return {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_batch_changes_each_weight(algorithm: str, gate: bool, tmp_path: Path) -> None:
    one = learner(tmp_path, options(algorithm, gate=gate))
    before = copies(one)
    learn(one, times=4)
    names = {
        f"{name}.bits" if isinstance(weight, PackedWeight) else name
        for name, weight in binary_weights(one.model)
    }
    names |= {name for name in before if name.endswith("alpha")}
    assert len(names) == (4 if gate else 2)
    assert names <= changed(before, copies(one))


@pytest.mark.parametrize("algorithm", [name for name, one in ALGORITHMS.items() if one.flips])
def test_signs_stay_signs(algorithm: str, tmp_path: Path) -> None:
    one = learner(tmp_path, options(algorithm, storage="dense"))
    learn(one, times=4)
    for _, weight in binary_weights(one.model):
        assert bool((weight.detach().abs() == 1).all())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("storage", ["dense", "packed-int8"])
def test_updates_come_per_step_or_per_batch(algorithm: str, storage: str, tmp_path: Path) -> None:
    """BSO and T-BSO after every time step, all others once; counted where weights really change."""
    if algorithm == "bop-bptt":
        storage = "dense"
    one = learner(tmp_path, options(algorithm, storage=storage))
    expected = STEPS if ALGORITHMS[algorithm].update_each_step else 1
    learn(one)
    weights = [weight for _, weight in binary_weights(one.model)]
    if one.options.packed:
        assert [weight.momentum.updates for weight in weights] == [expected, expected]
        return
    (optimizer,) = one.optimizers()
    steps: list[int] = []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    learn(one)
    assert len(steps) == expected


def test_temporal_second_moments_are_one_per_step(tmp_path: Path) -> None:
    for storage in ("dense", "packed-int8"):
        for temporal, count in ((True, STEPS), (False, 1)):
            settings = {"rate": 0.05, "gamma": 0.3, "square_rate": 0.01, "temporal": temporal}
            one = learner(tmp_path, options("tbso", storage=storage), tbso=settings)
            learn(one)
            if storage == "dense":
                moments = [state["second_moment"] for state in one.flips.state.values()]
            else:
                moments = [weight.second_moment for _, weight in binary_weights(one.model)]
            assert [len(moment) for moment in moments] == [count, count]
            assert all(bool((moment > 0).all()) for moment in moments)


def test_packed_float32_learns_as_dense_does(tmp_path: Path) -> None:
    """The same rule on the same gradients; signs agree unless a threshold is met to the last bit."""
    for algorithm in ("bso", "tbso", "bop"):
        pair = [
            learner(tmp_path, options(algorithm, storage=storage))
            for storage in ("dense", "packed-float32")
        ]
        for one in pair:
            learn(one, times=3)
        dense, packed = (dict(binary_weights(one.model)) for one in pair)
        for name, weight in packed.items():
            assert torch.equal(weight.unpacked().t(), dense[name].detach()), (algorithm, name)


def test_loss_is_the_published_one(tmp_path: Path) -> None:
    """Mean over the steps of 0.95 CE + 0.05 MSE to the one-hot label, of scaled outputs."""
    one = learner(tmp_path, options("bptt-sgd"), logit_scale=3.0)
    frames, labels = batch(one)
    outputs = []
    with torch.no_grad():
        for frame in frames:
            outputs.append(one.model(frame) * 3.0 / np.sqrt(16))
    one_hot = torch.eye(3)[labels]
    losses = [
        0.95 * -(output.log_softmax(1) * one_hot).sum(1).mean()
        + 0.05 * ((output - one_hot) ** 2).mean()
        for output in outputs
    ]
    correct = int((sum(outputs).argmax(1) == labels).sum())
    figures = one.learn(iter(frames), labels, STEPS)
    assert figures.loss == pytest.approx(float(sum(losses)) / STEPS, rel=1e-5)
    assert figures.correct == correct


def test_online_loss_is_that_of_bptt(tmp_path: Path) -> None:
    values = []
    for algorithm in ("ottt-sgd", "bptt-sgd"):
        one = learner(tmp_path, options(algorithm))
        frames, labels = batch(one)
        values.append(one.learn(iter(frames), labels, STEPS))
    assert values[0].loss == pytest.approx(values[1].loss, rel=1e-5)
    assert values[0].correct == values[1].correct


OPTIMIZERS = {
    ("bso", "dense"): (BSO, None),
    ("tbso", "dense"): (TBSO, None),
    ("bop", "dense"): (Bop, None),
    ("bop-bptt", "dense"): (Bop, None),
    ("bso", "packed-int8"): (FusedFlips, None),
    ("tbso", "packed-int4"): (FusedFlips, None),
    ("bop", "packed-int8"): (BatchFlips, None),
    ("ottt-sgd", "dense"): (None, torch.optim.SGD),
    ("bptt-adam", "dense"): (None, torch.optim.Adam),
    ("float", "dense"): (None, torch.optim.Adam),
}


@pytest.mark.parametrize(("algorithm", "storage"), OPTIMIZERS)
def test_optimisers_have_the_recipes_settings(algorithm: str, storage: str, tmp_path: Path) -> None:
    one = learner(tmp_path, options(algorithm, storage=storage), sgd=0.25, adam=0.125)
    flips, floats = OPTIMIZERS[algorithm, storage]
    assert type(one.flips) is (flips or type(None))
    assert type(one.floats) is (floats or type(None))
    if flips:
        group = one.flips.param_groups[0]
        settings = one.recipe.flips(ALGORITHMS[algorithm].updates)
        assert (group["lr"], group["gamma"]) == (settings.rate, settings.gamma)
        if algorithm in ("bso", "tbso"):
            assert group["momentum_at_flip"] == "reset"
        if algorithm == "tbso":
            assert group["square_rate"] == 0.01
    else:
        rate = 0.25 if floats is torch.optim.SGD else 0.125
        assert one.floats.param_groups[0]["lr"] == rate


def test_parameters_beside_signs_that_flip_are_learnt_by_sgd(tmp_path: Path) -> None:
    one = learner(tmp_path, options("bso", gate=True), sgd=0.25)
    assert type(one.floats) is torch.optim.SGD
    assert one.floats.param_groups[0]["lr"] == 0.25
    assert [tuple(p.shape) for p in one.floats.param_groups[0]["params"]] == [(STEPS,)] * 2


def test_schedules_reach_the_optimisers(tmp_path: Path) -> None:
    """Flips: rate and gamma every decay_epochs; floats: along a cosine to 0, which the released code never reaches."""
    flips = {"rate": 0.1, "gamma": 0.01, "decay_epochs": 2, "decay_factor": 0.5}
    for storage in ("dense", "packed-int8"):
        one = learner(tmp_path, options("bso", storage=storage, gate=True), bso=flips, sgd=0.2)
        seen = []
        for _ in range(4):
            learn(one)
            one.end_epoch()
            group = one.flips.param_groups[0]
            seen.append((group["lr"], group["gamma"], one.floats.param_groups[0]["lr"]))
        assert [rate for rate, _, _ in seen] == pytest.approx([0.1, 0.05, 0.05, 0.025])
        assert [gamma for _, gamma, _ in seen] == pytest.approx([0.01, 0.005, 0.005, 0.0025])
        cosine = [0.1 * (1 + np.cos(np.pi * epoch / 4)) for epoch in range(1, 5)]
        assert [rate for _, _, rate in seen] == pytest.approx(cosine, abs=1e-9)


def test_gamma_may_have_a_factor_of_its_own(tmp_path: Path) -> None:
    flips = {"gamma": 0.01, "decay_epochs": 1, "decay_factor": 0.5, "gamma_decay_factor": 2.0}
    one = learner(tmp_path, options("bso"), bso=flips)
    learn(one)
    one.end_epoch()
    assert one.flips.param_groups[0]["gamma"] == 0.02
    assert one.flips.param_groups[0]["lr"] == pytest.approx(0.0005)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("algorithm", "storage"), PACKED_AND_DENSE)
def test_a_float_gradient_that_is_not_finite_leaves_everything_as_it_was(
    algorithm: str, storage: str, value: float, tmp_path: Path
) -> None:
    one = learner(tmp_path, options(algorithm, storage=storage, gate=True))
    frames, labels = batch(one)
    one.model.gates[1].alpha.register_hook(lambda gradient: torch.full_like(gradient, value))
    before = copies(one)
    with pytest.raises(InputError) as caught:
        one.learn(iter(frames), labels, STEPS)
    step = STEPS - 1 if algorithm == "bop" else 0
    assert str(caught.value) == f"time step {step}: gradient of gates.1.alpha: is not finite"
    untouched = changed(before, copies(one))
    if storage == "packed-int8":
        # FusedFlips has learnt within the backward pass; what has a gradient is as it was.
        untouched = {name for name in untouched if "weight" not in name}
    assert untouched == set()


@pytest.mark.parametrize("algorithm", ["bptt-adam", "ottt-sgd", "float"])
def test_a_latent_gradient_that_is_not_finite_leaves_everything_as_it_was(
    algorithm: str, tmp_path: Path
) -> None:
    one = learner(tmp_path, options(algorithm))
    frames, labels = batch(one)
    one.model.layers[0].weight.register_hook(lambda gradient: gradient * float("nan"))
    before = copies(one)
    with pytest.raises(InputError) as caught:
        one.learn(iter(frames), labels, STEPS)
    assert str(caught.value) == f"time step {STEPS - 1}: gradient of layers.0.weight: is not finite"
    assert changed(before, copies(one)) == set()


@pytest.mark.parametrize(
    ("algorithm", "storage", "step", "name"),
    [
        ("bso", "packed-int8", 0, "layer layers.1.weight"),
        ("bso", "dense", 0, "parameter layers.0.weight"),
        ("bop", "packed-int8", STEPS - 1, "layer layers.0.weight"),
        ("bop", "dense", STEPS - 1, "parameter layers.0.weight"),
    ],
)
def test_a_binary_gradient_that_is_not_finite_names_step_and_layer(
    algorithm: str, storage: str, step: int, name: str, tmp_path: Path
) -> None:
    one = learner(tmp_path, options(algorithm, storage=storage), logit_scale=1e38)
    before = copies(one)
    with pytest.raises(InputError) as caught:
        learn(one)
    assert str(caught.value).startswith(f"time step {step}: {name}, gradient: ")
    assert changed(before, copies(one)) == set()


def test_classes_are_those_of_the_summed_outputs(tmp_path: Path) -> None:
    one = learner(tmp_path, options())
    frames, _ = batch(one, size=20)
    with torch.no_grad():
        outputs = [one.model(frame) for frame in frames]
    expected = sum(outputs).numpy().argmax(1)  # the lowest at a tie
    assert one.classify(iter(frames)).tolist() == expected.tolist()
    assert one.classify(iter(frames)).tolist() == expected.tolist()  # nothing is left over


def test_classifying_learns_nothing(tmp_path: Path) -> None:
    one = learner(tmp_path, options("tbso", gate=True))
    before = copies(one)
    one.classify(iter(batch(one)[0]))
    assert changed(before, copies(one)) == set()


def test_products_in_bfloat16(tmp_path: Path) -> None:
    for storage in ("packed-int8", "dense"):
        one = learner(tmp_path, options("tbso", storage=storage, amp=True))
        before = copies(one)
        learn(one, times=2)
        assert changed(before, copies(one))
        assert one.classify(iter(batch(one)[0])).dtype == torch.int64


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_saved_state_goes_on_bit_for_bit(algorithm: str, tmp_path: Path) -> None:
    one = learner(tmp_path, options(algorithm, gate=True))
    learn(one, times=2)
    one.end_epoch()
    other = learner(tmp_path, options(algorithm, gate=True, seed=5))
    other.load_state_dict(deepcopy(one.state_dict()))
    for each in (one, other):
        learn(each, times=3)
        each.end_epoch()
    assert changed(copies(one), copies(other)) == set()
    for mine, theirs in zip(one.optimizers(), other.optimizers(), strict=True):
        assert mine.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]


@pytest.mark.parametrize(
    ("mine", "saved"),
    [
        (("bso", {}), ("bptt-adam", {})),
        (("bso", {"gate": True}), ("bso", {})),
        (("bso", {}), ("bso", {"storage": "packed-int4"})),
    ],
)
def test_a_state_of_another_training_is_refused(mine: Any, saved: Any, tmp_path: Path) -> None:
    one, other = (
        learner(tmp_path, options(algorithm, **choices)) for algorithm, choices in (mine, saved)
    )
    for each in (one, other):
        learn(each)
    with pytest.raises(InputError) as caught:
        one.load_state_dict(other.state_dict())
    message = str(caught.value)
    assert message.startswith(("checkpoint: of another network or algorithm: ", "momentum_format="))
    assert "\n" not in message


def test_all_that_is_kept_is_counted(tmp_path: Path) -> None:
    one = learner(tmp_path, options("bptt-adam"))
    learn(one)
    sizes = sorted(tensor.numel() for tensor in one.state_tensors())
    assert sizes == sorted([1, 1, *(3 * [16 * 12]), *(3 * [16 * 3])])
