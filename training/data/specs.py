"""From the words a user types to a data set for training."""

import difflib
import math
from pathlib import Path

from flipcore.chip import MAX_STEPS
from flipcore.errors import InputError
from flipcore.sim.data import Dataset, load_dataset
from flipcore.sim.data.dataset import Progress
from flipcore.sim.data.known import KNOWN_SETS
from flipcore.sim.data.nmnist import SENSOR
from flipcore.training.data.cifar import load_cifar
from flipcore.training.data.cifar_batches import CIFAR10, CIFAR100
from flipcore.training.data.event_folder import load_events
from flipcore.training.data.samples import SampleSet, Shape, as_sample_set
from flipcore.training.data.speech import load_speech

_NAMES = ("digits", *KNOWN_SETS)
_SIMULATED = {"idx": "idx:DIR", "npz": "npz:FILE", "nmnist": "nmnist:PATH[,PATH...]"}
_FORMS = _SIMULATED | {
    "cifar10": "cifar10:PATH",
    "cifar100": "cifar100:PATH",
    "events": "events:PATH",
    "speech": "speech:PATH",
}


def load_samples(spec: str, *, num_steps: int, progress: Progress = None) -> SampleSet:
    """Load the data set that `spec` names.

    Args:
        spec: all that `flipcore.sim.data.load_dataset` takes; `cifar10:PATH` or `cifar100:PATH`, a
            folder, an archive or a .npz file; `events:PATH`, a folder of recordings or a list of
            them; `speech:PATH`, a folder or a zip file of WAV files.
        num_steps: steps of the network, 1 ... 256; recordings are binned into as many.
        progress: told in a line what is being done, now and then.

    Raises:
        InputError: the spec is unknown, or its files are missing, corrupt or do not fit together.
        ToolError: recordings are of a format whose library is not installed.
    """
    prefix, colon, rest = spec.partition(":")
    if spec in _NAMES or (colon and prefix in _SIMULATED):
        dataset = load_dataset(spec, num_steps=num_steps, progress=progress)
        return as_sample_set(dataset, _shape_of(dataset))
    if not 1 <= num_steps <= MAX_STEPS:
        raise InputError(f"num_steps: {num_steps}: must be 1 ... {MAX_STEPS} (S3)")
    if not colon or prefix not in _FORMS:
        raise InputError(_unknown(spec, prefix))
    if not rest:
        raise InputError(f"data set {spec!r}: nothing after the colon: write {_FORMS[prefix]}")
    path = _path(rest, spec)
    if prefix == "events":
        return load_events(path, num_steps=num_steps, spec=spec, progress=progress)
    if prefix == "speech":
        return load_speech(path, spec=spec, progress=progress)
    kind = CIFAR10 if prefix == "cifar10" else CIFAR100
    return load_cifar(path, kind, spec=spec, progress=progress)


def _shape_of(dataset: Dataset) -> Shape:
    """The simulator's sets are flat: events of N-MNIST's sensor, or images, square where they can be."""
    if dataset.kind == "events":
        return (2, SENSOR, SENSOR)
    side = math.isqrt(dataset.num_axons)
    return (1, side, side) if side * side == dataset.num_axons else (1, 1, dataset.num_axons)


def _path(text: str, spec: str) -> Path:
    try:
        return Path(text).expanduser()  # shells leave a tilde behind a colon as it is
    except RuntimeError as error:
        raise InputError(f"data set {spec!r}: {error}") from error


def _unknown(spec: str, prefix: str) -> str:
    known = ", ".join([*_NAMES, *_FORMS.values()])
    return f"data set {spec!r}: unknown{_near_match(spec, prefix)}; known are {known}"


def _near_match(spec: str, prefix: str) -> str:
    path = Path(spec)
    if path.suffix == ".npz":
        return f", did you mean npz:{spec}?"
    if spec and path.is_dir():
        return f", did you mean idx:{spec}?"
    if ":" in spec:
        near = [_FORMS[key] for key in difflib.get_close_matches(prefix.lower(), _FORMS, n=1)]
    else:
        choices = {name: name for name in _NAMES} | _FORMS
        near = [choices[key] for key in difflib.get_close_matches(spec.lower(), choices, n=1)]
    return f", did you mean {near[0]}?" if near else ""
