"""Sets known by name: where they are looked for, and the download against a server on loopback."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flipcore.errors import InputError
from flipcore.sim.data import known, load_dataset
from flipcore.sim.data.known import KNOWN_SETS, KnownSet, download, find_known

CONTENT = {"one.gz": b"first file", "two.gz": b"second file" * 1000}


@dataclass
class Server:
    """What the server answers, and what it was asked for."""

    url: str = ""
    content: dict[str, bytes] = field(default_factory=lambda: dict(CONTENT))
    cut_short: bool = False
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the file of that name, or a part of it."""
            name = self.path.strip("/")
            state.asked.append(name)
            if name not in state.content:
                self.send_error(404)
                return
            body = state.content[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if state.cut_short else body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.url = f"http://127.0.0.1:{listening.server_port}/"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def mini(base_url: str) -> KnownSet:
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    return KnownSet("mini", base_url, sha256)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_downloads_once(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cache" / "mini"
    told: list[str] = []
    download(mini(server.url), folder, told.append)
    assert content_of(folder) == CONTENT
    assert told == [f"downloading {server.url}one.gz", f"downloading {server.url}two.gz"]
    download(mini(server.url), folder, told.append)
    assert server.asked == ["one.gz", "two.gz"]
    assert len(told) == 2
    assert capfd.readouterr() == ("", "")


def test_replaces_a_damaged_file_in_the_cache(server: Server, tmp_path: Path) -> None:
    (tmp_path / "one.gz").write_bytes(b"first fil")
    download(mini(server.url), tmp_path, None)
    assert content_of(tmp_path) == CONTENT


def test_refuses_a_wrong_checksum_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    server.content["two.gz"] = b"something else"
    with pytest.raises(InputError) as error:
        download(mini(server.url), tmp_path, None)
    sha256 = mini("").sha256["two.gz"]
    assert str(error.value) == (
        f"mini: cannot download {server.url}two.gz: what came does not have the published "
        f"SHA-256 {sha256}; with the files at hand use idx:DIR, or put them into the folder mini "
        "of FLIPCORE_DATA"
    )
    assert content_of(tmp_path) == {"one.gz": CONTENT["one.gz"]}


def test_refuses_a_part_of_a_file_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    server.cut_short = True
    with pytest.raises(InputError, match=r"cannot download .*one\.gz: the connection broke off; "):
        download(mini(server.url), tmp_path, None)
    assert content_of(tmp_path) == {}


def test_tells_what_the_server_answers(server: Server, tmp_path: Path) -> None:
    del server.content["one.gz"]
    with pytest.raises(InputError, match=r"one\.gz: the server answers 404; .* use idx:DIR"):
        download(mini(server.url), tmp_path, None)


def test_tells_a_missing_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses connections
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(InputError) as error:
            download(mini(url), tmp_path, None)
    assert f"mini: cannot download {url}one.gz: no connection; " in str(error.value)
    assert "\n" not in str(error.value)


def test_tells_a_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(known, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(InputError, match=r"one\.gz: no answer within 0\.05 s; "):
            download(mini(url), tmp_path, None)


def test_tells_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InputError) as error:
        download(mini(server.url), tmp_path / "cache" / "mini", None)
    assert "mini: cannot download" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_users_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIPCORE_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    assert find_known(KNOWN_SETS["mnist"], None) == tmp_path / "mnist"
    monkeypatch.setenv("FLIPCORE_DATA", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"FLIPCORE_DATA: .*gone: no such folder"):
        find_known(KNOWN_SETS["mnist"], None)


@pytest.mark.parametrize("has_folder", [False, True])
def test_then_comes_the_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_folder: bool
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    if has_folder:
        monkeypatch.setenv("FLIPCORE_DATA", str(tmp_path))
    else:
        monkeypatch.delenv("FLIPCORE_DATA", raising=False)
    folder = find_known(mini(server.url), None)
    assert folder == tmp_path / "cache" / "flipcore" / "mini"
    assert content_of(folder) == CONTENT


def test_the_published_sets_are_complete() -> None:
    assert sorted(KNOWN_SETS) == ["fashion-mnist", "kmnist", "mnist"]
    for name, published in KNOWN_SETS.items():
        assert published.name == name
        assert published.base_url.startswith("https://")
        assert published.base_url.endswith("/")
        assert len(published.sha256) == len(set(published.sha256.values())) == 4
        assert all(len(bytes.fromhex(value)) == 32 for value in published.sha256.values())


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_checksums_are_those_of_the_real_files(data_dir: Path, name: str) -> None:
    for file, sha256 in KNOWN_SETS[name].sha256.items():
        assert hashlib.sha256((data_dir / name / file).read_bytes()).hexdigest() == sha256


@pytest.mark.realdata
def test_a_real_set_is_downloaded_and_loaded(
    server: Server, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = KNOWN_SETS["mnist"]
    server.content = {name: (data_dir / "mnist" / name).read_bytes() for name in published.sha256}
    monkeypatch.setitem(KNOWN_SETS, "mnist", replace(published, base_url=server.url))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    monkeypatch.delenv("FLIPCORE_DATA", raising=False)
    dataset = load_dataset("mnist", num_steps=8)
    assert (dataset.name, len(dataset.train), len(dataset.test)) == ("mnist", 60000, 10000)
