"""From the words a user types to a data set."""

import difflib
from pathlib import Path

from flipcore.chip import MAX_STEPS
from flipcore.errors import InputError
from flipcore.sim.data.dataset import Dataset, Progress
from flipcore.sim.data.digits import load_digits
from flipcore.sim.data.idx import load_idx
from flipcore.sim.data.known import KNOWN_SETS, find_known
from flipcore.sim.data.nmnist import load_nmnist
from flipcore.sim.data.npz import load_npz

_PREFIXES = {"idx": "idx:DIR", "npz": "npz:FILE", "nmnist": "nmnist:PATH[,PATH...]"}


def load_dataset(spec: str, *, num_steps: int, progress: Progress = None) -> Dataset:
    """Load the data set that `spec` names.

    Args:
        spec: `digits`, `mnist`, `fashion-mnist`, `kmnist`, `idx:DIR`, `npz:FILE` or
            `nmnist:PATH[,PATH...]`.
        num_steps: steps of the network, 1 ... 256; recordings are binned into as many.
        progress: told in a line what is being done, now and then.

    Raises:
        InputError: the spec is unknown, or its files are missing, corrupt or do not fit together.
    """
    if not 1 <= num_steps <= MAX_STEPS:
        raise InputError(f"num_steps: {num_steps}: must be 1 ... {MAX_STEPS} (S3)")
    prefix, colon, rest = spec.partition(":")
    if spec == "digits":
        return load_digits()
    if spec in KNOWN_SETS:
        return load_idx(
            find_known(KNOWN_SETS[spec], progress), name=spec, spec=spec, progress=progress
        )
    if not colon or prefix not in _PREFIXES:
        raise InputError(_unknown(spec, prefix))
    if not rest:
        raise InputError(f"data set {spec!r}: nothing after the colon: write {_PREFIXES[prefix]}")
    if prefix == "nmnist":
        paths = [_path(text, spec) for text in rest.split(",")]
        return load_nmnist(paths, num_steps=num_steps, spec=spec, progress=progress)
    path = _path(rest, spec)
    if prefix == "npz":
        return load_npz(path, spec=spec, progress=progress)
    return load_idx(path, name=path.resolve().name, spec=spec, progress=progress)


def _path(text: str, spec: str) -> Path:
    if not text:
        raise InputError(f"data set {spec!r}: an empty path: write {_PREFIXES['nmnist']}")
    try:
        return Path(text).expanduser()  # shells leave a tilde behind a colon as it is
    except RuntimeError as error:
        raise InputError(f"data set {spec!r}: {error}") from error


def _unknown(spec: str, prefix: str) -> str:
    names = ["digits", *KNOWN_SETS]
    forms = ", ".join([*names, *_PREFIXES.values()])
    return f"data set {spec!r}: unknown{_near_match(spec, prefix, names)}; known are {forms}"


def _near_match(spec: str, prefix: str, names: list[str]) -> str:
    path = Path(spec)
    if path.suffix == ".npz":
        return f", did you mean npz:{spec}?"
    if spec and path.is_dir():
        return f", did you mean idx:{spec}?"
    if ":" in spec:
        near = [_PREFIXES[key] for key in difflib.get_close_matches(prefix, _PREFIXES, n=1)]
    else:
        near = difflib.get_close_matches(spec.lower(), names, n=1)
    return f", did you mean {near[0]}?" if near else ""
