"""Data sets known by name: found in the user's folder or the cache, else downloaded and checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flipcore.errors import InputError
from flipcore.sim.data.dataset import Progress
from flipcore.sim.data.store import BLOCK_BYTES

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A published data set: where its files are and the SHA-256 of each."""

    name: str
    base_url: str
    sha256: Mapping[str, str]


def _four(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> Mapping[str, str]:
    return {
        "train-images-idx3-ubyte.gz": train_images,
        "train-labels-idx1-ubyte.gz": train_labels,
        "t10k-images-idx3-ubyte.gz": test_images,
        "t10k-labels-idx1-ubyte.gz": test_labels,
    }


KNOWN_SETS: dict[str, KnownSet] = {
    "mnist": KnownSet(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        _four(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": KnownSet(
        "fashion-mnist",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        _four(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "kmnist": KnownSet(
        "kmnist",
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        _four(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
}


def find_known(known: KnownSet, progress: Progress) -> Path:
    """Find the set: in $FLIPCORE_DATA/<name> if there is one, else in the cache, filled if need be.

    Raises:
        InputError: FLIPCORE_DATA names no folder, or the download fails.
    """
    chosen = os.environ.get("FLIPCORE_DATA")
    if chosen:
        if not Path(chosen).is_dir():
            raise InputError(f"FLIPCORE_DATA: {chosen}: no such folder")
        if (Path(chosen) / known.name).is_dir():
            return Path(chosen) / known.name
    import platformdirs

    folder = platformdirs.user_cache_path("flipcore") / known.name
    download(known, folder, progress)
    return folder


def download(known: KnownSet, folder: Path, progress: Progress) -> None:
    """Fetch what `folder` lacks or has with the wrong checksum; a file appears whole or not at all.

    Raises:
        InputError: no connection, a broken one, a wrong checksum, or an unwritable folder.
    """
    # Imported here: only who downloads pays for them.
    import pooch

    pooch.get_logger().setLevel("ERROR")  # it would write to stderr; `progress` is how we speak
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, chunk_size=BLOCK_BYTES)
    for name, sha256 in known.sha256.items():
        url = known.base_url + name
        if progress and not (folder / name).exists():
            progress(f"downloading {url}")
        try:
            pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{known.name}: cannot download {url}: {_reason(error, sha256)}; "
                "with the files at hand use idx:DIR, or put them into the folder "
                f"{known.name} of FLIPCORE_DATA"
            ) from error


def _reason(error: OSError | ValueError, sha256: str) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_SECONDS} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"what came does not have the published SHA-256 {sha256}"
