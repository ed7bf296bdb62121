"""The hardware-exact mode as its user meets it: conversions and files, surroundings that must not disturb it, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flipcore import draws
from flipcore.chip import Chip, load_chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import EventCounts
from flipcore.sim.data import Dataset, load_dataset
from flipcore.sim.engine import Engine
from flipcore.sim.layout import ChipState, initial_state
from flipcore.sim.run import Progress, Run, Settings, load_checkpoint
from flipcore.sim.storage import load_weights, write_weights
from flipcore.training.hardware import HardwareChips
from flipcore.training.hardware_input import record_spikes
from tests.e2e.command import flipcore

STATE_ARRAYS = ("weights", "momentum", "generators", "second_moment")


def small_chip(**changes: object) -> Chip:
    document = {
        "name": "small",
        "inputs": 20,
        "steps": 3,
        "core": {"lanes": 8, "threshold": 2, "window": 8, "gradient_shift": 3, "error_shift": 0,
                 "error_bits": 12, "decay": "scrub", "scrub_period": 2},
        "layers": [{"neurons": 12}, {"neurons": 5}],
        "error": {"kind": "softmax", "sharpness": 4},
    }  # fmt: skip
    return parse_chip({**document, **changes}, "small")


def random_samples(chip: Chip, num_chips: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(seed)
    spikes = torch.rand((num_chips, chip.steps, chip.inputs), generator=dice) < 0.5
    return spikes, torch.randint(0, chip.classes, (num_chips,), generator=dice)


def learnt(chip: Chip, seeds: tuple[int, ...], count: int = 4) -> HardwareChips:
    chips = HardwareChips.with_seeds(chip, seeds)
    for k in range(count):
        chips.learn(*random_samples(chip, len(seeds), k))
    return chips


def assert_same(found: ChipState, expected: ChipState) -> None:
    assert found.sample_counter == expected.sample_counter
    for name in STATE_ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_a_chip_does_not_depend_on_its_neighbours() -> None:
    chip = small_chip()
    together = HardwareChips.with_seeds(chip, (5, 6, 7))
    alone = HardwareChips.with_seeds(chip, (6,))
    for k in range(4):
        spikes, labels = random_samples(chip, 3, k)
        assert together.learn(spikes, labels)[1] == alone.learn(spikes[1:2], labels[1:2])[0]
    assert_same(together.to_chip_state(1), alone.to_chip_state(0))
    assert together.train_counts.totals()["flips"] > alone.train_counts.totals()["flips"] > 0


def test_states_come_back_as_they_went() -> None:
    chips = learnt(small_chip(), (1, 2, 3))
    states = [chips.to_chip_state(k) for k in range(3)]
    again = HardwareChips.from_chip_states(chips.chip, states)
    for k, state in enumerate(states):
        assert_same(again.to_chip_state(k), state)
        assert state.sample_counter == 4
    again.learn(*random_samples(chips.chip, 3, 9))
    assert states[0].sample_counter == 4
    assert not np.array_equal(states[0].generators, again.to_chip_state(0).generators)


def test_weights_files_go_both_ways(tmp_path: Path) -> None:
    chip = small_chip()
    chips = learnt(chip, (1, 2, 3))
    write_weights(tmp_path / "torch.npz", chip, chips.to_chip_state(2))
    engine = Engine(chip, 0)
    load_weights(tmp_path / "torch.npz", chip, engine.state)
    np.testing.assert_array_equal(engine.state.weights, chips.to_chip_state(2).weights)
    np.testing.assert_array_equal(engine.state.momentum, chips.to_chip_state(2).momentum)
    write_weights(tmp_path / "sim.npz", chip, engine.state)
    loaded = initial_state(chip, 8)
    load_weights(tmp_path / "sim.npz", chip, loaded)
    back = HardwareChips.from_chip_states(chip, [loaded])
    assert torch.equal(back.state.cores[1].weights[0], chips.state.cores[1].weights[2])
    assert torch.equal(back.state.cores[1].momentum[0], chips.state.cores[1].momentum[2])


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", num_steps=8)


def learn_digits(chips: HardwareChips, digits: Dataset, seed: int, first: int, end: int) -> int:
    """Samples first ... end of epoch 0 in the order of this seed (R4), on every chip; how many the first predicts right."""
    correct = 0
    for index in draws.sample_order(seed, 0, len(digits.train))[first:end]:
        record = digits.train.read(np.array([index]))
        spikes = record_spikes(record, chips.chip, "cpu").expand(chips.num_chips, -1, -1)
        label = torch.tensor([int(digits.train.labels[index])])
        correct += int(chips.learn(spikes, label.expand(chips.num_chips))[0] == label)
    return correct


@pytest.mark.slow
def test_simulate_goes_on_where_torch_stopped(tmp_path: Path, digits: Dataset) -> None:
    """And the other way round: its checkpoint goes on in torch."""
    chip = load_chip("digits")
    settings = Settings(dataset="digits", epochs=1, seed=3)
    chips = HardwareChips.with_seeds(chip, (3, 4))
    correct = learn_digits(chips, digits, 3, 0, 60)

    run = Run(chip, digits, settings)
    counts = EventCounts.zeros(len(chip.layers))
    run.restore(chips.to_chip_state(0), Progress(position=60, correct=correct), counts)
    (tmp_path / "run").mkdir()
    run.save(tmp_path / "run")
    done = flipcore("simulate", "--resume", "run", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    from_torch = load_checkpoint(tmp_path / "run")

    whole = Engine(chip, 3)
    order = draws.sample_order(3, 0, len(digits.train))
    labels = digits.train.labels[order]
    predictions = whole.train(digits.train.read(order), labels, counts)
    assert_same(from_torch.state, whole.state)
    epoch = from_torch.progress.history[0]
    assert epoch.train_accuracy == np.count_nonzero(predictions == labels) / len(order)

    started = Engine(chip, 3)
    started.train(digits.train.read(order[:40]), labels[:40], counts)
    run.restore(started.state, Progress(position=40), counts)
    run.save(tmp_path / "run")
    resumed = HardwareChips.from_chip_states(chip, [load_checkpoint(tmp_path / "run").state])
    learn_digits(resumed, digits, 3, 40, 60)
    assert_same(resumed.to_chip_state(0), chips.to_chip_state(0))


def test_autocast_and_low_precision_change_nothing() -> None:
    chip = small_chip()
    expected = learnt(chip, (1, 2, 3)).to_chip_state(1)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = learnt(chip, (1, 2, 3)).to_chip_state(1)
    finally:
        torch.set_float32_matmul_precision(before)
    assert_same(found, expected)


def test_nothing_is_made_on_another_device() -> None:
    """Every tensor says where it belongs: one left to a default device that is not the chips' would stop the sample."""
    schedule = [{"after_samples": 2, "gradient_shift_add": 1}]
    core = {"lanes": 8, "threshold": 2, "window": 8, "rule": "tbso", "decay": "dense"}
    chip = small_chip(core=core, schedule=schedule)
    spikes, labels = random_samples(chip, 2, 0)
    states = []
    for default in ("cpu", "meta"):
        with torch.device(default):
            chips = HardwareChips.with_seeds(chip, (1, 2), "cpu")
            for _ in range(4):
                chips.learn(spikes, labels)
            assert chips.infer(spikes[None]).device == spikes.device
            states.append(chips.to_chip_state(1))
    assert_same(*states)


def test_learning_builds_no_graph_and_infers_without_change() -> None:
    chip = small_chip()
    chips = learnt(chip, (1, 2))
    before = chips.to_chip_state(1)
    spikes, _ = random_samples(chip, 6, 3)
    shared = chips.infer(spikes[None])
    own = chips.infer(spikes.expand(2, -1, -1, -1))
    assert torch.equal(shared, own)
    assert shared.shape == (2, 6)
    assert not shared.requires_grad
    assert chips.infer(spikes[None, :0]).shape == (2, 0)
    assert_same(chips.to_chip_state(1), before)
    assert chips.inference_counts.samples == 12
    assert chips.train_counts.samples == 4


def test_pixels_and_recordings_give_the_engines_spikes(digits: Dataset) -> None:
    chip = load_chip("digits")
    record = digits.train.read(np.arange(5))
    spikes = record_spikes(record, chip, "cpu")
    assert spikes.shape == (5, 8, 64)
    counts = EventCounts.zeros(2)
    predictions = Engine(chip, 1).infer(record, counts, 1)
    chips = HardwareChips.with_seeds(chip, (1,))
    assert chips.infer(spikes[None])[0].tolist() == predictions.tolist()
    assert int(spikes.sum()) == counts.per_core("events")[0]


def test_every_number_type_of_spikes_is_the_same() -> None:
    chip = small_chip()
    spikes, labels = random_samples(chip, 1, 0)
    states = []
    for dtype in (torch.bool, torch.uint8, torch.float32, torch.int64):
        chips = HardwareChips.with_seeds(chip, (1,))
        chips.learn(spikes.to(dtype), labels.to(torch.int32))
        states.append(chips.to_chip_state(0))
    for state in states[1:]:
        assert_same(state, states[0])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:77", "device=cuda:77: cannot be used here: "),
        ("banana", "device=banana: cannot be used here: "),
        ("meta", "device=meta: cannot be used here: "),
    ],
)
def test_a_device_that_is_not_there(device: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        HardwareChips.with_seeds(small_chip(), [1], device)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_no_chips_or_another_chip() -> None:
    chip = small_chip()
    with pytest.raises(InputError, match=r"^seeds=\[\]: at least one chip is needed$"):
        HardwareChips.with_seeds(chip, [])
    with pytest.raises(InputError, match=r"^states=\[\]: at least one chip is needed$"):
        HardwareChips.from_chip_states(chip, [])
    other = initial_state(small_chip(inputs=30), 1)
    expected = r"^states\[1\]\.weights: uint16 \[168\]: chip small has uint16 \[128\]$"
    with pytest.raises(InputError, match=expected):
        HardwareChips.from_chip_states(chip, [initial_state(chip, 1), other])


def test_samples_that_do_not_fit() -> None:
    chip = small_chip()
    chips = HardwareChips.with_seeds(chip, (1, 2))
    spikes, labels = random_samples(chip, 2, 0)
    refused = [
        (spikes[:1], labels, r"spikes: shape \[1, 3, 20\]: must be \[2, 3, 20\]"),
        (spikes * 2.0, labels, r"spikes: value 2\.0: must be 0 or 1"),
        (spikes * torch.nan, labels, r"spikes: value nan: must be 0 or 1"),
        (spikes, labels[:1], r"labels: shape \[1\]: must be \[2\], one per chip"),
        (spikes, labels.float(), r"labels: torch\.float32: must be integers"),
        (spikes, torch.tensor([0, 5]), r"labels: 5: must be 0 to 4"),
        (spikes, torch.tensor([-1, 4]), r"labels: -1: must be 0 to 4"),
    ]
    for wrong, label, message in refused:
        with pytest.raises(InputError, match=f"^{message}$"):
            chips.learn(wrong, label)
    expected = r"^spikes: shape \[2, 3, 20\]: must be \[2, 1, 3, 20\]$"
    with pytest.raises(InputError, match=expected):
        chips.infer(spikes)
    assert_same(chips.to_chip_state(1), initial_state(chip, 2))


def test_records_of_another_chip(digits: Dataset) -> None:
    record = digits.train.read(np.arange(2))
    expected = r"^records: 64 pixels: chip small has inputs=20$"
    with pytest.raises(InputError, match=expected):
        record_spikes(record, small_chip(), "cpu")
    bitmaps = type(record)(
        np.empty((2, 0), np.uint8), np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4), np.int32)
    )
    expected = "^records: bitmaps of 4 steps and 3 bytes: chip small has steps=3 and inputs=20$"
    with pytest.raises(InputError, match=expected):
        record_spikes(bitmaps, small_chip(), "cpu")
