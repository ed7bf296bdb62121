"""Recorded words: both layouts, and each way in which a sound file or a list can be wrong."""

import struct
import wave
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from flipcore.errors import InputError
from flipcore.training.data import SampleSet, load_samples
from flipcore.training.data.mel import mel_image

RATE = 8000


def sound(seed: int) -> npt.NDArray[np.int16]:
    dice = np.random.default_rng(seed)
    time = np.arange(dice.integers(1000, 5000)) / RATE
    return (9000 * np.sin(2 * np.pi * (200 + 90 * seed) * time)).astype("<i2")


def write(path: Path, signal: npt.NDArray[np.int16], rate: int = RATE, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(signal.dtype.itemsize)
        file.setframerate(rate)
        file.writeframes(signal.tobytes())


# Two digits, two speakers, recordings 3 ... 6: 3 and 4 are test.
FSDD = {
    f"{digit}_{speaker}_{index}.wav": sound(8 * digit + 4 * (speaker == "ann") + index)
    for digit in (0, 1)
    for speaker in ("ann", "bob")
    for index in (3, 4, 5, 6)
}
COMMANDS = {f"{word}/a{k}_nohash_0.wav": sound(9 * k) for word in ("no", "yes") for k in range(4)}


@pytest.fixture
def fsdd(tmp_path: Path) -> Path:
    for name, signal in FSDD.items():
        write(tmp_path / "set" / name, signal)
    return tmp_path / "set"


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    folder = tmp_path / "commands"
    for name, signal in COMMANDS.items():
        write(folder / name, signal)
    write(folder / "_background_noise_" / "tap.wav", sound(1), rate=16000)
    (folder / "testing_list.txt").write_text("no/a1_nohash_0.wav\nyes/a0_nohash_0.wav\n")
    (folder / "validation_list.txt").write_text("yes/a3_nohash_0.wav\r\n\r\n")
    (folder / "README.md").write_text("words")
    return folder


def load(path: Path) -> SampleSet:
    return load_samples(f"speech:{path}", num_steps=4)


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_reads_spoken_digits_with_their_official_split(fsdd: Path, packed: bool) -> None:
    samples = load(zipped(fsdd) if packed else fsdd)
    assert (samples.name, samples.kind, samples.shape) == ("fsdd", "pixels", (1, 32, 32))
    for split, wanted in ((samples.train, "56"), (samples.test, "34")):
        names = sorted(name for name in FSDD if name[-5] in wanted)
        assert split.labels.tolist() == [int(name[0]) for name in names]
        batch = split.batch(torch.arange(len(names)))
        for image, name in zip(batch, names, strict=True):
            assert np.array_equal(image[0].numpy(), mel_image(FSDD[name], RATE))
    assert samples.provenance["sample_rate_hz"] == RATE
    assert ("source_sha256" in samples.provenance) == packed
    assert samples.provenance["recordings_sha256"] == load(fsdd).provenance["recordings_sha256"]


@pytest.mark.parametrize("packed", [False, True])
def test_reads_commands_with_their_lists(commands: Path, packed: bool) -> None:
    samples = load(zipped(commands) if packed else commands)
    assert (samples.name, samples.num_classes) == ("speech-commands", 2)
    assert samples.provenance["classes"] == "no,yes"
    assert samples.provenance["validation_left_out"] == 1
    assert samples.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert samples.test.labels.tolist() == [0, 1]
    wanted = mel_image(COMMANDS["no/a1_nohash_0.wav"], RATE)
    assert np.array_equal(samples.test.batch([0])[0, 0].numpy(), wanted)


def test_tells_progress(fsdd: Path) -> None:
    told: list[str] = []
    load_samples(f"speech:{fsdd}", num_steps=1, progress=told.append)
    assert told == [
        "spectrograms of train recordings: 0 of 8",
        "spectrograms of test recordings: 0 of 8",
    ]


def wav(
    *, channels: int = 1, rate: int = RATE, bits: int = 16, code: int = 1, sound_bytes: int = 8
) -> bytes:
    """A file with this header and 8 bytes of sound."""
    step = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * step, step, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", sound_bytes)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + 8) + b"WAVE" + chunks + bytes(8)


BAD_SOUNDS: list[tuple[bytes, str]] = [
    (wav(channels=2), "2 channels: must be 1"),
    (wav(bits=8), "8 bits a value: must be 16"),
    (wav(bits=32), "32 bits a value: must be 16"),
    (wav(rate=16000), "16000 Hz: must be 8000 Hz as in 0_ann_5.wav"),
    (wav(rate=100), "100 Hz: must be 4000 ... 192000 Hz"),
    (wav(rate=400_000), "400000 Hz: must be 4000 ... 192000 Hz"),
    (wav(sound_bytes=0), "holds no sound: its length is 0"),
    (wav(sound_bytes=800), "truncated: 8 bytes of sound: its header says 800"),
    (wav(code=3, bits=32), "not a WAV file that can be read: unknown format: 3"),
    (wav()[:30], "corrupt: ends too early"),
    (wav()[:36], "not a WAV file that can be read: fmt chunk and/or data chunk missing"),
    (b"", "corrupt: ends too early"),
    (b"ID3 not a sound at all", "not a WAV file that can be read: file does not start with RIFF id"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "told"), BAD_SOUNDS)
def test_refuses_a_bad_sound(fsdd: Path, content: bytes, told: str) -> None:
    (fsdd / "1_bob_5.wav").write_bytes(content)
    with pytest.raises(InputError) as error:
        load(fsdd)
    assert str(error.value) == f"{fsdd}: 1_bob_5.wav: {told}"


def test_a_sound_of_any_damage_is_read_or_told_in_a_line(fsdd: Path) -> None:
    dice = np.random.default_rng(0)
    path = fsdd / "1_bob_5.wav"
    content = path.read_bytes()[:2000]
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[dice.integers(48)] = dice.integers(256)
        path.write_bytes(damaged[: dice.integers(20, 2100)])
        try:
            load(fsdd)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{fsdd}: ")
            assert "\n" not in str(error)
    assert refused > 30


def test_refuses_folders_that_are_neither_layout(fsdd: Path, tmp_path: Path) -> None:
    write(fsdd / "hello.wav", sound(1))
    told = "set: hello.wav: must be DIGIT_SPEAKER_INDEX.wav, or LABEL/NAME.wav with a testing_list"
    with pytest.raises(InputError, match=told):
        load(fsdd)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no \.wav files in it$"):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match=r"gone: no such file or folder$"):
        load(tmp_path / "gone")
    (tmp_path / "a.tar").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.tar: must be a folder or a zip file$"):
        load(tmp_path / "a.tar")
    write(tmp_path / "train" / "3_ann_7.wav", sound(1))
    with pytest.raises(InputError, match=r"train: no test recordings: index 0 \.\.\. 4 is test$"):
        load(tmp_path / "train")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("testing_list.txt", "no/gone.wav\n", "testing_list.txt: line 1: there is no file 'no/gone"),
        ("validation_list.txt", "\nyes/x.wav", "validation_list.txt: line 2: there is no file 'yes"),
        ("validation_list.txt", "no/a1_nohash_0.wav", "no/a1_nohash_0.wav: is in testing_list.txt and"),
        ("testing_list.txt", "", "no test recordings: testing_list.txt names the test recordings"),
        ("more/testing_list.txt", "", "testing_list.txt: is there twice, the other is more/test"),
        ("testing_list.txt", "../no/a1_nohash_0.wav", "line 1: there is no file '../no/a1_nohash_0.wav'"),
    ],
)  # fmt: skip
def test_refuses_a_bad_list(commands: Path, name: str, text: str, told: str) -> None:
    (commands / name).parent.mkdir(exist_ok=True)
    (commands / name).write_text(text)
    with pytest.raises(InputError) as error:
        load(commands)
    assert told in str(error.value)
    assert str(error.value).startswith(f"{commands}: ")


def test_refuses_a_list_without_words(tmp_path: Path) -> None:
    (tmp_path / "testing_list.txt").write_text("")
    with pytest.raises(InputError, match=r"no files LABEL/NAME\.wav beside the testing_list\.txt$"):
        load(tmp_path)


def test_a_bomb_or_a_damaged_member_of_an_archive_is_told(fsdd: Path) -> None:
    path = zipped(fsdd)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/0_eve_0.wav", bytes((16 << 20) + 1))
    told = r"set\.zip: set/0_eve_0\.wav: more than 16777216 bytes: larger than any file of its kind"
    with pytest.raises(InputError, match=told):
        load(path)
    path = zipped(fsdd)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("set/1_ann_6.wav")
    content = bytearray(path.read_bytes())
    content[info.header_offset + info.compress_size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"set\.zip: set/1_ann_6\.wav: corrupt: "):
        load(path)


def test_an_encrypted_member_is_told(fsdd: Path) -> None:
    path = zipped(fsdd)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1) + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"set\.zip: set/.*\.wav: encrypted$"):
        load(path)


@pytest.mark.realdata
@pytest.mark.slow
def test_reads_the_real_digits(data_dir: Path) -> None:
    samples = load(data_dir / "fsdd" / "fsdd_recordings.zip")
    assert torch.bincount(samples.train.labels).tolist() == [270] * 10
    assert torch.bincount(samples.test.labels).tolist() == [30] * 10
    images = samples.train.batch(torch.arange(2700)).float().flatten(1)
    # Words of one digit resemble each other: the nearest class mean is right far above chance.
    means = torch.stack([images[samples.train.labels == digit].mean(0) for digit in range(10)])
    tested = samples.test.batch(torch.arange(300)).float().flatten(1)
    nearest = torch.cdist(tested, means).argmin(1)
    assert (nearest == samples.test.labels).float().mean() > 0.6
