"""Files of a run: whole or not at all, read back exactly, refused in one line when damaged or foreign."""

import errno
import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.chip import Chip, parse_chip
from flipcore.errors import InputError
from flipcore.events import COUNT_NAMES, EventCounts
from flipcore.sim.flip_map import FlipMap
from flipcore.sim.layout import (
    ChipState,
    initial_state,
    momentum_values,
    store_momentum,
    store_weights,
    weight_bits,
)
from flipcore.sim.storage import (
    _digest,
    load_weights,
    read_checkpoint,
    write_arrays,
    write_checkpoint,
    write_counts,
    write_memory_images,
    write_weights,
    write_whole,
)


def chip_of(*neurons: int, inputs: int = 11, **core: Any) -> Chip:
    return parse_chip(
        {
            "name": "stored",
            "inputs": inputs,
            "core": {"lanes": 5, "momentum_bits": 6, **core},
            "layers": [{"neurons": count} for count in neurons],
        },
        "stored",
    )


def filled_state(chip: Chip, seed: int = 1) -> ChipState:
    """A state in which every synapse holds something."""
    state, dice = initial_state(chip, seed), np.random.default_rng(seed)
    for c, core in enumerate(chip.layers):
        limit = core.momentum_limit
        shape = (core.axons, core.neurons)
        store_weights(state, chip, c, dice.integers(0, 2, shape).astype(np.bool_))
        store_momentum(state, chip, c, dice.integers(-limit, limit + 1, shape))
    state.second_moment[:] = dice.integers(0, 2**32, state.second_moment.shape)
    state.sample_counter = 12345
    return state


def counts_of(chip: Chip, samples: int = 3) -> EventCounts:
    size = len(chip.layers) * len(COUNT_NAMES)
    cells = np.arange(size, dtype=np.int64).reshape(len(chip.layers), -1) * 10**12
    return EventCounts(samples, cells)


def flips_of(chip: Chip, epochs: int = 3) -> FlipMap:
    synapses = sum(core.axons * core.neurons for core in chip.layers)
    numbers = np.arange(synapses, dtype=np.uint16)
    changed = np.arange(epochs * len(chip.layers), dtype=np.int64).reshape(epochs, -1)
    return FlipMap(initial_state(chip, 9).weights, numbers, numbers[::-1].copy(), changed)


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- whole or not at all


def test_a_file_appears_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "fchmod", "rename"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owner, name = {"fsync": (os, "fsync"), "fchmod": (Path, "chmod"), "rename": (Path, "replace")}[
        step
    ]
    monkeypatch.setattr(owner, name, fail)
    told = refusal(write_whole, path, b"new")
    assert told == f"{path}: cannot be written: No space left on device"
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["checkpoint.npz"]


LIMITED = """
import resource, sys
from pathlib import Path
from flipcore.errors import InputError
from flipcore.sim.storage import write_whole

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_whole(Path(sys.argv[1]), bytes(200_000))
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits on file sizes")
def test_a_real_write_that_fails_half_way_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["checkpoint.npz"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_bytes(b"")
    for folder, reason in (
        (blocker, "Not a directory"),
        (tmp_path / "none", "No such file or directory"),
        (Path("/proc"), "No such file or directory"),
    ):
        path = folder / "weights.npz"
        assert refusal(write_whole, path, b"x") == f"{path}: cannot be written: {reason}"


def test_memory_images_where_a_file_is_in_the_way(tmp_path: Path) -> None:
    chip = chip_of(3)
    blocker = tmp_path / "images"
    blocker.write_bytes(b"")
    told = refusal(write_memory_images, blocker, chip, filled_state(chip))
    assert told == f"{blocker}: cannot be created: File exists"


# --- weights


def test_weights_and_momentum_read_back(tmp_path: Path) -> None:
    chip = chip_of(9, 17, 2)
    state, path = filled_state(chip), tmp_path / "weights.npz"
    write_weights(path, chip, state)
    other = initial_state(chip, 2)
    load_weights(path, chip, other)
    np.testing.assert_array_equal(other.weights, state.weights)
    np.testing.assert_array_equal(other.momentum, state.momentum)
    assert other.sample_counter == 0


def test_weights_alone_leave_the_momentum(tmp_path: Path) -> None:
    chip = chip_of(4)
    state, path = filled_state(chip), tmp_path / "weights.npz"
    bits = np.packbits(weight_bits(filled_state(chip, 2), chip, 0), axis=1, bitorder="little")
    np.savez(path, weights_0=bits)
    before = state.momentum.copy()
    load_weights(path, chip, state)
    np.testing.assert_array_equal(state.momentum, before)
    np.testing.assert_array_equal(state.weights, filled_state(chip, 2).weights)


def test_weights_are_packed_lowest_neuron_first(tmp_path: Path) -> None:
    chip = chip_of(10, inputs=2)
    state = initial_state(chip, 0)
    bits = np.zeros((2, 10), np.bool_)
    bits[0, 0] = bits[1, 9] = True
    store_weights(state, chip, 0, bits)
    write_weights(tmp_path / "w.npz", chip, state)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as stored:
        assert stored["weights_0"].tolist() == [[1, 0], [0, 2]]
        assert sorted(stored.files) == ["momentum_0", "weights_0"]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    chip = chip_of(9, 2)
    write_weights(path, chip, filled_state(chip))
    for other, told in (
        (chip_of(17, 2), "weights_0: uint8 [11, 2]: core 0 of stored needs uint8 [11, 3]"),
        (
            chip_of(9, 2, inputs=12),
            "weights_0: uint8 [11, 2]: core 0 of stored needs uint8 [12, 2]",
        ),
        (chip_of(9, 2, 2), "weights_2: missing: core 2 of stored needs uint8 [2, 1]"),
        (chip_of(9), "has more cores than the 1 of stored"),
        # Packed alike, but not as many neurons.
        (chip_of(10, 2), "momentum_0: int8 [11, 9]: core 0 needs integers [11, 10]"),
    ):
        assert refusal(load_weights, path, other, initial_state(other, 0)) == f"{path}: {told}"


@pytest.mark.parametrize(
    ("momentum", "told"),
    [
        (np.full((11, 2), 32), "32: beyond 31, the limit of 6 bits"),
        (np.full((11, 2), -32), "32: beyond 31, the limit of 6 bits"),
        (np.full((11, 2), -(2**63)), f"{2**63}: beyond 31, the limit of 6 bits"),
        (np.zeros((11, 2), np.float64), "float64 [11, 2]: core 0 needs integers [11, 2]"),
        (np.zeros((11, 2), np.uint8), "uint8 [11, 2]: core 0 needs integers [11, 2]"),
        (np.zeros((2, 11), np.int8), "int8 [2, 11]: core 0 needs integers [11, 2]"),
    ],
)
def test_momentum_that_does_not_fit_is_refused(
    momentum: npt.NDArray[Any], told: str, tmp_path: Path
) -> None:
    path, chip = tmp_path / "w.npz", chip_of(2)
    np.savez(path, weights_0=np.zeros((11, 1), np.uint8), momentum_0=momentum)
    message = refusal(load_weights, path, chip, initial_state(chip, 0))
    assert message == f"{path}: momentum_0: {told}"


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    path, chip = tmp_path / "w.npz", chip_of(2)
    np.savez(path, weights_0=np.zeros((11, 1), np.int64))
    told = "weights_0: int64 [11, 1]: core 0 of stored needs uint8 [11, 1]"
    assert refusal(load_weights, path, chip, initial_state(chip, 0)) == f"{path}: {told}"


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"PK\x03\x04", b"\x80\x04K\x01.", _npy(np.arange(9)), b"\x93NUMPY\x01\x00"],
    ids=["empty", "text", "zip head", "pickle", "npy", "npy head"],
)
def test_a_file_that_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path, chip = tmp_path / "w.npz", chip_of(2)
    path.write_bytes(content)
    told = refusal(load_weights, path, chip, initial_state(chip, 0))
    assert told == f"{path}: damaged or not a weights file: not an .npz archive"
    told = refusal(read_checkpoint, path)
    assert told == f"{path}: damaged or not a checkpoint: not an .npz archive"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path, chip = tmp_path / "w.npz", chip_of(2)
    told = refusal(load_weights, path, chip, initial_state(chip, 0))
    assert told == f"{path}: no such weights file"
    assert refusal(read_checkpoint, path) == f"{path}: no such checkpoint"


def test_a_folder_is_no_weights_file(tmp_path: Path) -> None:
    chip = chip_of(2)
    told = refusal(load_weights, tmp_path, chip, initial_state(chip, 0))
    assert told == f"{tmp_path}: damaged or not a weights file: Is a directory"


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path, chip = tmp_path / "w.npz", chip_of(2)
    np.savez(path, weights_0=np.array([{"a": 1}], object))
    told = refusal(load_weights, path, chip, initial_state(chip, 0))
    assert told.startswith(f"{path}: damaged or not a weights file: Object arrays cannot be loaded")


# --- counts


def test_counts_read_back_with_their_names(tmp_path: Path) -> None:
    chip = chip_of(4, 2)
    write_counts(tmp_path / "counts.npz", counts_of(chip, 3), counts_of(chip, 4))
    with np.load(tmp_path / "counts.npz", allow_pickle=False) as stored:
        assert tuple(stored["count_names"]) == COUNT_NAMES
        assert stored["samples"].tolist() == [3, 4]
        np.testing.assert_array_equal(stored["train"], counts_of(chip).cores)
        np.testing.assert_array_equal(stored["inference"], counts_of(chip).cores)


# --- arrays by name


def test_arrays_read_back_and_cost_little_where_they_are_zero(tmp_path: Path) -> None:
    path = tmp_path / "flips.npz"
    arrays = {"zeros": np.zeros((100, 1000), np.uint16), "one": np.array(1.5)}
    write_arrays(path, arrays)
    assert path.stat().st_size < 2000
    with np.load(path, allow_pickle=False) as stored:
        assert stored.files == ["zeros", "one"]
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value)
            assert stored[name].dtype == value.dtype


# --- memory images


@pytest.mark.parametrize(("lanes", "bits"), [(1, 2), (3, 3), (5, 6), (8, 8), (16, 8), (64, 16)])
def test_memory_images_read_back(lanes: int, bits: int, tmp_path: Path) -> None:
    chip = chip_of(13, 2, lanes=lanes, momentum_bits=bits)
    state = filled_state(chip)
    write_memory_images(tmp_path / "images", chip, state)
    assert names_in(tmp_path / "images") == [
        "momentum_core0.mem", "momentum_core1.mem", "weight_core0.mem", "weight_core1.mem",
    ]  # fmt: skip
    for c, core in enumerate(chip.layers):
        for name, width, expected in (
            ("weight", 1, weight_bits(state, chip, c)),
            ("momentum", bits, momentum_values(state, chip, c)),
        ):
            text = (tmp_path / "images" / f"{name}_core{c}.mem").read_text(encoding="ascii")
            lines = text.splitlines()
            assert len(lines) == core.axons * core.words
            assert {len(line) for line in lines} == {-(-lanes * width // 4)}
            for i in range(core.axons):
                for n in range(core.words * lanes):
                    word = int(lines[i * core.words + n // lanes], 16)
                    field = (word >> (n % lanes * width)) & ((1 << width) - 1)
                    if name == "momentum" and field >> (width - 1):
                        field -= 1 << width
                    assert field == (int(expected[i, n]) if n < core.neurons else 0)


def test_memory_image_worked_out_by_hand(tmp_path: Path) -> None:
    chip = chip_of(3, inputs=1, lanes=2, momentum_bits=5)
    state = initial_state(chip, 0)
    store_weights(state, chip, 0, np.array([[True, False, True]]))
    store_momentum(state, chip, 0, np.array([[-1, 3, -15]]))
    write_memory_images(tmp_path, chip, state)
    assert (tmp_path / "weight_core0.mem").read_text() == "1\n1\n"
    # Lane 0 in the low five bits: 00011.11111 and 00000.10001.
    assert (tmp_path / "momentum_core0.mem").read_text() == "07f\n011\n"


# --- checkpoints


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a chip with two cores."""
    chip = chip_of(6, 2)
    path = tmp_path / "checkpoint.npz"
    write_checkpoint(path, chip, filled_state(chip), {"epoch": 3}, counts_of(chip), flips_of(chip))
    return path


def test_a_checkpoint_holds_everything(checkpoint: Path) -> None:
    chip, state, progress, counts, flips = read_checkpoint(checkpoint)
    expected = filled_state(chip_of(6, 2))
    assert chip == chip_of(6, 2)
    assert progress == {"epoch": 3}
    for name in ("weights", "momentum", "generators", "second_moment"):
        np.testing.assert_array_equal(getattr(state, name), getattr(expected, name))
        assert getattr(state, name).dtype == getattr(expected, name).dtype
    assert state.sample_counter == 12345
    assert counts.samples == 3
    np.testing.assert_array_equal(counts.cores, counts_of(chip).cores)
    assert_same_flips(flips, flips_of(chip))


def assert_same_flips(flips: FlipMap, expected: FlipMap) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(flips, name), value, err_msg=name)
        assert getattr(flips, name).dtype == value.dtype


def test_a_checkpoint_can_go_on_learning(checkpoint: Path) -> None:
    """What was read can be written to, as the loops do in place."""
    _, state, _, counts, flips = read_checkpoint(checkpoint)
    for array in (state.weights, state.momentum, state.generators, counts.cores,
                  *vars(flips).values()):  # fmt: skip
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_a_checkpoint_cut_short_anywhere_is_refused(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    for length in range(0, len(content), 101):
        checkpoint.write_bytes(content[:length])
        told = refusal(read_checkpoint, checkpoint)
        assert told.startswith(f"{checkpoint}: damaged or not a checkpoint: ")


def test_a_changed_byte_anywhere_is_refused_or_does_not_matter(checkpoint: Path) -> None:
    """Some bytes of an archive say nothing, such as dates; none may change what is read."""
    content = checkpoint.read_bytes()
    before = read_checkpoint(checkpoint)
    refused = 0
    for place in range(0, len(content), 67):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= change
            checkpoint.write_bytes(damaged)
            try:
                after = read_checkpoint(checkpoint)
            except InputError as error:
                assert str(error).startswith(f"{checkpoint}: damaged or not a checkpoint: ")
                assert "\n" not in str(error)
                refused += 1
                continue
            assert after[0] == before[0]
            assert after[2] == before[2]
            for name in ("weights", "momentum", "generators", "second_moment"):
                np.testing.assert_array_equal(getattr(after[1], name), getattr(before[1], name))
            np.testing.assert_array_equal(after[3].cores, before[3].cores)
            assert_same_flips(after[4], before[4])
    assert refused > len(content) // 67


def _rewritten(path: Path, **changes: Any) -> None:
    """Write the archive again with some arrays changed, its own sums intact."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **(arrays | changes))


def test_contents_that_do_not_match_their_digest_are_refused(checkpoint: Path) -> None:
    chip, state, *_ = read_checkpoint(checkpoint)
    told = f"{checkpoint}: damaged or not a checkpoint: its digest does not match its contents"
    original = checkpoint.read_bytes()
    _rewritten(checkpoint, momentum=np.zeros_like(state.momentum))
    assert refusal(read_checkpoint, checkpoint) == told
    checkpoint.write_bytes(original)
    with np.load(checkpoint, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
    about["sample_counter"] += 1
    _rewritten(checkpoint, about=np.array(json.dumps(about)))
    assert refusal(read_checkpoint, checkpoint) == told
    assert chip.name == "stored"


def test_a_state_of_another_chip_is_refused(tmp_path: Path) -> None:
    """Its digest is right, but the loops would write beyond its arrays."""
    small, large = chip_of(6, 2), chip_of(600, 2)
    path = tmp_path / "checkpoint.npz"
    told = f"{path}: damaged or not a checkpoint: "
    write_checkpoint(path, large, filled_state(small), {}, counts_of(large), flips_of(large))
    assert refusal(read_checkpoint, path).startswith(f"{told}weights: uint16 [")
    counts = counts_of(chip_of(6))
    write_checkpoint(path, large, filled_state(large), {}, counts, flips_of(large))
    assert refusal(read_checkpoint, path).startswith(f"{told}counts: int64 [1, ")
    write_checkpoint(path, large, filled_state(large), {}, counts_of(large), flips_of(small))
    assert refusal(read_checkpoint, path).startswith(f"{told}flips_start: uint16 [")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (np.zeros((3, 1), np.int64), "flips_changed: int64 [3, 1]: the chip has int64 [3, 2]"),
        (np.zeros((3, 2)), "flips_changed: float64 [3, 2]: the chip has int64 [3, 2]"),
        (np.zeros((), np.int64), "flips_changed: int64 []: the chip has int64 [0, 2]"),
    ],
)
def test_flips_of_another_form_are_refused(
    changed: npt.NDArray[Any], told: str, tmp_path: Path
) -> None:
    chip, path = chip_of(6, 2), tmp_path / "checkpoint.npz"
    flips = flips_of(chip)
    flips.changed = changed
    write_checkpoint(path, chip, filled_state(chip), {}, counts_of(chip), flips)
    assert refusal(read_checkpoint, path) == f"{path}: damaged or not a checkpoint: {told}"


def test_a_checkpoint_of_before_there_were_flips_is_refused(checkpoint: Path) -> None:
    with np.load(checkpoint, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if not name.startswith("flips_")}
    del arrays["digest"]
    np.savez(checkpoint, **arrays, digest=_digest(arrays))
    assert refusal(read_checkpoint, checkpoint) == (
        f"{checkpoint}: of an earlier version, which kept no flips: start the run anew"
    )


def test_an_archive_of_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    np.savez(path, x=np.arange(3))
    told = refusal(read_checkpoint, path)
    assert told == f"{path}: damaged or not a checkpoint: it holds no `about`"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", "not an array")
    told = refusal(read_checkpoint, path)
    assert told.startswith(f"{path}: damaged or not a checkpoint: ")
