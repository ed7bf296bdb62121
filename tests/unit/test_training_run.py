"""A training from beginning to end: bit-equal when resumed in the middle of an epoch, figures of epochs, refusals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flipcore import draws
from flipcore.errors import InputError
from flipcore.training import training_run
from flipcore.training.checkpoint import read_checkpoint, write_checkpoint
from flipcore.training.models import binary_weights
from flipcore.training.options import STORAGES, Options
from flipcore.training.recipe import Recipe, parse_recipe
from flipcore.training.training_run import Interrupted, TrainingRun
from tests.trainings import (
    CHIP,
    CPU,
    Watch,
    chip_file,
    document,
    images,
    options,
    recipe,
    recordings,
    small_vgg,
    training,
)

BATCHES = 5  # of 8 in 40 samples
FAMILIES = {
    "bso, packed in 8 bits": ("bso", {"storage": "packed-int8"}),
    "bso, packed in 4 bits, gate": ("bso", {"storage": "packed-int4", "gate": True}),
    "bso, packed in bfloat16": ("bso", {"storage": "packed-bfloat16"}),
    "tbso, packed in float32": ("tbso", {"storage": "packed-float32"}),
    "tbso, packed in 8 bits": ("tbso", {"storage": "packed-int8"}),
    "tbso, dense": ("tbso", {"storage": "dense"}),
    "bop, packed in 8 bits": ("bop", {"storage": "packed-int8"}),
    "bop-bptt, dense": ("bop-bptt", {"storage": "dense"}),
    "ottt-sgd": ("ottt-sgd", {}),
    "ottt-adam, gate": ("ottt-adam", {"gate": True}),
    "bptt-sgd": ("bptt-sgd", {}),
    "bptt-adam": ("bptt-adam", {}),
    "bptt-adam, bfloat16 products": ("bptt-adam", {"amp": True}),
    "float": ("float", {}),
}


def convolutional(**changes: Any) -> Recipe:
    plain = {"name": "conv", "dataset": "x", "epochs": 2, "batch_size": 16}
    network = {"model": "vgg11", "steps": 2}
    return parse_recipe({**plain, "network": network, "augment": True, **changes}, "conv")


def kept(run: TrainingRun) -> dict[str, Tensor]:
    state = run.learner.model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def without_times(run: TrainingRun) -> list[tuple[float, ...]]:
    return [
        (one.epoch, one.loss, one.train_accuracy, one.test_accuracy, one.flip_ratio)
        for one in run.progress.history
    ]


def assert_same(run: TrainingRun, other: TrainingRun) -> None:
    mine, theirs = kept(run), kept(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert torch.equal(value, theirs[name]), name
    assert without_times(run) == without_times(other)


def resumed(make: Any, folder: Path, stop_after: int) -> TrainingRun:
    """A training that is stopped after so many batches and continued by another that begins with other weights."""
    with pytest.raises(Interrupted):
        make().train(Watch(stop_after), folder)
    other = make()
    for _, weight in binary_weights(other.learner.model):
        if isinstance(weight, torch.nn.Parameter):
            weight.detach().neg_()
    other.restore(folder)
    assert 0 < other.progress.batch < other.batches
    other.train(Watch(), folder)
    return other


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_stopped_within_an_epoch_goes_on_bit_for_bit(
    family: str, tmp_path: Path
) -> None:
    algorithm, choices = FAMILIES[family]

    def make() -> TrainingRun:
        return training(tmp_path, options(algorithm, **choices))

    whole = make()
    whole.train(Watch(), None)
    # In the second epoch, when schedules have moved and momentum is there.
    assert_same(resumed(make, tmp_path, BATCHES + 2), whole)


@pytest.mark.parametrize("algorithm", ["bso", "tbso"])
def test_single_samples_go_on_bit_for_bit(algorithm: str, tmp_path: Path) -> None:
    """They read and learn only the rows that have a spike or a trace."""

    def make() -> TrainingRun:
        return training(tmp_path, options(algorithm), batch_size=1)

    whole = make()
    whole.train(Watch(), None)
    assert_same(resumed(make, tmp_path, 47), whole)


@pytest.mark.parametrize("algorithm", ["bso", "bptt-adam"])
def test_augmentation_and_normalisation_go_on_bit_for_bit(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flipcore.training.networks.vgg11", small_vgg)

    def make() -> TrainingRun:
        return TrainingRun(convolutional(), options(algorithm), images((1, 8, 8)), CPU)

    whole = make()
    whole.train(Watch(), None)
    assert_same(resumed(make, tmp_path, 3), whole)
    plain = TrainingRun(convolutional(augment=False), options(algorithm), images((1, 8, 8)), CPU)
    plain.train(Watch(), None)
    assert without_times(plain) != without_times(whole)


def test_seeds_decide_everything(tmp_path: Path) -> None:
    runs = [training(tmp_path, options(seed=seed)) for seed in (1, 1, 2)]
    for run in runs:
        run.train(Watch(), None)
    assert_same(runs[0], runs[1])
    assert without_times(runs[0]) != without_times(runs[2])


def test_epochs_and_batches_are_counted(tmp_path: Path) -> None:
    run, watch = training(tmp_path), Watch()
    run.train(watch, None)
    assert (run.batches, run.batch_samples, watch.batches) == (BATCHES, 8, 2 * BATCHES)
    assert watch.epochs == run.progress.history
    assert [epoch.epoch for epoch in watch.epochs] == [0, 1]
    for epoch in watch.epochs:
        assert math.isfinite(epoch.loss)
        assert epoch.seconds > 0
        assert (epoch.train_accuracy * 40).is_integer()
        assert 0 < epoch.flip_ratio < 1
    assert watch.epochs[-1].test_accuracy == run.evaluate()
    assert run.progress.peak_bytes > 0


def test_other_epochs_than_the_recipes(tmp_path: Path) -> None:
    run, watch = training(tmp_path, options(epochs=1)), Watch()
    run.train(watch, None)
    assert len(watch.epochs) == run.epochs == 1
    none = training(tmp_path, options(epochs=0))
    none.train(Watch(), None)
    assert none.progress.history == []


def test_a_batch_larger_than_the_training_split(tmp_path: Path) -> None:
    run = training(tmp_path, batch_size=1000)
    assert (run.batches, run.batch_samples) == (1, 40)
    run.train(Watch(), None)
    assert 0 <= run.progress.history[-1].train_accuracy <= 1
    assert run.progress.peak_bytes > 0


def test_samples_come_in_the_chips_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPEC R7: the same draw as in the simulator; a rest that fills no batch is left out."""
    seen: list[int] = []
    samples = images(train=21)
    read = type(samples.train).batch

    def remember(split: Any, indices: Any) -> Tensor:
        if split is samples.train:
            seen.extend(int(one) for one in indices)
        return read(split, indices)

    monkeypatch.setattr(type(samples.train), "batch", remember)
    run = TrainingRun(recipe(tmp_path), options(seed=4), samples, CPU)
    run.train(Watch(), None)
    orders = [draws.sample_order(4, epoch, 21)[:16].tolist() for epoch in range(2)]
    assert seen == orders[0] + orders[1]


def test_flip_ratio_is_that_of_the_epoch(tmp_path: Path) -> None:
    run = training(tmp_path, options(epochs=1))
    before = [weight.unpacked() for _, weight in binary_weights(run.learner.model)]
    run.train(Watch(), None)
    after = [weight.unpacked() for _, weight in binary_weights(run.learner.model)]
    flips = sum(int((one != two).sum()) for one, two in zip(before, after, strict=True))
    assert run.progress.history[0].flip_ratio == flips / (12 * 16 + 16 * 3)


def test_checkpoints_come_after_epochs_and_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[int, int]] = []
    save = TrainingRun.save

    def remember(run: TrainingRun, run_dir: Path | None) -> None:
        saved.append((run.progress.epoch, run.progress.batch))
        save(run, run_dir)

    monkeypatch.setattr(TrainingRun, "save", remember)
    training(tmp_path).train(Watch(), tmp_path)
    assert saved == [(1, 0), (2, 0)]
    saved.clear()
    monkeypatch.setattr(training_run, "CHECKPOINT_SECONDS", -1.0)
    training(tmp_path, options(epochs=1)).train(Watch(), tmp_path)
    assert saved == [*((0, batch) for batch in range(BATCHES)), (1, 0)]


def test_a_finished_training_has_nothing_left_to_do(tmp_path: Path) -> None:
    run = training(tmp_path)
    run.train(Watch(), tmp_path)
    again, watch = training(tmp_path), Watch()
    again.restore(tmp_path)
    again.train(watch, tmp_path)
    assert watch.batches == 0
    assert_same(again, run)


def test_a_training_that_diverges_says_where_and_keeps_its_checkpoint(tmp_path: Path) -> None:
    run = training(tmp_path, options("bptt-sgd"))
    run.train(Watch(), tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    wild = training(tmp_path, options("bptt-sgd"), logit_scale=1e38)
    with pytest.raises(InputError) as caught:
        wild.train(Watch(), tmp_path)
    assert str(caught.value) == (
        "epoch 0, batch 0, time step 2: gradient of layers.0.weight: is not finite; "
        "the last checkpoint is of before"
    )
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_recordings_are_not_augmented(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        TrainingRun(recipe(tmp_path, augment=True), options(), recordings(), CPU)
    assert str(caught.value) == "tiny: augment: clips holds events: must hold pixels"


def test_recordings_train_a_chip(tmp_path: Path) -> None:
    run = TrainingRun(recipe(tmp_path, batch_size=3), options("tbso"), recordings(), CPU)
    run.train(Watch(), None)
    assert len(run.progress.history) == 2


def test_processes_without_samples_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "world_size", lambda: 9)
    with pytest.raises(InputError) as caught:
        training(tmp_path)
    assert str(caught.value) == "tiny: batches of 8: too few for 9 processes"


OTHERS: dict[str, tuple[Options, dict[str, Any]]] = {
    "recipe": (options("bso"), {"mse_share": 0.5}),
    "algorithm": (options("tbso"), {}),
    "storage": (options("bso", storage="dense"), {}),
}


@pytest.mark.parametrize("key", OTHERS)
def test_a_checkpoint_of_another_training_is_refused(key: str, tmp_path: Path) -> None:
    training(tmp_path, options("bso")).save(tmp_path)
    chosen, changes = OTHERS[key]
    with pytest.raises(InputError) as caught:
        training(tmp_path, chosen, **changes).restore(tmp_path)
    assert str(caught.value) == f"{tmp_path}: the checkpoint is of another {key}"


def test_a_checkpoint_of_another_chip_is_refused(tmp_path: Path) -> None:
    """The recipe only names the chip's file; here it has changed meanwhile."""
    training(tmp_path).save(tmp_path)
    chip_file(tmp_path, CHIP.replace("threshold: 3", "threshold: 4"))
    plain = document(tmp_path)  # writes the file of before
    chip_file(tmp_path, CHIP.replace("threshold: 3", "threshold: 4"))
    other = TrainingRun(parse_recipe(plain, "tiny"), options(), images(), CPU)
    with pytest.raises(InputError) as caught:
        other.restore(tmp_path)
    assert str(caught.value) == f"{tmp_path}: the checkpoint is of another chip"


DAMAGES: dict[str, Any] = {
    "no learner": lambda content: content.pop("learner"),
    "no recipe": lambda content: content.pop("recipe"),
    "progress is no mapping": lambda content: content.update(progress=3),
    "an unknown figure": lambda content: content["progress"].update(speed=3),
    "history of numbers": lambda content: content["progress"].update(history=[3]),
    "no history": lambda content: content["progress"].pop("history"),
    "meter of numbers": lambda content: content.update(meter=[1, 2]),
    "learner is no mapping": lambda content: content.update(learner=[1]),
    "optimiser is none": lambda content: content["learner"].update(flips=None),
    "model of numbers": lambda content: content["learner"].update(model={"a": 1}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_with_holes_is_refused(damage: str, tmp_path: Path) -> None:
    training(tmp_path).save(tmp_path)
    content = read_checkpoint(tmp_path)
    DAMAGES[damage](content)
    write_checkpoint(tmp_path, content)
    with pytest.raises(InputError, match=r"checkpoint") as caught:
        training(tmp_path).restore(tmp_path)
    assert "\n" not in str(caught.value)


def test_every_storage_was_resumed() -> None:
    assert {choices.get("storage") for _, choices in FAMILIES.values()} >= set(STORAGES)


def test_evaluation_sees_every_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(tmp_path)
    expected = run.evaluate()
    monkeypatch.setattr(training_run, "EVALUATION_BATCH", 4)
    assert run.evaluate() == expected
    assert np.isclose(expected * len(run.samples.test) % 1, 0)


def test_statistics_are_averaged_before_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process normalises with its own samples."""
    monkeypatch.setattr("flipcore.training.networks.vgg11", small_vgg)
    seen: list[str] = []
    run = TrainingRun(convolutional(epochs=1), options(), images((1, 8, 8)), CPU)
    names = {id(tensor): name for name, tensor in run.learner.model.named_buffers()}
    evaluate = run.evaluate

    def remember() -> float:
        seen.append("test")
        return evaluate()

    monkeypatch.setattr(run, "evaluate", remember)
    monkeypatch.setattr(
        training_run,
        "average_over_processes",
        lambda tensors: seen.extend(names[id(tensor)] for tensor in tensors),
    )
    run.train(Watch(), None)
    layers = ("stem", "blocks.0", "blocks.2")
    assert seen == [
        *(f"{layer}.norm.running_{kind}" for layer in layers for kind in ("mean", "var")),
        "test",
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_processes_share_every_batch(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process 1 of 2 takes every second sample, of batches and of the test split alike."""
    taken: list[list[int]] = []
    samples = images()
    read = type(samples.train).batch

    def remember(split: Any, indices: Any) -> Tensor:
        taken.append([int(one) for one in indices])
        return read(split, indices)

    run = TrainingRun(recipe(tmp_path), options(epochs=1), samples, CPU)
    monkeypatch.setattr(type(samples.train), "batch", remember)
    monkeypatch.setattr(training_run, "world_size", lambda: 2)
    monkeypatch.setattr(training_run, "rank", lambda: number)
    run.train(Watch(), None)
    order = draws.sample_order(0, 0, 40).tolist()
    assert taken[:BATCHES] == [order[8 * b + number : 8 * b + 8 : 2] for b in range(BATCHES)]
    assert taken[BATCHES:] == [list(range(number, 15, 2))]
