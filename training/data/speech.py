"""Recorded words: Free Spoken Digit Dataset and Speech Commands, as mel spectrograms."""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from flipcore.errors import InputError
from flipcore.sim.data.dataset import PixelLayout, Progress, Provenance, Split, make_dataset
from flipcore.sim.data.recordings import Part
from flipcore.sim.data.store import Spool, sha256_of
from flipcore.training.data.mel import NUM_FRAMES, NUM_MELS, mel_image
from flipcore.training.data.members import Members, opened_members, where
from flipcore.training.data.samples import SampleSet, as_sample_set
from flipcore.training.data.wav import read_wav

SHAPE = (1, NUM_MELS, NUM_FRAMES)
# A minute and a half at 96 kHz; the words of both sets have some 32 kB.
MAX_WAV_BYTES = 16 << 20
_MAX_LIST_BYTES = 64 << 20
_FSDD = re.compile(r"(?:.*/)?([0-9])_([^_/]+)_([0-9]+)\.wav")
_FSDD_TEST = 5  # recordings 0 ... 4 of each digit and speaker
_FSDD_SPLIT = f"index 0 ... {_FSDD_TEST - 1} is test"
_TEST_LIST, _VALIDATION_LIST = "testing_list.txt", "validation_list.txt"
_NOISE = "_background_noise_"
_TOLD_EVERY = 1000


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which recordings are there: (name, label) of each split, and what the provenance tells."""

    name: str
    parts: dict[Part, list[tuple[str, int]]]
    told: Provenance


def load_speech(path: Path, *, spec: str, progress: Progress) -> SampleSet:
    """Load a folder or zip file of WAV files as pixels of 32 mel bands and 32 frames.

    `DIGIT_SPEAKER_INDEX.wav`: index 0 ... 4 is test, the rest training. `LABEL/NAME.wav` beside a
    `testing_list.txt`: the files it names are test, those of `validation_list.txt` are left out.

    Raises:
        InputError: files are missing, damaged or of several sample rates, or lists do not fit.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        raise InputError(f"{path}: must be a folder or a zip file")
    with opened_members(path) as members:
        plan = _plan(members)
        for part, recordings in plan.parts.items():
            if not recordings:
                raise InputError(f"{path}: no {part} recordings: {plan.told['test_split']}")
        rates: dict[int, str] = {}
        digest = hashlib.sha256()
        splits: dict[Part, Split] = {}
        for part, recordings in plan.parts.items():
            splits[part] = _spool(members, recordings, part, rates, digest, progress)
    provenance: Provenance = {
        "spec": spec,
        "source": path.name,
        **({"source_sha256": sha256_of(path)} if path.is_file() else {}),
        "recordings_sha256": digest.hexdigest(),
        "sample_rate_hz": next(iter(rates)),
        **plan.told,
    }
    dataset = make_dataset(
        plan.name, train=splits["train"], test=splits["test"], provenance=provenance
    )
    return as_sample_set(dataset, SHAPE)


def _plan(members: Members) -> _Plan:
    names = members.names()
    lists = [name for name in names if PurePosixPath(name).name == _TEST_LIST]
    if len(lists) > 1:
        raise InputError(f"{where(members, lists[1])}: is there twice, the other is {lists[0]}")
    recordings = [name for name in names if name.endswith(".wav")]
    if lists:
        return _speech_commands(members, PurePosixPath(lists[0]).parent, recordings)
    if not recordings:
        raise InputError(f"{members.path}: no .wav files in it")
    return _fsdd(members, recordings)


def _fsdd(members: Members, recordings: list[str]) -> _Plan:
    parts: dict[Part, list[tuple[str, int]]] = {"train": [], "test": []}
    for name in recordings:
        match = _FSDD.fullmatch(name)
        if not match:
            raise InputError(
                f"{where(members, name)}: must be DIGIT_SPEAKER_INDEX.wav, "
                f"or LABEL/NAME.wav with a {_TEST_LIST}"
            )
        part: Part = "test" if int(match[3]) < _FSDD_TEST else "train"
        parts[part].append((name, int(match[1])))
    return _Plan("fsdd", parts, {"test_split": _FSDD_SPLIT})


def _speech_commands(members: Members, root: PurePosixPath, recordings: list[str]) -> _Plan:
    found = {}
    for name in recordings:
        if PurePosixPath(name).is_relative_to(root):
            below = PurePosixPath(name).relative_to(root)
            if len(below.parts) == 2 and below.parts[0] != _NOISE:
                found[str(below)] = (name, below.parts[0])
    classes = sorted({label for _, label in found.values()})
    if not classes:
        raise InputError(f"{members.path}: no files LABEL/NAME.wav beside the {_TEST_LIST}")
    test = _listed(members, root / _TEST_LIST, found)
    validation = _listed(members, root / _VALIDATION_LIST, found)
    both = sorted(test & validation)
    if both:
        raise InputError(f"{members.path}: {both[0]}: is in {_TEST_LIST} and {_VALIDATION_LIST}")
    told: Provenance = {
        "classes": ",".join(classes),
        "test_split": f"{_TEST_LIST} names the test recordings",
        "validation_left_out": len(validation),
    }
    parts: dict[Part, list[tuple[str, int]]] = {"train": [], "test": []}
    for key, (name, label) in found.items():
        if key not in validation:
            parts["test" if key in test else "train"].append((name, classes.index(label)))
    return _Plan("speech-commands", parts, told)


def _listed(members: Members, name: PurePosixPath, found: dict[str, tuple[str, str]]) -> set[str]:
    if str(name) not in members.names():
        return set()
    place = where(members, str(name))
    lines = members.read(str(name), _MAX_LIST_BYTES).decode("utf-8", "replace").splitlines()
    listed: set[str] = set()
    for count, line in enumerate(lines, 1):
        if line.strip() and line.strip() not in found:
            raise InputError(f"{place}: line {count}: there is no file {line.strip()!r}")
        listed |= {line.strip()} - {""}
    return listed


def _spool(
    members: Members,
    recordings: list[tuple[str, int]],
    part: Part,
    rates: dict[int, str],
    digest: "hashlib._Hash",
    progress: Progress,
) -> Split:
    """Make the spectrograms; `rates` collects the sample rates, each with its first file."""
    spool = Spool(f"{part} recordings")
    for count, (name, _) in enumerate(recordings):
        if progress and count % _TOLD_EVERY == 0:
            progress(f"spectrograms of {part} recordings: {count} of {len(recordings)}")
        content = members.read(name, MAX_WAV_BYTES)
        digest.update(content)
        signal, rate = read_wav(content, where(members, name))
        if rate not in rates and rates:
            ((other, first),) = rates.items()
            raise InputError(f"{where(members, name)}: {rate} Hz: must be {other} Hz as in {first}")
        rates.setdefault(rate, name)
        spool.write(mel_image(signal, rate).data)
    layout = PixelLayout(NUM_MELS * NUM_FRAMES)
    labels = np.array([label for _, label in recordings], np.int32)
    return Split(labels, layout, spool.store(layout.record_bytes))
